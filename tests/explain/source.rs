//! The code that decides about each byte: every field and every verdict leads to lines of the
//! source, and those lines name the rule that they enforce.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::conversation::{explain_frames, explain_request, explain_response};
use ws101::explain::frames::FrameExplainer;
use ws101::explain::heads::Settings;
use ws101::explain::heads::header_glossary::names;
use ws101::explain::source::Passage;
use ws101::explain::source::anchor_lookup::{of_span, of_verdict};
use ws101::explain::source::anchors::{Anchor, HANDSHAKE_ERRORS, REFUSALS};
use ws101::explain::source::steps::steps;
use ws101::frames::header::Role;
use ws101::handshake::deflate_params::DeflateParams;

use crate::frames::some_frames;
use crate::refused_requests::{self, accepted, refused, with};
use crate::support::*;

fn passage(anchor: &'static Anchor) -> Passage {
    anchor.passage().unwrap_or_else(|why| panic!("{why}: mend src/explain/source/anchors.rs"))
}

#[test]
fn each_anchor_is_found_once_in_the_source_and_its_marked_lines_name_its_rule() {
    let mut ids = BTreeSet::new();
    let mut nameless = Vec::new();
    for anchor in Anchor::all() {
        assert!(ids.insert(anchor.id), "{} stands twice", anchor.id);
        let passage = match anchor.passage() {
            Ok(passage) => passage,
            Err(why) => {
                nameless.push(why);
                continue;
            }
        };
        let marked = passage.lines.iter().filter(|line| line.is_marked);
        let marked: Vec<&str> = marked.map(|line| line.text).collect();
        assert!(!marked.is_empty(), "{}", anchor.id);
        if !anchor.section.is_empty() && !passage.names_section(anchor.section) {
            nameless.push(format!(
                "{}: no {} in\n{}",
                anchor.id,
                anchor.section,
                marked.join("\n")
            ));
        }
        assert!(!passage.chapter.text.is_empty(), "{}: no passage in a chapter", anchor.id);
    }
    assert!(nameless.is_empty(), "mend src/explain/source/anchors.rs:\n{}", nameless.join("\n"));
}

#[test]
fn the_lines_of_an_anchor_are_those_of_its_file() {
    for anchor in Anchor::all() {
        let root = env!("CARGO_MANIFEST_DIR");
        let text = std::fs::read_to_string(format!("{root}/src/{}", anchor.file)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for line in passage(anchor).lines {
            assert!(lines[line.number - 1].contains(line.text), "{}:{}", anchor.file, line.number);
        }
    }
    // Those that take off the mask, refuse a length and answer a Close.
    for (id, words) in [
        ("unmask", "mask::apply(key, *taken, piece)"),
        ("length.least", "if length < least {"),
        ("close", "answer_close(close.clone())"),
        ("fragment", "(Opcode::Continuation, None) => Err"),
    ] {
        let passage = passage(Anchor::named(id).unwrap());
        let marked = passage.lines.iter().filter(|line| line.is_marked);
        assert!(marked.clone().any(|line| line.text.contains(words)), "{id}: {passage:#?}");
        assert!(marked.count() < 20, "{id}: {passage:#?}");
    }
}

/// Fields of HTTP about which no line decides: only their form is checked.
fn is_of_http(section: &str) -> bool {
    section.starts_with("RFC 9110")
        || section.starts_with("RFC 9111")
        || section.starts_with("RFC 6265")
        || section == "WHATWG Fetch"
        || section == "RFC 9112 §6.1"
        || section == "§4.4"
}

/// Whether the lines of an anchor name a section.
fn names_section(anchor: &'static Anchor, section: &'static str) -> bool {
    static KNOWN: Mutex<BTreeMap<(&str, &str), bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    *known.entry((anchor.id, section)).or_insert_with(|| passage(anchor).names_section(section))
}

fn assert_linked(annotations: &[Annotation], context: &str) {
    for annotation in annotations {
        for span in &annotation.spans {
            let anchor = of_span(annotation, span);
            let anchor = anchor.unwrap_or_else(|| panic!("{context}: no code behind {span:?}"));
            if anchor.id == "head.field" && is_of_http(span.section) {
                continue;
            }
            let id = anchor.id;
            let is_form =
                ["body", "http.body", "version"].contains(&id) && is_of_http(span.section);
            let is_named = names_section(anchor, span.section) || is_form;
            assert!(is_named, "{context}: {id} doesn't name the section of {span:?}");
        }
        let is_fine = matches!(annotation.verdict, Verdict::Fine | Verdict::Incomplete(_));
        let place = of_verdict(annotation);
        assert_eq!(place.is_none(), is_fine, "{context}: {annotation:#?}");
        let steps = steps(annotation);
        let is_head = annotation.what == AnnotationKind::Request
            || annotation.what == AnnotationKind::Response;
        assert!(
            !steps.is_empty() || !(is_head || annotation.what == AnnotationKind::Frame),
            "{context}"
        );
        // The walk ends where the verdict was made.
        let wrong: Vec<&str> = steps.iter().filter(|s| s.is_wrong).map(|s| s.anchor.id).collect();
        let expected: Vec<&str> = place.into_iter().map(|place| place.id).collect();
        assert_eq!(wrong, expected, "{context}: {annotation:#?}\n{steps:#?}");
        let behind = steps.iter().skip_while(|step| !step.is_wrong).skip(1);
        assert!(behind.count() <= 1, "{context}: {steps:#?}");
    }
}

#[test]
fn each_field_and_verdict_of_frames_leads_to_code_that_names_its_section() {
    let mut verdicts = BTreeSet::new();
    for seed in 1..=600 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let from = [Role::Client, Role::Server][dice.roll(2)];
        let mut bytes = some_frames(&mut dice, from);
        dice.mutate(&mut bytes);
        let told = explain_frames(&bytes, from, &settings());
        assert_linked(&told, &format!("seed {seed}"));
        verdicts.extend(told.iter().filter_map(of_verdict).map(|anchor| anchor.id));
        let told = told_compressed(&bytes, from, DeflateParams::default());
        assert_linked(&told, &format!("seed {seed}, compressed"));
    }
    let too_many_last_blocks = [&b"\xc2\x78"[..], &[3, 0].repeat(60)].concat();
    let broken: [&[u8]; 5] = [
        b"\xc1\x05Hello",
        b"\xc1\x04\xf2\x48\xcd\xc9",
        &too_many_last_blocks,
        // A text of stored blocks: \"ok\", then e2 28, or a character that doesn't end.
        b"\x41\x07\0\x02\0\xfd\xffok\x80\x08\0\x02\0\xfd\xff\xe2(\0",
        b"\x41\x07\0\x02\0\xfd\xffok\x80\x07\0\x01\0\xfe\xff\xe2\0",
    ];
    for bytes in COMPRESSED.into_iter().map(|(bytes, _)| bytes).chain(broken) {
        let told = told_compressed(bytes, Role::Server, DeflateParams::default());
        assert_linked(&told, &format!("{bytes:02x?}, compressed"));
        let is_broken = |one: &Annotation| matches!(one.verdict, Verdict::Broken(_));
        let is_sample = COMPRESSED.iter().any(|(sample, _)| *sample == bytes);
        assert_eq!(told.iter().any(is_broken), !is_sample && cfg!(feature = "deflate"));
    }
    for bytes in [
        &b"\x82\x7f\xff\0\0\0\0\0\0\0"[..],
        b"\x82\x7e\0\x01",
        b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x82\x7e\x0f\xff",
        b"\x01\x02\xe2\x98\x80\0",
    ] {
        let told = explain_frames(bytes, Role::Server, &settings());
        assert_linked(&told, &format!("{bytes:02x?}"));
        verdicts.extend(told.iter().filter_map(of_verdict).map(|anchor| anchor.id));
    }
    assert_eq!(verdicts.len(), 15, "{verdicts:?}");
}

#[test]
fn each_field_and_verdict_of_a_request_leads_to_code_that_names_its_section() {
    let settings = Settings { rules: refused_requests::rules(), ..settings() };
    let good = accepted();
    assert_linked(&explain_request(good.as_bytes(), &settings), &good);
    let mut met = BTreeSet::new();
    for (heading, status, head) in refused() {
        let told = explain_request(head.as_bytes(), &settings);
        assert_linked(&told, &head);
        assert_linked(&explain_request(format!("\r\n{head}").as_bytes(), &settings), &head);
        assert_eq!(told[0].verdict.code(), Some(status), "{heading}");
        met.insert(heading);
    }
    let unmet = REFUSALS.iter().find(|(heading, _)| !met.contains(heading));
    assert_eq!(unmet, None, "add a request to tests/protocol/refused_requests.rs");
    // Every header field that the glossary knows, and lists of extensions.
    let fields: String = names().map(|name| format!("{name}: 1\r\n")).collect();
    for lines in [
        fields.trim_end(),
        "X-Other: y",
        "Sec-WebSocket-Extensions: x-other; y, permessage-deflate; bogus, permessage-deflate; \
         client_max_window_bits; server_max_window_bits=10, permessage-deflate; \
         server_no_context_takeover; server_no_context_takeover; client_no_context_takeover",
    ] {
        let settings = Settings { max_head_lines: 100, ..settings.clone() };
        assert_linked(&explain_request(with(lines).as_bytes(), &settings), lines);
        assert_linked(&explain_request(with(lines).as_bytes(), &Settings::default()), lines);
    }
    let page = "GET / HTTP/1.1\r\nHost: a:1\r\n\r\n";
    assert_linked(&explain_request(page.as_bytes(), &settings), page);
    assert_linked(&explain_request(b"GET / HT", &settings), "incomplete");
    let told = explain_request(format!("\r\n{good}").as_bytes(), &settings);
    assert_linked(&told, "an empty line in front");
    assert_eq!(
        (&*told[0].spans[0].field, &*told[0].spans[1].field),
        ("empty line", "request line")
    );
}

#[test]
fn each_field_and_verdict_of_a_response_leads_to_code_that_names_its_section() {
    let asked = String::from_utf8(request_head()).unwrap();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
    let asked = asked.replace("Host:", &format!("{offer}\r\nHost:"));
    let good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n\r\n";
    let responses = [
        good.to_owned(),
        format!("HTTP/1.1 100 Continue\r\n\r\n{good}"),
        good.replace("websocket\r", "h2c\r"),
        good.replace("Connection: Upgrade", "Connection: close"),
        good.replace("Connection: Upgrade", "Connection: Upgrade:x"),
        good.replace("\r\n\r\n", "\r\nX: folded,\r\n\tand again\r\n \r\n\r\n"),
        good.replace("Connection: Upgrade", "Connection: close,\r\n x"),
        good.replace("Upgrade: websocket", " folded\r\nUpgrade: websocket"),
        good.replace("Upgrade: websocket", "no header"),
        format!("\r\n{good}"),
        good.replace("s3pP", "x3pP"),
        good.replace("chat", "other"),
        good.replace("=9", "=99"),
        good.replace("permessage-deflate", "x-other"),
        "SSH-2.0-x\r\n\r\n".into(),
        "HTTP/1.1 \x01".into(),
        good.replace('\r', ""),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(4000)),
        good.replace("HTTP/1.1", "HTTP/1.0"),
        "HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 2\r\n\r\nok".into(),
        "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nok".into(),
        "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nok".into(),
        "HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nok".into(),
        "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "HTTP/1.1 426 No\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n\r\nmore".into(),
    ];
    let mut met = BTreeSet::new();
    for response in responses {
        let told = explain_response(response.as_bytes(), asked.as_bytes(), &settings());
        assert_linked(&told, &response);
        let diagnostics = told.iter().filter_map(|one| one.verdict.diagnostic());
        met.extend(diagnostics.map(|it| (it.rule, it.cause)));
    }
    assert_eq!(met.len(), HANDSHAKE_ERRORS.len(), "{met:#?}");
}

/// `explain` gives no verdict on plain HTTP. So it never meets these: `refusal_of_plain_http` names two of them, for a request
/// that asks for no WebSocket, and the third is about the answer to a CONNECT.
const OF_PLAIN_HTTP: [&str; 3] = ["no such page", "no upgrade", "a proxy that opens no tunnel"];

#[test]
fn each_heading_that_http_and_handshake_refuse_with_leads_to_the_code_that_decides() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let diagnostics = read(root.join("diagnostic/diagnostics.md"));
    let headings = || diagnostics.lines().filter_map(|line| line.strip_prefix("### "));
    let linked = REFUSALS.iter().chain(HANDSHAKE_ERRORS).map(|(heading, _)| *heading);
    let linked: BTreeSet<&str> = linked.chain(OF_PLAIN_HTTP).collect();
    let mut named = BTreeSet::new();
    for entry in ["http", "handshake"].map(|folder| fs::read_dir(root.join(folder)).unwrap()) {
        for path in entry.map(|file| file.unwrap().path()) {
            let text = read(path.clone());
            let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            for heading in headings().filter(|it| code.contains(&format!("\"{it}\""))) {
                assert!(
                    linked.contains(heading),
                    "{} names {heading:?}: add it, with the anchor of that check, to REFUSALS or \
                     HANDSHAKE_ERRORS in src/explain/source/anchors.rs",
                    path.display()
                );
                named.insert(heading);
            }
        }
    }
    for heading in linked {
        let why = "no file of src/http or src/handshake names it: remove it from anchors.rs";
        assert!(named.contains(heading), "{heading:?}: {why}");
    }
}

#[test]
fn a_trace_has_the_values_of_its_frame() {
    let told =
        explain_frames(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Role::Client, &settings());
    let reached: Vec<String> =
        steps(&told[0]).iter().map(|step| format!("{}: {}", step.anchor.id, step.says)).collect();
    for expected in [
        "opcode: opcode 1: text",
        "masked: the second byte is 85: MASK is 1",
        "length: the short length is 5",
        "mask: key 37 fa 21 3d: 7f 9f 4d 51 ... becomes 48 65 6c 6c ...",
        "text: 5 bytes are checked",
        "handler: recv returns the message to the handler",
    ] {
        assert!(reached.iter().any(|step| step == expected), "no {expected:?} in {reached:#?}");
    }
}

#[test]
fn the_trace_of_a_head_counts_its_fields() {
    let head = b"GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Extensions: \
                 permessage-deflate; client_max_window_bits, x\r\n\r\n";
    let told = explain_request(head, &settings());
    let steps = steps(&told[0]);
    let says = |id| &steps.iter().find(|step| step.anchor.id == id).unwrap().says;
    assert_eq!(says("head.field"), "2 fields, each with name and colon");
}

#[test]
fn the_trace_of_a_close_that_answers_ours_claims_no_second_one() {
    let told = explain_frames(b"\x88\x80\0\0\0\0", Role::Client, &settings());
    let steps = steps(&told[0]);
    let close = steps.iter().find(|step| step.anchor.id == "close").unwrap();
    assert!(close.says.contains("if it hasn't yet"), "{}", close.says);
}

#[test]
fn the_trace_of_a_long_frame_counts_its_whole_payload() {
    let bytes = [&b"\x82\xfe\x27\x10\0\0\0\0"[..], &[0; 10_000]].concat();
    for (end, arrived) in [(bytes.len(), 10_000), (9_000, 8_992)] {
        let told = explain_frames(&bytes[..end], Role::Client, &Settings::default());
        let steps = steps(&told[0]);
        let unmask = steps.iter().find(|step| step.anchor.id == "unmask").unwrap();
        assert_eq!(unmask.says, format!("{arrived} bytes of payload, from offset 0"));
    }
}

#[test]
fn the_trace_of_a_message_that_an_unknown_extension_encodes_ends_there() {
    let (mut frames, mut told) = (FrameExplainer::new(Role::Server, 0, BOUNDS), Vec::new());
    frames.note_unknown_extension();
    frames.push(b"\x41\x02He\x80\0", &mut |annotation| told.push(annotation));
    for annotation in &told {
        let reached: Vec<_> = steps(annotation).iter().map(|step| step.anchor.id).collect();
        assert!(reached.ends_with(&["opaque"]) && !reached.contains(&"inflate"), "{reached:?}");
    }
}

#[test]
fn the_trace_of_a_continuation_knows_whether_its_message_is_text() {
    let anchors = |told: &[Annotation]| -> Vec<&str> {
        steps(told.last().unwrap()).iter().map(|step| step.anchor.id).collect()
    };
    let stored = b"\x41\x07\0\x02\0\xfd\xffok\x80\x08\0\x02\0\xfd\xffok\0";
    for (text, binary) in [
        (b"\x01\x02ok\x80\0".to_vec(), b"\x02\x02ok\x80\0".to_vec()),
        (stored.to_vec(), [b"\x42", &stored[1..]].concat()),
    ] {
        for (bytes, yes, no) in [(text, "text", "binary"), (binary, "binary", "text")] {
            let told = told_compressed(&bytes, Role::Server, DeflateParams::default());
            let found = anchors(&told);
            assert!(found.contains(&yes) && !found.contains(&no), "{bytes:02x?}: {found:?}");
            assert!(found.ends_with(&["receive", "handler"]), "{bytes:02x?}: {found:?}");
        }
    }
}

#[test]
fn a_verdict_leads_to_the_lines_that_found_the_fault() {
    let decides = |told: &[Annotation]| -> Vec<&str> {
        told.iter().filter_map(of_verdict).map(|anchor| anchor.id).collect()
    };
    // A text whose end is wrong, and one with a wrong byte.
    for (text, id) in [(&b"a\xe2"[..], "text.end"), (b"a\xe2(", "text.message")] {
        let frame = [&[0x81, text.len() as u8], text].concat();
        assert_eq!(decides(&explain_frames(&frame, Role::Server, &settings())), [id]);
    }
    let ends_empty = b"\x01\x01\xe2\x80\0";
    assert_eq!(decides(&explain_frames(ends_empty, Role::Server, &settings())), ["text.end"]);
    // The peer's words don't mislead.
    let answer = "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade:x\r\n\r\n";
    let told = explain_response(answer.as_bytes(), &request_head(), &settings());
    assert_eq!(decides(&told), ["answer.connection"]);
    for (answer, id) in [
        ("HTTP/1.1 101 \r\nX: \x01", "head.bytes"),
        ("HTTP/1.1 101 \r\nno header\r\n\r\n", "head.field"),
        ("SSH-2.0-x\r\n\r\n", "status.line"),
    ] {
        let told = explain_response(answer.as_bytes(), &request_head(), &settings());
        assert_eq!(decides(&told), [id], "{answer:?}");
    }
}

#[test]
#[cfg(feature = "deflate")]
fn a_compressed_message_that_is_cut_leads_to_the_lines_that_end_it() {
    for (bytes, id) in [
        (&b"\xc2\x04\xf2\x48\xcd\xc9"[..], "inflate.end"),
        (b"\xc2\x01\x07", "inflate"),
        (b"\xc1\x07\0\x01\0\xfe\xff\xe2\0", "text.end"),
        (b"\x42\x02\xf2\x48\x80\0", "inflate.end"),
        (b"\x41\x07\0\x01\0\xfe\xff\xe2\0\x80\0", "text.end"),
    ] {
        let told = told_compressed(bytes, Role::Server, DeflateParams::default());
        let last = told.last().unwrap();
        assert_eq!(of_verdict(last).map(|anchor| anchor.id), Some(id), "{bytes:02x?}");
    }
}

#[test]
fn a_compressed_frame_that_announces_too_much_leads_to_the_check_of_its_header() {
    let mut frames = FrameExplainer::new(Role::Client, 0, BOUNDS);
    frames.agree(DeflateParams::default());
    let mut told = Vec::new();
    // 16 MiB, with RSV1 set.
    let header = b"\xc2\xff\0\0\0\0\x01\0\0\0\x37\xfa\x21\x3d";
    frames.push(header, &mut |annotation| told.push(annotation));
    frames.end(&mut |annotation| told.push(annotation));
    let decides = |annotation| of_verdict(annotation).map(|anchor| anchor.id);
    assert_eq!(decides(&told[0]), Some("message.size"), "{told:#?}");
    let reached: Vec<_> = steps(&told[0]).iter().map(|step| step.anchor.id).collect();
    assert!(reached.ends_with(&["message.size", "violation"]), "{reached:?}");
}
