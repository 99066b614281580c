//! Payloads, decoded as the protocol decodes them, and what was found on the way.
//!
//! ```text
//! payload ─► (Inflater) ─► Assembler          the same calls in the same order as in `Decoder`
//!                └─────────────┴─► Found: what it inflates to, and where a text goes wrong
//! ```
//!
//! Rules of this file:
//! - Memory is bounded: of what a frame inflates to, the first bytes are kept and the rest is
//!   counted.
//! - The protocol says *that* a text isn't UTF-8. To find the bad byte, the protocol's [`Text`]
//!   gets the same bytes once more, one by one.
//! - What was found doesn't depend on the pieces in which the payload arrived.

use crate::explain::annotation::{Inflated, SHOWN, hex};
use crate::frames::assembler::{Assembler, Bounds};
use crate::frames::deflate::{self, Inflater};
use crate::frames::header::{Header, Opcode, Role};
use crate::frames::message::MessageKind;
use crate::frames::utf8::Text;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::{DeflateConfig, DeflateParams, Window};

/// The message that a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The kind of the message.
    pub inside: Option<MessageKind>,
    /// The message is compressed.
    pub compressed: bool,
    /// An extension that this crate doesn't know has coded the message.
    pub opaque: bool,
}

/// The place where a text stops being UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    /// How many bytes of this payload's text come before that place.
    pub at: u64,
    /// The bad byte; `None` if the text ends inside a character.
    pub byte: Option<u8>,
    /// The beginning of the incomplete character, which may have come in earlier frames.
    pub begun: Vec<u8>,
}

impl BadText {
    /// Says why the text isn't UTF-8 there.
    pub(crate) fn why(&self) -> String {
        let begun = hex(&self.begun, 4);
        let before = if self.begun.len() as u64 > self.at { " in an earlier frame" } else { "" };
        match (self.byte, self.begun.is_empty()) {
            (Some(_), true) => "no character of UTF-8 begins with this byte".into(),
            (Some(_), false) => {
                format!("a character began{before} with {begun}; this byte can't continue it")
            }
            (None, _) => {
                format!("the text ends inside a character that began{before} with {begun}")
            }
        }
    }
}

/// What the decoder found in one payload.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What it inflates to, if it's compressed and this build can inflate.
    pub inflated: Option<Inflated>,
    /// The payload begins a compressed message.
    pub begins: bool,
    /// The compressing end keeps its window for the next message.
    pub takeover: bool,
    /// How many bytes of earlier messages the payload may refer to.
    pub remembered: u64,
    /// Why the payload isn't DEFLATE, if it isn't.
    pub spoilt: Option<&'static str>,
    /// Where its text stops being UTF-8, if it does.
    pub wrong: Option<BadText>,
    /// Its last character is incomplete; the next fragment has the rest.
    pub goes_on: bool,
}

/// Decodes the payloads that one end receives.
#[derive(Debug)]
pub struct PayloadDecoder {
    message: Assembler,
    reader: Role,
    max_message: u64,
    /// How the other end compresses, if both ends agreed on compression.
    window: Option<Window>,
    /// `None` also in a build without the feature `deflate`.
    inflater: Option<Box<Inflater>>,
    text: TextSoFar,
    found: Found,
    /// Some bytes of the compressed message have arrived.
    begun: bool,
    /// How many bytes all messages so far have inflated to.
    inflated: u64,
}

impl PayloadDecoder {
    /// Creates a decoder for payloads that arrive at `reader`, without compression.
    pub fn new(reader: Role, bounds: Bounds) -> PayloadDecoder {
        PayloadDecoder {
            message: Assembler::new(bounds),
            reader,
            max_message: bounds.max_message,
            window: None,
            inflater: None,
            text: TextSoFar::default(),
            found: Found::default(),
            begun: false,
            inflated: 0,
        }
    }

    /// Both ends have agreed that the other end may compress with these parameters.
    pub fn agree(&mut self, params: DeflateParams) {
        self.window = Some(match self.reader {
            Role::Server => params.of_client(),
            Role::Client => params.of_server(),
        });
        let agreed = Some((params, DeflateConfig::DEFAULT));
        (self.inflater, _) = deflate::halves(self.reader, agreed, self.max_message);
    }

    /// Whether an extension defines RSV1.
    pub fn rsv1_has_meaning(&self) -> bool {
        self.window.is_some()
    }

    /// Reads the header, and checks whether its frame may come next. Returns `None` if the header
    /// needs more bytes.
    pub fn begin(&mut self, head: &[u8]) -> Result<Option<Header>, Violation> {
        let begun = self.message.begin_frame(head, self.reader, self.rsv1_has_meaning())?;
        let Some((header, _)) = begun else { return Ok(None) };
        self.found = Found::default();
        self.text.passed = 0;
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.begun = false;
        }
        if self.message.is_compressed() && !header.opcode.is_control() {
            self.found.inflated = self.inflater.as_ref().map(|_| Inflated::default());
            self.found.begins = !self.begun;
            let window = self.window.filter(|window| window.takeover);
            self.found.takeover = window.is_some();
            self.found.remembered = window.map_or(0, |window| self.inflated.min(1 << window.bits));
        }
        Ok(Some(header))
    }

    /// Returns the message that the current frame belongs to.
    pub fn place_in_message(&self) -> Context {
        let (inside, compressed) = (self.message.open_kind(), self.message.is_compressed());
        Context { inside, compressed, opaque: false }
    }

    /// Decodes a piece of a data frame's payload, already unmasked.
    pub fn decode(&mut self, piece: &[u8]) -> Result<(), Violation> {
        let PayloadDecoder { message, inflater, text, found, .. } = self;
        match (message.is_compressed(), inflater) {
            (false, _) => text.append(message, piece, &mut found.wrong),
            (true, None) => Ok(()),
            (true, Some(inflater)) => {
                self.begun |= !piece.is_empty();
                let read = inflater.inflate(piece, |came| {
                    let inflated = found.inflated.get_or_insert_default();
                    inflated.length += came.len() as u64;
                    let room = SHOWN.saturating_sub(inflated.bytes.len()).min(came.len());
                    inflated.bytes.extend_from_slice(&came[..room]);
                    text.append(message, came, &mut found.wrong)
                });
                let is_spoilt = read == Err(Violation::NotDeflate);
                found.spoilt = is_spoilt.then_some(", and then aren't DEFLATE");
                // The inflater may be ahead of the bad byte, and how far depends on the pieces. So
                // the bytes after it are dropped.
                if let (Some(wrong), Some(inflated)) = (&found.wrong, &mut found.inflated) {
                    inflated.length = inflated.length.min(wrong.at + 1);
                    inflated.bytes.truncate(inflated.length as usize);
                }
                read
            }
        }
    }

    /// Checks the payload of a data frame, now that it's whole.
    pub fn finish(&mut self, header: &Header) -> Result<(), Violation> {
        let inflated = self.found.inflated.as_ref().map_or(0, |inflated| inflated.length);
        self.inflated = self.inflated.saturating_add(inflated);
        if !header.fin {
            self.found.goes_on = !self.text.begun.is_empty();
            return Ok(());
        }
        if self.message.is_compressed()
            && let Some(inflater) = &mut self.inflater
        {
            let whole = inflater.finish();
            self.found.spoilt = whole.is_err().then_some(", and don't end where a block does");
            whole?;
        }
        self.message.finish().map(drop).inspect_err(|_| {
            let (begun, passed) = (std::mem::take(&mut self.text.begun), self.text.passed);
            self.found.wrong = Some(BadText { at: passed, byte: None, begun });
        })
    }

    /// Returns what the decoder found in the payload since its header.
    pub fn take_found(&mut self) -> Found {
        std::mem::take(&mut self.found)
    }
}

/// The part of a text that has arrived.
#[derive(Debug, Default)]
struct TextSoFar {
    /// How many bytes of this payload's text have arrived.
    passed: u64,
    /// The beginning of an incomplete character, perhaps from earlier payloads.
    begun: Vec<u8>,
}

impl TextSoFar {
    /// Appends a piece to the message, and finds the place where it stops being UTF-8.
    fn append(
        &mut self,
        message: &mut Assembler,
        piece: &[u8],
        wrong: &mut Option<BadText>,
    ) -> Result<(), Violation> {
        let appended = message.append(piece);
        let whole = message.take_so_far().len();
        if message.open_kind() == Some(MessageKind::Text) {
            match appended {
                Ok(()) => self.keep_incomplete(piece, whole),
                Err(_) => {
                    let found = find_bad_byte(&self.begun, piece);
                    *wrong = found.map(|found| BadText { at: self.passed + found.at, ..found });
                }
            }
        }
        self.passed += piece.len() as u64;
        appended
    }

    /// Keeps the incomplete character at the end of a valid piece, in which `whole` bytes were
    /// whole characters, those of an earlier incomplete one included.
    fn keep_incomplete(&mut self, piece: &[u8], whole: usize) {
        let cut = self.begun.len() + piece.len() - whole;
        if whole > 0 {
            self.begun.clear();
        }
        let new = cut - self.begun.len();
        self.begun.extend_from_slice(&piece[piece.len() - new..]);
    }
}

/// Finds the first bad byte of a piece. `begun` is the incomplete character that stands before the
/// piece.
pub fn find_bad_byte(begun: &[u8], piece: &[u8]) -> Option<BadText> {
    let mut text = Text::default();
    text.push(begun).ok()?;
    let at = piece.iter().position(|&byte| text.push(&[byte]).is_err())?;
    let before = [begun, &piece[..at]].concat();
    let begun = before[text.whole_length()..].to_vec();
    Some(BadText { at: at as u64, byte: Some(piece[at]), begun })
}

/// Finds the incomplete character at the end of a whole text.
pub fn incomplete_character_at_end(whole: &[u8]) -> Option<BadText> {
    let mut text = Text::default();
    text.push(whole).ok()?;
    let begun = whole[text.whole_length()..].to_vec();
    let at = whole.len() as u64;
    (!begun.is_empty()).then_some(BadText { at, byte: None, begun })
}
