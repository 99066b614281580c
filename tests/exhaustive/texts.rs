//! All texts of up to three bytes, and each character of Unicode, compared with what the standard
//! library accepts as UTF-8: in one piece, cut at every place, and as messages in frames.

use ws101::frames::decoder::Event;
use ws101::frames::message::Message;
use ws101::frames::utf8::{NotUtf8, Text};

use crate::ear::{Ear, READERS, frame_for};
use crate::rfc::Reader;

/// Each character: all numbers up to 10FFFF, but for the surrogates.
fn characters() -> impl Iterator<Item = char> {
    (0..=0x10_ffff).filter_map(char::from_u32)
}

/// A text in two pieces, the second of which may be all that is bad about it. What must be is known
/// after each piece: bad at the first byte that can't be, and not before.
fn check_in_two(bytes: &[u8], cut: usize) {
    let mut text = Text::default();
    let (front, back) = bytes.split_at(cut);
    let front_is_bad = str::from_utf8(front).is_err_and(|error| error.error_len().is_some());
    let pushed = text.push(front);
    assert_eq!(pushed.is_err(), front_is_bad, "{bytes:02x?}, its first {cut}");
    if front_is_bad {
        return;
    }
    let whole = str::from_utf8(bytes);
    let pushed = text.push(back);
    let is_bad = whole.is_err_and(|error| error.error_len().is_some());
    assert_eq!(pushed.is_err(), is_bad, "{bytes:02x?}, cut at {cut}");
    if !is_bad {
        let whole = whole.map_err(|_| NotUtf8);
        assert_eq!(text.finish().as_deref(), whole.as_deref(), "{bytes:02x?}, cut at {cut}");
    }
}

fn check(bytes: &[u8]) {
    (0..bytes.len()).for_each(|cut| check_in_two(bytes, cut));
    if bytes.len() == 3 {
        let mut text = Text::default();
        let pushed = bytes.iter().try_for_each(|&byte| text.push(&[byte]));
        let whole = pushed.and_then(|()| text.finish());
        let expected = str::from_utf8(bytes).map_err(|_| NotUtf8);
        assert_eq!(whole.as_deref(), expected.as_deref(), "{bytes:02x?}, byte by byte");
    }
}

/// A text as a message in two frames, with a ping in between.
fn check_in_frames(ear: &mut Ear, reader: Reader, bytes: &[u8], cut: usize) {
    let (front, back) = bytes.split_at(cut);
    ear.hear(&frame_for(reader, 0x01, front));
    ear.hear(&frame_for(reader, 0x89, b"\xff"));
    ear.hear(&frame_for(reader, 0x80, back));
    match str::from_utf8(bytes) {
        Ok(text) => {
            let message = Event::Message(Message::Text(text.into()));
            assert_eq!(ear.failed_with, None, "{bytes:02x?}, cut at {cut}");
            let ping = Event::Ping(vec![0xff]);
            assert!(ear.events == [ping, message], "{bytes:02x?}, cut at {cut}");
            ear.events.clear();
        }
        Err(_) => {
            assert_eq!(ear.failed_with, Some(1007), "{bytes:02x?}, cut at {cut}");
            // What is bad in the first fragment is told before the ping is read.
            let front_is_bad =
                str::from_utf8(front).is_err_and(|error| error.error_len().is_some());
            assert_eq!(ear.events.len(), usize::from(!front_is_bad), "{bytes:02x?}");
            *ear = Ear::new(reader);
        }
    }
}

#[test]
fn all_texts_of_one_and_two_bytes_are_what_std_says_in_any_pieces_and_in_frames() {
    let ones = (0..=255_u8).map(|a| vec![a]);
    let twos = (0..=u16::MAX).map(|ab| ab.to_be_bytes().to_vec());
    let mut ears = READERS.map(|reader| (reader, Ear::new(reader)));
    for bytes in ones.chain(twos) {
        check(&bytes);
        for (reader, ear) in &mut ears {
            check_in_frames(ear, *reader, &bytes, 1);
        }
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "16,777,216 texts take long without optimisation")]
fn all_texts_of_three_bytes_are_what_std_says_in_any_pieces() {
    for abc in 0..1_u32 << 24 {
        check(&abc.to_be_bytes()[1..]);
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "16,777,216 messages take long without optimisation")]
fn all_texts_of_three_bytes_are_what_std_says_as_messages_in_frames() {
    let mut ears = READERS.map(|reader| (reader, Ear::new(reader)));
    for abc in 0..1_u32 << 24 {
        let (reader, ear) = &mut ears[abc as usize % 2];
        check_in_frames(ear, *reader, &abc.to_be_bytes()[1..], 1 + abc as usize / 2 % 2);
    }
}

#[test]
fn each_character_is_read_in_any_pieces() {
    let mut room = [0; 4];
    for character in characters() {
        let bytes = character.encode_utf8(&mut room).as_bytes();
        (0..bytes.len()).for_each(|cut| check_in_two(bytes, cut));
    }
}

/// All of them in one message, a thousand to a fragment, and no fragment ends with a character.
#[test]
fn each_character_is_read_from_a_message_in_frames() {
    let all: String = characters().collect();
    for reader in READERS {
        let mut ear = Ear::new(reader);
        let mut cut = all.as_bytes().chunks(121).peekable();
        let mut first = 0x01;
        while let Some(fragment) = cut.next() {
            let fin = if cut.peek().is_none() { 0x80 } else { 0 };
            ear.hear(&frame_for(reader, fin | first, fragment));
            first = 0x00;
        }
        assert_eq!(ear.failed_with, None, "at the {reader:?}");
        assert!(ear.events == [Event::Message(Message::Text(all.clone()))], "at the {reader:?}");
    }
}

/// §8.1, and RFC 3629 §3: what looks like a character and is none. Surrogates, numbers that are too
/// high, and numbers in more bytes than they need.
#[test]
fn each_number_that_is_no_character_and_each_that_is_too_long_is_refused_at_its_second_byte() {
    let in_bytes = |number: u32, length: usize| -> Vec<u8> {
        let marks = [0, 0, 0xc0, 0xe0, 0xf0];
        let following = (0..length - 1).rev().map(|k| 0x80 | (number >> (6 * k)) as u8 & 0x3f);
        let first = marks[length] | (number >> (6 * (length - 1))) as u8;
        [first].into_iter().chain(following).collect()
    };
    let surrogates = (0xd800..=0xdfff).map(|number| in_bytes(number, 3));
    let too_high = (0x11_0000..0x20_0000).step_by(7).map(|number| in_bytes(number, 4));
    let too_long = [(2, 0x80), (3, 0x800), (4, 0x1_0000)];
    let too_long = too_long
        .into_iter()
        .flat_map(|(length, end)| (0..end).map(move |number| in_bytes(number, length)));
    for bytes in surrogates.chain(too_high).chain(too_long) {
        let mut text = Text::default();
        let second = text.push(&bytes[..1]).and_then(|()| text.push(&bytes[1..2]));
        assert_eq!(second, Err(NotUtf8), "{bytes:02x?}");
        assert_eq!(Text::default().push(&bytes), Err(NotUtf8), "{bytes:02x?} at once");
    }
}
