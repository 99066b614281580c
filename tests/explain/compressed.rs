//! Compressed frames: `explain` shows their inflated payload, or says why a frame may not be
//! compressed.

use std::collections::BTreeSet;

use ws101::DeflateConfig;
use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::frames::FrameExplainer;
use ws101::explain::heads::Settings;
use ws101::frames::decoder::Event;
use ws101::frames::deflate;
use ws101::frames::header::Role;
use ws101::frames::violation::Violation;
use ws101::handshake::deflate_params;

use crate::support::*;

/// What agrees with itself: any parameters that a server may answer with.
fn some_terms(dice: &mut Dice) -> deflate_params::DeflateParams {
    let mut bits = || Some(9 + dice.roll(7) as u8).filter(|bits| *bits < 15);
    let (server_max_window_bits, client_max_window_bits) = (bits(), bits());
    deflate_params::DeflateParams {
        server_no_context_takeover: dice.roll(2) == 0,
        client_no_context_takeover: dice.roll(2) == 0,
        server_max_window_bits,
        client_max_window_bits,
    }
}

/// Messages of one sender that compresses most of them, some in fragments, some no DEFLATE.
fn some_compressed_frames(
    dice: &mut Dice,
    from: Role,
    agreed: deflate_params::DeflateParams,
) -> Vec<u8> {
    let settings = DeflateConfig { level: 1 + dice.roll(9) as u8, ..DeflateConfig::default() };
    let (_, mut deflater) = deflate::inflater_and_deflater(from, Some((agreed, settings)), 1 << 20);
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.roll(4) {
        let length = [dice.roll(20), dice.roll(4000)][usize::from(dice.roll(3) == 0)];
        let payload: Vec<u8> = match dice.roll(4) {
            0 => (0..length).map(|_| dice.byte()).collect(),
            1 => vec![b'x'; length],
            _ => "h\u{e9}llo w\u{f6}rld \u{1F980} ".bytes().cycle().take(length).collect(),
        };
        let opcode = 1 + dice.roll(2) as u8;
        let compressed = dice.roll(5) > 0;
        let count = 1 + dice.roll(3);
        for part in 0..count {
            let (start, end) = (part * payload.len() / count, (part + 1) * payload.len() / count);
            let fin = part + 1 == count;
            let part_of_it = match compressed {
                true => deflater.as_mut().unwrap().deflate(&payload[start..end], fin),
                false => payload[start..end].to_vec(),
            };
            let rsv1 = if compressed && part == 0 { 0x40 } else { 0 };
            let first = if part == 0 { opcode } else { 0 } | rsv1 | u8::from(fin) << 7;
            bytes.extend(frame(dice, from, first, &part_of_it));
            if !fin && dice.roll(3) == 0 {
                bytes.extend(frame(dice, from, 0x89, b"between"));
            }
        }
        if dice.roll(8) == 0 {
            let garbage: Vec<u8> = (0..dice.roll(9)).map(|_| dice.byte()).collect();
            bytes.extend(frame(dice, from, 0xc2, &garbage));
        }
    }
    bytes
}

#[test]
fn each_bit_of_compressed_frames_is_explained_once_and_the_verdict_is_the_decoders() {
    let mut ends = BTreeSet::new();
    for seed in 1..=2000 {
        let mut dice = Dice(seed * 0x6c07_8965);
        let (from, reader) = match dice.roll(2) {
            0 => (Role::Client, Role::Server),
            _ => (Role::Server, Role::Client),
        };
        let agreed = some_terms(&mut dice);
        let mut bytes = some_compressed_frames(&mut dice, from, agreed);
        if dice.roll(2) == 0 {
            dice.mutate(&mut bytes);
        }
        let context = format!("seed {seed}, from {from:?}, {agreed}");
        let mut frames = FrameExplainer::new(from, 0, BOUNDS);
        frames.agree(agreed);
        let mut annotations = Vec::new();
        frames.push(&bytes, &mut |annotation| annotations.push(annotation));
        frames.end(&mut |annotation| annotations.push(annotation));
        assert_tiles(&annotations, &bytes, &context);
        if seed % 10 == 0 {
            assert_presentable(&annotations, &context);
        }
        let (events, violation, is_mid_message) = received(&bytes, reader, Some(agreed));
        assert_inflated(&annotations, &events, &context);
        ends.insert(violation.map_or("fine", Violation::reason));
        assert_agrees(&annotations, (events, violation, is_mid_message), &context);
    }
    // The generator gets around.
    for end in ["fine", "not DEFLATE", "text not UTF-8", "message too long", "reserved bits"] {
        assert!(ends.contains(end), "no input ended with {end:?}: {ends:?}");
    }
}

/// What whole messages inflate to is what the protocol delivers.
fn assert_inflated(annotations: &[Annotation], events: &[Event], context: &str) {
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    for annotation in annotations.iter().filter(|one| matches!(one.verdict, Verdict::Fine)) {
        let is_data = annotation.what == AnnotationKind::Frame && annotation.bytes[0] & 0x08 == 0;
        if !is_data {
            continue;
        }
        match &annotation.inflated {
            Some(inflated) => message.extend_from_slice(&inflated.bytes),
            None => message.extend_from_slice(&annotation.payload),
        }
        if annotation.bytes[0] & 0x80 != 0 {
            messages.push(std::mem::take(&mut message));
        }
    }
    let delivered = events.iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.as_bytes().to_vec()),
        _ => None,
    });
    assert!(messages == delivered.collect::<Vec<_>>(), "{context}");
}

/// The parts that are told of it, each as field and value.
fn parts(annotation: &Annotation) -> Vec<(&str, &str)> {
    annotation.spans.iter().map(|span| (span.field.as_str(), span.value.as_str())).collect()
}

#[test]
fn rfc_7692_section_7_2_3_each_sample_is_explained_with_its_block_and_its_inflated_text() {
    for (bytes, word) in COMPRESSED {
        let told = told_compressed(bytes, Role::Server, deflate_params::DeflateParams::default());
        let inflated: Vec<u8> =
            told.iter().flat_map(|one| one.inflated.clone().unwrap().bytes).collect();
        assert_eq!(inflated, b"Hello", "{bytes:02x?}");
        let words = format!("{told:?}");
        assert!(words.contains(word) && words.contains("00 00 ff ff"), "{words}");
    }
    let told =
        told_compressed(COMPRESSED[0].0, Role::Server, deflate_params::DeflateParams::default());
    assert_eq!(told[0].title, "text, 7 bytes, compressed: 5 bytes inflated");
    let payload = [("codes", "11110"), ("BTYPE", "01"), ("BFINAL", "0"), ("payload", "\"Hello\"")];
    assert_eq!(parts(&told[0])[6..], payload);
}

#[test]
fn what_a_message_repeats_of_earlier_ones_is_explained_in_both_directions() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let again = b"\xf2\x00\x11\x00\x00";
    for from in [Role::Client, Role::Server] {
        let mut dice = Dice(7);
        let bytes =
            [frame(&mut dice, from, 0xc1, hello), frame(&mut dice, from, 0xc1, again)].concat();
        let told = told_compressed(&bytes, from, deflate_params::DeflateParams::default());
        assert_eq!(told[1].spans.last().unwrap().value, "\"Hello\"");
        assert!(told[1].spans.last().unwrap().meaning.contains("last 5 bytes of earlier messages"));
        // Without takeover there is nothing to repeat, and the second is no DEFLATE.
        let without = deflate_params::DeflateParams {
            server_no_context_takeover: from == Role::Server,
            client_no_context_takeover: from == Role::Client,
            ..deflate_params::DeflateParams::default()
        };
        let told = told_compressed(&bytes, from, without);
        assert!(matches!(told[0].verdict, Verdict::Fine));
        assert_eq!(told[1].verdict.code(), Some(1007), "{told:?}");
    }
}

#[test]
fn a_truncated_or_invalid_deflate_stream_is_1007_and_explained_as_far_as_it_goes() {
    for (bytes, value, why) in [
        (&b"\xc1\x04\xf2\x48\xcd\xc9"[..], "\"Hel\"", "don't end where a block does"),
        (b"\xc1\x05Hello", "\"\"", "aren't DEFLATE"),
        (b"\xc2\x02\x06\x00", "no byte", "aren't DEFLATE"),
    ] {
        let told = told_compressed(bytes, Role::Server, deflate_params::DeflateParams::default());
        assert_eq!(told[0].verdict.code(), Some(1007), "{told:?}");
        let last = told[0].spans.last().unwrap();
        assert_eq!(last.value, value, "{bytes:02x?}");
        assert!(last.meaning.contains(why), "{last:?}");
    }
}

#[test]
fn the_four_omitted_bytes_are_appended_only_to_a_whole_message() {
    let whole = COMPRESSED[0].0;
    let bad_byte = b"\xc1\x08\0\x02\0\xfd\xff\xc3(\0";
    for (bytes, is_appended) in [
        (whole, true),
        (&whole[..5], false),
        (&whole[..3], false),
        (&COMPRESSED[4].0[..5], false),
        (bad_byte, false),
    ] {
        let told = told_compressed(bytes, Role::Server, deflate_params::DeflateParams::default());
        let is_said = told[0].spans.iter().any(|span| span.meaning.contains("00 00 ff ff"));
        assert_eq!(is_said, is_appended, "{told:#?}");
    }
}

#[test]
fn what_if_a_bomb_is_explained() {
    let agreed = deflate_params::DeflateParams::default();
    let (_, deflater) =
        deflate::inflater_and_deflater(Role::Server, Some((agreed, DeflateConfig::default())), 1);
    let bomb = deflater.unwrap().deflate(&vec![b'0'; 3_000_000], true);
    let bytes = frame(&mut Dice(1), Role::Server, 0xc1, &bomb);
    let told = told_compressed(&bytes, Role::Server, agreed);
    let inflated = told[0].inflated.as_ref().unwrap();
    assert_eq!((inflated.bytes.len(), inflated.length), (4096, 3_000_000));
    let mut frames = FrameExplainer::new(Role::Server, 0, BOUNDS);
    frames.agree(agreed);
    frames.push(&bytes, &mut |annotation| {
        assert!(
            annotation.what == AnnotationKind::Unread || annotation.verdict.code() == Some(1009)
        );
    });
}

#[test]
fn section_8_1_of_compressed_text_the_bad_byte_is_named_by_its_place_in_what_it_inflates_to() {
    let agreed = deflate_params::DeflateParams::default();
    let (_, deflater) =
        deflate::inflater_and_deflater(Role::Server, Some((agreed, DeflateConfig::default())), 1);
    let deflated = deflater.unwrap().deflate(b"caf\xc3( au lait", true);
    let bytes = frame(&mut Dice(1), Role::Server, 0xc1, &deflated);
    let told = told_compressed(&bytes, Role::Server, agreed);
    assert_eq!(told[0].verdict.code(), Some(1007));
    let meaning = &told[0].spans.last().unwrap().meaning;
    assert!(meaning.contains("bad byte 28 at offset 4 of those"), "{meaning}");
    assert!(meaning.contains("began with c3"), "{meaning}");
}

#[test]
fn section_6_a_continuation_with_rsv1_is_told_that_only_the_first_frame_sets_it() {
    let bytes = [[0x41, 0], [0xc0, 0]].concat();
    let told = told_compressed(&bytes, Role::Server, deflate_params::DeflateParams::default());
    assert_eq!(told[1].verdict.code(), Some(1002));
    let diagnostic = told[1].verdict.diagnostic().unwrap().to_string();
    assert!(diagnostic.contains("sets RSV1 on a continuation"), "{diagnostic}");
    assert!(diagnostic.contains("RSV1 on their first frames alone"), "{diagnostic}");
}

#[test]
fn the_explanation_of_compressed_frames_does_not_depend_on_the_pieces_in_which_they_come() {
    for seed in 1..=400 {
        let mut dice = Dice(seed * 0x27d4_eb2f);
        let agreed = some_terms(&mut dice);
        let mut bytes = some_compressed_frames(&mut dice, Role::Client, agreed);
        dice.mutate(&mut bytes);
        let at_once = told_compressed(&bytes, Role::Client, agreed);
        let mut frames = FrameExplainer::new(Role::Client, 0, Settings::default().bounds);
        frames.agree(agreed);
        let (mut in_pieces, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + dice.roll(9)).min(rest.len()));
            frames.push(piece, &mut |annotation| in_pieces.push(annotation));
            rest = later;
        }
        frames.end(&mut |annotation| in_pieces.push(annotation));
        assert_tiles(&in_pieces, &bytes, &format!("seed {seed}"));
        assert_eq!(format!("{at_once:#?}"), format!("{in_pieces:#?}"), "seed {seed}");
    }
}

#[test]
fn what_continues_after_a_block_depends_on_the_agreed_window() {
    let bytes = COMPRESSED[0].0;
    for (without, words) in [
        (false, "the stream continues, in the next message too"),
        (true, "the end of the message ends the stream"),
    ] {
        let agreed = deflate_params::DeflateParams {
            server_no_context_takeover: without,
            ..deflate_params::DeflateParams::default()
        };
        let told = told_compressed(bytes, Role::Server, agreed);
        let bfinal = told[0].spans.iter().find(|span| span.field == "BFINAL").unwrap();
        assert!(bfinal.meaning.contains(words), "{bfinal:?}");
    }
}
