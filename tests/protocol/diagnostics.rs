//! What an error tells the person who reads it, and what it tells the peer.

use ws101::diagnostic::misuse::Misuse;
use ws101::frames::close::Close;
use ws101::frames::violation::Violation::{self, *};

use crate::support::teaches;
use crate::violations::{NUMBER_OF_VIOLATIONS, code_and_section};

/// One of each, those with a number with the largest.
const VIOLATIONS: [Violation; NUMBER_OF_VIOLATIONS] = [
    ReservedBits(u8::MAX),
    UnknownOpcode(15),
    NotMasked,
    Masked,
    ControlFragmented,
    ControlTooLong,
    LengthNotMinimal(u64::MAX),
    LengthTopBit(u64::MAX),
    NothingToContinue,
    MessageInsideMessage,
    MessageTooLong(u64::MAX),
    TooManyFragments(u64::MAX),
    TextNotUtf8,
    CloseOfOneByte,
    Violation::CloseCode(ws101::CloseCode(u16::MAX)),
    ReasonNotUtf8,
    TooManyLastBlocks,
    NotDeflate,
];

#[test]
fn each_violation_says_its_code_its_section_what_was_seen_why_and_what_to_do() {
    for violation in VIOLATIONS {
        let (code, section) = code_and_section(violation);
        let shown = violation.to_string();
        teaches(&shown, &violation.diagnostic());
        assert!(shown.starts_with(&code.to_string()), "{shown}");
        assert!(violation.diagnostic().rule.contains(section), "{section}: {shown}");
    }
}

#[test]
fn what_a_violation_carries_is_shown_as_seen_in_its_diagnostic() {
    for (violation, part) in [
        (ReservedBits(0xc1), "0xc1"),
        (UnknownOpcode(11), "11"),
        (LengthNotMinimal(125), "125"),
        (LengthTopBit(1 << 63), "0x8000000000000000"),
        (MessageTooLong(16_777_216), "16777216"),
        (TooManyFragments(131_072), "131072"),
        (Violation::CloseCode(ws101::CloseCode(1006)), "1006"),
    ] {
        assert!(violation.diagnostic().seen.contains(part), "{violation}");
    }
}

/// §5.5: what tells the peer fits into the 125 bytes of a Close, behind its code; and each is told
/// apart from the others by its words, since the codes are few.
#[test]
fn section_5_5_the_reason_of_each_violation_fits_into_a_close_frame() {
    for (i, violation) in VIOLATIONS.into_iter().enumerate() {
        let reason = violation.reason();
        assert!(!reason.is_empty() && reason.len() <= 123, "{reason}");
        assert!(Close::new(violation.close_code(), reason).is_ok(), "{reason}");
        assert!(VIOLATIONS[..i].iter().all(|other| other.reason() != reason), "{reason}");
    }
}

#[test]
fn a_header_that_is_not_sent_is_named_without_its_value_which_may_be_a_secret() {
    for (value, place) in [
        ("Bearer 7f3a\n", Some("byte 0x0a at offset 11")),
        ("\u{e9}\0", Some("byte 0x00 at offset 2")),
        ("7f3a\t", None),
    ] {
        let said = Misuse::Header("Authorization".into(), value.into()).to_string();
        assert!(said.contains("\"Authorization\"") && !said.contains("7f3a"), "{said}");
        assert_eq!(said.contains("at offset"), place.is_some(), "{said}");
        assert!(said.contains(place.unwrap_or_default()), "{said}");
        assert_eq!(format!("{:?}", Misuse::Header("Authorization".into(), value.into())), said);
    }
}

/// One of each. No wildcard where they are numbered: what is new here wants an entry.
fn misuses(text: &str) -> Vec<Misuse> {
    let all = vec![
        Misuse::AfterClose,
        Misuse::ControlTooLong(126),
        Misuse::CloseCode(1005),
        Misuse::NotUtf8,
        Misuse::Header(text.into(), text.into()),
        Misuse::Subprotocol(text.into()),
        Misuse::Address(text.into(), "no scheme"),
        Misuse::NoTls(text.into()),
        Misuse::NoDeflate,
        Misuse::DeflateConfig("level", 10),
        Misuse::NoListener,
        Misuse::Status(7),
        Misuse::NeverMatches("paths", text.into()),
        Misuse::Proxy(text.into(), "not a host with a port"),
        Misuse::WithinMessage,
    ];
    for (i, misuse) in all.iter().enumerate() {
        let number = match misuse {
            Misuse::AfterClose => 0,
            Misuse::ControlTooLong(_) => 1,
            Misuse::CloseCode(_) => 2,
            Misuse::NotUtf8 => 3,
            Misuse::Header(..) => 4,
            Misuse::Subprotocol(_) => 5,
            Misuse::Address(..) => 6,
            Misuse::NoTls(_) => 7,
            Misuse::NoDeflate => 8,
            Misuse::DeflateConfig(..) => 9,
            Misuse::NoListener => 10,
            Misuse::Status(_) => 11,
            Misuse::NeverMatches(..) => 12,
            Misuse::Proxy(..) => 13,
            Misuse::WithinMessage => 14,
        };
        assert_eq!(i, number);
    }
    all
}

#[test]
fn each_misuse_says_its_rule_what_was_seen_why_and_what_to_do() {
    for misuse in misuses("ws://example.com") {
        teaches(&misuse.to_string(), &misuse.diagnostic());
    }
    for (misuse, section) in [
        (Misuse::AfterClose, "§5.5.1"),
        (Misuse::ControlTooLong(126), "§5.5"),
        (Misuse::CloseCode(1005), "§7.4"),
        (Misuse::NotUtf8, "§8.1"),
        (Misuse::Subprotocol("a b".into()), "§4.1"),
        (Misuse::Address("x".into(), "no scheme"), "§3"),
    ] {
        assert!(misuse.diagnostic().rule.contains(section), "{misuse}");
    }
}

#[test]
fn what_a_misuse_quotes_is_escaped_and_cut_short() {
    for text in ["a\r\nX: y\x1b[2J\0\x7f\u{202e}", &"x".repeat(10_000)] {
        for misuse in misuses(text) {
            let shown = misuse.to_string();
            teaches(&shown, &misuse.diagnostic());
            assert!(!shown.contains('\u{202e}') && shown.len() < 1_000, "{shown}");
        }
    }
}

/// What is quoted is put in where a diagnostic leaves room for it, and is not itself taken for that room.
#[test]
fn what_is_quoted_may_look_like_a_place_for_something_quoted() {
    let shown = Misuse::Subprotocol("{} {0} \\".into()).to_string();
    assert!(shown.contains(r#""{} {0} \\""#), "{shown}");
}
