//! Both directions, in pieces.

use ws101::explain::annotation::{Annotation, Verdict, What};
use ws101::explain::conversation::{Conversation, explain_request, explain_response};
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
        let at_once = explain_request(&[&head, &bytes[..]].concat(), &terms());
        let mut conversation = Conversation::new(terms());
        let mut in_pieces = Vec::new();
        let all = [&head, &bytes[..]].concat();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + dice.roll(9)).min(rest.len()));
            conversation.push(Role::Client, piece, &mut |annotation| in_pieces.push(annotation));
            rest = later;
        }
        conversation.end(Role::Client, &mut |annotation| in_pieces.push(annotation));
        // What nobody reads, and what follows the byte that breaks a header, is told as it comes.
        let read = |annotations: &[Annotation]| -> Vec<String> {
            let read =
                annotations.iter().take_while(|one| !matches!(one.verdict, Verdict::Broken(_)));
            read.filter(|one| one.what != What::Unread).map(|one| format!("{one:?}")).collect()
        };
        assert_eq!(read(&at_once), read(&in_pieces), "seed {seed}");
        assert_tiles(&in_pieces, &all, &format!("seed {seed}"));
    }
}

const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// What is told in both directions of bytes that come in turn, in pieces of any size.
fn told_in_turn(dice: &mut Dice, client: &[u8], server: &[u8]) -> [Vec<Annotation>; 2] {
    let mut conversation = Conversation::new(terms());
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
    let told = explain_response(&server, &request_head(), &terms());
    assert_tiles(&told, &server, "interim");
    let titles: Vec<&str> = told.iter().map(|one| one.title.as_str()).collect();
    let expected = [
        "a response: 100, an interim one",
        "a response: 103, an interim one",
        "a response: from here on, frames",
        "text, 2 bytes",
    ];
    assert_eq!(titles, expected);
    assert!(told.iter().all(|one| matches!(one.verdict, Verdict::Fine)), "{told:?}");
    assert_eq!(told[0].spans[0].section, "RFC 9110 §15.2");
    // Who did not ask for a WebSocket may get one as well.
    let told = explain_response(&server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &terms());
    assert_eq!(told[0].title, expected[0]);
}

#[test]
fn what_if_the_answer_comes_while_the_client_is_within_a_frame() {
    let client = [&request_head()[..], b"\x81\x85\0\0\0\0Hel"].concat();
    for answer in [ANSWER, "HTTP/1.1 400 \r\n\r\n"] {
        let mut conversation = Conversation::new(terms());
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
