//! Heads: the end is found at the same place however the bytes are cut, and the parsed lines are
//! those that the bytes had.

use ws101::handshake::client::ClientRequest;
use ws101::http::head::{Head, Scan};

/// Small, so that the limits are met.
const MAX_BYTES: usize = 2000;
const MAX_LINES: usize = 12;

pub fn check(data: &[u8]) {
    let [step, bytes @ ..] = data else { return };
    let scan = || Scan::new(MAX_BYTES, MAX_LINES);
    let at_once = scan().advance(bytes).map_err(|refusal| refusal.status());
    for step in [usize::from(*step).max(1), 1] {
        let mut in_reads = scan();
        let ends = (step..bytes.len()).step_by(step).chain([bytes.len()]);
        let mut found = Ok(None);
        for end in ends {
            found = in_reads.advance(&bytes[..end]).map_err(|refusal| refusal.status());
            if found != Ok(None) {
                break;
            }
        }
        assert_eq!(found, at_once, "in reads of {step}");
    }
    let Ok(Some(end)) = at_once else { return };
    assert!(end <= MAX_BYTES && bytes[..end].ends_with(b"\r\n\r\n") || end == 2);
    let Ok(head) = Head::parse(&bytes[..end]) else { return };

    // What was read, written again, is read alike.
    let mut again = format!("{}\r\n", head.first_line());
    for (name, value) in head.fields() {
        assert!(!name.is_empty() && !value.contains(['\r', '\n']));
        assert_eq!(value, value.trim_matches([' ', '\t']));
        assert!(head.values(name).contains(&value), "{name} is found by its name");
        again += &format!("{name}: {value}\r\n");
    }
    let again = Head::parse((again + "\r\n").as_bytes()).expect("what was read can be read");
    assert_eq!(again.first_line(), head.first_line());
    assert!(again.fields().eq(head.fields()));

    // As an answer: taken only if it proves that our request was read.
    if ClientRequest::default().verify(&head, "dGhlIHNhbXBsZSBub25jZQ==").is_ok() {
        assert_eq!(head.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(head.header("Sec-WebSocket-Protocol"), None, "nothing was offered");
        assert_eq!(head.header("Sec-WebSocket-Extensions").unwrap_or(""), "");
    }
}
