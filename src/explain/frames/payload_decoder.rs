//! Decodes payloads as the protocol's decoder does, and records the facts that their explanation
//! needs.
//!
//! ```text
//! payload ─► (Inflater) ─► Assembler          the same calls in the same order as in `Decoder`
//!                └─────────────┴─► Findings: what it inflates to, and where a text goes wrong
//! ```
//!
//! Rules of this file:
//! - Memory is bounded: only a frame's first 4096 inflated bytes are kept. Later bytes are checked
//!   and counted, but not kept.
//! - The protocol's decoder reports only *that* a text isn't UTF-8. To find the bad byte, this file
//!   passes the same bytes to [`Text`] again, one by one.
//! - The result doesn't depend on the pieces in which the payload arrived.

use crate::explain::annotation::{Inflated, MAX_SHOWN, hex};
use crate::frames::assembler::{Assembler, Bounds};
use crate::frames::deflate::{self, Inflater};
use crate::frames::header::{Header, Opcode, Role};
use crate::frames::message::MessageKind;
use crate::frames::utf8::Text;
use crate::frames::violation::Violation;
use crate::handshake::deflate_params::{DeflateConfig, DeflateParams, Window};

/// The explanation of a text whose last character is cut off. `anchor_lookup` looks for these
/// words, to show the source lines that detect this error.
pub(crate) const ENDS_INSIDE_CHARACTER: &str = "the text ends inside a character";
/// The explanation of compressed bytes whose last block is cut off. These words are appended to a
/// description of the bytes.
pub(crate) const DONT_END_WITH_BLOCK: &str = ", and don't end where a block does";

/// What the explanation of a frame must know about the frame's message: its kind, and how it's
/// encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageContext {
    /// The kind of the current message (text or binary), or `None` between messages. A control
    /// frame belongs to no message, but may come between the fragments of one.
    pub inside: Option<MessageKind>,
    /// Whether the current message is compressed.
    pub compressed: bool,
    /// Whether an extension that this crate doesn't know encodes the current message.
    pub opaque: bool,
}

/// The position at which a text stops being valid UTF-8, and the bytes that make it invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    /// The offset at which the text becomes invalid, in bytes from the start of this frame's text
    /// (the inflated payload, if it's compressed).
    pub at: u64,
    /// The invalid byte, or `None` if the text ends in the middle of a character.
    pub byte: Option<u8>,
    /// The bytes of an unfinished character directly before the offset `at`. Empty if no character
    /// is unfinished there. Some or all of these bytes may have arrived in earlier frames.
    pub begun: Vec<u8>,
}

impl BadText {
    /// Explains in English why the text isn't valid UTF-8 at the offset `at`.
    pub(crate) fn why(&self) -> String {
        let begun = hex(&self.begun, 4);
        let before = if self.begun.len() as u64 > self.at { " in an earlier frame" } else { "" };
        match (self.byte, self.begun.is_empty()) {
            (Some(_), true) => "no character of UTF-8 begins with this byte".into(),
            (Some(_), false) => {
                format!("a character began{before} with {begun}; this byte can't continue it")
            }
            (None, _) => {
                format!("{ENDS_INSIDE_CHARACTER} that began{before} with {begun}")
            }
        }
    }
}

/// The facts that the payload decoder found out about one frame's payload.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The inflated payload. `None` if the payload isn't compressed, or if ws101 was built without
    /// the `deflate` feature.
    pub inflated: Option<Inflated>,
    /// Whether this payload begins a compressed message: any earlier frames of the message had
    /// empty payloads.
    pub begins: bool,
    /// Whether the sender's compressor keeps its window for the next message (context takeover).
    pub takeover: bool,
    /// How many bytes of earlier messages are in the inflater's window, so that this payload may
    /// refer to them instead of repeating them. Zero without context takeover. Meaningful only if
    /// `begins` is `true`.
    pub bytes_in_window: u64,
    /// Whether this payload ends a compressed message whose DEFLATE data is valid and complete.
    pub inflates_whole: bool,
    /// Words that say why the payload isn't valid DEFLATE, such as `, and then aren't DEFLATE`.
    /// They're appended to a description, such as `9 bytes that inflate to 4`. `None` if the
    /// payload is valid or isn't compressed.
    pub deflate_error: Option<&'static str>,
    /// The position at which the payload's text stops being valid UTF-8, or `None` if the text is
    /// valid.
    pub wrong: Option<BadText>,
    /// Whether the payload ends inside a character that continues in the next fragment.
    pub ends_inside_character: bool,
}

/// A decoder for the payloads that one end receives. It records the facts that an explanation of
/// these payloads needs.
#[derive(Debug)]
pub struct PayloadDecoder {
    message: Assembler,
    reader: Role,
    max_message: u64,
    /// The sender's compression window, or `None` if the ends didn't agree on compression.
    window: Option<Window>,
    /// The inflater for compressed payloads. `None` if the ends didn't agree on compression, or if
    /// ws101 was built without the `deflate` feature.
    inflater: Option<Box<Inflater>>,
    text: TextSoFar,
    found: Findings,
    /// Whether any payload bytes of the current compressed message have arrived.
    begun: bool,
    /// The number of bytes to which all complete frames so far have inflated. `bytes_in_window` is
    /// calculated from this number.
    inflated: u64,
}

impl PayloadDecoder {
    /// Creates a decoder for payloads. `reader` is the end that receives them. A message that
    /// exceeds `bounds` breaks a rule, and so does a compressed message unless
    /// [`agree`](PayloadDecoder::agree) is called first.
    pub fn new(reader: Role, bounds: Bounds) -> PayloadDecoder {
        PayloadDecoder {
            message: Assembler::new(bounds),
            reader,
            max_message: bounds.max_message,
            window: None,
            inflater: None,
            text: TextSoFar::default(),
            found: Findings::default(),
            begun: false,
            inflated: 0,
        }
    }

    /// Records that both ends have agreed on compression with these parameters.
    pub fn agree(&mut self, params: DeflateParams) {
        self.window = Some(match self.reader {
            Role::Server => params.of_client(),
            Role::Client => params.of_server(),
        });
        let agreed = Some((params, DeflateConfig::DEFAULT));
        (self.inflater, _) = deflate::inflater_and_deflater(self.reader, agreed, self.max_message);
    }

    /// Returns whether both ends agreed on permessage-deflate, which gives RSV1 a meaning.
    pub fn rsv1_has_meaning(&self) -> bool {
        self.window.is_some()
    }

    /// Parses a frame's header, and checks that the frame may follow the frames before it. Returns
    /// `None` if the header isn't complete yet. Fails with a violation if the frame breaks a rule.
    pub fn begin_frame(&mut self, head: &[u8]) -> Result<Option<Header>, Violation> {
        let begun = self.message.begin_frame(head, self.reader, self.rsv1_has_meaning())?;
        let Some((header, _)) = begun else { return Ok(None) };
        self.found = Findings::default();
        self.text.passed = 0;
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.begun = false;
        }
        if self.message.is_compressed() && !header.opcode.is_control() {
            self.found.inflated = self.inflater.as_ref().map(|_| Inflated::default());
            self.found.begins = !self.begun;
            let window = self.window.filter(|window| window.takeover);
            self.found.takeover = window.is_some();
            self.found.bytes_in_window =
                window.map_or(0, |window| self.inflated.min(1 << window.bits));
        }
        Ok(Some(header))
    }

    /// Returns the facts about the current message that the explanation of a frame needs. The
    /// caller must set `opaque`, because only the caller knows whether an unknown extension encodes
    /// the message.
    pub fn message_context(&self) -> MessageContext {
        let (inside, compressed) = (self.message.open_kind(), self.message.is_compressed());
        MessageContext { inside, compressed, opaque: false }
    }

    /// Decodes a piece of a data frame's payload. The caller must unmask the piece first. Fails if
    /// a text isn't valid UTF-8, if compressed bytes aren't DEFLATE, or if they exceed the
    /// inflater's limits. Without an inflater, compressed bytes aren't checked.
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
                    let room = MAX_SHOWN.saturating_sub(inflated.bytes.len()).min(came.len());
                    inflated.bytes.extend_from_slice(&came[..room]);
                    text.append(message, came, &mut found.wrong)
                });
                let is_invalid = read == Err(Violation::NotDeflate);
                found.deflate_error = is_invalid.then_some(", and then aren't DEFLATE");
                // The inflater may have gone past the bad byte, and how far depends on the pieces.
                // Therefore the bytes after the bad byte are dropped.
                if let (Some(wrong), Some(inflated)) = (&found.wrong, &mut found.inflated) {
                    inflated.length = inflated.length.min(wrong.at + 1);
                    inflated.bytes.truncate(inflated.length as usize);
                }
                read
            }
        }
    }

    /// Finishes a complete data frame. Fails if this is the last frame of a message that ends
    /// inside a DEFLATE block or a character.
    pub fn finish(&mut self, header: &Header) -> Result<(), Violation> {
        let inflated = self.found.inflated.as_ref().map_or(0, |inflated| inflated.length);
        self.inflated = self.inflated.saturating_add(inflated);
        if !header.fin {
            self.found.ends_inside_character = !self.text.begun.is_empty();
            return Ok(());
        }
        if self.message.is_compressed()
            && let Some(inflater) = &mut self.inflater
        {
            let whole = inflater.finish();
            self.found.deflate_error = whole.is_err().then_some(DONT_END_WITH_BLOCK);
            whole?;
            self.found.inflates_whole = true;
        }
        self.message.finish().map(drop).inspect_err(|_| {
            let (begun, passed) = (std::mem::take(&mut self.text.begun), self.text.passed);
            self.found.wrong = Some(BadText { at: passed, byte: None, begun });
        })
    }

    /// Returns what was found in the current frame's payload, and resets the findings for the next
    /// frame.
    pub fn take_findings(&mut self) -> Findings {
        std::mem::take(&mut self.found)
    }
}

/// How far the text of the current message has been decoded. The decoder needs this to calculate
/// the offset of a bad byte.
#[derive(Debug, Default)]
struct TextSoFar {
    /// The number of bytes decoded from the current payload, counted after inflation.
    passed: u64,
    /// The bytes of an incomplete character at the end of the decoded text. They may come from
    /// earlier payloads.
    begun: Vec<u8>,
}

impl TextSoFar {
    /// Checks the next piece of the message's payload. Keeps none of it, except the bytes of an
    /// incomplete character at the end of a text. If a text stops being valid UTF-8 in this piece,
    /// fails and records the position in `wrong`.
    fn append(
        &mut self,
        message: &mut Assembler,
        piece: &[u8],
        wrong: &mut Option<BadText>,
    ) -> Result<(), Violation> {
        let appended = message.append(piece);
        let whole = message.take_arrived().len();
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

    /// Keeps the bytes of an incomplete character at the end of `piece`, for the next piece. The
    /// bytes kept earlier and `piece` together contain `whole` bytes of complete characters.
    fn keep_incomplete(&mut self, piece: &[u8], whole: usize) {
        let cut = self.begun.len() + piece.len() - whole;
        if whole > 0 {
            self.begun.clear();
        }
        let new = cut - self.begun.len();
        self.begun.extend_from_slice(&piece[piece.len() - new..]);
    }
}

/// Finds the first byte in a piece of text at which the text becomes invalid UTF-8. `begun` holds
/// the bytes of an incomplete character before the piece. Returns `None` if the text is valid so
/// far, even if it ends inside a character.
pub fn find_bad_byte(begun: &[u8], piece: &[u8]) -> Option<BadText> {
    let mut text = Text::default();
    text.push(begun).ok()?;
    let at = piece.iter().position(|&byte| text.push(&[byte]).is_err())?;
    let before = [begun, &piece[..at]].concat();
    let begun = before[text.complete_length()..].to_vec();
    Some(BadText { at: at as u64, byte: Some(piece[at]), begun })
}

/// Finds the incomplete character at the end of a text. Returns `None` if the last character is
/// complete, or if the text is invalid before it.
pub fn find_incomplete_character_at_end(whole: &[u8]) -> Option<BadText> {
    let mut text = Text::default();
    text.push(whole).ok()?;
    let begun = whole[text.complete_length()..].to_vec();
    let at = whole.len() as u64;
    (!begun.is_empty()).then_some(BadText { at, byte: None, begun })
}
