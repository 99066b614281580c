//! Compares what the members received with what was sent, and with each other.
//!
//! Rules of this file:
//! - For each member, the comparison begins after its last `recovered: false`, or at its start if it never got one.
//! - From there, the member must have received each message that the store confirmed, once, in the order of offsets.
//! - Two members must have received the same message at the same offset of the same epoch.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// One message, as one member heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub epoch: String,
    pub offset: u64,
    pub text: String,
}

/// What one member answers for, in the order in which it came.
pub struct List<'a> {
    pub lines: &'a [Line],
    /// It was never told `recovered: false`, so it must have all that was said.
    pub whole: bool,
}

/// Counts over all members. All of them must be zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lost: usize,
    pub doubled: usize,
    /// An entry that came after a later one, or an epoch that changed untold.
    pub disorder: usize,
    /// Two members heard different messages at the same place.
    pub different: usize,
}

impl Verdict {
    pub fn is_clean(&self) -> bool {
        *self == Verdict::default()
    }
}

/// `said`: the text of each message that the store confirmed. `last`: the one that was said when all was quiet.
pub fn compare(said: &[String], last: &str, lists: &[List]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut at_place: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for line in lists.iter().flat_map(|list| list.lines) {
        let first = *at_place.entry((&line.epoch, line.offset)).or_insert(&line.text);
        verdict.different += usize::from(first != line.text);
    }
    for list in lists {
        let (mut offsets, mut texts) = (BTreeSet::new(), HashSet::new());
        let mut newest: Option<&Line> = None;
        for line in list.lines {
            if !(offsets.insert(line.offset) & texts.insert(line.text.as_str())) {
                verdict.doubled += 1;
                continue;
            }
            let is_next = newest
                .is_none_or(|newest| newest.epoch == line.epoch && newest.offset < line.offset);
            verdict.disorder += usize::from(!is_next);
            if is_next || newest.is_some_and(|newest| newest.epoch != line.epoch) {
                newest = Some(line);
            }
        }
        let span = match (offsets.first(), offsets.last()) {
            (Some(first), Some(last)) => (last - first + 1) as usize,
            _ => 0,
        };
        let gaps = span - offsets.len();
        let unheard = said.iter().filter(|text| !texts.contains(text.as_str())).count();
        let end = usize::from(!texts.contains(last));
        verdict.lost += (gaps + end).max(if list.whole { unheard } else { 0 });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 4] = ["1a", "2b", "3c", "4d"];

    /// `2b` is the text b at the offset 2.
    fn lines(epoch: &str, words: &[&str]) -> Vec<Line> {
        let line = |word: &&str| Line {
            epoch: epoch.into(),
            offset: word[..1].parse().unwrap(),
            text: word[1..].into(),
        };
        words.iter().map(line).collect()
    }

    /// One member heard all, the other one this.
    fn verdict(other: &[Line], whole: bool) -> Verdict {
        let right = lines("e", &ALL);
        let said: Vec<String> = right.iter().map(|line| line.text.clone()).collect();
        let lists = [List { lines: &right, whole: true }, List { lines: other, whole }];
        compare(&said, "d", &lists)
    }

    #[test]
    fn equal_lists_are_clean() {
        assert!(verdict(&lines("e", &ALL), true).is_clean());
    }

    #[test]
    fn a_lost_message_is_found_wherever_it_stood() {
        let lost = Verdict { lost: 1, ..Verdict::default() };
        assert_eq!(verdict(&lines("e", &["2b", "3c", "4d"]), true), lost, "the first");
        assert_eq!(verdict(&lines("e", &["1a", "3c", "4d"]), true), lost, "one in the middle");
        assert_eq!(verdict(&lines("e", &["1a", "2b", "3c"]), true), lost, "the last");
        assert_eq!(verdict(&[], true), Verdict { lost: 4, ..Verdict::default() }, "all");
    }

    #[test]
    fn a_message_that_was_confirmed_and_that_no_member_has_is_lost_to_each_of_them() {
        let heard = lines("e", &["1a", "2b", "3c"]);
        let lists = [List { lines: &heard, whole: true }, List { lines: &heard, whole: true }];
        let said = ["a", "b", "x", "c"].map(str::to_owned);
        assert_eq!(compare(&said, "c", &lists), Verdict { lost: 2, ..Verdict::default() });
    }

    #[test]
    fn a_doubled_message_is_found_at_its_own_place_and_at_another_one() {
        let doubled = Verdict { doubled: 1, ..Verdict::default() };
        assert_eq!(verdict(&lines("e", &["1a", "2b", "2b", "3c", "4d"]), true), doubled);
        assert_eq!(verdict(&lines("e", &["1a", "2b", "3c", "4d", "5a"]), true), doubled);
    }

    #[test]
    fn two_messages_that_were_swapped_are_found() {
        let swapped = lines("e", &["1a", "3c", "2b", "4d"]);
        assert_eq!(verdict(&swapped, true), Verdict { disorder: 1, ..Verdict::default() });
        let renumbered = lines("e", &["1a", "2c", "3b", "4d"]);
        assert_eq!(verdict(&renumbered, true), Verdict { different: 2, ..Verdict::default() });
    }

    #[test]
    fn an_epoch_that_changes_untold_is_found() {
        let mut heard = lines("e", &["1a", "2b"]);
        heard.extend(lines("f", &["3c", "4d"]));
        assert_eq!(verdict(&heard, true), Verdict { disorder: 1, ..Verdict::default() });
        let mut heard = lines("f", &["1a", "2b"]);
        heard.extend(lines("e", &["3c", "4d"]));
        assert_eq!(verdict(&heard, true), Verdict { disorder: 1, ..Verdict::default() });
    }

    #[test]
    fn a_member_that_starts_anew_answers_for_what_came_since_and_for_no_more() {
        assert!(verdict(&lines("e", &["3c", "4d"]), false).is_clean());
        let lost = Verdict { lost: 1, ..Verdict::default() };
        assert_eq!(verdict(&lines("e", &["2b", "4d"]), false), lost);
        assert_eq!(verdict(&lines("e", &["2b", "3c"]), false), lost);
    }
}
