//! Reads and writes the header of a frame (RFC 6455 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M|   length    |  real length: 16 bits if 126, |
//! |I|S|S|S|       |A|             |               64 bits if 127, |
//! |N|V|V|V|       |S|  0 to 125,  |  high byte first              |
//! | |1|2|3|       |K|  126 or 127 |                               |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |  masking key, four bytes, if MASK is set; then the payload    |
//! +---------------------------------------------------------------+
//! ```
//!
//! [`Header::parse`] has three possible results: a header and its size, `None` if more bytes are
//! needed, or the rule that the peer broke. It refuses a header at the first byte that breaks a
//! rule.
//!
//! Elsewhere: [`assembler`](super::assembler) checks the order of the fragments, and compares the
//! length with the limits without waiting for the payload. [`mask`] unmasks the payload.

use std::fmt;

use super::mask;
use super::violation::Violation;

/// The FIN bit in the first byte of a frame's header. It marks the last fragment of a message, or
/// the only frame of an unfragmented one.
pub const FIN: u8 = 0b1000_0000;
/// The RSV1 bit in the first byte of a frame's header: the first of three reserved bits. With
/// permessage-deflate, it marks the first frame of a compressed message. In all other frames, it
/// must be 0.
pub const RSV1: u8 = 0b0100_0000;
/// The RSV2 and RSV3 bits in the first byte of a frame's header: the second and third of three
/// reserved bits. No published extension uses them, so the parser refuses a frame that sets one.
pub const RSV2_RSV3: u8 = 0b0011_0000;
/// The bits in the first byte of a frame's header that hold the opcode: the kind of the frame.
pub const OPCODE: u8 = 0b0000_1111;
/// The MASK bit in the second byte of a frame's header. If it's set, the payload is masked, and the
/// four-byte masking key follows the length.
pub const MASK: u8 = 0b1000_0000;
/// The bits in the second byte of a frame's header that hold the payload length. The values 126 and
/// 127 aren't lengths: they announce a longer length field.
pub const LENGTH: u8 = 0b0111_1111;
/// The value of the [`LENGTH`] bits if the real length follows in two bytes.
pub const LENGTH_IN_16_BITS: u8 = 126;
/// The value of the [`LENGTH`] bits if the real length follows in eight bytes.
pub const LENGTH_IN_64_BITS: u8 = 127;
/// The maximum payload size of a Close, Ping or Pong, in bytes (§5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The maximum size of a frame's header in bytes: two bytes, an eight-byte length and a four-byte
/// masking key.
pub const MAX_HEADER: usize = 14;

/// Returns the size, in bytes, of the extended length field in a frame's header: 2 or 8, or 0 if
/// the header's `second` byte itself contains the length.
pub fn length_bytes(second: u8) -> usize {
    match second & LENGTH {
        LENGTH_IN_16_BITS => 2,
        LENGTH_IN_64_BITS => 8,
        _ => 0,
    }
}

/// Returns the size, in bytes, of the complete frame header whose second byte is `second`: from 2
/// to [`MAX_HEADER`].
pub fn header_length(second: u8) -> usize {
    let mask = if second & MASK != 0 { size_of::<mask::Key>() } else { 0 };
    2 + length_bytes(second) + mask
}

/// The role of one end of a connection. A client masks the frames that it sends, and a server
/// doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The server is the end that accepted the connection.
    Server,
    /// The client is the end that opened the connection.
    Client,
}

impl Role {
    /// Returns the role of the other end of the connection.
    pub fn other(self) -> Role {
        match self {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }
}

/// The kind of a frame, a four-bit value in its header (§5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The frame is a fragment of a message, but not the first.
    Continuation = 0x0,
    /// The frame is a whole text message, or the first fragment of one.
    Text = 0x1,
    /// The frame is a whole binary message, or the first fragment of one.
    Binary = 0x2,
    /// The frame announces that its sender will send nothing more. It may contain a close code and
    /// a reason.
    Close = 0x8,
    /// The frame asks its receiver for a pong, for instance as a keepalive.
    Ping = 0x9,
    /// The frame answers a ping and repeats the ping's payload. A pong may also come without a ping
    /// (§5.5.3).
    Pong = 0xA,
}

impl Opcode {
    /// Parses the opcode in the first byte of a frame's header. Fails for the opcodes that no RFC
    /// defines: 3 to 7, and 11 to 15.
    #[inline]
    pub fn parse(first_byte: u8) -> Result<Opcode, Violation> {
        match first_byte & OPCODE {
            0x0 => Ok(Opcode::Continuation),
            0x1 => Ok(Opcode::Text),
            0x2 => Ok(Opcode::Binary),
            0x8 => Ok(Opcode::Close),
            0x9 => Ok(Opcode::Ping),
            0xA => Ok(Opcode::Pong),
            // §5.2: an unknown opcode fails the connection.
            unknown => Err(Violation::UnknownOpcode(unknown)),
        }
    }

    /// Returns whether this is the opcode of a control frame: Close, Ping or Pong. Control frames
    /// may come between a message's fragments. Their opcodes have the highest of the four bits set.
    pub fn is_control(self) -> bool {
        self as u8 & 0b1000 != 0
    }
}

/// The header of a frame: everything that comes before the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the FIN bit is set. If it isn't, more fragments of the message follow. A control
    /// frame must set it.
    pub fin: bool,
    /// Whether the RSV1 bit is set. permessage-deflate sets it on the first frame of a compressed
    /// message.
    pub rsv1: bool,
    /// The kind of the frame, such as text or ping.
    pub opcode: Opcode,
    /// The masking key, or `None` if the payload isn't masked.
    pub mask: Option<mask::Key>,
    /// The length of the frame's payload in bytes.
    pub length: u64,
}

impl Header {
    /// Parses the frame header at the start of `bytes`. `role` is the role of the receiving end: a
    /// server requires a masking key, and a client refuses one. `rsv1_has_meaning` says whether
    /// both ends agreed on an extension that uses RSV1. If they didn't, a header that sets RSV1 is
    /// refused. If they did, only the first frame of a message may set it.
    ///
    /// Returns the header and its size in bytes, or `None` if the header isn't complete yet. Fails
    /// at the first byte that breaks a rule.
    #[inline]
    pub fn parse(
        bytes: &[u8],
        role: Role,
        rsv1_has_meaning: bool,
    ) -> Result<Option<(Header, usize)>, Violation> {
        // 1. The first byte holds FIN, the reserved bits and the opcode.
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = Opcode::parse(first)?;
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        // §5.2: reserved bits are 0 unless an extension defines them. permessage-deflate defines
        // RSV1, and only on the first frame of a message (RFC 7692 §6).
        let rsv1_may_be_set = rsv1_has_meaning && matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & RSV2_RSV3 != 0 || (rsv1 && !rsv1_may_be_set) {
            return Err(Violation::ReservedBits(first));
        }
        // §5.5: control frames are not fragmented.
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }

        // 2. The second byte holds the mask bit, and the length or the size of the length field.
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & MASK != 0;
        // §5.1: a client masks every frame, a server masks none.
        match (role, masked) {
            (Role::Server, true) | (Role::Client, false) => {}
            (Role::Server, false) => return Err(Violation::NotMasked),
            (Role::Client, true) => return Err(Violation::Masked),
        }
        // §5.5: control frames have at most 125 bytes of payload.
        if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD {
            return Err(Violation::ControlTooLong);
        }

        // 3. A longer length follows in 2 or 8 bytes. // WALK: length
        let rest = &bytes[2..];
        let (length, least, rest) = match second & LENGTH {
            LENGTH_IN_16_BITS => match rest.split_first_chunk::<2>() {
                Some((&length, rest)) => (u64::from(u16::from_be_bytes(length)), 126, rest),
                None => return Ok(None),
            },
            LENGTH_IN_64_BITS => match rest.split_first_chunk::<8>() {
                Some((&length, rest)) => (u64::from_be_bytes(length), 65_536, rest),
                None => return Ok(None),
            },
            length => (u64::from(length), 0, rest),
        };
        // §5.2: the top bit of a 64-bit length is 0.
        if length > i64::MAX as u64 {
            return Err(Violation::LengthTopBit(length));
        }
        // §5.2: the length uses the minimum number of bytes.
        if length < least {
            return Err(Violation::LengthNotMinimal(length));
        }

        // 4. The masking key follows, if the payload is masked.
        let (mask, rest) = match (masked, rest.split_first_chunk::<4>()) {
            (false, _) => (None, rest),
            (true, Some((&key, rest))) => (Some(key), rest),
            (true, None) => return Ok(None),
        };
        Ok(Some((Header { fin, rsv1, opcode, mask, length }, bytes.len() - rest.len())))
    }

    /// Appends the header's bytes to `out`, with the shortest possible length field, as §5.2
    /// requires.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut first = self.opcode as u8;
        if self.fin {
            first |= FIN;
        }
        if self.rsv1 {
            first |= RSV1;
        }
        let mask = if self.mask.is_some() { MASK } else { 0 };
        match self.length {
            0..=125 => out.extend_from_slice(&[first, mask | self.length as u8]),
            126..=65_535 => {
                out.extend_from_slice(&[first, mask | LENGTH_IN_16_BITS]);
                out.extend_from_slice(&(self.length as u16).to_be_bytes());
            }
            65_536.. => {
                out.extend_from_slice(&[first, mask | LENGTH_IN_64_BITS]);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            out.extend_from_slice(&key);
        }
    }
}

/// Describes the header in one line for the log, such as `text, 5 bytes, masked`.
impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.opcode, self.length)?;
        let notes = [
            (!self.fin, "more to come"),
            (self.rsv1, "compressed"),
            (self.mask.is_some(), "masked"),
        ];
        let notes = notes.iter().filter(|(is_so, _)| *is_so);
        notes.into_iter().try_for_each(|(_, note)| write!(f, ", {note}"))
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Opcode::Continuation => "continuation",
            Opcode::Text => "text",
            Opcode::Binary => "binary",
            Opcode::Close => "close",
            Opcode::Ping => "ping",
            Opcode::Pong => "pong",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: mask::Key = [0x37, 0xfa, 0x21, 0x3d];

    fn header(fin: bool, opcode: Opcode, mask: Option<mask::Key>, length: u64) -> Header {
        Header { fin, rsv1: false, opcode, mask, length }
    }

    fn reader_of(header: &Header) -> Role {
        if header.mask.is_some() { Role::Server } else { Role::Client }
    }

    /// Returns headers, each as bytes and as a value: the RFC's examples (§5.7), and headers with
    /// the lengths at which the size of the length field changes.
    fn vectors() -> Vec<(Vec<u8>, Header)> {
        use Opcode::*;
        vec![
            (vec![0x81, 0x05], header(true, Text, None, 5)),
            (vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Text, Some(KEY), 5)),
            (vec![0x01, 0x03], header(false, Text, None, 3)),
            (vec![0x80, 0x02], header(true, Continuation, None, 2)),
            (vec![0x89, 0x05], header(true, Ping, None, 5)),
            (vec![0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Pong, Some(KEY), 5)),
            (vec![0x82, 0x7e, 0x01, 0x00], header(true, Binary, None, 256)),
            (vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], header(true, Binary, None, 65_536)),
            (vec![0x82, 0x00], header(true, Binary, None, 0)),
            (vec![0x82, 0x7d], header(true, Binary, None, 125)),
            (vec![0x82, 0x7e, 0x00, 0x7e], header(true, Binary, None, 126)),
            (vec![0x82, 0x7e, 0xff, 0xff], header(true, Binary, None, 65_535)),
            (
                [&[0x82, 0x7f, 0x7f][..], &[0xff; 7]].concat(),
                header(true, Binary, None, i64::MAX as u64),
            ),
            (vec![0x88, 0x00], header(true, Close, None, 0)),
        ]
    }

    #[test]
    fn header_reads_and_writes_the_bytes_of_section_5_7() {
        for (bytes, header) in vectors() {
            let parsed = Header::parse(&bytes, reader_of(&header), false);
            assert_eq!(parsed, Ok(Some((header, bytes.len()))));
            let mut written = Vec::new();
            header.write(&mut written);
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn each_prefix_of_a_header_asks_for_more() {
        for (bytes, header) in vectors() {
            for end in 0..bytes.len() {
                assert_eq!(Header::parse(&bytes[..end], reader_of(&header), false), Ok(None));
            }
        }
    }

    #[test]
    fn what_follows_a_header_is_not_touched() {
        for (bytes, header) in vectors() {
            let more = [&bytes[..], b"\xff\xff\xff"].concat();
            assert_eq!(
                Header::parse(&more, reader_of(&header), false),
                Ok(Some((header, bytes.len())))
            );
        }
    }

    /// Each case contains a header's bytes, the role of the receiving end, and the rule that the
    /// header breaks.
    #[test]
    fn a_broken_header_is_refused_with_its_rule() {
        use Role::*;
        let mut lying = [0xff; 10];
        (lying[0], lying[1]) = (0x82, 0xff);
        let cases: &[(&[u8], Role, Violation)] = &[
            (&[0xc1], Server, Violation::ReservedBits(0xc1)),
            (&[0xa1], Server, Violation::ReservedBits(0xa1)),
            (&[0x91], Client, Violation::ReservedBits(0x91)),
            (&[0x83], Server, Violation::UnknownOpcode(3)),
            (&[0x8f], Client, Violation::UnknownOpcode(15)),
            (&[0x09], Server, Violation::ControlFragmented),
            (&[0x81, 0x05], Server, Violation::NotMasked),
            (&[0x81, 0x85], Client, Violation::Masked),
            (&[0x89, 0xfe], Server, Violation::ControlTooLong),
            (&[0x88, 0x7f], Client, Violation::ControlTooLong),
            (&[0x82, 0x7e, 0, 125], Client, Violation::LengthNotMinimal(125)),
            (
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Server,
                Violation::LengthNotMinimal(65_535),
            ),
            (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Server, Violation::LengthTopBit(1 << 63)),
            (&lying, Server, Violation::LengthTopBit(u64::MAX)),
        ];
        for &(bytes, role, violation) in cases {
            assert_eq!(
                Header::parse(bytes, role, false),
                Err(violation),
                "{bytes:02x?} at {role:?}"
            );
        }
    }

    #[test]
    fn rsv1_has_its_meaning_only_on_the_first_frame_of_a_message() {
        for (first, allowed) in
            [(0xc1, true), (0xc2, true), (0x41, true), (0xc0, false), (0xc9, false)]
        {
            let parsed = Header::parse(&[first, 0x80, 1, 2, 3, 4], Role::Server, true);
            assert_eq!(parsed.is_ok(), allowed, "{first:#x}");
        }
    }

    #[test]
    fn a_header_is_described_in_one_line() {
        let told = |header: Header| header.to_string();
        assert_eq!(told(header(true, Opcode::Text, Some(KEY), 5)), "text, 5 bytes, masked");
        let begun = Header { rsv1: true, ..header(false, Opcode::Binary, None, 0) };
        assert_eq!(told(begun), "binary, 0 bytes, more to come, compressed");
    }

    #[test]
    fn the_bit_of_a_compressed_message_is_written_where_it_is_read() {
        let header = Header { rsv1: true, ..header(true, Opcode::Text, None, 0) };
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        assert_eq!(bytes, [0xc1, 0]);
        assert_eq!(Header::parse(&bytes, Role::Client, true), Ok(Some((header, 2))));
    }
}
