//! Compressed frames in a build without the feature `deflate`, in place of `compressed.rs`.

use ws101::explain::annotation::Verdict;
use ws101::explain::source::steps::steps;
use ws101::frames::header::Role;
use ws101::handshake::deflate_params;

use crate::support::*;

#[test]
fn a_build_without_deflate_says_that_it_cannot_look_inside() {
    for (bytes, _) in COMPRESSED {
        let told = told_compressed(bytes, Role::Server, deflate_params::DeflateParams::default());
        assert_tiles(&told, bytes, "a sample");
        assert!(told.iter().all(|one| matches!(one.verdict, Verdict::Fine)), "{told:?}");
        let last = told[0].spans.last().unwrap();
        assert!(last.meaning.contains("without the feature `deflate`"), "{last:?}");
        assert_eq!(told[0].inflated, None);
        let reached = steps(&told[0]);
        let last = reached.last().unwrap();
        assert_eq!(last.anchor.id, "inflate");
        assert!(last.says.contains("without the feature `deflate`"), "{}", last.says);
    }
}
