//! Stage 2: the 101, and the proof that the key was read.

use std::time::Instant;

use sha1::{Digest, Sha1};

use crate::check::{Check, Lesson, Outcome, check, fails, warns};
use crate::library::{FIN, OPCODE, RSV1, RSV2_RSV3, accept_key};
use crate::probe::{Head, Line, Next, Probe, Request, answer, new_key};
use crate::wire::{self, BINARY, CLOSE, PING, PONG, TEXT, frame, quote};

const HEADS: Lesson = Lesson {
    section: "§4.2.2",
    rule: "The answer has the lines `HTTP/1.1 101`, `Upgrade: websocket`, `Connection: Upgrade` and one Sec-WebSocket-Accept, then an empty line, and nothing more.",
    causes: "A header is missing or misspelt, lines end with LF alone, or a web framework appends a length or a body.",
    fix: "Write these lines by hand, each ended by CR LF, and one empty line.",
};
const ACCEPT: Lesson = Lesson {
    section: "§4.2.2",
    rule: "To compute the accept, append 258EAFA5-E914-47DA-95CA-C5AB0DC85B11 to the key as it was sent, without spaces around it; hash both with SHA-1; encode the hash in base64.",
    causes: "The GUID is mistyped, the key is decoded before it's hashed, the digest is hex text, the key isn't trimmed, or base64 appended a line feed.",
    fix: "Append the GUID's 36 characters to the key's 24, hash these 60 with SHA-1, and encode the 20 raw bytes in base64. The RFC's own pair: dGhlIHNhbXBsZSBub25jZQ== gives s3pPLMBiTxaQ9kYGzzhZRbK+xOo=.",
};
const UNASKED: Lesson = Lesson {
    section: "§4.2.2",
    rule: "A server names no subprotocol and no extension that the client didn't offer.",
    causes: "The header is always written, with a fixed value.",
    fix: "Choose among the names that were offered, and leave the header out if you choose none.",
};
const KEY: Lesson = Lesson {
    section: "§4.1",
    rule: "A key is base64 of 16 random bytes, which are new for each connection.",
    causes: "The key is a constant, for example the RFC's, or has another length.",
    fix: "Take 16 bytes from the system's random source for each connection.",
};
const VERIFY: Lesson = Lesson {
    section: "§4.1",
    rule: "A client fails the connection if the answer isn't a 101 with Upgrade, Connection and the accept of its key, or names what it didn't offer.",
    causes: "The client reads up to the empty line, and checks only the status.",
    fix: "Check all lines of the answer before the first frame; close the socket if one is wrong.",
};

/// Wrong GUIDs that are found in tutorials and projects, most of them with digits swapped.
const WRONG_GUIDS: &[&str] = &[
    "258EAFA5-E914-47DA-95CA-5AB0DC85B711",
    "258EAFA5-E914-47DA-95CA-5AB0DC85B11",
    "258EAFA5-E914-47DA-95CA-5BAB11DC85B6",
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B1",
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B12",
    "258EAFA5-E914-47DA-95CA-C5AB0DC58B11",
    "258EAFA5-E914-47DA-95CA-C5AB0DC85B10",
    "258EAFA5-E914-47DA-95CA-C5AB5DC85B11",
    "258EAFA5-E914-47DA-95CA-C5ABODC85B11",
    "258EAFA5-E914-47DA-59CA-C5AB0DC85B11",
    "258EAFA5-E941-47DA-95CA-C5AB0DC85B11",
    "258EAFA5-E914-47DA-95CA-C5AB0DC8511B",
];

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0u32, |sum, b| sum << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for i in 0..4 {
            match i <= three.len() {
                true => out.push(DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char),
                false => out.push('='),
            }
        }
    }
    out
}

fn sha1(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().fold(Sha1::new(), |sha, part| sha.chain_update(part)).finalize().to_vec()
}

/// Describes the known mistake that gives this wrong accept.
fn wrong_way(sent: &str, padded: &str, got: &str) -> String {
    let guid = accept_key::GUID.as_bytes();
    let right = sha1(&[sent.as_bytes(), guid]);
    let hex: String = right.iter().map(|b| format!("{b:02x}")).collect();
    let decoded = accept_key::decode_key(sent).unwrap_or_default();
    let is = |parts: &[&[u8]]| base64(&sha1(parts)) == got;
    if let Some(wrong) = WRONG_GUIDS.iter().find(|wrong| is(&[sent.as_bytes(), wrong.as_bytes()])) {
        return format!("made with the GUID {wrong}; the right one is {}", accept_key::GUID);
    }
    let ways: &[(bool, &str)] = &[
        (is(&[&decoded, guid]), "the key was decoded before it was hashed"),
        (got.eq_ignore_ascii_case(&hex), "the digest as hex, and not in base64"),
        (base64(hex.as_bytes()) == got, "base64 of the digest's hex text, and not of its 20 bytes"),
        (
            base64(hex.to_uppercase().as_bytes()) == got,
            "base64 of the digest's hex text, and not of its 20 bytes",
        ),
        (is(&[sent.as_bytes()]), "the GUID was not appended"),
        (is(&[guid, sent.as_bytes()]), "the GUID was put before the key, and not after it"),
        (is(&[padded.as_bytes(), guid]), "the key was not trimmed"),
        (
            is(&[sent.as_bytes(), b"\r\n", guid]) || is(&[sent.as_bytes(), b"\r", guid]),
            "the line's end was hashed with the key",
        ),
        (is(&[sent.as_bytes(), b"\n", guid]), "a line feed was hashed with the key"),
        (is(&[sent.to_lowercase().as_bytes(), guid]), "the key was turned to lower case"),
        (is(&[sent.to_uppercase().as_bytes(), guid]), "the key was turned to upper case"),
        (
            is(&[sent.as_bytes(), accept_key::GUID.to_lowercase().as_bytes()]),
            "the GUID was in lower case",
        ),
        (is(&[sent.trim_end_matches('=').as_bytes(), guid]), "the key lost its `=`"),
        (is(&[sent.as_bytes(), guid, b"\n"]), "a line feed was hashed after the GUID"),
        (base64(&right).trim_end_matches('=') == got, "base64 without its `=`"),
        (
            base64(&right).replace('+', "-").replace('/', "_") == got,
            "base64 for URLs, with `-` and `_`",
        ),
        (got == sent, "the key itself"),
        (got == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "the RFC's example, whatever the key"),
    ];
    ways.iter()
        .find(|way| way.0)
        .map_or("in no way that the coach knows".into(), |way| way.1.into())
}

fn value(p: &mut Probe, sent: &str, padded: &str) -> Outcome {
    let request = p.request().set("Sec-WebSocket-Key", padded).bytes();
    let (head, _line) = p.accepted(&request)?;
    let expected = accept_key::accept(sent);
    match head.all("Sec-WebSocket-Accept")[..] {
        [got] if got == expected => Ok(()),
        [] => fails("no Sec-WebSocket-Accept"),
        [got, ..] => fails(format!(
            "{got:?} for the key {sent:?}, which would be {expected:?}: {}",
            wrong_way(sent, padded, got)
        )),
    }
}

fn head_of(p: &mut Probe, wrong: fn(&Head) -> Option<String>) -> Outcome {
    let request = p.request().bytes();
    let (head, _line) = p.accepted(&request)?;
    head.malformed().or_else(|| wrong(&head)).map_or(Ok(()), fails)
}

/// Gives a client a wrong answer, after which it must neither echo nor keep the connection open.
pub fn turns_away(p: &mut Probe, how: fn(Request) -> Vec<u8>) -> Outcome {
    let (head, line) = p.arrives()?;
    ends_at(line, &how(answer(&head)))
}

/// Sends a client an answer after which it has to end the connection, without an echo.
pub fn ends_at(mut line: Line, bytes: &[u8]) -> Outcome {
    let word = crate::probe::word();
    line.send(bytes);
    line.pause();
    line.frame(frame(TEXT, &word));
    let wait = line.pace().answer() * 2;
    let until = Instant::now() + wait;
    loop {
        match line.message(wait) {
            Ok(message) if message.payload == word.as_bytes() => {
                return fails("the client went on, and echoed a text");
            }
            Ok(_) if Instant::now() < until => {}
            Err(Next::Ended | Next::Frame(_) | Next::Nonsense(_)) => return Ok(()),
            Ok(_) | Err(Next::Silent) if !bytes.starts_with(b"HTTP/1.1 101") => {
                // HTTP rules apply to an answer other than 101 (§4.1), and they allow a client to
                // keep the connection.
                return warns("the client took no echo, and left the connection open");
            }
            Ok(_) | Err(Next::Silent) => {
                return fails("the client neither went on nor ended the connection");
            }
        }
    }
}

fn nothing_behind(p: &mut Probe) -> Outcome {
    let request = p.request().bytes();
    let (_, mut line) = p.accepted(&request)?;
    let wait = line.pace().moment();
    let behind = line.pending(wait).to_vec();
    let Some(&first) = behind.first() else { return Ok(()) };
    // A server may send a greeting. But a valid frame has no reserved bits and a known opcode, and
    // control frames have FIN.
    let opcode = first & OPCODE;
    let whole = first & FIN != 0 || matches!(opcode, TEXT | BINARY);
    let exists = matches!(opcode, TEXT | BINARY | CLOSE | PING | PONG);
    let frame_like = first & (RSV1 | RSV2_RSV3) == 0 && exists && whole;
    match frame_like && wire::parse(&behind).is_ok() {
        true => Ok(()),
        false => fails(format!("{} after the empty line, which begins no frame", quote(&behind))),
    }
}

pub const CHECKS: &[Check] = &[
    check("accept/present-once", &HEADS, "a good request", "one Sec-WebSocket-Accept", |p| {
        head_of(p, |h| {
            let count = h.all("Sec-WebSocket-Accept").len();
            (count != 1).then(|| format!("{count} lines Sec-WebSocket-Accept"))
        })
    }),
    check("accept/status", &HEADS, "a good request", "status 101", |p| head_of(p, |_| None)),
    check("accept/version", &HEADS, "a good request", "`HTTP/1.1` in the status line", |p| {
        head_of(p, |h| (!h.first.starts_with("HTTP/1.1 101")).then(|| format!("{:?}", h.first)))
    }),
    check("accept/upgrade", &HEADS, "a good request", "`Upgrade: websocket`", |p| {
        head_of(p, |h| {
            // §4.1: a client fails the connection if the value is anything but `websocket`.
            let all = h.all("Upgrade");
            let is_one = matches!(all[..], [value] if value.eq_ignore_ascii_case("websocket"));
            (!is_one).then(|| format!("Upgrade: {all:?}"))
        })
    }),
    check("accept/connection", &HEADS, "a good request", "`Connection: Upgrade`", |p| {
        head_of(p, |h| {
            (!h.lists("Connection", "upgrade"))
                .then(|| format!("Connection: {:?}", h.all("Connection")))
        })
    }),
    check(
        "accept/sample-key",
        &ACCEPT,
        "the RFC's own key, dGhlIHNhbXBsZSBub25jZQ==",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        |p| value(p, "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="),
    ),
    check("accept/own-key", &ACCEPT, "a random key", "its own accept", |p| {
        let key = new_key();
        value(p, &key, &key)
    }),
    check("accept/another-key", &ACCEPT, "another random key", "its own accept", |p| {
        let key = new_key();
        value(p, &key, &key)
    }),
    check("accept/key-with-signs", &ACCEPT, "a key with `+` and `/`", "its own accept", |p| {
        value(p, "+/+/+/+/+/+/+/+/+/+/+A==", "+/+/+/+/+/+/+/+/+/+/+A==")
    }),
    check(
        "accept/key-untrimmed",
        &ACCEPT,
        "a key with spaces around it",
        "the accept of the key without them",
        |p| {
            let key = new_key();
            value(p, &key, &format!("  {key}  "))
        },
    ),
    check(
        "accept/key-letter-case",
        &ACCEPT,
        "a key of letters in both cases",
        "its own accept",
        |p| value(p, "aBcDeFgHiJkLmNoPqRsTuA==", "aBcDeFgHiJkLmNoPqRsTuA=="),
    ),
    check(
        "accept/line-ends",
        &HEADS,
        "a good request",
        "each line of the answer ends with CR LF, and none is empty but the last",
        |p| {
            head_of(p, |h| {
                let bare = h
                    .raw
                    .iter()
                    .enumerate()
                    .any(|(i, b)| *b == b'\n' && (i == 0 || h.raw[i - 1] != b'\r'));
                bare.then(|| {
                    "a line that ends with LF alone; base64 in some languages appends one".into()
                })
            })
        },
    ),
    check(
        "accept/no-body-headers",
        &HEADS,
        "a good request",
        "neither Content-Length nor Transfer-Encoding (RFC 9110 §8.6)",
        |p| {
            head_of(p, |h| {
                let body: Vec<_> = ["Content-Length", "Transfer-Encoding"]
                    .into_iter()
                    .filter(|n| !h.all(n).is_empty())
                    .collect();
                (!body.is_empty()).then(|| format!("{} in a 101", body.join(" and ")))
            })
        },
    ),
    check(
        "accept/nothing-behind",
        &HEADS,
        "a good request",
        "no bytes after the empty line, except frames",
        nothing_behind,
    ),
    check(
        "accept/no-unasked-subprotocol",
        &UNASKED,
        "a request that offers no subprotocol",
        "none in the answer",
        |p| {
            head_of(p, |h| {
                let all = h.all("Sec-WebSocket-Protocol");
                (!all.is_empty()).then(|| format!("Sec-WebSocket-Protocol: {all:?}"))
            })
        },
    ),
    check(
        "accept/no-unasked-extension",
        &UNASKED,
        "a request that offers no extension",
        "none in the answer",
        |p| {
            head_of(p, |h| {
                let all = h.all("Sec-WebSocket-Extensions");
                (!all.is_empty()).then(|| format!("Sec-WebSocket-Extensions: {all:?}"))
            })
        },
    ),
    check(
        "accept/key-of-16-bytes",
        &KEY,
        "nothing; it reads the request",
        "base64 of 16 bytes",
        |p| {
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            match head.all("Sec-WebSocket-Key")[..] {
                [key] => accept_key::decode_key(key).map(drop).or_else(fails),
                _ => fails("not one key"),
            }
        },
    )
    .clients(),
    check(
        "accept/key-fresh",
        &KEY,
        "nothing; it reads the request",
        "a key that no connection before had",
        |p| {
            let before = p.target.keys.lock().unwrap().clone();
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            if before.is_empty() {
                let (again, mut line) = p.arrives()?;
                line.send(&answer(&again).bytes());
                return match again.all("Sec-WebSocket-Key") == head.all("Sec-WebSocket-Key") {
                    true => fails("the same key on two connections"),
                    false => Ok(()),
                };
            }
            match head.all("Sec-WebSocket-Key").first() {
                Some(key) if before.iter().any(|old| old == key) => fails(format!("{key:?} again")),
                _ => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "accept/key-random",
        &KEY,
        "nothing; it reads the request",
        "a key whose 16 bytes aren't all the same",
        |p| {
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            let key = head.all("Sec-WebSocket-Key").first().map(|key| accept_key::decode_key(key));
            match key {
                Some(Ok(bytes)) if bytes.iter().all(|byte| *byte == bytes[0]) => {
                    fails(format!("sixteen times the byte {:02x}", bytes[0]))
                }
                _ => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "accept/two-values",
        &VERIFY,
        "a 101 with two lines Sec-WebSocket-Accept, the second one wrong",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                let right = accept_key::accept(&a.key);
                let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
                let a = a.without("Sec-WebSocket-Accept").add("Sec-WebSocket-Accept", &right);
                a.add("Sec-WebSocket-Accept", wrong).bytes()
            })
        },
    )
    .clients(),
    check(
        "accept/wrong",
        &VERIFY,
        "a 101 with a wrong accept",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                let mut accept = accept_key::accept(&a.key);
                let wrong = if accept[24..].starts_with('A') { "B" } else { "A" };
                accept.replace_range(24..25, wrong);
                a.set("Sec-WebSocket-Accept", &accept).bytes()
            })
        },
    )
    .clients(),
    check(
        "accept/missing",
        &VERIFY,
        "a 101 without accept",
        "the client ends the connection",
        |p| turns_away(p, |a| a.without("Sec-WebSocket-Accept").bytes()),
    )
    .clients(),
    check(
        "accept/of-another-key",
        &VERIFY,
        "a 101 with the RFC's example as accept",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| a.set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").bytes())
        },
    )
    .clients(),
    check(
        "accept/other-letter-case",
        &VERIFY,
        "a 101 with the accept in other letter case",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                let accept: String = accept_key::accept(&a.key)
                    .chars()
                    .map(|c| {
                        if c.is_ascii_lowercase() {
                            c.to_ascii_uppercase()
                        } else {
                            c.to_ascii_lowercase()
                        }
                    })
                    .collect();
                a.set("Sec-WebSocket-Accept", &accept).bytes()
            })
        },
    )
    .clients(),
    check(
        "accept/spaces-around",
        &VERIFY,
        "a 101 with spaces around the right accept",
        "the client goes on",
        |p| {
            let (head, mut line) = p.arrives()?;
            let accept = format!(
                "  {}  ",
                accept_key::accept(head.all("Sec-WebSocket-Key").first().unwrap_or(&""))
            );
            line.send(&answer(&head).set("Sec-WebSocket-Accept", &accept).bytes());
            line.pause();
            line.alive()
        },
    )
    .clients(),
    check(
        "accept/no-upgrade",
        &VERIFY,
        "a 101 without Upgrade",
        "the client ends the connection",
        |p| turns_away(p, |a| a.without("Upgrade").bytes()),
    )
    .clients(),
    check(
        "accept/other-upgrade",
        &VERIFY,
        "a 101 with `Upgrade: h2c`, and one with `Upgrade: websocketx`",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| a.set("Upgrade", "h2c").bytes())?;
            turns_away(p, |a| a.set("Upgrade", "websocketx").bytes())
        },
    )
    .clients(),
    check(
        "accept/no-connection",
        &VERIFY,
        "a 101 without Connection, and one with `Connection: notupgrade`",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| a.without("Connection").bytes())?;
            turns_away(p, |a| a.set("Connection", "notupgrade").bytes())
        },
    )
    .clients(),
    check(
        "accept/unasked-subprotocol",
        &VERIFY,
        "a 101 with a subprotocol that wasn't offered",
        "the client ends the connection",
        |p| turns_away(p, |a| a.set("Sec-WebSocket-Protocol", "coach.unasked").bytes()),
    )
    .clients(),
    check(
        "accept/unasked-extension",
        &VERIFY,
        "a 101 with an extension that wasn't offered",
        "the client ends the connection",
        |p| turns_away(p, |a| a.add("Sec-WebSocket-Extensions", "x-coach-unasked").bytes()),
    )
    .clients(),
];
