//! Stage 14: permessage-deflate (RFC 7692).

use crate::areas::accept::ends_at;
use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::inflate::{Block, Inflated, deflate, inflate};
use crate::library::RSV1;
use crate::probe::{Head, Line, Message, Next, Probe, answer, odd, word};
use crate::wire::{BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, quote};

const ANSWER: Lesson = Lesson {
    section: "RFC 7692 §5",
    rule: "An answer names what was offered, each parameter once, with a value that fits the offer.",
    causes: "The offer is copied into the answer, or a fixed line is sent.",
    fix: "Parse the offers, accept the first one that you support, and write your own parameters.",
};
const DECLINE: Lesson = Lesson {
    section: "RFC 7692 §7.1",
    rule: "A server declines an offer with an unknown or repeated parameter or an invalid value, and tries the next offer. If none is left, it answers without compression; it doesn't refuse the handshake.",
    causes: "Unknown parameters are ignored, values are read with a lenient number parser, or the request is refused with 400.",
    fix: "Parse each offer to `Some` or `None`, and take the first `Some`.",
};
const INFLATE: Lesson = Lesson {
    section: "RFC 7692 §7.2.2",
    rule: "To inflate a message, append 00 00 ff ff to its payload. Blocks may be of any type, the last one may be marked as final, and fragments are inflated in their order.",
    causes: "Each fragment is inflated separately, the four bytes are missing, or the inflater isn't reset after a final block.",
    fix: "Inflate the joined payload with the four bytes; after a final block, reset the inflater.",
};
const DEFLATE: Lesson = Lesson {
    section: "RFC 7692 §7.2.1",
    rule: "A compressed message has RSV1 only on its first frame, and its DEFLATE keeps to the negotiated window and takeover. Control frames are never compressed.",
    causes: "RSV1 is set on continuations or pongs; or the compressor doesn't use the parameters of the answer.",
    fix: "Set RSV1 on opcodes 1 and 2 only, and make the compressor from the parameters of the answer.",
};
const BROKEN: Lesson = Lesson {
    section: "RFC 7692 §6",
    rule: "RSV1 where it has no meaning, or a payload that isn't DEFLATE, fails the connection.",
    causes: "RSV1 is accepted without negotiation or on any frame; or the inflater's error, or its need for more bytes, is ignored.",
    fix: "Close with 1002 for the bit, and with 1007 or 1002 for the data.",
};
const BOMB: Lesson = Lesson {
    section: "RFC 7692 §8",
    rule: "A few KiB may inflate to many MiB, so a limit has to count the inflated bytes.",
    causes: "The limit counts the compressed bytes.",
    fix: "Inflate in steps, and close with 1009 as soon as the output exceeds the limit.",
};

const OFFER: &str = "permessage-deflate";
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

type Parameters = Vec<(String, Option<String>)>;

/// Parses the extensions of an answer, with their parameters.
fn extensions(head: &Head) -> Vec<(String, Parameters)> {
    head.list("Sec-WebSocket-Extensions")
        .iter()
        .map(|extension| {
            let mut parts = extension.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_owned();
            let parameters = parts.map(|part| match part.split_once('=') {
                Some((name, value)) => {
                    (name.trim().into(), Some(value.trim().trim_matches('"').into()))
                }
                None => (part.into(), None),
            });
            (name, parameters.collect())
        })
        .collect()
}

fn bits(value: &Option<String>) -> Option<u8> {
    let value = value.as_deref()?;
    let number = value.parse::<u8>().ok().filter(|bits| (8..=15).contains(bits))?;
    (number.to_string() == value).then_some(number)
}

const ANSWERED: &str = "answered to the offer";

/// Returns what is wrong with the parameters of an answer or of an offer, or `None`. `done` says what may
/// not be done with a wrong one, such as "offered".
fn wrong(parameters: &Parameters, offer: &str, done: &str) -> Option<String> {
    for (i, (name, value)) in parameters.iter().enumerate() {
        if parameters[..i].iter().any(|other| other.0 == *name) {
            return Some(format!("{name} stands twice"));
        }
        let good = match name.as_str() {
            "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
            "server_max_window_bits" => bits(value).is_some(),
            "client_max_window_bits" => {
                bits(value).is_some() && offer.contains("client_max_window_bits")
            }
            _ => false,
        };
        if !good {
            let value = value.as_ref().map_or(String::new(), |value| format!("={value}"));
            return Some(format!("`{name}{value}`, which may not be {done}"));
        }
    }
    None
}

/// Sends offers. Returns the parameters of the answer, or `None` if the server declined.
fn offer(p: &mut Probe, offers: &[&str]) -> Result<(Option<Parameters>, Line), Stop> {
    let mut request = p.request();
    for offer in offers {
        request = request.add("Sec-WebSocket-Extensions", offer);
    }
    let (head, line) = p.accepted(&request.bytes())?;
    let mut answers = extensions(&head);
    match answers.len() {
        0 if head.all("Sec-WebSocket-Extensions").is_empty() => Ok((None, line)),
        1 if answers[0].0 == OFFER => Ok((Some(answers.remove(0).1), line)),
        _ => fails(format!("Sec-WebSocket-Extensions: {:?}", head.all("Sec-WebSocket-Extensions"))),
    }
}

/// Sends an offer that a server may decline even if it compresses. Returns its answer, or skips the
/// check if it declined.
fn taken(p: &mut Probe, offered: &str) -> Result<(Parameters, Line), Stop> {
    let (parameters, line) = offer(p, &[offered])?;
    match parameters {
        Some(parameters) => Ok((parameters, line)),
        None => {
            // Close this connection first, because the server may serve only one client at a time.
            drop(line);
            compresses(p)?;
            skips(format!("`{offered}` was declined, which is allowed"))
        }
    }
}

fn declined(p: &mut Probe, offered: &str) -> Outcome {
    compresses(p)?;
    let request = p.request().add("Sec-WebSocket-Extensions", offered).bytes();
    let (head, _) = p.ask(&request)?;
    match (head.status(), extensions(&head).len()) {
        (Some(101), 0) => Ok(()),
        (Some(101), _) => {
            fails(format!("the offer was accepted: {:?}", head.all("Sec-WebSocket-Extensions")))
        }
        (Some(400..=499), _) => warns(format!(
            "{:?}: the whole request was refused, where declining the offer is enough",
            head.first
        )),
        _ => fails(format!("{:?}", head.first)),
    }
}

/// Skips the check if the server declines an offer without parameters.
fn compresses(p: &mut Probe) -> Outcome {
    let (head, _) = {
        let request = p.request().add("Sec-WebSocket-Extensions", OFFER).bytes();
        p.ask(&request)?
    };
    if extensions(&head).iter().any(|extension| extension.0 == OFFER) {
        Ok(())
    } else {
        skips("compression was not accepted")
    }
}

/// A connection with compression, and the histories of both directions.
struct Open {
    line: Line,
    /// The peer's inflated messages so far, into which its matches may reach back.
    history: Vec<u8>,
    takeover: bool,
    window: usize,
    we_take_over: bool,
    our_window: usize,
}

/// Builds the parameters that accept a client's offer. A server accepts what the offer asks of it
/// by repeating it (RFC 7692 §7.1.1.1, §7.1.2.1).
fn accepted(offered: Parameters) -> Parameters {
    let of_server = ["server_no_context_takeover", "server_max_window_bits"];
    offered.into_iter().filter(|parameter| of_server.contains(&&*parameter.0)).collect()
}

fn written(parameters: &Parameters) -> String {
    parameters.iter().fold(OFFER.to_owned(), |written, (name, value)| match value {
        Some(value) => format!("{written}; {name}={value}"),
        None => format!("{written}; {name}"),
    })
}

fn open(p: &mut Probe, offered: &str) -> Result<Open, Stop> {
    let (parameters, line) = if p.is_client() {
        let (head, mut line) = p.arrives()?;
        let mut offers = extensions(&head).into_iter();
        let Some((_, offered)) = offers.find(|extension| extension.0 == OFFER) else {
            line.send(&answer(&head).bytes());
            return skips("it doesn't offer compression");
        };
        let accepted = accepted(offered);
        line.send(&answer(&head).add("Sec-WebSocket-Extensions", &written(&accepted)).bytes());
        line.pause();
        line.pause();
        (accepted, line)
    } else {
        match taken(p, offered) {
            Err(Stop::Fails(seen)) => return skips(format!("no agreement: {seen}")),
            other => other?,
        }
    };
    let find = |name: &str| parameters.iter().find(|parameter| parameter.0 == name);
    let window = |name| find(name).and_then(|parameter| bits(&parameter.1)).unwrap_or(15);
    let (mine, theirs) = if p.is_client() { ("server", "client") } else { ("client", "server") };
    let takeover = |who: &str| find(&format!("{who}_no_context_takeover")).is_none();
    Ok(Open {
        line,
        history: Vec::new(),
        takeover: takeover(theirs),
        window: 1 << window(&*format!("{theirs}_max_window_bits")),
        we_take_over: takeover(mine),
        our_window: 1 << window(&*format!("{mine}_max_window_bits")),
    })
}

impl Open {
    /// Waits for the echo of a text, compressed or not.
    fn comes_back(&mut self, expected: &[u8]) -> Result<(Message, Option<Inflated>), Stop> {
        let wait = self.line.pace().answer();
        let mut other = String::new();
        for _ in 0..50 {
            let message = match self.line.message(wait) {
                Ok(message) => message,
                Err(Next::Frame(close))
                    if close.code() == Some(1009) && expected.len() > 32_768 =>
                {
                    return warns(format!(
                        "it closed with 1009: its own limit is below {} bytes",
                        expected.len()
                    ));
                }
                Err(instead) => {
                    return fails(format!(
                        "instead of the echo of {} bytes: {other}{}",
                        expected.len(),
                        instead.told()
                    ));
                }
            };
            let first = &message.frames[0];
            if first.first & RSV1 == 0 {
                if message.payload == expected {
                    return Ok((message, None));
                }
                let (count, got) = (message.payload.len(), quote(&message.payload));
                other = format!("a message of {count} bytes {got}, without RSV1; and then ");
                continue;
            }
            let before = if self.takeover { std::mem::take(&mut self.history) } else { Vec::new() };
            let inflated = match inflate(&message.payload, &before) {
                Ok(inflated) => inflated,
                Err(why) => {
                    return fails(format!("a compressed message that can't be inflated: {why}"));
                }
            };
            if inflated.farthest > self.window {
                return fails(format!(
                    "a repetition from {} bytes back, with a window of {} bytes",
                    inflated.farthest, self.window
                ));
            }
            self.history = before;
            self.history.extend_from_slice(&inflated.bytes);
            if inflated.bytes == expected {
                return Ok((message, Some(inflated)));
            }
        }
        fails("too many other messages")
    }

    fn echo(
        &mut self,
        payload: &[u8],
        expected: &[u8],
    ) -> Result<(Message, Option<Inflated>), Stop> {
        self.line.frame(frame(TEXT, payload).bits(RSV1));
        self.comes_back(expected)
    }

    fn control(&mut self) -> Outcome {
        match self.echo(HELLO, b"Hello") {
            Err(Stop::Fails(seen)) => skips(format!("the RFC's example fails already: {seen}")),
            other => other.map(drop),
        }
    }

    fn breaks(&mut self, frames: &[crate::wire::Frame]) -> Outcome {
        self.control()?;
        self.line.frames(frames);
        self.line.is_failed_with_a_legal_code().map(drop)
    }
}

fn one(p: &mut Probe, payload: &[u8], expected: &[u8]) -> Outcome {
    open(p, OFFER)?.echo(payload, expected).map(drop)
}

/// Skips the check if the peer doesn't echo an uncompressed message of that length, because then
/// compression isn't at fault.
fn carries(p: &mut Probe, length: usize) -> Outcome {
    p.open()?.control(BINARY, &vec![b'c'; length])
}

fn text(length: usize) -> Vec<u8> {
    let words: Vec<String> = (0..40).map(|_| word()).collect();
    let mut text = Vec::new();
    while text.len() < length {
        text.extend(words[odd() as usize % 40].as_bytes());
        text.extend(format!(" {} ", odd() % 1000).as_bytes());
    }
    text.truncate(length);
    // End the text with a dot, because another area checks whether spaces at the end are kept.
    text[length - 1] = b'.';
    text
}

const fn inflates(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &INFLATE, sends, "its text comes back", run).both()
}

const fn declines(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &DECLINE, sends, "101 without this extension", run)
}

const fn rejects(id: &'static str, sends: &'static str, run: fn(&mut Probe) -> Outcome) -> Check {
    check(id, &ANSWER, sends, "the client ends the connection", run).clients()
}

fn answered(p: &mut Probe, offered: &str, look: fn(&Parameters) -> Option<String>) -> Outcome {
    let (parameters, _) = taken(p, offered)?;
    wrong(&parameters, offered, ANSWERED).or_else(|| look(&parameters)).map_or(Ok(()), fails)
}

fn at_most(parameters: &Parameters, name: &str, most: u8, needed: bool) -> Option<String> {
    match parameters.iter().find(|parameter| parameter.0 == name) {
        Some(parameter) if bits(&parameter.1).is_some_and(|bits| bits <= most) => None,
        Some(parameter) => {
            Some(format!("{name} {:?}, where at most {most} was offered", parameter.1))
        }
        None => needed.then(|| format!("the offer was accepted without {name}")),
    }
}

/// Answers a client that offers with this in place of a good answer.
/// A client that offers compression gets an answer that it has to refuse. (One that offers none is asked whether it
/// takes an extension that it didn't ask for: `accept/unasked-extension`.)
fn misanswers(p: &mut Probe, accepted: &str) -> Outcome {
    let (head, mut line) = p.arrives()?;
    if !extensions(&head).iter().any(|extension| extension.0 == OFFER) {
        line.send(&answer(&head).bytes());
        return skips("it doesn't offer compression");
    }
    ends_at(line, &answer(&head).add("Sec-WebSocket-Extensions", accepted).bytes())
}

pub const CHECKS: &[Check] = &[
    check(
        "deflate/offer",
        &ANSWER,
        "`permessage-deflate`",
        "it's accepted or declined; nothing else is named",
        |p| match offer(p, &[OFFER])?.0 {
            Some(_) => Ok(()),
            None => skips("compression was not accepted"),
        },
    ),
    check(
        "deflate/answer",
        &ANSWER,
        "`permessage-deflate; client_max_window_bits`, as Chrome does",
        "a legal answer",
        |p| answered(p, "permessage-deflate; client_max_window_bits", |_| None),
    ),
    check(
        "deflate/unknown-extension",
        &ANSWER,
        "`x-coach-unknown`",
        "101 without an extension",
        |p| match offer(p, &["x-coach-unknown"])?.0 {
            Some(_) => fails("permessage-deflate, which wasn't offered"),
            None => Ok(()),
        },
    ),
    check(
        "deflate/no-client-window-unasked",
        &ANSWER,
        "`permessage-deflate`",
        "no client_max_window_bits in the answer",
        |p| answered(p, OFFER, |_| None),
    ),
    check(
        "deflate/server-no-takeover",
        &ANSWER,
        "`server_no_context_takeover`",
        "the same in the answer",
        |p| {
            answered(p, "permessage-deflate; server_no_context_takeover", |answer| {
                (!answer.iter().any(|parameter| parameter.0 == "server_no_context_takeover"))
                    .then(|| "it was accepted without server_no_context_takeover".into())
            })
        },
    ),
    check(
        "deflate/server-window",
        &ANSWER,
        "`server_max_window_bits=10`",
        "10 or less in the answer, or no compression",
        |p| {
            answered(p, "permessage-deflate; server_max_window_bits=10", |answer| {
                at_most(answer, "server_max_window_bits", 10, true)
            })
        },
    ),
    check(
        "deflate/server-window-8",
        &ANSWER,
        "`server_max_window_bits=8`, the smallest",
        "8 in the answer, or no compression",
        |p| {
            compresses(p)?;
            answered(p, "permessage-deflate; server_max_window_bits=8", |answer| {
                at_most(answer, "server_max_window_bits", 8, true)
            })
        },
    ),
    check(
        "deflate/client-window",
        &ANSWER,
        "`client_max_window_bits`",
        "8 to 15 in the answer, or nothing of it",
        |p| {
            answered(p, "permessage-deflate; client_max_window_bits", |answer| {
                at_most(answer, "client_max_window_bits", 15, false)
            })
        },
    ),
    check(
        "deflate/client-window-value",
        &ANSWER,
        "`client_max_window_bits=10`",
        "10 or less in the answer, or nothing of it",
        |p| {
            answered(p, "permessage-deflate; client_max_window_bits=10", |answer| {
                at_most(answer, "client_max_window_bits", 10, false)
            })
        },
    ),
    declines("deflate/declines-unknown", "`permessage-deflate; coach=1`", |p| {
        declined(p, "permessage-deflate; coach=1")
    }),
    declines(
        "deflate/declines-repeated",
        "`permessage-deflate` with server_no_context_takeover twice",
        |p| {
            declined(
                p,
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            )
        },
    ),
    declines("deflate/declines-window-7", "`server_max_window_bits=7`", |p| {
        declined(p, "permessage-deflate; server_max_window_bits=7")
    }),
    declines("deflate/declines-window-16", "`server_max_window_bits=16`", |p| {
        declined(p, "permessage-deflate; server_max_window_bits=16")
    }),
    declines("deflate/declines-window-08", "`server_max_window_bits=08`", |p| {
        declined(p, "permessage-deflate; server_max_window_bits=08")
    }),
    declines("deflate/declines-window-empty", "`server_max_window_bits` without a value", |p| {
        declined(p, "permessage-deflate; server_max_window_bits")
    }),
    declines("deflate/declines-takeover-value", "`server_no_context_takeover=1`", |p| {
        declined(p, "permessage-deflate; server_no_context_takeover=1")
    }),
    check(
        "deflate/quoted-value",
        &DECLINE,
        "`client_max_window_bits=\"10\"`, which is the same as 10",
        "compression",
        |p| {
            compresses(p)?;
            match offer(p, &["permessage-deflate; client_max_window_bits=\"10\""])?.0 {
                Some(_) => Ok(()),
                None => warns("it was declined"),
            }
        },
    )
    .advice(),
    check(
        "deflate/fallback",
        &DECLINE,
        "`permessage-deflate; coach=1, permessage-deflate`",
        "the second is tried: 101",
        |p| {
            compresses(p)?;
            match offer(p, &["permessage-deflate; coach=1, permessage-deflate"])? {
                (Some(parameters), _) => wrong(&parameters, "", ANSWERED).map_or(Ok(()), fails),
                (None, _) => warns("no compression, though the second offer is a good one"),
            }
        },
    ),
    check("deflate/one-answer", &ANSWER, "two good offers", "one answer at most", |p| {
        compresses(p)?;
        offer(p, &["permessage-deflate; client_max_window_bits, permessage-deflate"]).map(drop)
    }),
    check(
        "deflate/on-two-lines",
        &DECLINE,
        "two offers in two lines, the second a good one",
        "101",
        |p| {
            compresses(p)?;
            offer(p, &["permessage-deflate; coach=1", OFFER]).map(drop)
        },
    ),
    rejects("deflate/answer-unknown", "a 101 with an unknown parameter", |p| {
        misanswers(p, "permessage-deflate; coach=1")
    }),
    rejects("deflate/answer-repeated", "a 101 with a parameter twice", |p| {
        misanswers(p, "permessage-deflate; server_no_context_takeover; server_no_context_takeover")
    }),
    rejects("deflate/answer-window-16", "a 101 with `server_max_window_bits=16`", |p| {
        misanswers(p, "permessage-deflate; server_max_window_bits=16")
    }),
    check(
        "deflate/offer-legal",
        &ANSWER,
        "nothing; it reads the request",
        "offers with known parameters and legal values",
        |p| {
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            let offers = extensions(&head);
            let Some((_, parameters)) = offers.iter().find(|extension| extension.0 == OFFER) else {
                return skips("it doesn't offer compression");
            };
            let given: Parameters = parameters
                .iter()
                .filter(|p| p.0 != "client_max_window_bits" || p.1.is_some())
                .cloned()
                .collect();
            wrong(&given, "client_max_window_bits", "offered").map_or(Ok(()), fails)
        },
    )
    .clients(),
    inflates("deflate/hello", "the RFC's `Hello`", |p| one(p, HELLO, b"Hello")),
    inflates("deflate/stored-block", "`Hello` in a block without compression", |p| {
        one(p, &[0, 5, 0, 0xfa, 0xff, b'H', b'e', b'l', b'l', b'o', 0], b"Hello")
    }),
    inflates("deflate/two-blocks", "`Hello` in two blocks", |p| {
        one(p, &[0xf2, 0x48, 5, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 7, 0], b"Hello")
    }),
    inflates("deflate/final-block", "`Hello` in a block that says it's the last (BFINAL)", |p| {
        one(p, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0], b"Hello")
    }),
    inflates("deflate/after-final-block", "a message with BFINAL, and another", |p| {
        let mut open = open(p, OFFER)?;
        open.control()?;
        open.echo(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0], b"Hello")?;
        open.echo(HELLO, b"Hello").map(drop)
    }),
    inflates("deflate/empty", "a compressed message of no bytes", |p| one(p, &[0], b"")),
    inflates(
        "deflate/uncompressed",
        "a text without RSV1: each message may go uncompressed",
        |p| {
            let mut open = open(p, OFFER)?;
            let word = word();
            open.line.frame(frame(TEXT, &word));
            open.comes_back(word.as_bytes()).map(drop)
        },
    ),
    inflates("deflate/fragments", "the RFC's `Hello` in two fragments", |p| {
        let mut open = open(p, OFFER)?;
        open.control()?;
        open.line.frames(&[
            frame(TEXT, &HELLO[..3]).more().bits(RSV1),
            frame(CONTINUATION, &HELLO[3..]),
        ]);
        open.comes_back(b"Hello").map(drop)
    }),
    inflates("deflate/ping-between", "a ping between the fragments of a compressed message", |p| {
        let mut open = open(p, OFFER)?;
        open.control()?;
        open.line.frames(&[
            frame(TEXT, &HELLO[..3]).more().bits(RSV1),
            frame(PING, "p"),
            frame(CONTINUATION, &HELLO[3..]),
        ]);
        open.comes_back(b"Hello").map(drop)
    }),
    check(
        "deflate/pong-uncompressed",
        &DEFLATE,
        "a ping",
        "a pong without RSV1, with the ping's payload",
        |p| {
            let mut open = open(p, OFFER)?;
            open.control()?;
            let ping = "ping ".repeat(20);
            open.line.frame(frame(PING, &ping));
            let pong = open.line.pong_comes(ping.as_bytes())?;
            if pong.reserved() == 0 {
                Ok(())
            } else {
                fails(format!("the first byte {:08b}", pong.first))
            }
        },
    )
    .both(),
    check(
        "deflate/close-uncompressed",
        &DEFLATE,
        "a Close with 1000",
        "a Close without RSV1",
        |p| {
            let mut open = open(p, OFFER)?;
            open.control()?;
            open.line.frame(frame(CLOSE, 1000_u16.to_be_bytes()));
            match open.line.close_comes() {
                Ok(close) if close.reserved() != 0 => {
                    fails(format!("a Close whose first byte is {:08b}", close.first))
                }
                Ok(_) => Ok(()),
                Err(_) => skips("no Close came back: see close/answered"),
            }
        },
    )
    .both(),
    inflates(
        "deflate/takeover",
        "`Hello` twice, the second time as a repetition of the first",
        |p| {
            let mut open = open(p, OFFER)?;
            open.control()?;
            if !open.we_take_over {
                return skips("the peer asked for no takeover");
            }
            open.echo(&[0xf2, 0, 0x11, 0, 0], b"Hello").map(drop)
        },
    ),
    inflates("deflate/far-back", "a repetition from 30,000 bytes back", |p| {
        carries(p, 30_200)?;
        let mut open = open(p, OFFER)?;
        open.control()?;
        if open.our_window < 32_768 {
            return skips("the peer asked for a smaller window");
        }
        let start = text(30_000);
        let whole = [&start[..], &start[..200]].concat();
        let payload =
            deflate(&[Block::Literal(&start), Block::Repeat { back: 30_000, length: 200 }]);
        open.echo(&payload, &whole).map(drop)
    }),
    inflates("deflate/twenty", "twenty compressed messages", |p| {
        let mut open = open(p, OFFER)?;
        for _ in 0..open.line.pace().many(20) {
            let text = text(90);
            open.echo(&deflate(&[Block::Literal(&text)]), &text)?;
        }
        Ok(())
    }),
    inflates("deflate/large", "a text of 100,000 bytes", |p| {
        carries(p, 100_000)?;
        let mut open = open(p, OFFER)?;
        open.control()?;
        let text = text(100_000);
        open.echo(&deflate(&[Block::Literal(&text)]), &text).map(drop)
    }),
    inflates("deflate/incompressible", "a text that doesn't get shorter", |p| {
        carries(p, 5_000)?;
        let mut open = open(p, OFFER)?;
        open.control()?;
        let text: Vec<u8> = (0..5000).map(|_| b' ' + (odd() % 95) as u8).collect();
        open.echo(&deflate(&[Block::Literal(&text)]), &text).map(drop)
    }),
    check(
        "deflate/no-takeover-kept",
        &DEFLATE,
        "the same text three times, with `server_no_context_takeover` agreed on",
        "echoes that each inflate by themselves",
        |p| {
            carries(p, 500)?;
            let mut open = open(p, "permessage-deflate; server_no_context_takeover")?;
            open.control()?;
            let text = text(500);
            (0..3).try_for_each(|_| open.echo(&deflate(&[Block::Literal(&text)]), &text).map(drop))
        },
    ),
    check(
        "deflate/window-kept",
        &DEFLATE,
        "a text that repeats from far back, with `server_max_window_bits=9` agreed on",
        "an echo that repeats from 512 bytes back at most",
        |p| {
            carries(p, 6000)?;
            let mut open = open(p, "permessage-deflate; server_max_window_bits=9")?;
            open.control()?;
            let start: Vec<u8> = (0..3000).map(|_| b' ' + (odd() % 95) as u8).collect();
            let whole = [&start[..], &start[..]].concat();
            open.echo(&deflate(&[Block::Literal(&whole)]), &whole).map(drop)
        },
    ),
    check(
        "deflate/tail-cut",
        &DEFLATE,
        "a text",
        "an echo whose payload doesn't end with 00 00 ff ff",
        |p| {
            carries(p, 300)?;
            let mut open = open(p, OFFER)?;
            let text = text(300);
            match open.echo(&deflate(&[Block::Literal(&text)]), &text)? {
                (message, Some(_)) if message.payload.ends_with(&[0, 0, 0xff, 0xff]) => {
                    warns("00 00 ff ff at the end of the payload, which the sender cuts off")
                }
                _ => Ok(()),
            }
        },
    )
    .both()
    .should(),
    check(
        "deflate/rsv1-first-only",
        &DEFLATE,
        "a text of 5,000 bytes",
        "an echo with RSV1 on its first frame alone",
        |p| {
            carries(p, 5000)?;
            let mut open = open(p, OFFER)?;
            let text = text(5000);
            let (message, _) = open.echo(&deflate(&[Block::Literal(&text)]), &text)?;
            match message.frames.iter().skip(1).any(|frame| frame.reserved() != 0) {
                true => fails("a continuation with a reserved bit"),
                false => Ok(()),
            }
        },
    )
    .both(),
    check(
        "deflate/rsv1-on-continuation",
        &BROKEN,
        "RSV1 on a second fragment",
        "a Close, or the end of the stream",
        |p| {
            open(p, OFFER)?.breaks(&[
                frame(TEXT, &HELLO[..3]).more().bits(RSV1),
                frame(CONTINUATION, &HELLO[3..]).bits(RSV1),
            ])
        },
    )
    .both(),
    check(
        "deflate/rsv1-on-ping",
        &BROKEN,
        "a ping with RSV1",
        "a Close, or the end of the stream",
        |p| open(p, OFFER)?.breaks(&[frame(PING, "p").bits(RSV1)]),
    )
    .both(),
    check(
        "deflate/not-deflate",
        &BROKEN,
        "RSV1, and a block of a type that doesn't exist",
        "a Close, or the end of the stream",
        |p| open(p, OFFER)?.breaks(&[frame(TEXT, [0xff, 0xff, 0xff]).bits(RSV1)]),
    )
    .both(),
    check(
        "deflate/cut-short",
        &BROKEN,
        "a compressed binary message that ends within a block",
        "a Close, or the end of the stream",
        |p| open(p, OFFER)?.breaks(&[frame(BINARY, [0, 200, 0, 0x37, 0xff, b'H']).bits(RSV1)]),
    )
    .both(),
    check(
        "deflate/not-utf8",
        &BROKEN,
        "a compressed text that inflates to no UTF-8",
        "a Close, or the end of the stream",
        |p| {
            open(p, OFFER)?
                .breaks(&[frame(TEXT, deflate(&[Block::Literal(&[b'a', 0xff])])).bits(RSV1)])
        },
    )
    .both(),
    check(
        "deflate/bomb",
        &BOMB,
        "20 KiB that inflate to 5 MiB",
        "a Close with 1009, or another sign of a limit",
        |p| {
            let mut open = open(p, OFFER)?;
            open.control()?;
            let length = 5 << 20;
            let payload = deflate(&[Block::Literal(b"0"), Block::Repeat { back: 1, length }]);
            match open.echo(&payload, &vec![b'0'; length + 1]) {
                Ok(_) => {
                    warns("5 MiB came out of it, and no limit was seen; mind that there is one")
                }
                Err(_) => Ok(()),
            }
        },
    )
    .both()
    .advice(),
];
