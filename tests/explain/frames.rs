//! Explained frames: valid ones, and the same with a few bytes changed.

use ws101::explain::conversation::explain_frames;
use ws101::explain::heads::Settings;
use ws101::frames::header::Role;

use crate::support::*;

/// A few frames of one sender, most of them good.
pub fn some_frames(dice: &mut Dice, from: Role) -> Vec<u8> {
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

#[test]
fn each_bit_of_frames_is_explained_once_and_the_verdict_is_the_decoders() {
    for seed in 1..=6000 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let (from, reader) = match dice.roll(2) {
            0 => (Role::Client, Role::Server),
            _ => (Role::Server, Role::Client),
        };
        let mut bytes = some_frames(&mut dice, from);
        dice.mutate(&mut bytes);
        let context = format!("seed {seed}, from {from:?}");

        let annotations = explain_frames(&bytes, from, &settings());
        assert_tiles(&annotations, &bytes, &context);
        if seed % 10 == 0 {
            assert_presentable(&annotations, &context);
        }
        assert_agrees(&annotations, received(&bytes, reader, None), &context);
    }
}

#[test]
fn a_long_payload_is_summed_up() {
    let mut frame = vec![0x82, 0x7f, 0, 0, 0, 0, 0, 0x40, 0, 0];
    frame.resize(10 + 0x40_0000, 7);
    let told = explain_frames(&frame, Role::Server, &Settings::default());
    assert_eq!((told.len(), told[0].length), (1, frame.len() as u64));
    assert!(told[0].bytes.len() <= 4096 && told[0].payload.len() <= 4096);
}
