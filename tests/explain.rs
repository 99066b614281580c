//! `explain` tells what `protocol` decides, of each byte, once: whatever the bytes are.
//!
//! The inputs are good conversations with a few bytes changed, cut, doubled or inserted. They come
//! from a generator with a seed, which a failure prints.

use ws101::explain::account::{Account, Verdict, What};
use ws101::explain::conversation::{
    Conversation, explain_frames, explain_request, explain_response,
};
use ws101::explain::heads::Terms;
use ws101::explain::json;
use ws101::explain::print::{Style, account as print};
use ws101::protocol::authority::Origins;
use ws101::protocol::buffer::Buffer;
use ws101::protocol::frame::Role;
use ws101::protocol::handshake::{Decision, Rules, decide};
use ws101::protocol::head::Scan;
use ws101::protocol::incoming::{Event, Incoming};
use ws101::protocol::message::Bounds;
use ws101::protocol::request::Request;
use ws101::protocol::violation::Violation;

/// xorshift: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.roll(256) as u8
    }

    /// One of those that matter in headers and texts, more often than any.
    fn telling_byte(&mut self) -> u8 {
        const TELLING: [u8; 18] = [
            0x81, 0x82, 0x01, 0x80, 0x00, 0x88, 0x89, 0x8a, 0xc1, 0x7e, 0x7f, 0xfe, 0xff, b'\r',
            b'\n', b':', b' ', 0xc3,
        ];
        match self.roll(3) {
            0 => self.byte(),
            _ => TELLING[self.roll(TELLING.len())],
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.roll(4) {
            let at = self.roll(bytes.len() + 1);
            match self.roll(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.telling_byte()),
                2 => drop(bytes.drain(at..(at + self.roll(3)).min(bytes.len()))),
                _ => {
                    let telling = self.telling_byte();
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = telling);
                }
            }
        }
    }
}

const BOUNDS: Bounds = Bounds { max_message: 3000, max_fragments: 5 };

fn terms() -> Terms {
    Terms { bounds: BOUNDS, max_head: 2000, max_head_lines: 12, ..Terms::default() }
}

/// Spans tile their account, and accounts tile what was told of.
fn assert_tiles(accounts: &[Account], bytes: &[u8], context: &str) {
    let mut at = 0;
    for account in accounts {
        assert_eq!(account.start, at, "{context}: {account:?}");
        let mut bit = 0;
        for span in &account.spans {
            assert!(span.bits.start == bit && span.bits.end > bit, "{context}: {account:#?}");
            bit = span.bits.end;
        }
        assert_eq!(bit, account.length * 8, "{context}: {account:#?}");
        let there = &bytes[at as usize..(at + account.length) as usize];
        assert!(there.starts_with(&account.bytes), "{context}: {account:?}");
        at += account.length;
    }
    assert_eq!(at, bytes.len() as u64, "{context}: bytes of which nothing is told");
}

/// What is printed fits a terminal and holds no control byte, whatever the peer sent.
fn assert_presentable(accounts: &[Account], context: &str) {
    for account in accounts {
        let style = Style { colour: false, pictures: true };
        let printed = print(account, "tab 1", style) + &json::account(account);
        let bad = |c: char| c.is_control() && c != '\n';
        assert!(!printed.contains(bad), "{context}: {printed:?}");
    }
}

/// A few frames of one sender, most of them good.
fn some_frames(dice: &mut Dice, from: Role) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.roll(5) {
        let first = [0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x80, 0x89, 0x8a, 0x88][dice.roll(10)];
        let length = match dice.roll(12) {
            0 => 125 + dice.roll(4),
            1 => 300,
            2 => dice.roll(4000),
            _ => dice.roll(12),
        };
        let mut payload: Vec<u8> =
            "h\u{e9}llo w\u{f6}rld \u{1F980} ".bytes().cycle().take(length).collect();
        if first == 0x88 && length > 1 {
            payload[..2].copy_from_slice(&(990 + dice.roll(30) as u16).to_be_bytes());
        }
        bytes.push(first);
        let mask = if from == Role::Client { 0x80 } else { 0 };
        match payload.len() {
            0..=125 => bytes.push(mask | payload.len() as u8),
            _ => {
                bytes.push(mask | 126);
                bytes.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            }
        }
        if from == Role::Client {
            let key = [dice.byte(), dice.byte(), dice.byte(), dice.byte()];
            bytes.extend_from_slice(&key);
            payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        bytes.extend_from_slice(&payload);
    }
    bytes
}

/// What the protocol makes of frames: the events, and how it ended.
fn received(bytes: &[u8], reader: Role) -> (Vec<Event>, Option<Violation>, bool) {
    let mut buffer = Buffer::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = buffer.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        buffer.filled(count);
        rest = &rest[count..];
    }
    let mut incoming = Incoming::new(reader, BOUNDS, buffer);
    let mut events = Vec::new();
    loop {
        match incoming.next_event() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => return (events, None, incoming.is_in_midst()),
            Err(violation) => return (events, Some(violation), false),
        }
    }
}

#[test]
fn of_frames_each_bit_is_told_once_and_the_verdict_is_the_protocols() {
    for seed in 1..=6000 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let (from, reader) = match dice.roll(2) {
            0 => (Role::Client, Role::Server),
            _ => (Role::Server, Role::Client),
        };
        let mut bytes = some_frames(&mut dice, from);
        dice.mutate(&mut bytes);
        let context = format!("seed {seed}, from {from:?}");

        let accounts = explain_frames(&bytes, from, &terms());
        assert_tiles(&accounts, &bytes, &context);
        if seed % 10 == 0 {
            assert_presentable(&accounts, &context);
        }

        let (events, violation, _) = received(&bytes, reader);
        let broken = accounts.iter().find_map(|account| match account.verdict {
            Verdict::Broken(violation) => Some(violation),
            _ => None,
        });
        assert_eq!(broken, violation, "{context}");
        let whole = |account: &&Account| {
            account.what == What::Frame && matches!(account.verdict, Verdict::Fine)
        };
        let told = accounts.iter().filter(whole).filter(|one| ends_an_event(one)).count();
        assert_eq!(told, events.len(), "{context}: {events:?}");
    }
}

/// Control frames, and the last fragment of a message.
fn ends_an_event(account: &Account) -> bool {
    account.bytes[0] & 0x80 != 0
}

#[test]
fn the_pieces_in_which_bytes_come_change_nothing_that_is_told() {
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
            conversation.push(Role::Client, piece, &mut |account| in_pieces.push(account));
            rest = later;
        }
        conversation.end(Role::Client, &mut |account| in_pieces.push(account));
        // What nobody reads, and what follows the byte that breaks a header, is told as it comes.
        let read = |accounts: &[Account]| -> Vec<String> {
            let read = accounts.iter().take_while(|one| !matches!(one.verdict, Verdict::Broken(_)));
            read.filter(|one| one.what != What::Unread).map(|one| format!("{one:?}")).collect()
        };
        assert_eq!(read(&at_once), read(&in_pieces), "seed {seed}");
        assert_tiles(&in_pieces, &all, &format!("seed {seed}"));
    }
}

fn request_head() -> Vec<u8> {
    "GET /chat HTTP/1.1\r\nHost: a:1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
     Origin: http://a:1\r\nSec-WebSocket-Protocol: chat, x\r\n\r\n"
        .into()
}

#[test]
fn of_a_request_each_bit_is_told_once_and_the_verdict_is_the_protocols() {
    let rules = Rules { origins: Origins::SameHost, ..Rules::default() };
    let terms = Terms { rules, ..terms() };
    for seed in 1..=6000 {
        let mut dice = Dice(seed * 0x2545_f491);
        let mut bytes = request_head();
        dice.mutate(&mut bytes);
        dice.mutate(&mut bytes);
        let context = format!("seed {seed}: {}", bytes.escape_ascii());
        let accounts = explain_request(&bytes, &terms);
        assert_tiles(&accounts, &bytes, &context);
        if seed % 10 == 0 {
            assert_presentable(&accounts, &context);
        }

        let decided = match Scan::new(terms.max_head, terms.max_head_lines).advance(&bytes) {
            Ok(None) => None,
            Err(refusal) => Some(refusal.status()),
            Ok(Some(length)) => {
                let decided = Request::parse(&bytes[..length])
                    .and_then(|request| decide(&request, &terms.rules));
                Some(match decided {
                    Err(refusal) => refusal.status(),
                    Ok(Decision::PlainHttp) => 200,
                    Ok(Decision::Switch(_)) => 101,
                })
            }
        };
        let told = accounts.first().and_then(|account| match &account.verdict {
            Verdict::Refused(refusal) => Some(refusal.status()),
            Verdict::Missing(_) => None,
            _ if account.title.contains("plain HTTP") => Some(200),
            _ => Some(101),
        });
        assert_eq!(told, decided, "{context}");
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
    let told = explain_response(fits.as_bytes(), &request_head(), &terms());
    assert!(matches!(told[0].verdict, Verdict::Fine), "{told:#?}");
    assert!(matches!(told[1].verdict, Verdict::Missing(_)), "{told:#?}");
    assert_tiles(&told, fits.as_bytes(), "fits");
    let wrong = answer("c3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let told = explain_response(wrong.as_bytes(), &request_head(), &terms());
    assert!(matches!(told[0].verdict, Verdict::Rejected(_)), "{told:#?}");
    for seed in 1..=2000 {
        let mut dice = Dice(seed * 0x1_0001);
        let mut bytes = fits.clone().into_bytes();
        dice.mutate(&mut bytes);
        let told = explain_response(&bytes, &request_head(), &terms());
        assert_tiles(&told, &bytes, &format!("seed {seed}"));
    }
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
    let told = explain_response(&bytes, asked.as_bytes(), &Terms::default());
    assert!(told.iter().all(|account| matches!(account.verdict, Verdict::Fine)), "{told:#?}");
    assert_eq!(told[1].spans.last().unwrap().section, "RFC 7692 §7");
}

#[test]
fn a_long_payload_is_summed_up() {
    let mut frame = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 0x40, 0, 0];
    frame.resize(10 + 0x40_0000, 7);
    let told = explain_frames(&frame, Role::Server, &Terms::default());
    assert_eq!((told.len(), told[0].length), (1, frame.len() as u64));
    assert!(told[0].bytes.len() <= 4096 && told[0].payload.len() <= 4096);
}
