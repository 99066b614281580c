//! The payloads of the messages that the benchmark sends.

use crate::scenarios::Payload;

#[derive(Clone)]
pub struct Message {
    pub is_text: bool,
    pub is_deflated: bool,
    pub payload: Vec<u8>,
}

impl Payload {
    /// A message of this kind, different for each index.
    pub fn message(self, index: usize) -> Message {
        let payload = match self {
            Payload::Binary(length) => noise(index as u64 + 1).take(length).collect(),
            Payload::Text(length) => text(index, length).into_bytes(),
            Payload::Json(length) => json(index, length).into_bytes(),
        };
        Message { is_text: !matches!(self, Payload::Binary(_)), is_deflated: false, payload }
    }
}

/// Bytes without a pattern, the same in every run (xorshift, upper byte).
pub fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 56) as u8
    })
}

/// Exactly `length` bytes of text that no check for ASCII can hurry through.
fn text(index: usize, length: usize) -> String {
    let sentence = "Ünïcödé на проводе, 一つの接続に一つの糸 🦀 ";
    let mut text = String::with_capacity(length);
    for character in sentence.chars().cycle().skip(index) {
        if text.len() + character.len_utf8() > length {
            break;
        }
        text.push(character);
    }
    text.extend(std::iter::repeat_n('.', length - text.len()));
    text
}

/// A list of records, as long as fits, and white space up to `length`.
fn json(index: usize, length: usize) -> String {
    const END: &str = "]}";
    let mut json = format!("{{\"page\":{index},\"readings\":[");
    let mut numbers = noise(index as u64 + 1);
    let mut number = || u32::from(numbers.next().unwrap_or_default());
    for id in index * 100.. {
        let comma = if json.ends_with('[') { "" } else { "," };
        let record = format!(
            "{comma}{{\"id\":{id},\"sensor\":\"room-{}\",\"celsius\":{}.{},\"online\":{}}}",
            number() % 40,
            number() % 30,
            number() % 10,
            number() % 8 > 0
        );
        if json.len() + record.len() + END.len() > length {
            break;
        }
        json += &record;
    }
    json += END;
    json.extend(std::iter::repeat_n(' ', length - json.len()));
    json
}
