//! The explainer: for any bytes, it describes each bit once, its verdict is the library's, and it
//! escapes all that a peer sent before it prints it.

use ws101::explain::annotation::{Annotation, AnnotationKind, Verdict};
use ws101::explain::conversation::{Conversation, explain_frames};
use ws101::explain::heads::Settings;
use ws101::explain::json;
use ws101::explain::text::{Style, annotation as print};
use ws101::frames::assembler::Bounds;
use ws101::frames::header::Role;

use crate::{hear, role};

const BOUNDS: Bounds = Bounds { max_message: 3000, max_fragments: 9 };

pub fn check(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    let settings =
        Settings { bounds: BOUNDS, max_head: 2000, max_head_lines: 12, ..Settings::default() };
    let reader = role(choice & 1 == 1);
    let from = role(choice & 1 == 0);
    if choice & 2 == 0 {
        let annotations = explain_frames(bytes, from, &settings);
        tile(&annotations, bytes);
        presentable(&annotations);
        let heard = hear(reader, BOUNDS, None, false, [bytes].into_iter());
        let broken = annotations.iter().find_map(|annotation| match annotation.verdict {
            Verdict::Broken(violation) => Some(violation),
            _ => None,
        });
        assert_eq!(broken, heard.violation);
        let is_whole = |annotation: &&Annotation| {
            annotation.what == AnnotationKind::Frame && matches!(annotation.verdict, Verdict::Fine)
        };
        // Control frames, and the last fragment of a message.
        let ends_an_event = |annotation: &&Annotation| annotation.bytes[0] & 0x80 != 0;
        let events = annotations.iter().filter(is_whole).filter(ends_an_event).count();
        assert_eq!(events, heard.events.len());
    } else {
        // Both directions of a conversation, which change every so many bytes.
        let mut conversation = Conversation::new(settings);
        let (mut told, mut said) = ([vec![], vec![]], [vec![], vec![]]);
        let size = usize::from(choice >> 2).max(1) * 8;
        for (turn, piece) in bytes.chunks(size).enumerate() {
            let from = role(turn % 2 == 1);
            said[from as usize].extend_from_slice(piece);
            conversation.push(from, piece, &mut |annotation| {
                told[annotation.from as usize].push(annotation)
            });
        }
        for from in [Role::Client, Role::Server] {
            conversation
                .end(from, &mut |annotation| told[annotation.from as usize].push(annotation));
            tile(&told[from as usize], &said[from as usize]);
            presentable(&told[from as usize]);
        }
    }
}

/// Spans tile their annotation, and annotations tile what was said.
fn tile(annotations: &[Annotation], bytes: &[u8]) {
    let mut at = 0;
    for annotation in annotations {
        assert_eq!(annotation.start, at, "{annotation:?}");
        let mut bit = 0;
        for span in &annotation.spans {
            assert!(span.bits.start == bit && span.bits.end > bit, "{annotation:#?}");
            bit = span.bits.end;
        }
        assert_eq!(bit, annotation.length * 8, "{annotation:#?}");
        let there = &bytes[at as usize..(at + annotation.length) as usize];
        assert!(there.starts_with(&annotation.bytes), "{annotation:?}");
        at += annotation.length;
    }
    assert_eq!(at, bytes.len() as u64, "bytes of which nothing is told");
}

/// The last of them, on which it may have ended badly: printing more would be most of the work.
fn presentable(annotations: &[Annotation]) {
    if let Some(annotation) = annotations.last() {
        let style = Style { colour: false, pictures: true };
        let printed = print(annotation, "tab 1", style) + &json::annotation(annotation);
        let bad = |c: char| c.is_control() && c != '\n';
        assert!(!printed.contains(bad), "{printed:?}");
    }
}
