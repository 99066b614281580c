//! Stage 1: requests and answers in every form that HTTP allows.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::probe::{Head, Probe, Request, answer, is_busy, word};
use crate::wire::{TEXT, frame};

const PLAIN: Lesson = Lesson {
    section: "§4.2.2",
    rule: "A server that takes a valid request answers it with status 101, an empty line at the end.",
    causes: "The answer lacks its last CR LF, the server waits for a body, or it insists on a header that is optional.",
    fix: "Write the status line, the three headers and an empty line, and flush.",
};
const WHOLE: Lesson = Lesson {
    section: "RFC 9112 §2.2",
    rule: "A head ends with an empty line, in however many packets it arrives.",
    causes: "One read is taken for one request, or only the last read is searched for the end.",
    fix: "Append each read to a buffer, and search the whole buffer for CR LF CR LF.",
};
const NAMES: Lesson = Lesson {
    section: "RFC 9110 §5.1",
    rule: "Header names are compared without letter case.",
    causes: "The code looks a name up in a map that kept the sender's letter case.",
    fix: "Turn each name to lower case when you read it, and look it up in lower case.",
};
const SPACES: Lesson = Lesson {
    section: "RFC 9112 §5.1",
    rule: "Spaces and tabs around a value aren't part of it; there may be none or many.",
    causes: "The line is split at colon and space, or the value isn't trimmed.",
    fix: "Split at the first colon, then trim spaces and tabs at both ends of the value.",
};
const LIST: Lesson = Lesson {
    section: "§4.2.1",
    rule: "`Connection` is a list of tokens, over one line or several, in any letter case; `Upgrade` has to be among them. Firefox sends `keep-alive, Upgrade`.",
    causes: "The value is compared as a whole with `Upgrade`, or a second line of that name overwrites the first.",
    fix: "Join the lines with commas, split at commas, trim, and compare each token without letter case.",
};
const UPGRADE: Lesson = Lesson {
    section: "§4.2.1",
    rule: "`Upgrade` contains `websocket`, in any letter case.",
    causes: "The value is compared byte by byte.",
    fix: "Compare without letter case, element by element.",
};
const UNKNOWN: Lesson = Lesson {
    section: "§4.2.1",
    rule: "A server ignores headers that it doesn't know. Headers may come in any order.",
    causes: "The code expects headers on fixed lines, or its buffer is too short for a browser's cookies.",
    fix: "Read all lines up to the empty one, keep the headers that you know, and allow several KiB for the head.",
};
const EAGER: Lesson = Lesson {
    section: "§4.1",
    rule: "The bytes after the empty line are the first frames, even if the same read brought them. A client has to wait for the 101 before it sends frames, so the RFC doesn't require a server to accept them. But some programs don't wait, and they lose their first message without an error.",
    causes: "The head's buffer is thrown away with the frame in it; or only the end of a read is searched for the end of the head.",
    fix: "Read the head and the frames from the same buffer, and remove only what you have parsed. Refusing such a client with 400 is fine, too.",
};
const BEHIND: Lesson = Lesson {
    section: "§4.2.2",
    rule: "A server may send frames right after its 101, so the first of them may come with the same read as the head.",
    causes: "The head's buffer is thrown away with the frame in it.",
    fix: "Read the head and the frames from the same buffer, and remove only what you have parsed.",
};
const ASKS: Lesson = Lesson {
    section: "§4.1",
    rule: "A client sends GET, HTTP/1.1, Host, Upgrade: websocket, Connection: Upgrade, one key and version 13.",
    causes: "The request lacks a line, repeats one, or ends its lines with LF alone.",
    fix: "Send the request of §1.3 with your own host, path and key.",
};
const ASKS_FIRST: Lesson = Lesson {
    section: "§4.1",
    rule: "A client waits for the server's answer before it sends anything after its request.",
    causes: "The first message is written with the request, or from another thread as soon as the socket is connected.",
    fix: "Send frames only after you've read and checked the 101.",
};

fn opens(p: &mut Probe, change: impl Fn(Request) -> Request) -> Outcome {
    let request = change(p.request()).bytes();
    p.accepted(&request).map(drop)
}

fn in_pieces(p: &mut Probe, cuts: &[usize]) -> Outcome {
    let bytes = p.request().bytes();
    let mut line = p.connect()?;
    let mut from = 0;
    for &cut in cuts {
        let cut = cut.min(bytes.len() - 1);
        line.send(&bytes[from..cut]);
        line.pause();
        from = cut;
    }
    line.send(&bytes[from..]);
    is_101(&line.head()?)
}

fn is_101(head: &Head) -> Outcome {
    match head.status() {
        Some(101) => Ok(()),
        _ => fails(format!("the answer {:?}", head.first)),
    }
}

/// What the coach's user can do if the server may well be right to refuse a good request.
fn elsewhere(head: &Head, p: &Probe) -> String {
    let path = p.target.address.as_ref().map_or("/", |address| &address.target);
    match (head.status(), head.all("Location").first()) {
        (Some(300..=399), Some(there)) => {
            format!(": it redirects to {there:?}, so coach that address")
        }
        (Some(404 | 405 | 410), _) => {
            format!(": if it serves WebSocket at another path than {path:?}, coach that one")
        }
        (Some(401 | 403 | 407), _) => {
            ": if it wants a login or a page's Origin, let it accept requests that have neither"
                .into()
        }
        _ => String::new(),
    }
}

fn length(p: &Probe) -> usize {
    p.request().bytes().len()
}

fn with_frames(p: &mut Probe, count: usize, late: usize) -> Outcome {
    if !p.target.echoes.load(Relaxed) {
        return skips("no text is echoed yet, with which stage 4 begins: asked again after it");
    }
    let mut bytes = p.request().bytes();
    let mut line = p.connect()?;
    let words: Vec<_> = (0..count).map(|_| word()).collect();
    words.iter().for_each(|word| bytes.extend(line.encode(&frame(TEXT, word))));
    let (now, later) = bytes.split_at(bytes.len() - late);
    line.send(now);
    if late > 0 {
        line.pause();
        line.send(later);
    }
    let head = match line.head() {
        // A client has to wait for the answer (§4.1), so a server may refuse one that sends frames
        // before it.
        Err(Stop::Fails(seen)) if line.ends(Duration::ZERO) => {
            return warns(format!("{seen}: it refuses frames that don't wait for its answer"));
        }
        other => other?,
    };
    if matches!(head.status(), Some(400..=499)) {
        // The client learns from the refusal that its frames were not accepted.
        return Ok(());
    }
    is_101(&head)?;
    if !p.target.echoes.load(Relaxed) {
        // Before stage 4, a learner's server doesn't know frames, so the 101 alone is enough.
        return Ok(());
    }
    words.iter().try_for_each(|word| line.comes_back(word.as_bytes()).map(drop))
}

const FIREFOX: &[(&str, &str)] = &[
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "*/*"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Sec-WebSocket-Version", "13"),
    ("Origin", ""),
    ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ("Sec-WebSocket-Key", ""),
    ("Connection", "keep-alive, Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    ("Upgrade", "websocket"),
];
const CHROME: &[(&str, &str)] = &[
    ("Connection", "Upgrade"),
    ("Pragma", "no-cache"),
    ("Cache-Control", "no-cache"),
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ),
    ("Upgrade", "websocket"),
    ("Origin", ""),
    ("Sec-WebSocket-Version", "13"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9"),
    ("Sec-WebSocket-Key", ""),
    ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
];

fn browser(p: &mut Probe, lines: &[(&str, &str)]) -> Outcome {
    let origin = p.own_origin();
    let like = |request: Request| {
        let key = request.key.clone();
        let mut like = Request { lines: vec![request.lines[0].clone()], ..request };
        for (name, value) in lines {
            let value = match *name {
                "Origin" => origin.clone(),
                "Sec-WebSocket-Key" => key.clone(),
                _ => (*value).into(),
            };
            like = like.add(name, &value);
        }
        like
    };
    match opens(p, like) {
        // A server may accept only the pages of another site, which is a question of stage 13.
        Err(Stop::Fails(seen)) if seen.contains("HTTP/1.1 403") => {
            opens(p, |request| like(request).without("Origin"))?;
            warns(format!("{seen}: the same request is accepted without its Origin"))
        }
        other => other,
    }
}

fn several(p: &mut Probe) -> Outcome {
    let mut lines = Vec::new();
    for _ in 0..5 {
        let request = p.request().bytes();
        let mut line = p.connect()?;
        line.send(&request);
        lines.push(line);
    }
    for (i, mut line) in lines.into_iter().enumerate() {
        match is_101(&line.head()?) {
            Err(Stop::Fails(seen)) if is_busy(&seen) && i > 0 => {
                return warns(format!("{seen} to the connection {}: it allows only few", i + 1));
            }
            other => other?,
        }
        line.shutdown();
    }
    Ok(())
}

fn waits(p: &mut Probe) -> Outcome {
    let bytes = p.request().bytes();
    let mut line = p.connect()?;
    line.send(&bytes[..bytes.len() - 2]);
    let wait = line.pace().moment();
    let early = line.pending(wait).to_vec();
    if early.starts_with(b"HTTP/1.1 101") {
        return fails("101 came before the empty line had");
    }
    line.send(&bytes[bytes.len() - 2..]);
    is_101(&line.head()?)
}

/// Checks one thing in the request of a client.
fn asks(p: &mut Probe, wrong: fn(&Head) -> Option<String>) -> Outcome {
    let (head, mut line) = p.arrives()?;
    line.send(&answer(&head).bytes());
    head.malformed().or_else(|| wrong(&head)).map_or(Ok(()), fails)
}

/// Answers a client with an unusual but valid head. The client must accept it like a plain one.
fn answers(p: &mut Probe, how: fn(Request) -> Vec<u8>, size: usize) -> Outcome {
    let (head, mut line) = p.arrives()?;
    let bytes = how(answer(&head));
    match size {
        0 => line.send(&bytes),
        _ => line.pieces(&bytes, size),
    }
    // Send the head alone, because another check sends a frame in the same packet.
    line.pause();
    line.pause();
    line.alive()
}

fn once(head: &Head, name: &str) -> Option<String> {
    let all = head.all(name);
    (all.len() != 1).then(|| format!("{} lines {name}", all.len()))
}

pub const CHECKS: &[Check] = &[
    check("head/plain", &PLAIN, "a plain good request", "101", |p| {
        let request = p.request().bytes();
        match p.ask(&request)?.0 {
            head if head.status() == Some(101) => Ok(()),
            head => fails(format!("the answer {:?}{}", head.first, elsewhere(&head, p))),
        }
    }),
    check(
        "head/byte-by-byte",
        &WHOLE,
        "a good request, each byte in a packet of its own",
        "101",
        |p| {
            let bytes = p.request().bytes();
            let mut line = p.connect()?;
            line.pieces(&bytes, 1);
            is_101(&line.head()?)
        },
    ),
    check("head/two-pieces", &WHOLE, "a good request, cut in the middle of a header", "101", |p| {
        let half = length(p) / 2;
        in_pieces(p, &[half])
    }),
    check(
        "head/cut-in-the-empty-line",
        &WHOLE,
        "a good request, cut at each byte of the final CR LF CR LF",
        "101",
        |p| {
            let end = length(p);
            in_pieces(p, &[end - 3, end - 2, end - 1])
        },
    ),
    check(
        "head/waits-for-the-end",
        &WHOLE,
        "a request without its empty line; a while later the rest",
        "no 101 before the rest, and then 101",
        waits,
    ),
    check("head/lower-case-names", &NAMES, "all names of headers in lower case", "101", |p| {
        opens(p, |mut r| {
            r.lines.iter_mut().for_each(|line| line.0 = line.0.to_lowercase());
            r
        })
    }),
    check("head/upper-case-names", &NAMES, "all names of headers in upper case", "101", |p| {
        opens(p, |mut r| {
            r.lines.iter_mut().for_each(|line| line.0 = line.0.to_uppercase());
            r
        })
    }),
    check("head/no-space-after-colon", &SPACES, "`Name:value`, without a space", "101", |p| {
        let request = p.request().text(":").into_bytes();
        p.accepted(&request).map(drop)
    }),
    check(
        "head/spaces-around-values",
        &SPACES,
        "values with several spaces before and after them",
        "101",
        |p| {
            opens(p, |mut r| {
                r.lines.iter_mut().for_each(|line| line.1 = format!("  {}   ", line.1));
                r
            })
        },
    ),
    check("head/tabs-around-values", &SPACES, "values with a tab on both sides", "101", |p| {
        opens(p, |mut r| {
            r.lines.iter_mut().for_each(|line| line.1 = format!("\t{}\t", line.1));
            r
        })
    })
    .should(),
    check("head/keep-alive-upgrade", &LIST, "`Connection: keep-alive, Upgrade`", "101", |p| {
        opens(p, |r| r.set("Connection", "keep-alive, Upgrade"))
    }),
    check("head/connection-without-space", &LIST, "`Connection: keep-alive,Upgrade`", "101", |p| {
        opens(p, |r| r.set("Connection", "keep-alive,Upgrade"))
    }),
    check(
        "head/connection-on-two-lines",
        &LIST,
        "`Connection: keep-alive`, and on a line of its own `Connection: Upgrade`; then in the other order",
        "101",
        |p| {
            for lines in [["keep-alive", "Upgrade"], ["Upgrade", "keep-alive"]] {
                opens(p, |r| {
                    let r = r.without("Connection").add("Connection", lines[0]);
                    r.add("Connection", lines[1]).add("X-Last", "1")
                })?;
            }
            Ok(())
        },
    ),
    check("head/connection-any-case", &LIST, "`Connection: upgrade`", "101", |p| {
        opens(p, |r| r.set("Connection", "upgrade"))
    }),
    check("head/connection-empty-elements", &LIST, "`Connection: , Upgrade,`", "101", |p| {
        opens(p, |r| r.set("Connection", ", Upgrade,"))
    })
    .should(),
    check("head/upgrade-any-case", &UPGRADE, "`Upgrade: WebSocket`", "101", |p| {
        opens(p, |r| r.set("Upgrade", "WebSocket"))
    }),
    check("head/upgrade-list", &UPGRADE, "`Upgrade: h2c, websocket`", "101", |p| {
        opens(p, |r| r.set("Upgrade", "h2c, websocket"))
    })
    .should(),
    check(
        "head/unknown-headers",
        &UNKNOWN,
        "unknown headers, one of them with colons in its value",
        "101",
        |p| opens(p, |r| r.add("X-Coach", "1: 2: 3").add("Cookie", "a=b; c=d").add("X-Empty", "")),
    ),
    check("head/many-headers", &UNKNOWN, "40 more headers", "101", |p| {
        opens(p, |r| (0..40).fold(r, |r, i| r.add(&format!("X-Coach-{i}"), "x")))
    })
    .should(),
    check("head/long-header", &UNKNOWN, "a cookie of 3,000 bytes", "101", |p| {
        opens(p, |r| r.add("Cookie", &format!("a={}", "x".repeat(3000))))
    })
    .should(),
    check("head/any-order", &UNKNOWN, "the same headers in reverse order", "101", |p| {
        opens(p, |mut r| {
            r.lines.reverse();
            r
        })
    }),
    check(
        "head/key-last",
        &UNKNOWN,
        "the key as the last header",
        "101, with the same accept as where it stands earlier",
        |p| {
            let early = p.request();
            let key = early.key.clone();
            let late = early.clone().without("Sec-WebSocket-Key").add("Sec-WebSocket-Key", &key);
            let (first, _) = p.accepted(&early.bytes())?;
            let (last, _) = p.accepted(&late.bytes())?;
            let accept = |head: &Head| head.all("Sec-WebSocket-Accept").concat();
            match accept(&first) == accept(&last) {
                true => Ok(()),
                false => fails(format!(
                    "the accept {:?}, and {:?} with the key in another place",
                    accept(&last),
                    accept(&first)
                )),
            }
        },
    ),
    check("head/as-firefox", &LIST, "a request as Firefox writes it", "101", |p| {
        browser(p, FIREFOX)
    }),
    check("head/as-chrome", &UNKNOWN, "a request as Chrome writes it", "101", |p| {
        browser(p, CHROME)
    }),
    check(
        "head/absolute-target",
        &UNKNOWN,
        "`GET http://host/path HTTP/1.1`",
        "101, as RFC 9112 §3.2.2 asks of servers",
        |p| {
            opens(p, |r| {
                let host = r.lines[0].1.clone();
                r.first("GET /", &format!("GET http://{host}/"))
            })
        },
    )
    .advice(),
    check(
        "head/frame-in-same-packet",
        &EAGER,
        "a good request and a text frame in one write",
        "101 and the echo",
        |p| with_frames(p, 1, 0),
    )
    .should(),
    check(
        "head/frames-in-same-packet",
        &EAGER,
        "a good request and three text frames in one write",
        "101 and three echoes",
        |p| with_frames(p, 3, 0),
    )
    .should(),
    check(
        "head/frame-cut-by-packet",
        &EAGER,
        "a good request with half a frame after it; then the other half",
        "101 and the echo",
        |p| with_frames(p, 1, 6),
    )
    .should(),
    check(
        "head/several-at-once",
        &WHOLE,
        "good requests on five connections, before any answer is read",
        "101 on each",
        several,
    )
    .alone(),
    check(
        "head/request-line",
        &ASKS,
        "nothing; it reads the request",
        "GET, a path without a fragment (`#`), HTTP/1.1",
        |p| {
            asks(p, |head| {
                let parts: Vec<_> = head.first.split(' ').collect();
                // §4.1 also allows an absolute URI of the same host.
                let origin = format!("http://{}", head.all("Host").concat());
                let is_path = |target: &str| {
                    let path = target.strip_prefix(&origin).unwrap_or(target);
                    path.starts_with('/') && !path.contains('#')
                };
                let good = matches!(parts[..], ["GET", path, "HTTP/1.1"] if is_path(path));
                (!good).then(|| format!("{:?}", head.first))
            })
        },
    )
    .clients(),
    check(
        "head/host",
        &ASKS,
        "nothing; it reads the request",
        "one Host, with the port if it isn't the scheme's own",
        |p| {
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            let port =
                p.target.listener.as_ref().and_then(|l| l.local_addr().ok()).map(|a| a.port());
            match (head.all("Host")[..].to_vec().as_slice(), port) {
                ([host], _) if host.contains(['/', '@', ' ']) => {
                    fails(format!("{host:?}, which isn't a name and a port alone"))
                }
                ([host], Some(port)) if port == 80 || host.ends_with(&format!(":{port}")) => Ok(()),
                ([host], Some(port)) => fails(format!("{host:?}, without the port {port}")),
                (all, _) => fails(format!("{} lines Host", all.len())),
            }
        },
    )
    .clients(),
    check(
        "head/upgrade",
        &ASKS,
        "nothing; it reads the request",
        "Upgrade with `websocket`",
        |p| {
            asks(p, |head| {
                (!head.lists("Upgrade", "websocket")).then(|| format!("{:?}", head.all("Upgrade")))
            })
        },
    )
    .clients(),
    check(
        "head/connection",
        &ASKS,
        "nothing; it reads the request",
        "Connection with `Upgrade`",
        |p| {
            asks(p, |head| {
                (!head.lists("Connection", "upgrade"))
                    .then(|| format!("{:?}", head.all("Connection")))
            })
        },
    )
    .clients(),
    check(
        "head/version",
        &ASKS,
        "nothing; it reads the request",
        "Sec-WebSocket-Version: 13",
        |p| {
            asks(p, |head| {
                (head.all("Sec-WebSocket-Version") != ["13"])
                    .then(|| format!("{:?}", head.all("Sec-WebSocket-Version")))
            })
        },
    )
    .clients(),
    check("head/no-repeats", &ASKS, "nothing; it reads the request", "one key", |p| {
        asks(p, |head| once(head, "Sec-WebSocket-Key"))
    })
    .clients(),
    check(
        "head/waits-for-answer",
        &ASKS_FIRST,
        "nothing for a while; then the 101",
        "no byte after the request before the 101",
        |p| {
            let (head, mut line) = p.arrives()?;
            let wait = line.pace().moment();
            let early = line.pending(wait).len();
            line.send(&answer(&head).bytes());
            match early {
                0 => Ok(()),
                _ => fails(format!(
                    "{early} bytes after the request, though no answer had been sent"
                )),
            }
        },
    )
    .clients(),
    check(
        "head/line-ends",
        &ASKS,
        "nothing; it reads the request",
        "CR LF at the end of each line",
        |p| {
            asks(p, |head| {
                let bare = head
                    .raw
                    .iter()
                    .enumerate()
                    .any(|(i, b)| *b == b'\n' && (i == 0 || head.raw[i - 1] != b'\r'));
                bare.then(|| "a line that ends with LF alone".into())
            })
        },
    )
    .clients(),
    check(
        "head/byte-by-byte",
        &WHOLE,
        "the 101, each byte in a packet of its own",
        "the client goes on",
        |p| answers(p, |a| a.bytes(), 1),
    )
    .clients(),
    check(
        "head/lower-case-names",
        &NAMES,
        "the 101 with names in lower case",
        "the client goes on",
        |p| {
            answers(
                p,
                |mut a| {
                    a.lines.iter_mut().for_each(|line| line.0 = line.0.to_lowercase());
                    a.bytes()
                },
                0,
            )
        },
    )
    .clients(),
    check(
        "head/no-space-after-colon",
        &SPACES,
        "the 101 without a space after colons",
        "the client goes on",
        |p| answers(p, |a| a.text(":").into_bytes(), 0),
    )
    .clients(),
    check(
        "head/keep-alive-upgrade",
        &LIST,
        "`Connection: keep-alive, Upgrade` in the 101",
        "the client goes on",
        |p| answers(p, |a| a.set("Connection", "keep-alive, Upgrade").bytes(), 0),
    )
    .clients(),
    check(
        "head/upgrade-any-case",
        &UPGRADE,
        "`Upgrade: WebSocket` in the 101",
        "the client goes on",
        |p| answers(p, |a| a.set("Upgrade", "WebSocket").bytes(), 0),
    )
    .clients(),
    check(
        "head/unknown-headers",
        &UNKNOWN,
        "unknown headers in the 101",
        "the client goes on",
        |p| answers(p, |a| a.add("Server", "coach").add("X-Coach", "a: b").bytes(), 0),
    )
    .clients(),
    check(
        "head/answer-any-reason",
        &PLAIN,
        "`HTTP/1.1 101 Web Socket Protocol Handshake`",
        "the client goes on",
        |p| {
            answers(
                p,
                |a| a.first("Switching Protocols", "Web Socket Protocol Handshake").bytes(),
                0,
            )
        },
    )
    .clients(),
    check(
        "head/frame-in-same-packet",
        &BEHIND,
        "the 101 and a text frame in one write",
        "the echo",
        |p| {
            let (head, mut line) = p.arrives()?;
            if head.all("Sec-WebSocket-Key").is_empty() {
                return skips("there is no key to answer");
            }
            let word = word();
            let bytes = [answer(&head).bytes(), line.encode(&frame(TEXT, &word))].concat();
            line.send(&bytes);
            line.comes_back(word.as_bytes()).map(drop)
        },
    )
    .clients(),
];
