//! Payloads, read as the protocol reads them; and what was found on the way.
//!
//! ```text
//! payload ─► (Inflater) ─► Assembler          the same questions in the same order as in `incoming`
//!                └─────────────┴─► Found: what it inflates to, and where a text goes wrong
//! ```
//!
//! Rules of this file:
//! - Memory is bounded: of what a frame inflates to its first bytes are kept, and its length.
//! - The protocol says *that* a text goes wrong. Which byte it was, the protocol's [`Text`] tells
//!   when it gets the same bytes once more, one by one.

use super::annotation::{Inflated, SHOWN, hex};
use crate::frames::assembler::{Assembler, Bounds};
use crate::frames::deflate::{self, Inflater};
use crate::frames::header::{Header, Opcode, Role};
use crate::frames::message::MessageKind;
use crate::frames::utf8::Text;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::{DeflateConfig, DeflateParams, Window};

/// What the frame is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The kind of the message around it.
    pub inside: Option<MessageKind>,
    /// The message is compressed.
    pub compressed: bool,
}

/// Where a text goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// So many bytes of this payload's text stand before that place.
    pub at: u64,
    /// The byte that can't stand there; `None` where the text ends in mid-character.
    pub byte: Option<u8>,
    /// The beginning of the character that goes on wrong. It may stand in earlier frames.
    pub begun: Vec<u8>,
}

impl Wrong {
    /// What is wrong there.
    pub(crate) fn why(&self) -> String {
        let begun = hex(&self.begun, 4);
        let before = if self.begun.len() as u64 > self.at { " in an earlier frame" } else { "" };
        match (self.byte, self.begun.is_empty()) {
            (Some(_), true) => "no character of UTF-8 begins with this byte".into(),
            (Some(_), false) => {
                format!(
                    "a character has begun{before} with {begun}, and can't go on with this byte"
                )
            }
            (None, _) => {
                format!("the text ends inside a character, which has begun{before} with {begun}")
            }
        }
    }
}

/// What was found in one payload.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What it inflates to, if it is compressed and this build can look inside.
    pub inflated: Option<Inflated>,
    /// A compressed message begins with it.
    pub begins: bool,
    /// So many bytes of earlier messages may be repeated in it.
    pub remembered: u64,
    /// In what way it is no DEFLATE, if it is not.
    pub spoilt: Option<&'static str>,
    /// Where its text goes wrong, if it does.
    pub wrong: Option<Wrong>,
    /// Its last character is not whole; the next fragment has the rest.
    pub goes_on: bool,
}

/// What one end makes of the payloads of the other.
#[derive(Debug)]
pub struct Reading {
    message: Assembler,
    reader: Role,
    max_message: u64,
    /// `Some` where compression was agreed on: how the other end compresses.
    window: Option<Window>,
    /// As well, unless this build has none.
    inflater: Option<Box<Inflater>>,
    place: TextSoFar,
    found: Found,
    /// Something of the compressed message has come.
    begun: bool,
    /// What all messages so far have inflated to.
    inflated: u64,
}

impl Reading {
    /// Nothing has come, and nothing is agreed on.
    pub fn new(reader: Role, bounds: Bounds) -> Reading {
        let (message, place, found) =
            (Assembler::new(bounds), TextSoFar::default(), Found::default());
        let (window, inflater, max_message) = (None, None, bounds.max_message);
        Reading {
            message,
            reader,
            max_message,
            window,
            inflater,
            place,
            found,
            begun: false,
            inflated: 0,
        }
    }

    /// From here on the other end may compress, on these terms.
    pub fn agree(&mut self, terms: DeflateParams) {
        self.window = Some(match self.reader {
            Role::Server => terms.of_client(),
            Role::Client => terms.of_server(),
        });
        let agreed = Some((terms, DeflateConfig::DEFAULT));
        (self.inflater, _) = deflate::halves(self.reader, agreed, self.max_message);
    }

    /// Whether there is an extension that has given RSV1 a meaning.
    pub fn rsv1_has_meaning(&self) -> bool {
        self.window.is_some()
    }

    /// Bytes of a header have come: may it stand here, and is it whole?
    pub fn begin(&mut self, head: &[u8]) -> Result<Option<Header>, Violation> {
        let begun = self.message.begin_frame(head, self.reader, self.rsv1_has_meaning())?;
        let Some((header, _)) = begun else { return Ok(None) };
        self.found = Found::default();
        self.place.passed = 0;
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.begun = false;
        }
        if self.message.is_compressed() && !header.opcode.is_control() {
            self.found.inflated = self.inflater.as_ref().map(|_| Inflated::default());
            self.found.begins = !self.begun;
            let window = self.window.filter(|window| window.takeover);
            self.found.remembered = window.map_or(0, |window| self.inflated.min(1 << window.bits));
        }
        Ok(Some(header))
    }

    /// What a frame that begins now is a part of.
    pub fn context(&self) -> Context {
        Context { inside: self.message.inside(), compressed: self.message.is_compressed() }
    }

    /// Reads a piece of a data frame's payload, without its mask.
    pub fn read(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let Reading { message, inflater, place, found, .. } = self;
        match (message.is_compressed(), inflater) {
            (false, _) => place.append(message, piece, &mut found.wrong),
            (true, None) => Ok(()),
            (true, Some(inflater)) => {
                self.begun |= !piece.is_empty();
                let read = inflater.inflate(piece, |came| {
                    let inflated = found.inflated.get_or_insert_default();
                    inflated.length += came.len() as u64;
                    let room = SHOWN.saturating_sub(inflated.bytes.len()).min(came.len());
                    inflated.bytes.extend_from_slice(&came[..room]);
                    place.append(message, came, &mut found.wrong)
                });
                let is_spoilt = read == Err(Violation::NotDeflate);
                found.spoilt = is_spoilt.then_some(", and then are no DEFLATE");
                read
            }
        }
    }

    /// The payload of a data frame is whole.
    pub fn finish(&mut self, header: &Header) -> Result<(), Violation> {
        let inflated = self.found.inflated.as_ref().map_or(0, |inflated| inflated.length);
        self.inflated = self.inflated.saturating_add(inflated);
        if !header.fin {
            self.found.goes_on = !self.place.begun.is_empty();
            return Ok(());
        }
        if self.message.is_compressed()
            && let Some(inflater) = &mut self.inflater
        {
            let whole = inflater.finish();
            self.found.spoilt = whole.is_err().then_some(", and do not end where a block does");
            whole?;
        }
        self.message.finish().map(drop).inspect_err(|_| {
            let (begun, passed) = (std::mem::take(&mut self.place.begun), self.place.passed);
            self.found.wrong = Some(Wrong { at: passed, byte: None, begun });
        })
    }

    /// What was found in the payload since its header came.
    pub fn take_found(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }
}

/// How far a text has come.
#[derive(Debug, Default)]
struct TextSoFar {
    /// Bytes of this payload's text.
    passed: u64,
    /// The beginning of a character whose end has not come, perhaps from earlier payloads.
    begun: Vec<u8>,
}

impl TextSoFar {
    /// Gives the message a piece, and sees where it goes wrong.
    fn append(
        &mut self,
        message: &mut Assembler,
        piece: &[u8],
        wrong: &mut Option<Wrong>,
    ) -> Result<(), Violation> {
        let appended = message.append(piece);
        let whole = message.take_so_far().len();
        if message.inside() == Some(MessageKind::Text) {
            match appended {
                Ok(()) => self.keep_what_is_cut(piece, whole),
                Err(_) => {
                    let found = first_wrong(&self.begun, piece);
                    *wrong = found.map(|found| Wrong { at: self.passed + found.at, ..found });
                }
            }
        }
        self.passed += piece.len() as u64;
        appended
    }

    /// Of a piece that was fine: so many bytes, with those that waited, were whole characters.
    fn keep_what_is_cut(&mut self, piece: &[u8], whole: usize) {
        let cut = self.begun.len() + piece.len() - whole;
        if whole > 0 {
            self.begun.clear();
        }
        let new = cut - self.begun.len();
        self.begun.extend_from_slice(&piece[piece.len() - new..]);
    }
}

/// The first byte of a piece that can't stand there, where a character has perhaps begun.
pub fn first_wrong(begun: &[u8], piece: &[u8]) -> Option<Wrong> {
    let mut text = Text::default();
    text.push(begun).ok()?;
    let at = piece.iter().position(|&byte| text.push(&[byte]).is_err())?;
    let before = [begun, &piece[..at]].concat();
    let begun = before[text.whole()..].to_vec();
    Some(Wrong { at: at as u64, byte: Some(piece[at]), begun })
}

/// The character at the end of a whole text that is not whole.
pub fn wrong_at_the_end(whole: &[u8]) -> Option<Wrong> {
    let mut text = Text::default();
    text.push(whole).ok()?;
    let begun = whole[text.whole()..].to_vec();
    let at = whole.len() as u64;
    (!begun.is_empty()).then_some(Wrong { at, byte: None, begun })
}
