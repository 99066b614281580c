//! Published handshakes: the RFC's, and those of five public texts on the web. Both our server and
//! our client are tested with their bytes, because two ends of the same library could share a
//! mistake.

use ws101::Refusal;
use ws101::handshake::accept_key;
use ws101::handshake::client::ClientRequest;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::{Decision, Rules, decide};
use ws101::handshake::url::Address;
use ws101::http::head::{Head, Scan};
use ws101::http::request::Request;

use crate::support::{head_of, teaches};

struct Transcript {
    source: &'static str,
    request: &'static [&'static str],
    answer: &'static [&'static str],
    /// What the server that printed the answer must have been set up for.
    subprotocols: &'static [&'static str],
    origins: &'static [&'static str],
    /// What the client must have been asked for, where its request is one that we would send.
    client: Option<Client>,
}

struct Client {
    url: &'static str,
    offers: &'static [&'static str],
    origin: Option<&'static str>,
}

const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const TRANSCRIPTS: [Transcript; 6] = [
    Transcript {
        source: "RFC 6455 §1.2 and §1.3",
        request: &[
            "GET /chat HTTP/1.1",
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Origin: http://example.com",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Version: 13",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: chat",
        ],
        subprotocols: &["chat"],
        origins: &["http://example.com"],
        client: Some(Client {
            url: "ws://server.example.com/chat",
            offers: &["chat", "superchat"],
            origin: Some("http://example.com"),
        }),
    },
    Transcript {
        source: "a course page, with an absolute target and another Host",
        request: &[
            "GET ws://example.com:8080/ HTTP/1.1",
            "Host: localhost:8080",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: q4xkcO32u266gldTuKaSOw==",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: fA9dggdnMPU79lJgAE3W4TRnyDM=",
        ],
        subprotocols: &[],
        origins: &[],
        client: None,
    },
    Transcript {
        source: "an article on the upgrade",
        request: &[
            "GET /chat HTTP/1.1",
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Origin: http://example.com",
            "Sec-WebSocket-Protocol: chat, superchat",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: chat",
        ],
        subprotocols: &["superchat", "chat"],
        origins: &["http://example.com"],
        client: Some(Client {
            url: "ws://server.example.com/chat",
            offers: &["chat", "superchat"],
            origin: Some("http://example.com"),
        }),
    },
    Transcript {
        source: "a kata",
        request: &[
            "GET /ws HTTP/1.1",
            "Host: example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ],
        subprotocols: &[],
        origins: &[],
        client: Some(Client { url: "ws://example.com/ws", offers: &[], origin: None }),
    },
    Transcript {
        source: "a reference of headers, its chat",
        request: &[
            "GET /chat HTTP/1.1",
            "Host: ws.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==",
            "Sec-WebSocket-Version: 13",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=",
        ],
        subprotocols: &[],
        origins: &[],
        client: Some(Client { url: "wss://ws.example.com/chat", offers: &[], origin: None }),
    },
    Transcript {
        source: "a reference of headers, its first request, declining the extension",
        request: &[
            "GET /chat HTTP/1.1",
            "Host: ws.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "Origin: https://example.com",
        ],
        answer: &[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: chat",
        ],
        subprotocols: &["chat"],
        origins: &["https://example.com"],
        client: None,
    },
];

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}

fn head(lines: &[&str]) -> String {
    head_of(lines[0], &lines[1..])
}

fn answer(request: &str, rules: &Rules) -> Result<Decision, Refusal> {
    decide(&Request::parse(request.as_bytes())?, rules)
}

fn value<'a>(lines: &[&'a str], name: &str) -> &'a str {
    lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap()
}

#[test]
fn server_answers_each_printed_request_with_the_101_that_is_printed_with_it() {
    for Transcript { source, request, answer: printed, subprotocols, origins, .. } in TRANSCRIPTS {
        let rules = Rules {
            subprotocols: strings(subprotocols),
            origins: Origins::Listed(strings(origins)),
            ..Rules::default()
        };
        match answer(&head(request), &rules) {
            Ok(Decision::Switch(agreement)) => {
                let response = String::from_utf8(agreement.response()).unwrap();
                assert_eq!(response, head(printed), "{source}");
            }
            other => panic!("{source}: {other:?}"),
        }
    }
}

/// Where a page of another site asks, the default is to refuse; the texts leave that out.
#[test]
fn server_refuses_the_printed_requests_of_foreign_pages_unless_it_lists_them() {
    for Transcript { source, request, origins, .. } in TRANSCRIPTS {
        if !origins.is_empty() {
            let refusal = answer(&head(request), &Rules::default()).unwrap_err();
            assert_eq!(refusal.status(), 403, "{source}");
        }
    }
}

#[test]
fn client_sends_the_lines_that_are_printed() {
    for Transcript { source, request, client, .. } in TRANSCRIPTS {
        let Some(Client { url, offers, origin }) = client else { continue };
        let headers = origin.iter().map(|&origin| ("Origin".into(), origin.into())).collect();
        let ask =
            ClientRequest { subprotocols: strings(offers), headers, ..ClientRequest::default() };
        let address = Address::parse(url).unwrap();
        let bytes = ask.request(&address, value(request, "Sec-WebSocket-Key")).unwrap();
        let sent = String::from_utf8(bytes).unwrap();
        // §1.3: the order of the lines means nothing; the first is the first.
        let (mut ours, mut printed): (Vec<_>, Vec<_>) =
            (sent.strip_suffix("\r\n\r\n").unwrap().split("\r\n").collect(), request.to_vec());
        assert_eq!(ours[0], printed[0], "{source}");
        ours.sort_unstable();
        printed.sort_unstable();
        assert_eq!(ours, printed, "{source}");
    }
}

#[test]
fn client_takes_each_printed_101_and_with_another_key_none() {
    for Transcript { source, request, answer: printed, .. } in TRANSCRIPTS {
        let ask = ClientRequest {
            subprotocols: strings(&["chat", "superchat"]),
            ..ClientRequest::default()
        };
        let bytes = head(printed);
        assert_eq!(Scan::new(16 * 1024, 100).advance(bytes.as_bytes()).unwrap(), Some(bytes.len()));
        let printed = Head::parse(bytes.as_bytes()).unwrap();
        let key = value(request, "Sec-WebSocket-Key");
        let verified = ask.verify(&printed, key).unwrap();
        assert_eq!(
            verified.subprotocol.as_deref(),
            printed.header("Sec-WebSocket-Protocol"),
            "{source}"
        );
        let rejection = ask.verify(&printed, &accept_key::encode_key([0; 16])).unwrap_err();
        assert_eq!(rejection.status, Some(101), "{source}");
    }
}

/// The reference's 101 agrees to an extension, and nobody offered it one.
#[test]
fn section_4_1_client_refuses_the_printed_101_with_an_extension_that_it_did_not_offer() {
    let printed = Head::parse(
        head(&[
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: chat",
            "Sec-WebSocket-Extensions: permessage-deflate",
        ])
        .as_bytes(),
    )
    .unwrap();
    let ask = ClientRequest { subprotocols: strings(&["chat"]), ..ClientRequest::default() };
    let rejection = ask.verify(&printed, SAMPLE_KEY).unwrap_err();
    teaches(&rejection.to_string(), &rejection.diagnostic);
    assert!(rejection.to_string().contains("permessage-deflate"));
}

/// The kata's GUID has two of its groups mixed up: both of its ends agree, and no other end does.
#[test]
fn client_refuses_the_accept_that_comes_of_the_kata_s_wrong_guid() {
    let answer = head(&[
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: pJ85ywcJwvY/PgeG6blONiWuQUY=",
    ]);
    let rejection = ClientRequest::default()
        .verify(&Head::parse(answer.as_bytes()).unwrap(), SAMPLE_KEY)
        .unwrap_err();
    let shown = rejection.to_string();
    teaches(&shown, &rejection.diagnostic);
    for accept in ["pJ85ywcJwvY/PgeG6blONiWuQUY=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] {
        assert!(shown.contains(accept), "what came and what was expected: {shown}");
    }
}

/// Requests that are printed as if they would do.
#[test]
fn server_refuses_the_printed_requests_that_break_a_rule_and_says_which() {
    let cases: [(&[&str], u16, &str); 5] = [
        // The kata's own client: its key is a byte too long.
        (
            &[
                "GET /ws HTTP/1.1",
                "Host: 127.0.0.1:9001",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: bXktd2Vic29ja2V0LWtleSE=",
                "Sec-WebSocket-Version: 13",
            ],
            400,
            "17 bytes",
        ),
        // The reference's second example has no Host, and letters for a key.
        (
            &[
                "GET /graphql HTTP/1.1",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: abc123...",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: graphql-transport-ws",
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            ],
            400,
            "Host",
        ),
        // §4.4: a version that is none yet.
        (
            &[
                "GET /chat HTTP/1.1",
                "Host: server.example.com",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 25",
            ],
            426,
            "\"25\"",
        ),
        // What is left of the draft of 2010 behind a proxy that lets only one of its keys through.
        (
            &[
                "GET /demo HTTP/1.1",
                "Host: example.com",
                "Upgrade: WebSocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00",
            ],
            426,
            "2010",
        ),
        // A browser of 2010: two keys of another kind, and subprotocols with a space in between.
        (
            &[
                "GET /demo HTTP/1.1",
                "Host: example.com",
                "Connection: Upgrade",
                "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00",
                "Sec-WebSocket-Protocol: sample other",
                "Upgrade: WebSocket",
                "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5",
                "Origin: http://example.com",
            ],
            426,
            "2010",
        ),
    ];
    for (lines, status, part) in cases {
        let refusal = answer(&head(lines), &Rules::default()).unwrap_err();
        let shown = refusal.to_string();
        teaches(&shown, refusal.diagnostic());
        assert_eq!(refusal.status(), status, "{shown}");
        assert!(shown.contains(part), "{shown}");
    }
}

/// The draft of 2010 sends eight more bytes behind its head; they are not taken for a part of it.
#[test]
fn the_third_key_of_the_draft_of_2010_is_no_part_of_the_head() {
    let lines = head(&["GET /demo HTTP/1.1", "Host: example.com", "Sec-WebSocket-Key1: 4 @1"]);
    let with_key = format!("{lines}^n:ds[4U");
    let end = Scan::new(16 * 1024, 100).advance(with_key.as_bytes()).unwrap();
    assert_eq!(end, Some(lines.len()));
}
