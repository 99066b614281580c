//! Joins frames into messages, and echoes each message, until one end closes (RFC 6455 §5.4, §5.5,
//! §7).
//!
//! Both the server and the client echo, and check the peer's frames by the same rules. They answer a
//! violation with a Close whose code says which kind it was, and then end the stream.

use std::thread;
use std::time::Duration;

use crate::MAX_MESSAGE;
use crate::connection::{Connection, End};
use crate::deflate::Deflate;
use crate::rules;
use crate::switch::{Switch::*, has};
use crate::utf8::Utf8;
use crate::wire::{BINARY, CLOSE, CONTINUATION, Header, PING, PONG, RSV1, TEXT};

/// A message of which the last fragment is missing.
struct Message {
    opcode: u8,
    compressed: bool,
    bytes: Vec<u8>,
    utf8: Utf8,
    fragments: usize,
}

pub struct Echo {
    connection: Connection,
    deflate: Option<Deflate>,
    message: Option<Message>,
    /// A pong that waits for the end of the message.
    pong: Option<Vec<u8>>,
    closed: bool,
    /// How many messages came.
    seen: usize,
    /// The opcode of the first message.
    first_kind: Option<u8>,
}

impl Echo {
    pub fn new(connection: Connection, deflate: Option<Deflate>) -> Echo {
        Echo {
            connection,
            deflate,
            message: None,
            pong: None,
            closed: false,
            seen: 0,
            first_kind: None,
        }
    }

    /// Echoes until the connection ends, and ends the stream.
    pub fn run(mut self) {
        let end: Result<(), End> = self.greet().and_then(|()| {
            loop {
                if let Err(end) = self.step() {
                    break Err(end);
                }
            }
        });
        let ended = match end {
            Err(End::Violation(_)) if has(ViolationHangsUp) || self.closed => Ok(()),
            Err(End::Violation(_)) if has(ViolationsAre1002) => {
                self.send_close(&1002_u16.to_be_bytes())
            }
            Err(End::Violation(code)) if has(ReasonOnViolation) => {
                self.send_close(&[&code.to_be_bytes()[..], "ein Verstoß".as_bytes()].concat())
            }
            Err(End::Violation(1007)) if has(Utf8ClosedWith1005) => {
                self.send_close(&1005_u16.to_be_bytes())
            }
            Err(End::Violation(code)) => self.send_close(&code.to_be_bytes()),
            _ => Ok(()),
        };
        if has(ViolationHarmsOthers) && matches!(end, Err(End::Violation(_))) {
            self.connection.end_all();
        }
        if ended.is_ok() && !matches!(end, Err(End::Lost)) {
            self.connection.finish();
        }
    }

    /// Ends the connection with this code, without an echo.
    pub fn end(mut self, code: u16) {
        if self.send_close(&code.to_be_bytes()).is_ok() {
            self.connection.finish();
        }
    }

    fn greet(&mut self) -> Result<(), End> {
        if has(GreetsFirst) {
            self.connection.write_frame(true, 0, TEXT, b"welcome to the zoo")?;
        }
        if has(SendsPings) {
            self.connection.write_frame(true, 0, PING, b"")?;
        }
        Ok(())
    }

    /// Reads one frame and does what it asks for.
    fn step(&mut self) -> Result<(), End> {
        let header = self.connection.read_header()?;
        let long = self.message.as_ref().map_or(0, |message| message.bytes.len());
        let most = if has(LimitOf64Kib) { 65_536 } else { MAX_MESSAGE };
        let longest_frame = match () {
            () if has(FrameLimitOf64Kib) => 65_536,
            () if has(FrameLimitOf20000) => 20_000,
            () => MAX_MESSAGE,
        };
        let checked = rules::check(
            &header,
            self.connection.server,
            self.deflate.is_some(),
            most.saturating_sub(long).min(longest_frame),
        );
        if let Err(code) = checked
            && has(GoesOnAfterViolation)
        {
            self.send_close(&code.to_be_bytes())?;
            return self.connection.read_payload(&header, None).map(drop);
        }
        checked.map_err(End::Violation)?;
        if header.opcode < CLOSE { self.data(header) } else { self.control(&header) }
    }

    fn data(&mut self, header: Header) -> Result<(), End> {
        // §5.4: a continuation continues a message, and nothing else comes between its fragments.
        match (header.opcode, &mut self.message) {
            (CONTINUATION, None) if has(StrayContinuationEchoed) => self.start(TEXT, false),
            (CONTINUATION, None) if has(StrayContinuationIgnored) || has(FirstFragmentIsAll) => {
                self.connection.read_payload(&header, None)?;
                return Ok(());
            }
            (CONTINUATION, None) => return Err(End::Violation(1002)),
            (CONTINUATION, Some(message)) if has(LastFragmentOnly) => message.bytes.clear(),
            (CONTINUATION, Some(message)) if has(CharactersCutRefused) => {
                message.utf8 = Utf8::new()
            }
            (CONTINUATION, Some(_)) => {}
            (3..=7, _) => {
                self.connection.read_payload(&header, None)?;
                return Ok(());
            }
            (TEXT | BINARY, Some(message)) if has(MessageInMessageAppended) => {
                message.fragments += 1
            }
            (TEXT | BINARY, Some(_)) if !has(MessageInMessageReplaces) => {
                return Err(End::Violation(1002));
            }
            (opcode, _) => self.start(opcode, header.rsv & RSV1 != 0),
        }
        let message = self.message.as_mut().expect("started above");
        let checked = message.opcode == TEXT && !message.compressed && !has(TextCheckedAtTheEnd);
        let payload =
            self.connection.read_payload(&header, checked.then_some(&mut message.utf8))?;
        message.bytes.extend_from_slice(&payload);
        message.fragments += 1;
        if has(SixteenFragmentsAtMost) && message.fragments > 16 {
            return Err(End::Violation(1008));
        }
        if has(CharactersCutRefused) && checked && !message.utf8.may_end() {
            return Err(End::Violation(1007));
        }
        if has(EmptyLastFragmentLost) && header.fin && payload.is_empty() && message.fragments > 1
            || has(EmptyFragmentsRefused) && payload.is_empty() && message.fragments > 1
        {
            return if has(EmptyFragmentsRefused) { Err(End::Violation(1002)) } else { Ok(()) };
        }
        let ends = header.fin
            || has(FirstFragmentIsAll)
            || has(EachFragmentIsAMessage)
            || has(EmptyFragmentEnds) && payload.is_empty();
        if !ends {
            return Ok(());
        }
        let message = self.message.take().expect("started above");
        if has(EachFragmentIsAMessage) && !header.fin {
            self.start(message.opcode, message.compressed);
        }
        self.whole(message)?;
        if let Some(pong) = self.pong.take() {
            self.connection.write_frame(true, 0, PONG, &pong)?;
        }
        Ok(())
    }

    fn start(&mut self, opcode: u8, compressed: bool) {
        self.message = Some(Message {
            opcode,
            compressed,
            bytes: Vec::new(),
            utf8: Utf8::new(),
            fragments: 0,
        });
    }

    /// Checks a whole message and sends it back.
    fn whole(&mut self, mut message: Message) -> Result<(), End> {
        self.seen += 1;
        let mut bytes = message.bytes;
        if message.compressed {
            if let Some(deflate) = &mut self.deflate {
                bytes = deflate.inflate(&bytes).map_err(End::Violation)?;
            }
            if message.opcode == TEXT && !has(CompressedTextUnchecked) && !message.utf8.push(&bytes)
            {
                return Err(End::Violation(1007));
            }
        } else if has(CompressedOnlyAccepted) && self.deflate.is_some() {
            return Err(End::Violation(1002));
        } else if has(TextCheckedAtTheEnd) && message.opcode == TEXT && !message.utf8.push(&bytes) {
            return Err(End::Violation(1007));
        }
        if message.opcode == TEXT && !message.utf8.may_end() {
            return Err(End::Violation(1007));
        }
        if has(AnswersSlowly) {
            thread::sleep(Duration::from_millis(150));
        }
        if has(SendsPings) {
            self.connection.write_frame(true, 0, PING, b"are you there?")?;
        }
        if has(TextsOnly) && message.opcode == BINARY {
            return Err(End::Violation(1003));
        }
        if has(BinaryCheckedAsText) && std::str::from_utf8(&bytes).is_err() {
            return Err(End::Violation(1007));
        }
        if has(EmptyMessageUnanswered) && bytes.is_empty()
            || has(ShortMessagesLost) && bytes.len() == 1
            || has(SecondMessageUnanswered) && self.seen > 1
        {
            return Ok(());
        }
        if has(LineEndsTrimmed) && message.opcode == TEXT {
            bytes.truncate(bytes.trim_ascii_end().len());
        }
        if has(TextThroughLatin1) && message.opcode == TEXT {
            bytes = bytes.iter().map(|&byte| byte as char).collect::<String>().into_bytes();
        }
        if has(ByteOrderMarkDropped) && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        if has(StopsAtNul)
            && let Some(at) = bytes.iter().position(|&byte| byte == 0)
        {
            bytes.truncate(at);
        }
        if has(NulAppended) {
            bytes.push(0);
        }
        if has(Utf8Lossy) {
            bytes = bytes.iter().map(|&byte| if byte.is_ascii() { byte } else { b'?' }).collect();
        }
        let opcode = match message.opcode {
            TEXT if has(TextEchoedAsBinary) => BINARY,
            BINARY if has(BinaryEchoedAsText) => TEXT,
            opcode if has(FirstKindKept) => *self.first_kind.get_or_insert(opcode),
            TEXT if has(FragmentedEchoedAsBinary) && message.fragments > 1 => BINARY,
            opcode => opcode,
        };
        self.send_message(opcode, bytes)?;
        if has(ClosesAfterOneMessage) {
            self.send_close(&1000_u16.to_be_bytes())?;
            return Err(End::Closed);
        }
        Ok(())
    }

    fn send_message(&mut self, opcode: u8, bytes: Vec<u8>) -> Result<(), End> {
        let mut rsv = match () {
            () if has(RsvOneUnasked) => RSV1,
            () if has(RsvTwoSet) => 2,
            () if has(RsvThreeSet) => 1,
            () => 0,
        };
        let payload = match &mut self.deflate {
            Some(_) if has(DeflateNeverUsed) => bytes,
            Some(deflate) => {
                rsv = if has(RsvOneForgotten) { 0 } else { RSV1 };
                deflate.deflate(&bytes)
            }
            None => bytes,
        };
        if has(FragmentsItsEcho) || has(FragmentsAndPings) || has(RsvOneOnContinuations) {
            let third = payload.len() / 3;
            let again = if has(RsvOneOnContinuations) { rsv } else { 0 };
            self.connection.write_frame(false, rsv, opcode, &payload[..third])?;
            self.connection.write_frame(false, again, CONTINUATION, &payload[third..2 * third])?;
            if has(FragmentsAndPings) {
                self.connection.write_frame(true, 0, PING, b"in between")?;
            }
            self.connection.write_frame(false, again, CONTINUATION, &payload[2 * third..])?;
            return self.connection.write_frame(true, again, CONTINUATION, b"");
        }
        if has(PongsUnasked) {
            self.connection.write_frame(true, 0, PONG, b"heartbeat")?;
        }
        if has(EmptyFirstFragment) {
            self.connection.write_frame(false, rsv, opcode, b"")?;
            return self.connection.write_frame(true, 0, CONTINUATION, &payload);
        }
        if has(NeverFinal) {
            return self.connection.write_frame(false, rsv, opcode, &payload);
        }
        self.connection.write_frame(true, rsv, opcode, &payload)
    }

    fn control(&mut self, header: &Header) -> Result<(), End> {
        let payload = self.connection.read_payload(header, None)?;
        match header.opcode {
            CLOSE => self.close(&payload),
            PING => self.ping(payload),
            PONG if has(PongForPong) => self.connection.write_frame(true, 0, PONG, &payload),
            PONG if has(UnaskedPongRefused) => Err(End::Violation(1002)),
            PONG if has(PongEchoed) => self.send_message(BINARY, payload),
            _ => Ok(()),
        }
    }

    fn ping(&mut self, payload: Vec<u8>) -> Result<(), End> {
        if has(PingEndsMessage) {
            self.message = None;
        }
        if let Some(message) = &mut self.message {
            if has(PingAppendedToMessage) {
                message.bytes.extend_from_slice(&payload);
            }
            if has(PingReplacesKind) {
                message.opcode = BINARY;
            }
            if has(PingInMessageRefused) {
                return Err(End::Violation(1002));
            }
            if has(PongAfterMessage) {
                self.pong = Some(payload);
                return Ok(());
            }
        }
        // §5.5.3: of several pings that wait, only the last needs a pong.
        if has(PongsForLastOnly) && self.connection.next_is(0x80 | PING) {
            return Ok(());
        }
        if has(PongsSlowly) {
            thread::sleep(Duration::from_secs(1));
        }
        let mut payload = payload;
        match () {
            () if has(NoPong) => return Ok(()),
            () if has(EmptyPingUnanswered) && payload.is_empty() => return Ok(()),
            () if has(PongEmpty) => payload.clear(),
            () if has(PongCutAt124) => payload.truncate(124),
            () if has(PongCutAt16) => payload.truncate(16),
            () if has(PingEchoedAsText) => return self.send_message(TEXT, payload),
            () if has(PingAnsweredWithPing) => {
                return self.connection.write_frame(true, 0, PING, &payload);
            }
            () if has(RsvOneOnPongs) && self.deflate.is_some() => {
                let payload = self.deflate.as_mut().expect("just seen").deflate(&payload);
                return self.connection.write_frame(true, RSV1, PONG, &payload);
            }
            () if has(PongTwice) => self.connection.write_frame(true, 0, PONG, &payload)?,
            () => {}
        }
        self.connection.write_frame(true, 0, PONG, &payload)
    }

    fn close(&mut self, body: &[u8]) -> Result<(), End> {
        if self.closed {
            return Err(End::Closed);
        }
        if has(CloseIgnored) || has(TalksOnInstead) {
            return Ok(());
        }
        if has(CloseHangsUp) {
            return Err(End::Closed);
        }
        rules::check_close(body).map_err(End::Violation)?;
        if has(ClosesSlowly) {
            thread::sleep(Duration::from_millis(700));
        }
        let code = body.get(..2).unwrap_or_default();
        let answer: Vec<u8> = match () {
            () if has(CloseAnsweredEmpty) => Vec::new(),
            () if has(CloseAnsweredWith1000) => 1000_u16.to_be_bytes().into(),
            () if has(CloseAnsweredWith1005) && body.is_empty() => 1005_u16.to_be_bytes().into(),
            () if has(CloseAnsweredWith1006) => 1006_u16.to_be_bytes().into(),
            () if has(CloseCodeSwapped) => code.iter().rev().copied().collect(),
            () if has(CloseAnsweredWithOneByte) => vec![3],
            () if has(CloseReasonCut) && body.len() > 3 => body[..body.len() - 1].into(),
            () if has(CloseReasonTooLong) => [code, &[b'x'; 130]].concat(),
            () if has(CloseReasonEchoed) => body.into(),
            () => code.into(),
        };
        self.send_close(&answer)?;
        if has(CloseTwice) {
            self.send_close(&answer)?;
        }
        if has(MessageAfterClose) {
            self.connection.write_frame(true, 0, TEXT, b"one more thing")?;
        }
        if has(EchoesAfterClose) {
            self.closed = true;
            return Ok(());
        }
        Err(End::Closed)
    }

    fn send_close(&mut self, body: &[u8]) -> Result<(), End> {
        let rsv = if has(RsvOneOnClose) && self.deflate.is_some() { RSV1 } else { 0 };
        self.connection.write_frame(!has(CloseFragmented), rsv, CLOSE, body)
    }
}
