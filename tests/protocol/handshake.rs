//! The server's decision, as a table: the request, the rules in force, and the result.

use ws101::diagnostic::Diagnostic;
use ws101::diagnostic::misuse::Misuse;
use ws101::handshake::client::ClientRequest;
use ws101::handshake::hosts::Hosts;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::{Decision, Rules, decide, refusal_of_plain_http, upgrade_required};
use ws101::handshake::url::Address;
use ws101::http::head::Scan;
use ws101::http::request::Request;
use ws101::{DeflateConfig, Refusal};

use crate::refused_requests::{self, MAX_HEAD, MAX_HEAD_LINES, refused};
use crate::support::{changed, head_of, teaches};

/// What a client has to send, and no more.
const LINES: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Opens,
    Speaks(&'static str),
    Plain,
    Refused(u16),
}
use Outcome::*;

/// From the bytes of a head to the decision, by all steps that a server takes.
fn answer(head: &str, rules: &Rules) -> Result<Decision, Refusal> {
    answer_within(Scan::new(16 * 1024, 100), head, rules)
}

fn answer_within(mut limits: Scan, head: &str, rules: &Rules) -> Result<Decision, Refusal> {
    let end = limits.advance(head.as_bytes())?.expect("a whole head");
    decide(&Request::parse(&head.as_bytes()[..end])?, rules)
}

fn outcome(head: &str, rules: &Rules, expected: Outcome) {
    match (answer(head, rules), expected) {
        (Ok(Decision::PlainHttp), Plain) => {}
        (Ok(Decision::Switch(agreement)), Opens) => {
            assert_eq!(agreement.subprotocol, None, "{head}");
            assert_eq!(agreement.response(), a_101("").as_bytes(), "{head}");
        }
        (Ok(Decision::Switch(agreement)), Speaks(name)) => {
            assert_eq!(agreement.subprotocol.as_deref(), Some(name), "{head}");
            let line = format!("Sec-WebSocket-Protocol: {name}\r\n");
            assert_eq!(agreement.response(), a_101(&line).as_bytes(), "{head}");
        }
        (Err(refusal), Refused(status)) => {
            assert_eq!(refusal.status(), status, "{head}{refusal}");
            is_an_answer(&refusal);
        }
        (other, _) => panic!("{other:?} instead of {expected:?} to\n{head}"),
    }
}

/// §4.2.2, and the answer of §1.3.
fn a_101(more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{more}\r\n"
    )
}

/// A refusal is a whole response, with the headers that its status owes, and its body teaches.
fn is_an_answer(refusal: &Refusal) {
    let shown = refusal.to_string();
    teaches(&shown, refusal.diagnostic());
    let bytes = refusal.response().encode().unwrap();
    let (head, body) = str::from_utf8(&bytes).unwrap().split_once("\r\n\r\n").unwrap();
    let has = |line: &str| head.lines().any(|one| one == line);
    assert_eq!(body, shown + "\n");
    assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())), "{head}");
    assert!(has(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(has("Content-Type: text/plain; charset=utf-8"), "{head}");
    let connection = head.lines().find_map(|line| line.strip_prefix("Connection: ")).unwrap();
    assert!(connection.split(", ").any(|token| token == "close"), "{head}");
    match refusal.status() {
        405 => assert!(has("Allow: GET"), "{head}"),
        // §4.4; RFC 9110 §15.5.22.
        426 => assert!(has("Sec-WebSocket-Version: 13") && has("Upgrade: websocket"), "{head}"),
        _ => {}
    }
}

/// Checks each change of the plain request.
fn decides(rules: &Rules, cases: &[(&[&str], Outcome)]) {
    for (changes, expected) in cases {
        outcome(&head_of("GET /chat HTTP/1.1", &changed(&LINES, changes)), rules, *expected);
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}

#[test]
fn each_refusal_has_its_status_and_its_diagnostic() {
    let rules = refused_requests::rules();
    let answer = |head: &str| answer_within(Scan::new(MAX_HEAD, MAX_HEAD_LINES), head, &rules);
    assert!(matches!(answer(&refused_requests::accepted()), Ok(Decision::Switch(_))));
    for (heading, status, head) in refused() {
        let refusal = answer(&head).expect_err(heading);
        let (expected, diagnostic) = (Diagnostic::about(heading, ""), refusal.diagnostic());
        assert_eq!((refusal.status(), &diagnostic.rule), (status, &expected.rule), "{heading}");
        assert_eq!(diagnostic.cause, expected.cause, "{heading}");
        is_an_answer(&refusal);
    }
}

#[test]
fn section_4_2_1_server_opens_whatever_the_order_the_letter_case_and_the_white_space() {
    let anyhow = Rules::default();
    let lines = changed(&LINES, &[]);
    for turn in 0..lines.len() {
        let turned = [&lines[turn..], &lines[..turn]].concat();
        outcome(&head_of("GET /chat HTTP/1.1", &turned), &anyhow, Opens);
    }
    decides(
        &anyhow,
        &[
            (&["HOST:server.example.com", "upgrade:WEBSOCKET", "connection:upgrade"], Opens),
            (&["sec-websocket-version: \t13\t "], Opens),
            (&["SEC-WEBSOCKET-KEY:   dGhlIHNhbXBsZSBub25jZQ==  "], Opens),
            (&["X-Unknown: \u{e9}", "X-Empty:"], Opens),
            (&["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"], Opens),
        ],
    );
}

#[test]
fn server_takes_a_request_without_upgrade_for_plain_http() {
    decides(
        &Rules::default(),
        &[
            (&["-Upgrade"], Plain),
            (&["-Upgrade", "-Connection", "-Sec-WebSocket-Key", "-Sec-WebSocket-Version"], Plain),
            (&["Upgrade: h2c"], Plain),
            (&["Upgrade:"], Plain),
            // Whole tokens.
            (&["Upgrade: websockets"], Plain),
            (&["Upgrade: web socket"], Plain),
            (&["Upgrade: xwebsocket"], Plain),
        ],
    );
    let refusal = upgrade_required();
    is_an_answer(&refusal);
    assert_eq!(refusal.status(), 426);
    assert!(refusal.to_string().contains("WebSocket client"));
}

#[test]
fn section_4_2_1_upgrade_and_connection_are_lists_of_whole_tokens() {
    decides(
        &Rules::default(),
        &[
            (&["Upgrade: h2c, WebSocket"], Opens),
            (&["Upgrade: h2c", "Upgrade: websocket"], Opens),
            (&["Connection: keep-alive, Upgrade"], Opens),
            (&["Connection: keep-alive", "Connection: UPGRADE"], Opens),
            (&["Connection: ,,upgrade ,"], Opens),
            (&["-Connection"], Refused(400)),
            (&["Connection: keep-alive"], Refused(400)),
            (&["Connection: notupgrade"], Refused(400)),
            (&["Connection: upgraded"], Refused(400)),
            (&["Connection: keep-alive Upgrade"], Refused(400)),
            (&["Connection:"], Refused(400)),
        ],
    );
}

#[test]
fn section_4_1_server_refuses_any_method_but_get_with_405() {
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "get", "GETS", "M"] {
        let head = head_of(&format!("{method} /chat HTTP/1.1"), &LINES);
        outcome(&head, &Rules::default(), Refused(405));
        // With nothing of a WebSocket about it, it is for the server's pages. There are none here.
        let head = head_of(&format!("{method} / HTTP/1.1"), &LINES[..1]);
        outcome(&head, &Rules::default(), Plain);
        assert_eq!(without_a_page(&head, &Rules::default(), false), 405, "{method}");
    }
}

/// The status for a plain request to which no page answers.
fn without_a_page(head: &str, rules: &Rules, has_pages: bool) -> u16 {
    let refusal =
        refusal_of_plain_http(&Request::parse(head.as_bytes()).unwrap(), rules, has_pages);
    is_an_answer(&refusal);
    refusal.status()
}

#[test]
fn a_plain_request_without_a_page_is_told_what_is_there_instead() {
    let (any, chat) = (Rules::default(), Rules { paths: names(&["/chat"]), ..Rules::default() });
    for (line, rules, has_pages, status) in [
        ("GET /a HTTP/1.1", &any, true, 404),
        ("HEAD /a HTTP/1.0", &any, true, 404),
        ("POST /a HTTP/1.1", &chat, true, 404),
        // Here a WebSocket opens, and nothing else.
        ("GET /chat HTTP/1.1", &chat, true, 426),
        ("POST /chat HTTP/1.1", &chat, true, 405),
        ("GET /chat HTTP/1.0", &chat, true, 505),
        ("GET /a HTTP/1.1", &any, false, 426),
        ("GET /a HTTP/1.0", &any, false, 505),
        ("OPTIONS /a HTTP/1.0", &any, false, 405),
    ] {
        let head = head_of(line, &LINES[..1]);
        outcome(&head, rules, Plain);
        assert_eq!(without_a_page(&head, rules, has_pages), status, "{line}");
    }
}

#[test]
fn a_host_may_be_missing_in_http_1_0_and_nowhere_else() {
    let local = Rules { hosts: Hosts::Loopback, ..Rules::default() };
    for rules in [&local, &Rules::default()] {
        outcome(&head_of("OPTIONS / HTTP/1.0", &[]), rules, Plain);
        outcome(&head_of("OPTIONS / HTTP/1.1", &[]), rules, Refused(400));
        outcome(&head_of("GET / HTTP/1.0", &["Host: a", "Host: a"]), rules, Refused(400));
    }
    outcome(&head_of("GET / HTTP/1.0", &["Host: evil.example"]), &local, Refused(421));
    outcome(&head_of("GET http://evil.example/ HTTP/1.0", &[]), &local, Refused(421));
}

/// RFC 9112 §6.3: no body of a request may end in two places.
#[test]
fn a_body_is_for_other_methods_than_get_and_has_one_end() {
    let chunked = "Transfer-Encoding: Chunked";
    for (line, lines, expected) in [
        ("POST / HTTP/1.1", &["Content-Length: 5"][..], Plain),
        ("POST / HTTP/1.1", &[chunked], Plain),
        ("PUT / HTTP/1.0", &["Content-Length: 05"], Plain),
        ("POST / HTTP/1.0", &[chunked], Refused(400)),
        ("POST / HTTP/1.1", &[chunked, "Content-Length: 5"], Refused(400)),
        ("POST / HTTP/1.1", &[chunked, chunked], Refused(400)),
        ("POST / HTTP/1.1", &["Transfer-Encoding: gzip, chunked"], Refused(400)),
        ("POST / HTTP/1.1", &["Content-Length: 5", "Content-Length: 5"], Refused(400)),
        ("POST / HTTP/1.1", &["Content-Length: +5"], Refused(400)),
        ("POST / HTTP/1.1", &["Content-Length: 5, 5"], Refused(400)),
        ("POST / HTTP/1.1", &["Content-Length:"], Refused(400)),
        ("GET / HTTP/1.1", &["Content-Length: 5"], Refused(400)),
        ("HEAD / HTTP/1.1", &[chunked], Refused(400)),
    ] {
        let head = head_of(line, &[&["Host: a"], lines].concat());
        outcome(&head, &Rules::default(), expected);
    }
}

#[test]
fn a_method_without_a_path_is_refused_because_it_is_not_get() {
    for line in ["OPTIONS * HTTP/1.1", "CONNECT example.com:80 HTTP/1.1"] {
        outcome(&head_of(line, &LINES), &Rules::default(), Refused(405));
    }
}

#[test]
fn section_4_2_1_server_refuses_http_1_0_with_505() {
    outcome(&head_of("GET /chat HTTP/1.0", &LINES), &Rules::default(), Refused(505));
    outcome(&head_of("GET / HTTP/1.0", &LINES[1..]), &Rules::default(), Refused(505));
    outcome(&head_of("GET /chat HTTP/2.0", &LINES), &Rules::default(), Refused(505));
}

#[test]
fn section_4_2_1_server_wants_one_host() {
    decides(
        &Rules::default(),
        &[
            (&["Host: server.example.com:8080"], Opens),
            (&["Host: 127.0.0.1:9001"], Opens),
            (&["Host: [::1]:9001"], Opens),
            (&["Host: [fe80::1%25eth0]:9001"], Opens),
            (&["Host: [1:2]"], Refused(400)),
            (&["Host: %zz"], Refused(400)),
            (&["-Host"], Refused(400)),
            (&["Host:"], Refused(400)),
            (&["Host: a", "Host: a"], Refused(400)),
            (&["Host: a", "Host: b"], Refused(400)),
            (&["Host: ]"], Refused(400)),
            (&["Host: a b"], Refused(400)),
            (&["Host: a, b"], Refused(400)),
            (&["Host: a@b"], Refused(400)),
            (&["Host: a/b"], Refused(400)),
            (&["Host: http://a"], Refused(400)),
            (&["Host: a:65536"], Refused(400)),
            (&["Host: a:-1"], Refused(400)),
            (&["Host: \u{e9}"], Refused(400)),
            // It is asked for of plain HTTP as well (RFC 9112 §3.2).
            (&["-Upgrade", "-Host"], Refused(400)),
        ],
    );
}

#[test]
fn server_answers_only_for_hosts_that_are_listed() {
    let hosts = Hosts::Listed(names(&["a.example", "b.example:8080"]));
    let rules = Rules { hosts, ..Rules::default() };
    decides(
        &rules,
        &[
            (&["Host: a.example"], Opens),
            (&["Host: A.EXAMPLE:99"], Opens),
            (&["Host: b.example:8080"], Opens),
            (&["Host: b.example"], Refused(421)),
            (&["Host: b.example:80"], Refused(421)),
            (&["Host: a.example.evil.org"], Refused(421)),
            (&["Host: evil-a.example"], Refused(421)),
            (&["Host: 127.0.0.1"], Refused(421)),
            // A page, too, is served to nobody who comes by another name (DNS rebinding).
            (&["-Upgrade", "Host: rebound.example"], Refused(421)),
        ],
    );
}

#[test]
fn section_4_2_1_an_absolute_target_names_the_host_and_a_path() {
    let rules = Rules {
        hosts: Hosts::Listed(names(&["a.example"])),
        paths: names(&["/chat"]),
        ..Rules::default()
    };
    for (target, host, expected) in [
        ("ws://a.example/chat", "a.example", Opens),
        ("http://a.example:1/chat?x", "elsewhere.example", Opens),
        ("HTTPS://A.example/chat", "elsewhere.example", Opens),
        ("wss://b.example/chat", "a.example", Refused(421)),
        ("ws://a.example/", "a.example", Refused(404)),
        ("ws://a.example", "a.example", Refused(404)),
        // One Host there must be all the same.
        ("ws://a.example/chat", "", Refused(400)),
        ("ftp://a.example/chat", "a.example", Refused(400)),
        ("ws://a.example/chat#x", "a.example", Refused(400)),
        ("ws://user@a.example/chat", "a.example", Refused(400)),
        ("chat", "a.example", Refused(400)),
        ("*", "a.example", Refused(400)),
    ] {
        let host = format!("Host: {host}");
        let lines = changed(&LINES, &[&host]);
        outcome(&head_of(&format!("GET {target} HTTP/1.1"), &lines), &rules, expected);
    }
}

#[test]
fn section_4_2_1_server_wants_one_key_of_16_bytes() {
    let missing_padding = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ";
    let of_17_bytes = "Sec-WebSocket-Key: bXktd2Vic29ja2V0LWtleSE=";
    let of_15_bytes = "Sec-WebSocket-Key: bXktd2Vic29ja2V0LWtl";
    let twice = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let long = format!("Sec-WebSocket-Key: {}", "QUJD".repeat(1_024));
    decides(
        &Rules::default(),
        &[
            (&["-Sec-WebSocket-Key"], Refused(400)),
            (&["Sec-WebSocket-Key:"], Refused(400)),
            (&[twice, twice], Refused(400)),
            (&[missing_padding], Refused(400)),
            (&[of_15_bytes], Refused(400)),
            (&[of_17_bytes], Refused(400)),
            (&[&long], Refused(400)),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j ZQ=="], Refused(400)),
            (&["Sec-WebSocket-Key: not base64 at all!!!!!!!"], Refused(400)),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, x"], Refused(400)),
        ],
    );
    // Loose bits behind the last byte are let pass; §4.2.2: the answer is to the key as it was sent.
    let head = head_of(
        "GET / HTTP/1.1",
        &changed(&LINES, &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="]),
    );
    let Ok(Decision::Switch(agreement)) = answer(&head, &Rules::default()) else {
        panic!("the key that §4.1 gives as an example is refused");
    };
    let response = String::from_utf8(agreement.response()).unwrap();
    assert!(
        response.contains("\r\nSec-WebSocket-Accept: OfS0wDaT5NoxF2gqm7Zj2YtetzM=\r\n"),
        "{response}"
    );
}

#[test]
fn section_4_4_server_answers_another_version_with_426_and_says_13() {
    let version = |value| format!("Sec-WebSocket-Version: {value}");
    for value in [
        "", "0", "7", "8", "12", "14", "25", "777", "013", "+13", "13.0", "13, 8", "8, 13",
        "thirteen",
    ] {
        decides(&Rules::default(), &[(&[&version(value)], Refused(426))]);
    }
    decides(
        &Rules::default(),
        &[
            (&["-Sec-WebSocket-Version"], Refused(426)),
            (&["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"], Refused(426)),
            (&["Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13"], Refused(426)),
            // The version comes first: with another one, the key may be of another kind.
            (&["Sec-WebSocket-Version: 14", "-Sec-WebSocket-Key"], Refused(426)),
        ],
    );
}

#[test]
fn section_4_2_2_server_speaks_the_first_of_the_clients_subprotocols_that_is_ours() {
    let rules = Rules { subprotocols: names(&["chat", "superchat"]), ..Rules::default() };
    decides(
        &rules,
        &[
            (&[], Opens),
            (&["Sec-WebSocket-Protocol: chat"], Speaks("chat")),
            (&["Sec-WebSocket-Protocol: superchat, chat"], Speaks("superchat")),
            (&["Sec-WebSocket-Protocol: other,\tchat"], Speaks("chat")),
            (
                &["Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: superchat"],
                Speaks("superchat"),
            ),
            // None in common: a 101 without one.
            (&["Sec-WebSocket-Protocol: other"], Opens),
            (&["Sec-WebSocket-Protocol: CHAT"], Opens),
            (&["Sec-WebSocket-Protocol: chatter"], Opens),
            // §4.1: non-empty tokens, all unique.
            (&["Sec-WebSocket-Protocol:"], Refused(400)),
            // RFC 9110 §5.6.1.2: empty elements are passed over.
            (&["Sec-WebSocket-Protocol: chat,"], Speaks("chat")),
            (&["Sec-WebSocket-Protocol: ,"], Refused(400)),
            (&["Sec-WebSocket-Protocol: chat superchat"], Refused(400)),
            (&["Sec-WebSocket-Protocol: chat/1"], Refused(400)),
            (&["Sec-WebSocket-Protocol: \"chat\""], Refused(400)),
            (&["Sec-WebSocket-Protocol: \u{ff}"], Refused(400)),
            (&["Sec-WebSocket-Protocol: chat, chat"], Refused(400)),
            (&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"], Refused(400)),
        ],
    );
    decides(&Rules::default(), &[(&["Sec-WebSocket-Protocol: chat, superchat"], Opens)]);
}

#[test]
fn section_10_2_server_refuses_a_foreign_page_with_403() {
    decides(
        &Rules::default(),
        &[
            (&["Origin: http://server.example.com"], Opens),
            (&["Origin: HTTPS://SERVER.example.com:443"], Opens),
            (&["Origin: http://server.example.com:8080"], Refused(403)),
            (&["Origin: http://example.com"], Refused(403)),
            (&["Origin: http://server.example.com.evil.org"], Refused(403)),
            (&["Origin: file://server.example.com"], Refused(403)),
            (&["Origin: null"], Refused(403)),
            (&["Origin:"], Refused(403)),
            (&["Origin: http://server.example.com http://evil.org"], Refused(403)),
            (&["Origin: http://server.example.com", "Origin: http://evil.org"], Refused(400)),
            (
                &["Origin: http://server.example.com", "Origin: http://server.example.com"],
                Refused(400),
            ),
            // Plain HTTP is served to any page: what it may read, is for the browser to say.
            (&["-Upgrade", "Origin: http://evil.org"], Plain),
        ],
    );
    let listed = Origins::Listed(names(&["https://a.example", "null"]));
    decides(
        &Rules { origins: listed, ..Rules::default() },
        &[
            (&[], Opens),
            (&["Origin: https://a.example:443"], Opens),
            (&["Origin: null"], Opens),
            (&["Origin: http://a.example"], Refused(403)),
            (&["Origin: https://a.example:8443"], Refused(403)),
            (&["Origin: https://a.example.evil.org"], Refused(403)),
            // The own host is trusted without a list only.
            (&["Origin: http://server.example.com"], Refused(403)),
        ],
    );
    let any = Rules { origins: Origins::Any, ..Rules::default() };
    decides(&any, &[(&["Origin: http://evil.org"], Opens)]);
}

#[test]
fn an_absolute_target_is_the_host_that_an_origin_is_compared_with() {
    for (origin, expected) in [("http://a.example", Opens), ("http://proxy.example", Refused(403))]
    {
        let origin = format!("Origin: {origin}");
        let lines = changed(&LINES, &["Host: proxy.example", &origin]);
        outcome(&head_of("GET ws://a.example/ HTTP/1.1", &lines), &Rules::default(), expected);
    }
}

/// The message that a person meets behind a proxy names both sides and the option.
#[test]
fn the_refusal_of_a_foreign_page_says_who_asked_whom_and_what_to_set() {
    let lines = changed(&LINES, &["Host: example.com", "Origin: http://example.com:8080"]);
    for (origins, allowed) in [
        (Origins::SameHost, "allowed: pages of the same host and port"),
        (
            Origins::Listed(names(&["https://a.example", "null"])),
            "allowed: https://a.example, null",
        ),
    ] {
        let rules = Rules { origins, ..Rules::default() };
        let refusal = answer(&head_of("GET / HTTP/1.1", &lines), &rules).unwrap_err();
        let shown = refusal.to_string();
        let asked = "Origin: \"http://example.com:8080\" at Host: \"example.com\"";
        for part in [asked, allowed, "`origins`", "$http_host"] {
            assert!(shown.contains(part), "{shown}");
        }
    }
}

#[test]
fn section_4_2_2_server_answers_an_unknown_path_with_404() {
    let rules = Rules { paths: names(&["/chat", "/"]), ..Rules::default() };
    for (target, expected) in [
        ("/chat", Opens),
        ("/chat?room=1", Opens),
        ("/", Opens),
        ("/?", Opens),
        ("/chat/", Refused(404)),
        ("/Chat", Refused(404)),
        ("/chats", Refused(404)),
        ("//chat", Refused(404)),
        ("/./chat", Refused(404)),
        ("/%63hat", Refused(404)),
    ] {
        outcome(&head_of(&format!("GET {target} HTTP/1.1"), &LINES), &rules, expected);
    }
}

/// What is read as HTTP by one and as frames by another is how requests are smuggled.
#[test]
fn server_refuses_a_request_with_a_body() {
    decides(
        &Rules::default(),
        &[
            (&["Content-Length: 0"], Opens),
            (&["Content-Length: 1"], Refused(400)),
            (&["Content-Length: +0"], Refused(400)),
            (&["Content-Length: 00"], Refused(400)),
            (&["Content-Length: 0, 0"], Refused(400)),
            (&["Content-Length:"], Refused(400)),
            (&["Content-Length: 0", "Content-Length: 0"], Refused(400)),
            (&["Content-Length: 0", "Content-Length: 5"], Refused(400)),
            (&["Transfer-Encoding: chunked"], Refused(400)),
            (&["Transfer-Encoding:"], Refused(400)),
            (&["Transfer-Encoding: chunked", "Content-Length: 0"], Refused(400)),
            (&["-Upgrade", "Content-Length: 5"], Refused(400)),
        ],
    );
}

#[test]
fn server_refuses_a_head_that_two_readers_could_read_in_two_ways() {
    let plain = Rules::default();
    for (bad, part) in [
        ("X: y\nZ: z", "CR LF"),
        ("X: y\rZ: z", "a CR only before an LF"),
        ("X: y\r\n folded", "folded"),
        ("X: y\r\n\tfolded", "folded"),
        (" X: y", "folded"),
        ("X\0: y", "0x00"),
        ("X: \0", "0x00"),
        ("X: \x1b[31m", "0x1b"),
        ("X : y", "a colon directly after it"),
        (": y", "a colon directly after it"),
        ("no colon", "a colon directly after it"),
        ("X\u{e9}: y", "a colon directly after it"),
        ("Transfer-Encoding\t: chunked", "a colon directly after it"),
    ] {
        let head = head_of("GET /chat HTTP/1.1", &[&LINES[..], &[bad]].concat());
        outcome(&head, &plain, Refused(400));
        let shown = answer(&head, &plain).unwrap_err().to_string();
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for first in [
        "GET /chat",
        "GET  /chat HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /chat HTTP/1.1 ",
        "",
        "\x01GET / HTTP/1.1",
    ] {
        outcome(&head_of(first, &LINES), &plain, Refused(400));
    }
}

/// Somebody may parse what no scan has seen: what is shown of it is harmless all the same.
#[test]
fn what_a_refusal_quotes_is_escaped_and_cut_short() {
    let rules = Rules { paths: names(&["/chat"]), ..Rules::default() };
    let evil = "\x1b[2J\x07\u{202e}\"<script>";
    let long = "x".repeat(5_000);
    for value in [evil, &long] {
        for name in [
            "Host",
            "Connection",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Key",
            "Origin",
            "Sec-WebSocket-Protocol",
        ] {
            let line = format!("{name}: {value}");
            let head = head_of("GET /chat HTTP/1.1", &changed(&LINES, &[&line]));
            let Ok(request) = Request::parse(head.as_bytes()) else { panic!("{name} is parsed") };
            // Any name is a fine host, and one that is long enough is just that.
            let Err(refusal) = decide(&request, &rules) else { continue };
            is_an_answer(&refusal);
            let shown = refusal.to_string();
            assert!(!shown.contains('\u{202e}'), "{shown}");
            assert!(shown.len() < 1_500, "{} bytes for {name}", shown.len());
        }
    }
    for first in [
        format!("{evil} / HTTP/1.1"),
        format!("GET /{evil} HTTP/1.1"),
        format!("GET / {evil}"),
        format!("GET /{} HTTP/1.1", &long[..1_600]),
    ] {
        let refusal = match Request::parse(head_of(&first, &LINES).as_bytes()) {
            Ok(request) => decide(&request, &rules).unwrap_err(),
            Err(refusal) => refusal,
        };
        is_an_answer(&refusal);
        assert!(refusal.to_string().len() < 1_500);
    }
}

#[test]
fn what_if_any_byte_of_a_request_is_any_other() {
    let rules =
        Rules { subprotocols: names(&["chat"]), paths: names(&["/chat"]), ..Rules::default() };
    let more = ["Origin: http://server.example.com", "Sec-WebSocket-Protocol: chat"];
    let good = head_of("GET /chat HTTP/1.1", &changed(&LINES, &more)).into_bytes();
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut head = good.clone();
            head[at] = byte;
            let scanned = Scan::new(16 * 1024, 100).advance(&head);
            let decided = scanned.and_then(|end| match end {
                // Its end is not there, or it came early.
                None => Ok(None),
                Some(end) => decide(&Request::parse(&head[..end])?, &rules).map(Some),
            });
            match decided {
                Ok(None | Some(Decision::PlainHttp)) => {}
                Ok(Some(Decision::Switch(agreement))) => {
                    assert!(matches!(agreement.subprotocol.as_deref(), None | Some("chat")));
                    assert!(agreement.response().starts_with(b"HTTP/1.1 101 "));
                }
                Err(refusal) => {
                    let status = refusal.status();
                    assert!([400, 403, 404, 405, 426, 505].contains(&status), "{status} at {at}");
                }
            }
        }
    }
}

#[test]
fn section_4_1_rules_with_a_subprotocol_that_is_none_can_not_be_kept() {
    for bad in [&["a b"][..], &[""], &["chat", "chat"], &["a\r\nX: y"], &["a,b"], &["\u{e9}"]] {
        let rules = Rules { subprotocols: names(bad), ..Rules::default() };
        let name = bad.last().unwrap().to_string();
        assert_eq!(rules.validate(), Err(Misuse::Subprotocol(name)));
    }
    let rules = Rules { subprotocols: names(&["chat", "Chat", "v1.chat"]), ..Rules::default() };
    assert_eq!(rules.validate(), Ok(()));
}

#[test]
fn a_rule_that_no_request_can_match_is_a_misuse() {
    let with = |setting: &str, one: &str| {
        let one = names(&[one]);
        match setting {
            "origins" => Rules { origins: Origins::Listed(one), ..Rules::default() },
            "hosts" => Rules { hosts: Hosts::Listed(one), ..Rules::default() },
            _ => Rules { paths: one, ..Rules::default() },
        }
    };
    for (setting, bad) in [
        ("origins", "https://a/"),
        ("origins", "a.example"),
        ("origins", "https://"),
        ("origins", "https://a.example/chat"),
        ("origins", "https://user@a"),
        ("origins", ""),
        ("origins", "https://*.a.example"),
        ("hosts", "*.a.example"),
        ("hosts", "http://a"),
        ("hosts", "a/b"),
        ("hosts", ""),
        ("hosts", "::1"),
        ("paths", "chat"),
        ("paths", ""),
        ("paths", "/chat?room=1"),
        ("paths", "/a#b"),
        ("paths", "/a b"),
        ("paths", "/caf\u{e9}"),
        ("paths", "/a\r\nX: y"),
    ] {
        let misuse = with(setting, bad).validate().unwrap_err();
        teaches(&misuse.to_string(), &misuse.diagnostic());
        assert_eq!(misuse, Misuse::NeverMatches(setting, bad.into()));
    }
    for (setting, good) in [
        ("origins", "https://a.example:8443"),
        ("origins", "null"),
        ("origins", "chrome-extension://abcdef"),
        ("hosts", "[::1]:9001"),
        ("hosts", "localhost"),
        ("paths", "/"),
        ("paths", "/%63hat"),
    ] {
        assert_eq!(with(setting, good).validate(), Ok(()), "{good}");
    }
}

#[test]
fn a_compression_setting_out_of_range_reaches_neither_a_request_nor_a_101() {
    let address = Address::parse("ws://a/").unwrap();
    for (setting, value) in
        [("server_max_window_bits", 8), ("client_max_window_bits", 16), ("level", 0), ("level", 10)]
    {
        let mut bad = DeflateConfig::DEFAULT;
        match setting {
            "server_max_window_bits" => bad.server_max_window_bits = value,
            "client_max_window_bits" => bad.client_max_window_bits = value,
            _ => bad.level = value,
        }
        let misuse = Misuse::DeflateConfig(setting, value);
        let rules = Rules { deflate: Some(bad), ..Rules::default() };
        assert_eq!(rules.validate(), Err(misuse.clone()));
        let ask = ClientRequest { deflate: Some(bad), ..ClientRequest::default() };
        assert_eq!(ask.request(&address, "dGhlIHNhbXBsZSBub25jZQ=="), Err(misuse));
    }
    let rules = Rules { deflate: Some(DeflateConfig::DEFAULT), ..Rules::default() };
    assert_eq!(rules.validate(), Ok(()));
}

#[test]
fn one_empty_line_in_front_of_a_request_is_passed_over() {
    let head = head_of("GET /chat HTTP/1.1", &LINES);
    outcome(&format!("\r\n{head}"), &Rules::default(), Opens);
    outcome(&format!("\r\n\r\n{head}"), &Rules::default(), Refused(400));
}

#[test]
fn cookies_of_different_bytes_are_different_cookies() {
    let cookie = |byte: u8| {
        let head = [b"GET / HTTP/1.1\r\nCookie: id=x", &[byte][..], b"\r\n\r\n"].concat();
        Request::parse(&head).unwrap().cookie("id").unwrap().to_owned()
    };
    assert_ne!(cookie(0xe8), cookie(0xe9));
}
