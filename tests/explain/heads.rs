//! Explained requests and responses: valid ones, and the same with a few bytes changed.

use ws101::DeflateConfig;
use ws101::explain::annotation::Verdict;
use ws101::explain::conversation::{explain_request, explain_response};
use ws101::explain::heads::Settings;
use ws101::handshake::client::ClientRequest;
use ws101::handshake::origin::Origins;
use ws101::handshake::server::{Decision, Rules, decide};
use ws101::handshake::url::Address;
use ws101::http::head::{Head, Scan};
use ws101::http::request::Request;

use crate::support::*;

#[test]
fn each_bit_of_a_request_is_explained_once_and_the_verdict_is_the_servers() {
    let rules = Rules { origins: Origins::SameHost, ..Rules::default() };
    let settings = Settings { rules, ..settings() };
    for seed in 1..=6000 {
        let mut dice = Dice(seed * 0x2545_f491);
        let mut bytes = request_head();
        dice.mutate(&mut bytes);
        dice.mutate(&mut bytes);
        let context = format!("seed {seed}: {}", bytes.escape_ascii());
        let annotations = explain_request(&bytes, &settings);
        assert_tiles(&annotations, &bytes, &context);
        if seed % 10 == 0 {
            assert_presentable(&annotations, &context);
        }

        let decided = match Scan::new(settings.max_head, settings.max_head_lines).advance(&bytes) {
            Ok(None) => None,
            Err(refusal) => Some(refusal.status()),
            Ok(Some(length)) => {
                let decided = Request::parse(&bytes[..length])
                    .and_then(|request| decide(&request, &settings.rules));
                Some(match decided {
                    Err(refusal) => refusal.status(),
                    Ok(Decision::PlainHttp) => 200,
                    Ok(Decision::Switch(_)) => 101,
                })
            }
        };
        let told = annotations.first().and_then(|annotation| match &annotation.verdict {
            Verdict::Refused(refusal) => Some(refusal.status()),
            Verdict::Incomplete(_) => None,
            _ if annotation.title.contains("plain HTTP") => Some(200),
            _ => Some(101),
        });
        assert_eq!(told, decided, "{context}");
    }
}

#[test]
fn client_is_told_what_the_status_of_a_refusal_asks_for() {
    for (status, header, asks) in [
        (302, "Location: /new", "Connect to the address in `Location`"),
        (401, "WWW-Authenticate: Bearer", "Send valid credentials"),
        (403, "", "Let the server trust this origin"),
        (404, "", "Check the path"),
        (407, "Proxy-Authenticate: Basic", "Send valid credentials"),
        (426, "Sec-WebSocket-Version: 13", "Send `Sec-WebSocket-Version: 13`"),
        (429, "Retry-After: 9", "Wait as long as `Retry-After` says"),
        (500, "", "the server's log"),
        (503, "Retry-After: 1", "Wait as long as `Retry-After` says"),
    ] {
        let line = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let answer = format!("HTTP/1.1 {status} No\r\n{line}\r\n");
        let told = explain_response(answer.as_bytes(), &request_head(), &settings());
        let diagnostic = told[0].verdict.diagnostic().unwrap();
        assert!(diagnostic.fix.contains(asks), "{status}: {diagnostic}");
        let seen = header.split_once(": ").map(|(name, value)| format!(", {name}: \"{value}\""));
        let seen = format!("\"HTTP/1.1 {status} No\"{}", seen.unwrap_or_default());
        assert_eq!(diagnostic.seen, seen, "{header}");
    }
}

#[test]
fn an_answer_is_taken_only_if_it_fits_the_key() {
    let answer = |accept: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n\x01"
        )
    };
    let fits = answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let told = explain_response(fits.as_bytes(), &request_head(), &settings());
    assert!(matches!(told[0].verdict, Verdict::Fine), "{told:#?}");
    assert!(matches!(told[1].verdict, Verdict::Incomplete(_)), "{told:#?}");
    assert_tiles(&told, fits.as_bytes(), "fits");
    let wrong = answer("c3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let told = explain_response(wrong.as_bytes(), &request_head(), &settings());
    assert!(matches!(told[0].verdict, Verdict::Rejected(_)), "{told:#?}");
    for seed in 1..=2000 {
        let mut dice = Dice(seed * 0x1_0001);
        let mut bytes = fits.clone().into_bytes();
        dice.mutate(&mut bytes);
        let told = explain_response(&bytes, &request_head(), &settings());
        assert_tiles(&told, &bytes, &format!("seed {seed}"));
    }
}

#[test]
fn rfc_9112_section_5_2_a_folded_field_of_a_response_is_explained_as_its_client_reads_it() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\nHost:";
    let asked = String::from_utf8(request_head()).unwrap().replace("Host:", offer);
    let answer = "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: close,\r\n\tUpgrade\r\n\
        Sec-WebSocket-Accept:\r\n s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions:\r\n permessage-deflate;\r\n server_no_context_takeover\r\n\r\n";
    let told = explain_response(answer.as_bytes(), asked.as_bytes(), &settings());
    assert_tiles(&told, answer.as_bytes(), answer);
    assert!(matches!(told[0].verdict, Verdict::Fine), "{told:#?}");
    let meaning = |value: &str| {
        let span = told[0].spans.iter().find(|span| span.value == value);
        span.unwrap_or_else(|| panic!("no {value} in {told:#?}")).meaning.as_str()
    };
    assert!(meaning("close, Upgrade").starts_with("names the fields"));
    assert!(meaning("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=").starts_with("it fits the key"));
    assert!(meaning("permessage-deflate").starts_with("the offer is accepted"));
    assert!(meaning("server_no_context_takeover").starts_with("the server begins"));
}

#[test]
fn an_extension_that_the_client_offered_gives_its_bit_a_meaning() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let asked =
        String::from_utf8(request_head()).unwrap().replace("\r\n\r\n", &format!("\r\n{offer}"));
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let bytes = [answer.as_bytes(), b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"].concat();
    let told = explain_response(&bytes, asked.as_bytes(), &Settings::default());
    assert!(told.iter().all(|annotation| matches!(annotation.verdict, Verdict::Fine)), "{told:#?}");
    assert_eq!(told[1].spans.last().unwrap().section, "RFC 7692 §7.2.2");
}

/// What may stand in an offer or an answer, and what may not.
const PARAMETERS: [&str; 17] = [
    "server_no_context_takeover",
    "client_no_context_takeover",
    "server_max_window_bits=8",
    "server_max_window_bits=10",
    "server_max_window_bits=\"15\"",
    "server_max_window_bits=16",
    "server_max_window_bits",
    "client_max_window_bits",
    "client_max_window_bits=9",
    "client_max_window_bits=15",
    "client_max_window_bits=010",
    "bogus",
    "bogus=\"1\"",
    "bogus=\"a,b\"",
    "=",
    "",
    "a b",
];

/// A list of extensions, most of them good.
fn some_extensions(dice: &mut Dice) -> String {
    let mut list = String::new();
    for _ in 0..1 + dice.roll(3) {
        list += ["", "", ", ", " ,,"][dice.roll(4)];
        list += ["permessage-deflate", "permessage-deflate", "x-other"][dice.roll(3)];
        for _ in 0..dice.roll(4) {
            // The worst come seldom, or nothing would be a list.
            let most = if dice.roll(8) == 0 { PARAMETERS.len() } else { 13 };
            list += [";", "; ", " ;\t"][dice.roll(3)];
            list += PARAMETERS[dice.roll(most)];
        }
        list += [",", " , ", ", "][dice.roll(3)];
    }
    list.trim_end_matches([',', ' ']).to_owned() + ["", ",", " ,"][dice.roll(3)]
}

/// Puts lines of extensions into a head.
fn with_extensions(dice: &mut Dice, head: &str) -> String {
    let mut lines = String::new();
    for _ in 0..1 + dice.roll(2) {
        let name = ["Sec-WebSocket-Extensions", "sec-websocket-extensions"][dice.roll(2)];
        lines += &format!("{name}: {}\r\n", some_extensions(dice));
    }
    head.replace("\r\n\r\n", &format!("\r\n{lines}\r\n"))
}

fn some_settings(dice: &mut Dice) -> DeflateConfig {
    DeflateConfig {
        server_no_context_takeover: dice.roll(2) == 0,
        client_no_context_takeover: dice.roll(2) == 0,
        server_max_window_bits: 9 + dice.roll(7) as u8,
        client_max_window_bits: 9 + dice.roll(7) as u8,
        ..DeflateConfig::default()
    }
}

#[test]
fn the_offer_that_the_server_accepts_is_explained_as_accepted() {
    let (mut taken, mut declined) = (0, 0);
    for seed in 1..=1500 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let head = with_extensions(&mut dice, str::from_utf8(&request_head()).unwrap());
        let rules = Rules { deflate: Some(some_settings(&mut dice)), ..Rules::default() };
        let settings = Settings { rules, max_head: 4000, ..Settings::default() };
        let context = format!("seed {seed}: {head}");
        let told = explain_request(head.as_bytes(), &settings);
        assert_tiles(&told, head.as_bytes(), &context);
        if seed % 10 == 0 {
            assert_presentable(&told, &context);
        }
        let meanings = told[0].spans.iter().map(|span| span.meaning.as_str());
        let takes: Vec<&str> =
            meanings.filter(|it| it.contains("which this server accepts")).collect();
        let request = Request::parse(head.as_bytes()).unwrap();
        match (decide(&request, &settings.rules), &told[0].verdict) {
            (Ok(Decision::Switch(agreement)), Verdict::Fine) => match agreement.deflate {
                Some(params) => {
                    taken += 1;
                    assert!(
                        takes.len() == 1 && takes[0].contains(&format!("\"{params}\"")),
                        "{context}"
                    );
                }
                None => {
                    declined += 1;
                    assert_eq!(takes.len(), 0, "{context}");
                }
            },
            (Err(refusal), Verdict::Refused(told)) => {
                assert_eq!(refusal.diagnostic(), told.diagnostic(), "{context}");
            }
            other => panic!("{context}: {other:?}"),
        }
    }
    assert!(taken > 200 && declined > 200, "{taken} taken, {declined} declined");
}

#[test]
fn the_verdict_on_an_answer_with_extensions_is_the_clients_own() {
    let (mut accepted, mut rejected) = (0, 0);
    for seed in 1..=1500 {
        let mut dice = Dice(seed * 0x1656_67b1);
        let deflate = (dice.roll(4) > 0).then(|| some_settings(&mut dice));
        let ask = ClientRequest {
            subprotocols: vec!["chat".into()],
            deflate,
            ..ClientRequest::default()
        };
        let address = Address::parse("ws://a:1/chat").unwrap();
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let asked = ask.request(&address, key).unwrap();
        // Half of the answers are those of a server, the others are made up; some of both are spoilt.
        let rules = Rules { deflate: Some(some_settings(&mut dice)), ..Rules::default() };
        let request = Request::parse(&asked).unwrap();
        let Ok(Decision::Switch(agreement)) = decide(&request, &rules) else {
            panic!("{request:?}")
        };
        let mut answer = match dice.roll(2) {
            0 => agreement.response(),
            _ => {
                let plain = Rules::default();
                let Ok(Decision::Switch(agreement)) = decide(&request, &plain) else { panic!() };
                let plain = String::from_utf8(agreement.response()).unwrap();
                with_extensions(&mut dice, &plain).into_bytes()
            }
        };
        if dice.roll(3) == 0 {
            dice.mutate(&mut answer);
        }
        let context = format!("seed {seed}: {}", answer.escape_ascii());
        let told = explain_response(&answer, &asked, &Settings::default());
        assert_tiles(&told, &answer, &context);
        if seed % 10 == 0 {
            assert_presentable(&told, &context);
        }
        let scanned = Scan::new(64 * 1024, 400).advance(&answer);
        let Ok(Some(length)) = scanned else { continue };
        let Ok(head) = Head::parse(&answer[..length]) else { continue };
        match (ask.verify(&head, key), &told[0].verdict) {
            (Ok(_), Verdict::Fine) => accepted += 1,
            (Err(one), Verdict::Rejected(other)) => {
                rejected += 1;
                assert_eq!(one.diagnostic, other.diagnostic, "{context}");
            }
            (verified, told) => panic!("{context}: {verified:?}, but {told:?}"),
        }
    }
    assert!(accepted > 200 && rejected > 200, "{accepted} accepted, {rejected} rejected");
}

#[test]
fn rfc_7692_section_7_1_each_parameter_of_an_offer_is_explained_with_its_section() {
    let line = "Sec-WebSocket-Extensions: x-other; y=\"z\", permessage-deflate; \
        server_max_window_bits=8,permessage-deflate; server_no_context_takeover; bogus, \
        permessage-deflate; client_max_window_bits; server_max_window_bits=10 ,\
        permessage-deflate; client_no_context_takeover; client_no_context_takeover\r\n\r\n";
    let head = String::from_utf8(request_head()).unwrap();
    let head = head.replace("\r\n\r\n", &format!("\r\n{line}"));
    let rules = Rules { deflate: Some(DeflateConfig::default()), ..Rules::default() };
    let told = explain_request(head.as_bytes(), &Settings { rules, ..Settings::default() });
    let start = told[0].spans.iter().position(|span| span.value == "x-other").unwrap();
    let expected = [
        ("Sec-WebSocket-Extensions", "x-other", "leaves it out", "§9.1"),
        ("parameter", "y=\"z\"", "of that extension", "§9.1"),
        ("extension", "permessage-deflate", "declined", "RFC 7692 §5"),
        ("parameter", "server_max_window_bits=8", "256 bytes", "RFC 7692 §7.1.2.1"),
        ("extension", "permessage-deflate", "every server declines", "RFC 7692 §7.1"),
        ("parameter", "server_no_context_takeover", "an empty window", "RFC 7692 §7.1.1.1"),
        ("parameter", "bogus", "the offer is invalid", "RFC 7692 §7.1"),
        (
            "extension",
            "permessage-deflate",
            "accepts: \"permessage-deflate; server_max_window_bits=10\"",
            "RFC 7692 §5",
        ),
        ("parameter", "client_max_window_bits", "a smaller window", "RFC 7692 §7.1.2.2"),
        ("parameter", "server_max_window_bits=10", "1024 bytes", "RFC 7692 §7.1.2.1"),
        ("extension", "permessage-deflate", "every server declines", "RFC 7692 §7.1"),
        ("parameter", "client_no_context_takeover", "an empty window", "RFC 7692 §7.1.1.2"),
        ("parameter", "client_no_context_takeover", "named twice", "RFC 7692 §7.1"),
    ];
    for (span, (field, value, meaning, section)) in told[0].spans[start..].iter().zip(expected) {
        assert_eq!((span.field.as_str(), span.value.as_str()), (field, value));
        assert!(span.meaning.contains(meaning), "{span:?}");
        assert_eq!(span.section, section, "{span:?}");
    }
}

#[test]
fn rfc_7692_section_5_the_answer_says_which_offer_was_accepted() {
    let offers = "permessage-deflate; server_max_window_bits=10, permessage-deflate; bogus, permessage-deflate";
    let asked = String::from_utf8(request_head()).unwrap();
    let asked =
        asked.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n"));
    for (answer, meaning) in [
        ("permessage-deflate; server_max_window_bits=9", "offer 1 is accepted"),
        ("permessage-deflate", "offer 3 is accepted"),
        ("permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", "a client_max"),
        ("x-other", "expected: permessage-deflate once"),
        ("permessage-deflate, x-other", "expected: permessage-deflate once"),
    ] {
        let response = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Extensions: {answer}\r\n\r\n"
        );
        let told = explain_response(response.as_bytes(), asked.as_bytes(), &Settings::default());
        let name =
            told[0].spans.iter().find(|one| one.field == "Sec-WebSocket-Extensions").unwrap();
        assert!(name.meaning.contains(meaning), "{name:?}");
        assert_eq!(
            matches!(told[0].verdict, Verdict::Fine),
            meaning.contains("is accepted"),
            "{told:?}"
        );
    }
}

/// The processor time that this thread has used, in nanoseconds: other programs don't count.
#[cfg(target_os = "linux")]
fn used() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn the_work_of_explaining_parameters_is_linear_in_their_number() {
    let explain_of = |count: usize| {
        let list: String = (0..count).map(|n| format!("; p{n}")).collect();
        let offers = ", permessage-deflate; server_max_window_bits=10".repeat(count / 8);
        let lines = format!(
            "Sec-WebSocket-Extensions: permessage-deflate{list}{offers}, permessage-deflate\r\n\r\n"
        );
        let head = String::from_utf8(request_head()).unwrap();
        let head = head.replace("\r\n\r\n", &format!("\r\n{lines}"));
        let answer = "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let settings = Settings { max_head: 1 << 20, ..Settings::default() };
        let before = used();
        let told = explain_response(answer.as_bytes(), head.as_bytes(), &settings);
        assert!(matches!(told[0].verdict, Verdict::Fine), "{told:?}");
        used() - before
    };
    let least = |count| (0..3).map(|_| explain_of(count)).min().unwrap();
    let (few, many) = (least(1000), least(32_000));
    // The clock counts in steps of some milliseconds.
    assert!(
        many < few * 96 + 100_000_000,
        "32 times as many parameters took {many} ns instead of {few}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_work_for_a_head_does_not_depend_on_what_comes_after_it() {
    use ws101::explain::heads::{ArrivingHead, EndedHead};
    let explain_before = |rest: usize| {
        let mut bytes = request_head();
        let length = bytes.len();
        bytes.resize(length + rest, b' ');
        let before = used();
        for _ in 0..500 {
            let (count, end) = ArrivingHead::new(&settings(), 0).push(&bytes);
            assert!(count == length && matches!(end, Some(EndedHead::Whole)));
        }
        used() - before
    };
    let least = |rest| (0..3).map(|_| explain_before(rest)).min().unwrap();
    let (none, much) = (least(0), least(8 << 20));
    // The clock counts in steps of some milliseconds.
    assert!(
        much < none * 10 + 100_000_000,
        "with 8 MiB after the head it took {much} ns instead of {none}"
    );
}

#[test]
fn a_head_of_many_extensions_has_a_bounded_annotation() {
    let head = |lists: &[String]| {
        let lines: String =
            lists.iter().map(|list| format!("Sec-WebSocket-Extensions: {list}\r\n")).collect();
        String::from_utf8(request_head()).unwrap().replace("Origin:", &format!("{lines}Origin:"))
    };
    let settings = Settings { max_head: 64 * 1024, max_head_lines: 200, ..Settings::default() };
    let mut deflate = "permessage-deflate, ".repeat(30);
    deflate += &"a; b; c, ".repeat(1000);
    for lists in [
        vec!["a,".repeat(8000) + "a"],
        vec!["a;b".repeat(10) + "a", "a,".repeat(8000) + "a"],
        vec!["a, b; c, d".into(); 150],
        vec![deflate.clone() + "a", "a, b".into()],
    ] {
        let head = head(&lists);
        let told = explain_request(head.as_bytes(), &settings);
        assert_tiles(&told, head.as_bytes(), "many extensions");
        let spans = &told[0].spans;
        assert!(spans.len() <= 64 + 2 * (lists.len() + 10), "{}", spans.len());
        let words: Vec<&str> = spans.iter().map(|span| &*span.value).collect();
        assert!(words.iter().any(|value| value.starts_with("and ")), "{words:?}");
        assert_eq!(spans.last().unwrap().field, "end of head");
        let names = spans.iter().filter(|one| one.field == "Sec-WebSocket-Extensions");
        assert_eq!(names.count(), lists.len());
    }
    // A usual list has a span for each of its elements.
    let head = head(&["permessage-deflate; client_max_window_bits, x; y=1, z".into()]);
    let told = explain_request(head.as_bytes(), &settings);
    let elements = told[0].spans.iter().filter(|span| {
        matches!(&*span.field, "Sec-WebSocket-Extensions" | "extension" | "parameter")
    });
    let values: Vec<&str> = elements.map(|span| &*span.value).collect();
    assert_eq!(values, ["permessage-deflate", "client_max_window_bits", "x", "y=1", "z"]);
}
