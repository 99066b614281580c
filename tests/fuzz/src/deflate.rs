//! Compression: ws101 inflates any payload to the same bytes as zlib, up to the limit; and a
//! message that it deflates inflates to the same message.

use flate2::{Decompress, FlushDecompress, Status};
use ws101::frames::assembler::Bounds;
use ws101::frames::decoder::Event;
use ws101::frames::deflate::inflater_and_deflater;
use ws101::frames::encoder::Encoder;
use ws101::frames::header::Role;
use ws101::frames::message::{Message, MessageKind, MessageRef};
use ws101::frames::violation::Violation;
use ws101::handshake::deflate_params::{DeflateConfig, DeflateParams};

use crate::hear;

const MOST: usize = 3000;
const BOUNDS: Bounds = Bounds { max_message: MOST as u64, max_fragments: 100 };

pub fn check(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    // One message of these bytes as they are; or messages of them, compressed by us.
    match choice & 1 {
        0 => comes_as_zlib_says(bytes, 1 + usize::from(choice >> 1)),
        _ => goes_and_comes(*choice, bytes),
    }
}

/// A compressed message of these bytes, in frames of so many.
fn comes_as_zlib_says(bytes: &[u8], size: usize) {
    let agreed = Some((DeflateParams::default(), DeflateConfig::default()));
    let mut frames = Vec::new();
    let mut fragments = bytes.chunks(size.min(125)).peekable();
    let mut first = 0x42;
    loop {
        let fragment = fragments.next().unwrap_or_default();
        let fin = if fragments.peek().is_none() { 0x80 } else { 0 };
        frames.extend([fin | first, fragment.len() as u8]);
        frames.extend(fragment);
        first = 0;
        if fin != 0 {
            break;
        }
    }
    if bytes.len().div_ceil(size.min(125)) as u64 > BOUNDS.max_fragments {
        return;
    }
    let (inflater, _) = inflater_and_deflater(Role::Client, agreed, BOUNDS.max_message);
    let at_once = hear(Role::Client, BOUNDS, inflater, false, [&frames[..]].into_iter());
    let (inflater, _) = inflater_and_deflater(Role::Client, agreed, BOUNDS.max_message);
    let by_bytes = hear(Role::Client, BOUNDS, inflater, false, frames.chunks(1));
    assert_eq!(at_once, by_bytes);
    match inflated(bytes) {
        Inflated::Whole(expected) => {
            let message = Event::Message(Message::Binary(expected));
            assert_eq!((&at_once.events[..], at_once.violation), (&[message][..], None));
        }
        Inflated::Bad => assert_eq!(at_once.violation, Some(Violation::NotDeflate)),
        Inflated::TooLong => {
            assert_eq!(at_once.violation, Some(Violation::MessageTooLong(BOUNDS.max_message)));
        }
        Inflated::TooManyLastBlocks => {
            assert_eq!(at_once.violation, Some(Violation::TooManyLastBlocks));
        }
    }
    if at_once.violation.is_some() {
        assert_eq!(at_once.events, []);
    }
}

enum Inflated {
    Whole(Vec<u8>),
    Bad,
    TooLong,
    TooManyLastBlocks,
}

/// What zlib says of it: streams behind each other where a block says that it is the last (RFC 7692
/// §7.2.3.4), else with the four bytes behind it that go without saying (§7.2.2). Where something comes
/// out of those four, or no block can begin behind them, the message was cut. A block that says that it
/// is the last costs a KiB: a peer begins with 17 KiB, and each byte that it sends adds one up to that.
fn inflated(bytes: &[u8]) -> Inflated {
    let (all, price) = (17 * 1024, 1024);
    let mut credit = all;
    let mut out = vec![0; MOST + 1];
    let mut length = 0;
    let mut rest = bytes;
    let mut stream = Decompress::new(false);
    while !rest.is_empty() {
        let before = (stream.total_in(), stream.total_out());
        let status = stream.decompress(rest, &mut out[length..], FlushDecompress::None);
        rest = &rest[(stream.total_in() - before.0) as usize..];
        length += (stream.total_out() - before.1) as usize;
        credit = all.min(credit + stream.total_in() - before.0);
        match status {
            _ if length > MOST => return Inflated::TooLong,
            Err(_) => return Inflated::Bad,
            Ok(Status::StreamEnd) if credit < price => return Inflated::TooManyLastBlocks,
            Ok(Status::StreamEnd) if rest.is_empty() => {
                out.truncate(length);
                return Inflated::Whole(out);
            }
            Ok(Status::StreamEnd) => {
                credit -= price;
                // What one stream says the next may repeat.
                stream = Decompress::new(false);
                stream.set_dictionary(&out[..length]).expect("a raw stream takes one");
            }
            Ok(_) if before == (stream.total_in(), stream.total_out()) => return Inflated::Bad,
            Ok(_) => {}
        }
    }
    out.truncate(length);
    let (tail, last_block) = ([0, 0, 0xff, 0xff], [1, 0, 0, 0xff, 0xff]);
    let (before, mut more) = (stream.total_in(), [0; 8]);
    let mut is_end = |bytes: &[u8]| {
        let before = stream.total_out();
        let status = stream.decompress(bytes, &mut more, FlushDecompress::None);
        let is_end = status.map(|status| status == Status::StreamEnd);
        is_end.ok().filter(|_| stream.total_out() == before)
    };
    match is_end(&tail) {
        Some(false) if is_end(&last_block) == Some(true) => Inflated::Whole(out),
        Some(true) if stream.total_in() - before == 4 => Inflated::Whole(out),
        _ => Inflated::Bad,
    }
}

/// Messages of these bytes, compressed by a server with these parameters, are received as they were sent.
fn goes_and_comes(choice: u8, bytes: &[u8]) {
    let params = DeflateParams {
        server_no_context_takeover: choice & 2 != 0,
        server_max_window_bits: Some(9 + (choice >> 2) % 7),
        ..DeflateParams::default()
    };
    let settings = DeflateConfig { from: 0, level: 1 + (choice >> 5), ..DeflateConfig::default() };
    let agreed = Some((params, settings));
    let (_, deflater) = inflater_and_deflater(Role::Server, agreed, u64::MAX);
    let mut outgoing = Encoder::new(None).deflating(deflater);
    let mut frames = Vec::new();
    let mut expected = Vec::new();
    for message in bytes.chunks(300) {
        let message = message.repeat(1 + usize::from(message[0]) % 9);
        let text = str::from_utf8(&message).ok();
        let kind = if text.is_some() { MessageKind::Text } else { MessageKind::Binary };
        if message[0] & 1 == 0 {
            let said = text.map_or(MessageRef::binary(&message), MessageRef::text);
            assert!(outgoing.message(said).expect("nothing is closed").is_empty());
        } else {
            let (front, back) = message.split_at(message.len() / 2);
            outgoing.fragment(kind.opcode(), front, false).expect("nothing is closed");
            let last = ws101::frames::header::Opcode::Continuation;
            outgoing.fragment(last, back, true).expect("nothing is closed");
        }
        frames.extend_from_slice(outgoing.batch().copied_bytes());
        outgoing.clear_batch();
        if message[0] & 2 == 0 {
            outgoing.free_idle_memory();
        }
        expected.push(Event::Message(match text {
            Some(text) => Message::Text(text.into()),
            None => Message::Binary(message),
        }));
    }
    let (inflater, _) = inflater_and_deflater(Role::Client, agreed, BOUNDS.max_message);
    let heard = hear(Role::Client, BOUNDS, inflater, false, frames.chunks(77));
    assert_eq!((heard.events, heard.violation), (expected, None));
}
