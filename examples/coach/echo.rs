//! Recognizes known mistakes in an echo, from the message that was sent and the one that came back.
//!
//! The result only adds to a failure's text; no verdict depends on it.

use crate::library::mask;

/// Describes the known mistake that turned the sent bytes, masked with this key, into the received
/// ones. `None` if no known mistake fits. If the peer is a client, `theirs` is the key in the frame
/// that came back.
pub fn wrong_way(
    sent: &[u8],
    got: &[u8],
    key: mask::Key,
    theirs: Option<mask::Key>,
) -> Option<String> {
    let masked = {
        let mut bytes = sent.to_vec();
        mask::apply(key, 0, &mut bytes);
        bytes
    };
    let is_text = std::str::from_utf8(sent).is_ok();
    let replaced = |with: &str| {
        let text = String::from_utf8_lossy(sent);
        let all = text.chars().map(|c| if c.is_ascii() { c.to_string() } else { with.to_string() });
        all.collect::<String>().as_bytes() == got
    };
    let question_marks = || {
        let all = sent.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' });
        all.eq(got.iter().copied())
    };
    if got == sent || got.is_empty() {
        return None;
    }
    // If the same four XOR differences repeat, the peer unmasked the payload with another key.
    let differences: Vec<u8> = sent.iter().zip(got).map(|(a, b)| a ^ b).collect();
    let repeats = |from: usize| {
        let rest = &differences[from.min(differences.len())..];
        rest.len() > 4
            && rest.iter().zip(&rest[4..]).all(|(a, b)| a == b)
            && rest != [0].repeat(rest.len())
    };
    let same = sent.iter().zip(got).take_while(|(a, b)| a == b).count();
    Some(match () {
        () if got == masked => "which are the bytes as they came: they weren't unmasked".into(),
        () if got.len() == sent.len() && same >= 4 && got[4..] == masked[4..] => {
            "of which only the first four were unmasked".into()
        }
        () if got.len() == sent.len() && repeats(0) => {
            let (how, key) = theirs.map_or(("unmasked", key), |theirs| ("masked", theirs));
            let used: Vec<u8> = (0..4).map(|i| key[i] ^ differences[i]).collect();
            format!("{how} with the key {used:02x?}, and not with the frame's own, {key:02x?}")
        }
        () if got.len() == sent.len() && same > 0 && repeats(same) => {
            format!("unmasked wrongly from byte {same} on: the key went on at another of its bytes")
        }
        () if sent.trim_ascii() == got || sent.trim_ascii_end() == got => {
            "which lack the spaces or line feeds at the ends".into()
        }
        () if got.strip_prefix(sent) == Some(b"\0") => "with a zero byte appended".into(),
        () if got.starts_with(sent) => format!("with {} bytes appended", got.len() - sent.len()),
        () if sent.starts_with(got) => format!("which are the first {} of them alone", got.len()),
        () if sent.ends_with(got) => format!("which are the last {} of them alone", got.len()),
        () if is_text && got == latin1(sent).as_bytes() => {
            "the text taken for Latin-1, and encoded in UTF-8 again".into()
        }
        () if is_text
            && (question_marks() || replaced("?") || replaced("\u{fffd}") || replaced("")) =>
        {
            "in which each character beyond ASCII was lost".into()
        }
        () => return None,
    })
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| byte as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_that_does_not_mask_what_it_sends_with_a_key_is_told_so() {
        let (sent, theirs) = (b"coach 01", [1, 2, 3, 4]);
        let mut got = *sent;
        mask::apply(theirs, 0, &mut got);
        let way = wrong_way(sent, &got, [0; 4], Some(theirs)).unwrap();
        assert!(way.starts_with("masked with the key [00, 00, 00, 00]"), "{way}");
        let way = wrong_way(sent, &got, [0; 4], None).unwrap();
        assert!(way.starts_with("unmasked with the key [01, 02, 03, 04]"), "{way}");
    }
}
