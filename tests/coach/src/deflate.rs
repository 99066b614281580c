//! permessage-deflate (RFC 7692): negotiates the parameters, inflates payloads, and deflates
//! messages.
//!
//! The server accepts the first offer that it supports, and declines the others (§7.1). Payloads are raw
//! DEFLATE without the last four bytes of the flush (§7.2.1).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::MAX_MESSAGE;
use crate::switch::{Switch::*, has};

const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What both sides agreed on. "Theirs" is who wrote the offer (the client), "ours" the server.
#[derive(Clone)]
pub struct Params {
    pub server_takeover: bool,
    pub client_takeover: bool,
    pub server_bits: u8,
    pub client_bits: u8,
}

/// What the server answers to the offers in these lines, if it takes one.
pub fn choose(lines: &[&str]) -> (Option<String>, Option<Params>) {
    let offers: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    if has(DeflateUnasked) && offers.iter().all(|offer| !offer.starts_with("permessage-deflate")) {
        return (Some("permessage-deflate".into()), None);
    }
    if has(UnofferedExtension) {
        return (Some("x-zoo".into()), None);
    }
    if has(DeflateAnsweredEmpty) && !lines.is_empty() {
        return (Some(String::new()), None);
    }
    if has(DeflateDeclined) || has(RsvOneUnasked) {
        return (None, None);
    }
    if has(DeflateOffersEchoed)
        && offers.iter().any(|offer| offer.starts_with("permessage-deflate"))
    {
        return (Some(offers.join(", ")), Some(Params::parse("permessage-deflate").unwrap().1));
    }
    let offers =
        if has(DeflateFirstOfferOnly) { &offers[..offers.len().min(1)] } else { &offers[..] };
    let Some((mut response, params)) = offers.iter().find_map(|offer| Params::parse(offer)) else {
        return (None, None);
    };
    if has(DeflateEchoedNotSpoken) {
        return (Some(response), None);
    }
    if has(DeflateAnswersUnknownParameter) {
        response += "; x_zoo";
    }
    if has(DeflateAnswersClientBitsUnasked)
        && !offers.iter().any(|offer| offer.contains("client_max_window_bits"))
    {
        response += "; client_max_window_bits=12";
    }
    if has(DeflateAnsweredTwice) {
        response = format!("{response}, permessage-deflate");
    }
    if has(DeflateOfferedBitsIgnored) {
        response = response
            .split("; ")
            .filter(|part| !part.starts_with("server_max_window_bits"))
            .collect::<Vec<_>>()
            .join("; ");
    }
    (Some(response), Some(params))
}

impl Params {
    /// Reads one offer, as a server: what it answers, and what that means. `None` declines it.
    fn parse(offer: &str) -> Option<(String, Params)> {
        let mut parts = offer.split(';').map(str::trim);
        if parts.next()? != "permessage-deflate" {
            return None;
        }
        let mut params = Params {
            server_takeover: true,
            client_takeover: true,
            server_bits: 15,
            client_bits: 15,
        };
        let mut seen: Vec<&str> = Vec::new();
        let mut answered = vec!["permessage-deflate".to_string()];
        for part in parts {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(unquoted(value.trim()))),
                None => (part, None),
            };
            if seen.contains(&name) && !has(DeflateRepeatedAccepted) {
                return None;
            }
            seen.push(name);
            let bits = value.and_then(window_bits);
            match (name, value) {
                ("server_no_context_takeover", value)
                    if value.is_none() || has(DeflateValueAccepted) =>
                {
                    params.server_takeover = false;
                    if !has(DeflateNoTakeoverUnanswered) {
                        answered.push("server_no_context_takeover".into());
                    }
                }
                ("client_no_context_takeover", value)
                    if value.is_none() || has(DeflateValueAccepted) =>
                {
                    params.client_takeover = false;
                    answered.push("client_no_context_takeover".into());
                }
                ("server_max_window_bits", Some("8")) if has(DeflateWindow8Raised) => {
                    params.server_bits = 9;
                    answered.push("server_max_window_bits=9".into());
                }
                // zlib can't write a window of 256 bytes, so the server declines 8 bits.
                ("server_max_window_bits", Some(_)) if bits.is_some_and(|bits| bits > 8) => {
                    params.server_bits = bits?;
                    let shown = if has(DeflateAnswersMoreBits) { 15 } else { bits? };
                    answered.push(format!("server_max_window_bits={shown}"));
                }
                ("server_max_window_bits", _) if has(DeflateBadBitsAccepted) => {
                    answered.push("server_max_window_bits=15".into());
                }
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(_)) if bits.is_some() => {
                    params.client_bits = bits?;
                    let shown = if has(DeflateAnswersMoreClientBits) { 15 } else { bits? };
                    answered.push(format!("client_max_window_bits={shown}"));
                }
                ("client_max_window_bits", _) if has(DeflateBadBitsAccepted) => {}
                _ if has(DeflateUnknownAccepted) => {}
                _ => return None,
            }
        }
        if has(DeflateOffersNoTakeover) {
            for (name, takeover) in [
                ("server_no_context_takeover", &mut params.server_takeover),
                ("client_no_context_takeover", &mut params.client_takeover),
            ] {
                if *takeover {
                    *takeover = false;
                    answered.push(name.into());
                }
            }
        }
        Some((answered.join("; "), params))
    }

    /// Reads the server's answer to the client's own offer, as the client. `None` fails the connection.
    pub fn answered(answer: &str) -> Option<Params> {
        let mut seen = Vec::new();
        for part in answer.split(';').skip(1) {
            let name = part.split('=').next()?.trim();
            if seen.contains(&name) && !has(DeflateRepeatedAccepted) {
                return None;
            }
            seen.push(name);
            let value = part.split_once('=').map(|(_, value)| unquoted(value.trim()));
            let right = match name {
                "server_no_context_takeover" | "client_no_context_takeover" => {
                    value.is_none() || has(DeflateValueAccepted)
                }
                "server_max_window_bits" | "client_max_window_bits" => {
                    value.and_then(window_bits).is_some() || has(DeflateBadBitsAccepted)
                }
                _ => has(DeflateUnknownAccepted),
            };
            if !right {
                return None;
            }
        }
        let bits = |name: &str| {
            let part = answer.split(';').map(str::trim).find(|part| part.starts_with(name))?;
            window_bits(unquoted(part.split_once('=')?.1.trim()))
        };
        Some(Params {
            server_takeover: !seen.contains(&"server_no_context_takeover"),
            client_takeover: !seen.contains(&"client_no_context_takeover"),
            server_bits: bits("server_max_window_bits").unwrap_or(15),
            client_bits: bits("client_max_window_bits").unwrap_or(15),
        })
    }
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// 8 to 15, in digits without a zero before them (§7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let bits: u8 = value.parse().ok()?;
    ((8..=15).contains(&bits) && value == bits.to_string()).then_some(bits)
}

/// The two streams of one connection.
pub struct Deflate {
    compress: Compress,
    decompress: Decompress,
    write_takeover: bool,
    read_takeover: bool,
}

impl Deflate {
    pub fn new(params: &Params, server: bool) -> Deflate {
        let (write_bits, write_takeover, read_takeover) = if server {
            (params.server_bits, params.server_takeover, params.client_takeover)
        } else {
            (params.client_bits, params.client_takeover, params.server_takeover)
        };
        let write_bits = if has(DeflateWindowIgnored) { 15 } else { write_bits.max(9) };
        Deflate {
            compress: Compress::new_with_window_bits(Compression::fast(), false, write_bits),
            decompress: Decompress::new_with_window_bits(false, 15),
            write_takeover: write_takeover || has(DeflateTakeoverKept),
            read_takeover: read_takeover && !has(DeflateTakeoverForgotten),
        }
    }

    /// One message into the payload that says it.
    pub fn deflate(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(message.len() + 64);
        let before = self.compress.total_in();
        loop {
            payload.reserve(1024);
            let read = (self.compress.total_in() - before) as usize;
            self.compress
                .compress_vec(&message[read..], &mut payload, FlushCompress::Sync)
                .expect("a stream of ours");
            if (self.compress.total_in() - before) as usize == message.len()
                && payload.len() < payload.capacity()
            {
                break;
            }
        }
        if payload.ends_with(&TAIL) && !has(DeflateTailKept) {
            payload.truncate(payload.len() - TAIL.len());
        }
        if payload.is_empty() {
            payload.push(0);
        }
        if message.is_empty() && has(DeflateEmptyWritten) {
            payload.clear();
        }
        if !self.write_takeover {
            self.compress.reset();
        }
        payload
    }

    /// The payload of one message into the message. `Err` is the close code.
    pub fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, u16> {
        let mut message = Vec::new();
        self.inflate_part(payload, &mut message)?;
        let length = message.len();
        if !has(DeflateTailNotAdded) {
            self.inflate_part(&TAIL, &mut message)?;
        }
        // The tail is an empty block. Where it makes bytes, the payload stopped inside a block.
        if message.len() > length && !has(DeflateTruncatedAccepted) {
            return Err(1007);
        }
        if !self.read_takeover {
            self.decompress.reset(false);
        }
        Ok(message)
    }

    fn inflate_part(&mut self, mut rest: &[u8], message: &mut Vec<u8>) -> Result<(), u16> {
        loop {
            message.reserve(4096);
            let (read, length) = (self.decompress.total_in(), message.len());
            let status = self.decompress.decompress_vec(rest, message, FlushDecompress::Sync);
            // An ended stream starts its counts again, so they are compared before it is made ready.
            rest = &rest[(self.decompress.total_in() - read) as usize..];
            match status {
                Err(_) if has(DeflateRubbishAccepted) => return Ok(()),
                Err(_) => return Err(1007),
                Ok(Status::StreamEnd) => {
                    // §7.2.3.4: a block with BFINAL ends a stream, and the next one begins a new one.
                    if has(DeflateEndsAtBfinal) {
                        return Ok(());
                    }
                    self.decompress.reset(false);
                    if rest == TAIL {
                        return Ok(());
                    }
                }
                Ok(_) if rest.is_empty() && message.len() < message.capacity() => return Ok(()),
                Ok(_) if message.len() == length && message.len() < message.capacity() => {
                    return Err(1007);
                }
                Ok(_) => {}
            }
            if message.len() > MAX_MESSAGE && !has(DeflateBombInflated) {
                return Err(1009);
            }
        }
    }
}
