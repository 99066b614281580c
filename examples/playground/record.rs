//! The record of a wire: the bytes that both ends have sent, which the page saves as a text file.

use ws101::explain::saved_conversation::{self, Turn};
use ws101::frames::header::Role;

/// How many bytes of a conversation are recorded at most. The saved text must be short enough for the
/// page to open it. It has about three characters for each byte, and seven for a CR LF alone.
const MOST_RECORDED: usize = 48 * 1024;
/// How many bytes a change of the sender counts as, because the saved text names each sender.
const TURN: usize = 3;

/// The bytes that both ends have sent, in their order.
#[derive(Default)]
pub struct Record {
    turns: Vec<Turn>,
    kept: usize,
    /// How many bytes came after the recording was full.
    left_out: u64,
}

impl Record {
    /// Adds bytes that one end has sent, as far as there is room.
    pub fn add(&mut self, from: Role, bytes: &[u8]) {
        if self.turns.last().is_none_or(|(last, _)| *last != from) {
            self.kept += TURN;
        }
        let room = MOST_RECORDED.saturating_sub(self.kept).min(bytes.len());
        // Once a byte was left out, record nothing more, so that the recording has no gap.
        let room = if self.left_out > 0 { 0 } else { room };
        let (kept, rest) = bytes.split_at(room);
        self.kept += kept.len();
        self.left_out += rest.len() as u64;
        match self.turns.last_mut() {
            Some((last, sent)) if *last == from => sent.extend_from_slice(kept),
            _ if kept.is_empty() => {}
            _ => self.turns.push((from, kept.to_vec())),
        }
    }

    /// Returns the recorded conversation, as text that the example `explain` can read.
    pub fn saved(&self) -> String {
        let mut text =
            "# A conversation that the playground of ws101 has recorded. To explain it again:\n\
            #   cargo run --example explain -- FILE\n\n"
                .to_owned();
        text += &saved_conversation::write(&self.turns);
        if self.left_out > 0 {
            text += &format!("# {} more bytes passed and were not kept.\n", self.left_out);
        }
        text
    }
}
