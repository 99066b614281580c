//! Whole conversations: both directions, with their bytes in pieces of any size.

use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::conversation::{
    Conversation, explain_frames, explain_request, explain_response,
};
use ws101::explain::heads::Settings;
use ws101::frames::header::Role;

use crate::frames::some_frames;
use crate::support::*;

#[test]
fn the_explanation_does_not_depend_on_the_pieces_in_which_bytes_come() {
    for seed in 1..=400 {
        let mut dice = Dice(seed * 0x51_7cc1);
        let mut bytes = some_frames(&mut dice, Role::Client);
        dice.mutate(&mut bytes);
        let head = request_head();
        let at_once = explain_request(&[&head, &bytes[..]].concat(), &settings());
        let mut conversation = Conversation::new(settings());
        let mut in_pieces = Vec::new();
        let all = [&head, &bytes[..]].concat();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + dice.roll(9)).min(rest.len()));
            conversation.push(Role::Client, piece, &mut |annotation| in_pieces.push(annotation));
            rest = later;
        }
        conversation.end(Role::Client, &mut |annotation| in_pieces.push(annotation));
        assert_eq!(format!("{at_once:#?}"), format!("{in_pieces:#?}"), "seed {seed}");
        assert_tiles(&in_pieces, &all, &format!("seed {seed}"));
    }
}

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What is told in both directions of bytes that come in turn, in pieces of any size.
fn told_in_turn(dice: &mut Dice, client: &[u8], server: &[u8]) -> [Vec<Annotation>; 2] {
    let mut conversation = Conversation::new(settings());
    let mut told = [Vec::new(), Vec::new()];
    let mut rests = [(Role::Client, client), (Role::Server, server)];
    while rests.iter().any(|(_, rest)| !rest.is_empty()) {
        let turn = dice.roll(2);
        let (from, rest) = &mut rests[turn];
        let size = [1 + dice.roll(9), 1 + dice.roll(300)][dice.roll(2)];
        let (piece, later) = rest.split_at(size.min(rest.len()));
        *rest = later;
        conversation
            .push(*from, piece, &mut |one| told[usize::from(one.from == Role::Server)].push(one));
    }
    for (from, _) in rests {
        conversation.end(from, &mut |one| told[usize::from(one.from == Role::Server)].push(one));
    }
    told
}

#[test]
fn each_bit_of_both_directions_is_explained_once_in_whatever_order_they_take_turns() {
    for seed in 1..=1500 {
        let mut dice = Dice(seed * 0x85eb_ca6b);
        let interim = ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 \r\nLink: x\r\n\r\n"];
        let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let answer = [ANSWER, ANSWER, refused][dice.roll(3)];
        let mut server = format!("{}{answer}", interim[dice.roll(3)]).into_bytes();
        server.extend(some_frames(&mut dice, Role::Server));
        let mut client = request_head();
        client.extend(some_frames(&mut dice, Role::Client));
        if dice.roll(2) == 0 {
            dice.mutate(&mut client);
            dice.mutate(&mut server);
        }
        let context = format!("seed {seed}: {}", server.escape_ascii());
        let [of_client, of_server] = told_in_turn(&mut dice, &client, &server);
        assert_tiles(&of_client, &client, &context);
        assert_tiles(&of_server, &server, &context);
    }
}

#[test]
fn rfc_9110_section_15_2_an_interim_response_is_explained_and_the_answer_follows_it() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let server = [interim.as_bytes(), ANSWER.as_bytes(), b"\x81\x02ok"].concat();
    let told = explain_response(&server, &request_head(), &settings());
    assert_tiles(&told, &server, "interim");
    let titles: Vec<&str> = told.iter().map(|one| one.title.as_str()).collect();
    let expected = [
        "a response: 100, which is interim",
        "a response: 103, which is interim",
        "a response: frames follow",
        "text, 2 bytes",
    ];
    assert_eq!(titles, expected);
    assert!(told.iter().all(|one| matches!(one.verdict, Verdict::Fine)), "{told:?}");
    assert_eq!(told[0].spans[0].section, "RFC 9110 §15.2");
    assert_eq!(told[0].spans.last().unwrap().meaning, "the final response follows");
    assert_eq!(told[2].spans.last().unwrap().meaning, "an empty line ends the head");
    // Who did not ask for a WebSocket may get one as well.
    let told = explain_response(&server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &settings());
    assert_eq!(told[0].title, expected[0]);
}

#[test]
fn explain_response_tells_nothing_of_what_the_client_sent() {
    let answer = format!("{ANSWER}\u{1}\u{0}");
    for rest in [&b"\x81\x80\0\0\0\0\x81\x85\0\0\0\0"[..], b"\x80\0unread"] {
        let asked = [&request_head()[..], rest].concat();
        for answer in [answer.as_bytes(), b"HTTP/1.1 403 \r\n\r\n"] {
            let told = explain_response(answer, &asked, &settings());
            assert_tiles(&told, answer, "the response alone");
        }
    }
}

#[test]
fn what_if_the_answer_comes_while_the_client_is_within_a_frame() {
    let client = [&request_head()[..], b"\x81\x85\0\0\0\0Hel"].concat();
    for answer in [ANSWER, "HTTP/1.1 400 \r\n\r\n"] {
        let mut conversation = Conversation::new(settings());
        let mut told = Vec::new();
        let mut tell = |annotation: Annotation| {
            if annotation.from == Role::Client {
                told.push(annotation);
            }
        };
        conversation.push(Role::Client, &client, &mut tell);
        conversation.push(Role::Server, answer.as_bytes(), &mut tell);
        conversation.push(Role::Client, b"lo", &mut tell);
        conversation.end(Role::Client, &mut tell);
        assert_tiles(&told, &[&client[..], b"lo"].concat(), answer);
        let is_whole = matches!(told[1].verdict, Verdict::Fine);
        assert_eq!(is_whole, answer == ANSWER, "{told:?}");
    }
}

/// All that is told of a conversation: who says what, in turn.
fn told_of(turns: &[(Role, &[u8])]) -> Vec<Annotation> {
    let (mut conversation, mut told) = (Conversation::new(Settings::default()), Vec::new());
    for (from, bytes) in turns {
        conversation.push(*from, bytes, &mut |one| told.push(one));
    }
    for end in [Role::Client, Role::Server] {
        conversation.end(end, &mut |one| told.push(one));
    }
    told
}

fn titles(told: &[Annotation]) -> Vec<&str> {
    told.iter().map(|one| one.title.as_str()).collect()
}

#[test]
fn rfc_9112_section_9_3_a_second_request_on_a_connection_is_told_as_a_request() {
    use Role::{Client, Server};
    let page = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nHello";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    let head = request_head();
    let turns: [(Role, &[u8]); 9] = [
        (Client, page),
        (Server, ok),
        (Client, post),
        (Server, chunked),
        (Client, &head),
        (Server, refused),
        (Client, &head),
        (Server, ANSWER.as_bytes()),
        (Client, b"\x81\x80\0\0\0\0"),
    ];
    let told = told_of(&turns);
    assert!(
        told.iter().all(|one| matches!(one.verdict, Verdict::Fine | Verdict::Rejected(_))),
        "{told:#?}"
    );
    let expected = [
        "a request in plain HTTP",
        "a response: 200",
        "bytes of plain HTTP",
        "a request in plain HTTP",
        "bytes of plain HTTP",
        "a response: 200",
        "bytes of plain HTTP",
        "a request for a WebSocket",
        "a response: 403, no WebSocket",
        "a request for a WebSocket",
        "a response: frames follow",
        "text, 0 bytes, masked",
    ];
    assert_eq!(titles(&told), expected);
    for from in [Client, Server] {
        let of = |turns: &[(Role, &[u8])]| -> Vec<u8> {
            turns.iter().filter(|turn| turn.0 == from).flat_map(|turn| turn.1.to_vec()).collect()
        };
        let told: Vec<Annotation> = told.iter().filter(|one| one.from == from).cloned().collect();
        assert_tiles(&told, &of(&turns), "kept alive");
    }
}

#[test]
fn after_a_tunnel_is_open_the_handshake_and_its_frames_are_explained() {
    use Role::{Client, Server};
    let connect = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let asked = String::from_utf8(request_head()).unwrap();
    let asked = asked.replace("\r\n\r\n", &format!("\r\n{offer}"));
    let answer = ANSWER.replace("\r\n\r\n", &format!("\r\n{offer}"));
    for opened in [
        "HTTP/1.1 200 Connection established\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let told = told_of(&[
            (Client, connect),
            (Server, opened.as_bytes()),
            (Client, asked.as_bytes()),
            (Server, answer.as_bytes()),
            (Client, b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0"),
            (Server, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\0\x88\0"),
        ]);
        assert!(told.iter().all(|one| matches!(one.verdict, Verdict::Fine)), "{told:#?}");
        let words = titles(&told);
        assert_eq!(words.len(), 7, "{opened}: {words:?}");
        assert_eq!(words[2..4], ["a request for a WebSocket", "a response: frames follow"]);
        for (frame, start) in words[4..].iter().zip(["text, 7 bytes", "text, 7 bytes", "close"]) {
            assert!(frame.starts_with(start), "{opened}: {words:?}");
        }
    }
    // A proxy that refuses the tunnel answers with a body.
    let refused = b"HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno";
    let told = told_of(&[(Client, connect), (Server, refused)]);
    assert_eq!(titles(&told)[2], "bytes of plain HTTP");
}

#[test]
fn requests_that_are_sent_before_their_responses_are_told_in_bounded_memory() {
    let page = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40);
    let told = told_of(&[(Role::Client, &page)]);
    assert_tiles(&told, &page, "pipelined");
    assert!(told.len() < 20, "{}", told.len());
    assert_eq!(told.last().unwrap().what, AnnotationKind::Body);
}

#[test]
fn a_page_of_any_server_is_no_refusal() {
    for request in [
        "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let told = explain_request(request.as_bytes(), &Settings::default());
        assert_eq!(told[0].title, "a request in plain HTTP", "{request}");
        assert!(matches!(told[0].verdict, Verdict::Fine), "{request}");
    }
    // One for a WebSocket is judged.
    let request = String::from_utf8(request_head()).unwrap().replace("GET", "POST");
    let told = explain_request(request.as_bytes(), &Settings::default());
    assert_eq!(told[0].verdict.code(), Some(405));
}

#[test]
fn bad_bytes_of_a_server_are_told_as_the_client_sees_them() {
    for bytes in [&b"HTTP/1.1 101 \x01"[..], b"SSH-2.0-x\n", b"\x16\x03\x01", b"HTTP/1.1 200\rX"] {
        let told = explain_response(bytes, &request_head(), &settings());
        let words = format!("{}", told[0].verdict.diagnostic().unwrap());
        assert!(matches!(told[0].verdict, Verdict::Rejected(_)), "{told:?}");
        assert!(words.contains("HTTP"), "{words}");
    }
}

#[test]
fn an_extension_that_was_offered_is_accepted_whatever_it_is_and_its_bits_are_not_judged() {
    let offer = "Sec-WebSocket-Extensions: x-other; y, permessage-deflate\r\n\r\n";
    let asked = String::from_utf8(request_head()).unwrap();
    let asked = asked.replace("\r\n\r\n", &format!("\r\n{offer}"));
    let answer = |extensions: &str| {
        ANSWER.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"))
    };
    let frames = b"\x91\x02\xff\xff\xb1\x02\xff\xff\x81\x02ok";
    for extensions in ["x-other; y=1", "x-other, permessage-deflate"] {
        let bytes = [answer(extensions).as_bytes(), &frames[4..]].concat();
        let told = explain_response(&bytes, asked.as_bytes(), &settings());
        assert_tiles(&told, &bytes, extensions);
        assert!(told.iter().all(|one| matches!(one.verdict, Verdict::Fine)), "{told:#?}");
        let words = format!("{told:?}");
        assert!(words.contains("accepted as offered"), "{words}");
        assert!(words.contains("as the agreed extension codes it"), "{words}");
        assert!(told[2].spans.last().unwrap().value == "\"ok\"", "{told:?}");
    }
    // One that was not offered is not.
    let bytes = answer("x-third");
    let told = explain_response(bytes.as_bytes(), asked.as_bytes(), &settings());
    assert!(matches!(told[0].verdict, Verdict::Rejected(_)), "{told:?}");
    // And without one, the bits break a rule.
    let told = explain_frames(&frames[4..], Role::Server, &settings());
    assert_eq!(told[0].verdict.code(), Some(1002));
}

#[test]
fn without_a_key_there_is_nothing_to_accept() {
    let asked = String::from_utf8(request_head()).unwrap();
    for key in ["", "Sec-WebSocket-Key: \r\n"] {
        let asked = asked.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", key);
        let told = explain_response(ANSWER.as_bytes(), asked.as_bytes(), &settings());
        let words = format!("{:?}", told[0]);
        assert!(matches!(told[0].verdict, Verdict::Rejected(_)), "{words}");
        assert!(words.contains("as the request has no key"), "{words}");
        assert!(words.contains("there is nothing to accept"), "{words}");
        // The accept of an empty key is no answer either.
        assert!(!words.contains("Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="), "{words}");
        let refused = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        let told = explain_response(refused, asked.as_bytes(), &settings());
        assert!(!format!("{told:?}").contains("no key"), "{told:?}");
    }
    // Of a request that was not seen, nothing is known.
    let mut told = Vec::new();
    let mut conversation = Conversation::new(settings());
    conversation.push(Role::Server, ANSWER.as_bytes(), &mut |one| told.push(one));
    assert!(matches!(told[0].verdict, Verdict::Fine), "{told:?}");
}

#[test]
fn a_conversation_without_its_request_is_told_from_the_response_on() {
    let told = told_of(&[
        (Role::Server, &[ANSWER.as_bytes(), b"\x81\x02hi"].concat()),
        (Role::Client, b"\x81\x82\0\0\0\0hi"),
    ]);
    let expected = ["a response: frames follow", "text, 2 bytes", "text, 2 bytes, masked"];
    assert_eq!(titles(&told), expected);
    // Half a request was seen, so what follows isn't a frame.
    let half: &[(Role, &[u8])] = &[
        (Role::Client, b"GET /"),
        (Role::Server, ANSWER.as_bytes()),
        (Role::Client, b" HTTP/1.1\r\n\r\n"),
    ];
    assert!(titles(&told_of(half)).contains(&"a request, refused with 400"), "{half:?}");
}

#[test]
fn the_body_of_a_request_for_a_websocket_is_told_as_a_body() {
    let head = String::from_utf8(request_head()).unwrap();
    let with_body = head.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello");
    let told = told_of(&[
        (Role::Client, with_body.as_bytes()),
        (Role::Server, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        (Role::Client, head.as_bytes()),
        (Role::Server, ANSWER.as_bytes()),
        (Role::Client, b"\x81\x80\0\0\0\0"),
    ]);
    let expected = [
        "a request, refused with 400",
        "bytes of plain HTTP",
        "a response: 400, no WebSocket",
        "a request for a WebSocket",
        "a response: frames follow",
        "text, 0 bytes, masked",
    ];
    assert_eq!(titles(&told), expected);
    // A server that takes it all the same reads frames after the body.
    let told = told_of(&[
        (Role::Client, with_body.as_bytes()),
        (Role::Server, ANSWER.as_bytes()),
        (Role::Client, b"\x81\x80\0\0\0\0"),
    ]);
    assert_eq!(titles(&told).last(), Some(&"text, 0 bytes, masked"));
}

#[test]
fn bytes_after_the_last_response_are_told_as_such() {
    let told = told_of(&[
        (Role::Client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (Role::Server, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nokmore"),
    ]);
    assert_eq!(titles(&told).last(), Some(&"bytes after the end"));
    let meaning = &told.last().unwrap().spans[0].meaning;
    assert!(meaning.contains("the last response"), "{meaning}");
}

#[test]
fn the_extensions_of_a_response_without_its_request_give_the_reserved_bits_a_meaning() {
    for (extension, is_known) in [("permessage-deflate", true), ("x-other", false)] {
        let answer = ANSWER
            .replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n"));
        let frame = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
        let told = explain_response(&[answer.as_bytes(), frame].concat(), b"", &settings());
        assert!(matches!(told[1].verdict, Verdict::Fine), "{told:?}");
        assert_eq!(format!("{told:?}").contains("the message is compressed"), is_known);
    }
}

#[test]
fn a_pong_is_not_called_an_answer_when_no_ping_came() {
    let told = explain_frames(b"\x8a\x02hi", Role::Server, &settings());
    let words = format!("{told:?}");
    assert!(words.contains("or comes unasked"), "{words}");
    assert!(words.contains("if it answers one"), "{words}");
}

#[test]
fn a_broken_frame_is_told_whole_with_whatever_was_in_the_last_piece() {
    for bytes in [
        &b"\x83\x85\x01\x02\x03\x04Hello"[..],
        b"\x81\x05Hello and more",
        b"\x81\x8a\0\0\0\0Hello\xff\xffabc\x81\x80",
        b"\x82\xff\xff\0\0\0\0\0\0\0\x01\x02\x03\x04x",
        b"\x88\x81\0\0\0\0\x03more",
    ] {
        let whole = format!("{:#?}", explain_frames(bytes, Role::Client, &settings()));
        for cut in 1..bytes.len() {
            let mut told = Vec::new();
            let mut frames = ws101::explain::frames::FrameExplainer::new(Role::Client, 0, BOUNDS);
            frames.push(&bytes[..cut], &mut |one| told.push(one));
            frames.push(&bytes[cut..], &mut |one| told.push(one));
            frames.end(&mut |one| told.push(one));
            assert_eq!(format!("{told:#?}"), whole, "cut at {cut}");
            assert_tiles(&told, bytes, "a broken frame");
        }
    }
}
