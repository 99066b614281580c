//! Stage 3: requests that must not become a WebSocket.

use crate::areas::accept::turns_away;
use crate::check::{Check, Lesson, Outcome, check, fails, warns};
use crate::probe::{Head, Probe, Request};
use crate::wire::quote;

const KEY: Lesson = Lesson {
    section: "§4.2.1",
    rule: "A request has exactly one Sec-WebSocket-Key, which is base64 of 16 bytes. A server answers any other request with an HTTP error, such as 400.",
    causes: "The server hashes the key without checking it; it takes a missing key for an empty text, or closes the connection without an answer.",
    fix: "Decode the key, count 16 bytes, and answer `400 Bad Request` otherwise.",
};
const VERSION: Lesson = Lesson {
    section: "§4.4",
    rule: "A server answers a version other than 13 with an HTTP error, such as 426, and with a Sec-WebSocket-Version header that says 13.",
    causes: "The server doesn't check the version, or its refusal lacks the header.",
    fix: "Answer `426 Upgrade Required` with `Sec-WebSocket-Version: 13`.",
};
const LINE: Lesson = Lesson {
    section: "§4.2.1",
    rule: "The request is a GET of HTTP/1.1 or higher, with one Host.",
    causes: "The server reads only the headers, and not the first line; or it doesn't require Host.",
    fix: "Check method and version first; answer 405, 505 or 400, and 400 if Host is missing.",
};
const UPGRADE: Lesson = Lesson {
    section: "§4.2.1",
    rule: "Without the token `websocket` in Upgrade and the token `Upgrade` in Connection, a request isn't a handshake, and the server answers it in plain HTTP.",
    causes: "The server takes each connection for a WebSocket, or searches for the tokens with `contains`.",
    fix: "Compare whole elements of the lists; answer 426 or 400, or serve a page.",
};
const SYNTAX: Lesson = Lesson {
    section: "RFC 9112 §5.1",
    rule: "A server refuses a request that isn't HTTP: for example, it must answer a space before the colon with 400.",
    causes: "The server splits lines leniently, so a strict proxy sees another request than the server.",
    fix: "A name is a token, directly followed by a colon; answer 400 to anything else.",
};
const ANSWER: Lesson = Lesson {
    section: "§4.1",
    rule: "Only a 101 opens a WebSocket. After any other answer, a client must not send or accept frames.",
    causes: "The client waits for the empty line, and doesn't check the status.",
    fix: "Read the status first; report it, and close the socket.",
};

/// Sends a handshake that breaks a rule. The server must refuse it with an HTTP error (§4.2.2).
pub fn no(p: &mut Probe, change: impl Fn(Request) -> Request) -> Outcome {
    let head = p.refused(|request| change(request).bytes())?;
    let first = quote(head.first.as_bytes());
    match head.status() {
        Some(400..=499) => Ok(()),
        Some(200..=299) => fails(format!("{first}, which says that all went well")),
        Some(500..=599) => warns(format!("{first}, which blames the server, and not the request")),
        _ => warns(format!("{first}: no WebSocket, but no error either")),
    }
}

/// Sends a request that isn't a handshake. The server may answer it with a page, or with any other
/// status except 101.
fn plain(p: &mut Probe, change: impl Fn(Request) -> Request) -> Outcome {
    p.refused(|request| change(request).bytes()).map(drop)
}

fn names_13(head: &Head) -> Outcome {
    let all = head.list("Sec-WebSocket-Version");
    match all.iter().any(|version| version == "13") {
        true => Ok(()),
        false => {
            fails(format!("{} and Sec-WebSocket-Version {all:?}", quote(head.first.as_bytes())))
        }
    }
}

pub const CHECKS: &[Check] = &[
    check("refuse/no-key", &KEY, "a request without a key", "an HTTP error", |p| {
        no(p, |r| r.without("Sec-WebSocket-Key"))
    }),
    check("refuse/empty-key", &KEY, "an empty key", "an HTTP error", |p| {
        no(p, |r| r.set("Sec-WebSocket-Key", ""))
    }),
    check("refuse/short-key", &KEY, "a key of 15 bytes", "an HTTP error", |p| {
        no(p, |r| r.set("Sec-WebSocket-Key", "YWFhYWFhYWFhYWFhYWFh"))
    }),
    check("refuse/long-key", &KEY, "a key of 17 bytes", "an HTTP error", |p| {
        no(p, |r| r.set("Sec-WebSocket-Key", "YWFhYWFhYWFhYWFhYWFhYWE="))
    }),
    check(
        "refuse/key-not-base64",
        &KEY,
        "24 characters that are no base64",
        "an HTTP error",
        |p| no(p, |r| r.set("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!==")),
    ),
    check("refuse/two-keys", &KEY, "two different keys", "an HTTP error", |p| {
        no(p, |r| r.add("Sec-WebSocket-Key", &crate::probe::new_key()))
    }),
    check("refuse/old-version", &VERSION, "version 8", "an HTTP error", |p| {
        no(p, |r| r.set("Sec-WebSocket-Version", "8"))
    })
    .should(),
    check("refuse/new-version", &VERSION, "version 99", "an HTTP error", |p| {
        no(p, |r| r.set("Sec-WebSocket-Version", "99"))
    }),
    check("refuse/no-version", &VERSION, "no version", "an HTTP error", |p| {
        no(p, |r| r.without("Sec-WebSocket-Version"))
    }),
    check(
        "refuse/two-versions",
        &VERSION,
        "two lines Sec-WebSocket-Version, with 13 and 8 (§11.3.5 allows one)",
        "an HTTP error",
        |p| no(p, |r| r.add("Sec-WebSocket-Version", "8")),
    ),
    check(
        "refuse/version-in-answer",
        &VERSION,
        "version 99",
        "Sec-WebSocket-Version: 13 in the refusal",
        |p| {
            let head = p.refused(|r| r.set("Sec-WebSocket-Version", "99").bytes())?;
            names_13(&head)
        },
    ),
    check("refuse/post", &LINE, "POST instead of GET", "an HTTP answer that isn't 101", |p| {
        plain(p, |r| r.first("GET", "POST").add("Content-Length", "0"))
    }),
    check("refuse/http-1-0", &LINE, "HTTP/1.0", "an HTTP answer that isn't 101", |p| {
        plain(p, |r| r.first("HTTP/1.1", "HTTP/1.0"))
    }),
    check("refuse/no-host", &LINE, "a request without Host", "400", |p| {
        no(p, |r| r.without("Host"))
    }),
    check("refuse/no-upgrade", &UPGRADE, "a request without Upgrade", "plain HTTP", |p| {
        plain(p, |r| r.without("Upgrade"))
    }),
    check("refuse/other-upgrade", &UPGRADE, "`Upgrade: h2c`", "plain HTTP", |p| {
        plain(p, |r| r.set("Upgrade", "h2c"))
    }),
    check("refuse/upgrade-substring", &UPGRADE, "`Upgrade: websocketx`", "plain HTTP", |p| {
        plain(p, |r| r.set("Upgrade", "websocketx"))
    }),
    check("refuse/no-connection", &UPGRADE, "a request without Connection", "plain HTTP", |p| {
        plain(p, |r| r.without("Connection"))
    }),
    check("refuse/connection-substring", &UPGRADE, "`Connection: notupgrade`", "plain HTTP", |p| {
        plain(p, |r| r.set("Connection", "notupgrade"))
    }),
    check("refuse/space-before-colon", &SYNTAX, "`X-Coach : 1`", "400", |p| {
        no(p, |r| r.add("X-Coach ", "1"))
    })
    .should(),
    check(
        "refuse/line-without-colon",
        &SYNTAX,
        "a line without a colon among the headers",
        "400",
        |p| {
            p.refused(|r| {
                r.text(": ")
                    .replacen("Upgrade: websocket", "no colon here\r\nUpgrade: websocket", 1)
                    .into_bytes()
            })
            .map(drop)
        },
    )
    .should(),
    check(
        "refuse/not-http",
        &SYNTAX,
        "`hello` and an empty line",
        "400, or the end of the stream",
        |p| {
            let mut line = p.connect()?;
            line.send(b"hello\r\n\r\n");
            match line.head() {
                Ok(head) if head.status() == Some(101) => fails("101"),
                Ok(_) => Ok(()),
                Err(_) if line.ends(std::time::Duration::ZERO) => Ok(()),
                Err(stop) => Err(stop),
            }
        },
    )
    .should(),
    check(
        "refuse/huge-head",
        &SYNTAX,
        "a header of 512 KiB",
        "431, another error or the end: a server's memory has a bound",
        |p| {
            let bytes = p.request().add("X-Coach", &"x".repeat(512 * 1024)).bytes();
            let mut line = p.connect()?;
            line.send(&bytes);
            match line.head() {
                Ok(head) if head.status() == Some(101) => {
                    warns("it was accepted; is there any bound?")
                }
                _ => Ok(()),
            }
        },
    )
    .advice(),
    check(
        "refuse/then-accepts",
        &KEY,
        "a bad request, and on a new connection a good one",
        "101 for the good one",
        |p| {
            let bad = p.request().without("Sec-WebSocket-Key").bytes();
            // Another check's refusal may have affected the connection after it, and that may be
            // this one. So try twice.
            for _ in 0..2 {
                let mut line = p.connect()?;
                line.send(&bad);
                if line.head().is_ok() {
                    break;
                }
            }
            let good = p.request().bytes();
            p.accepted(&good).map(drop)
        },
    )
    .alone(),
    check(
        "refuse/status-200",
        &ANSWER,
        "200 in place of 101, all else right",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                a.first("101 Switching Protocols", "200 OK").add("Content-Length", "0").bytes()
            })
        },
    )
    .clients(),
    check("refuse/status-400", &ANSWER, "400", "the client ends the connection", |p| {
        turns_away(p, |a| {
            a.first("101 Switching Protocols", "400 Bad Request").add("Content-Length", "0").bytes()
        })
    })
    .clients(),
    check("refuse/status-404", &ANSWER, "404", "the client ends the connection", |p| {
        turns_away(p, |a| {
            a.first("101 Switching Protocols", "404 Not Found").add("Content-Length", "0").bytes()
        })
    })
    .clients(),
    check("refuse/status-503", &ANSWER, "503", "the client ends the connection", |p| {
        turns_away(p, |a| {
            a.first("101 Switching Protocols", "503 Service Unavailable")
                .add("Content-Length", "0")
                .bytes()
        })
    })
    .clients(),
    check(
        "refuse/redirect",
        &ANSWER,
        "302 without Location",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                a.first("101 Switching Protocols", "302 Found").add("Content-Length", "0").bytes()
            })
        },
    )
    .clients(),
    check(
        "refuse/not-http",
        &ANSWER,
        "a first line that isn't HTTP",
        "the client ends the connection",
        |p| {
            turns_away(p, |a| {
                a.first("HTTP/1.1 101 Switching Protocols", "HELLO 101 coach").bytes()
            })
        },
    )
    .clients(),
];
