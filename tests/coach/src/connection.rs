//! Reads frames from a TCP stream and writes them to it, for either end of an open WebSocket (RFC
//! 6455 §5).
//!
//! The reader keeps bytes that it has read too early, so TCP may cut and join frames anywhere. Text is
//! checked as it arrives.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::switch::{Switch::*, has};
use crate::utf8::Utf8;
use crate::wire::{self, Header};

/// Why a connection ends.
pub enum End {
    /// The peer went away, or the network did.
    Lost,
    /// The peer broke a rule; this is the code of our Close.
    Violation(u16),
    /// Both sides have said Close.
    Closed,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Lost
    }
}

/// What all connections of a faulty server wait for.
static ONE_FOR_ALL: Mutex<()> = Mutex::new(());
/// The next mask of a faulty client.
static COUNTED: AtomicU32 = AtomicU32::new(1);
/// All open streams of a server, oldest first, with their peers' addresses. Some faulty servers send an echo to the
/// wrong ones, or end them all.
static ALL: Mutex<Vec<(SocketAddr, TcpStream)>> = Mutex::new(Vec::new());
/// The latest streams of a faulty server that has eight places.
static EIGHT: Mutex<VecDeque<TcpStream>> = Mutex::new(VecDeque::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Connection {
    pub stream: TcpStream,
    pub server: bool,
    /// The peer's address, once the connection is in `ALL`.
    listed_as: Option<SocketAddr>,
    /// What was read, of which the first `used` bytes are done with.
    input: Vec<u8>,
    used: usize,
    /// The key of the first frame that came, for a server that believes it will stay.
    first_key: Option<[u8; 4]>,
    /// The key of every frame, for a client that draws one for each connection.
    own_key: [u8; 4],
    /// What waits to be written, for a server whose queue has no bound.
    queue: Option<mpsc::Sender<Vec<u8>>>,
}

impl Connection {
    /// `input` is what was read with the head.
    pub fn new(stream: TcpStream, server: bool, input: Vec<u8>) -> Connection {
        let input = if has(FrameBehindHeadLost) { Vec::new() } else { input };
        Connection {
            stream,
            server,
            listed_as: None,
            input,
            used: 0,
            first_key: None,
            own_key: random(),
            queue: None,
        }
    }

    /// Adds the connection to the server's clients. This precedes the 101: a client that has its answer is the newest
    /// until the next one comes.
    pub fn add_to_clients(&mut self) -> io::Result<()> {
        let peer = self.stream.peer_addr()?;
        lock(&ALL).push((peer, self.stream.try_clone()?));
        self.listed_as = Some(peer);
        if has(OldestEvicted) {
            let mut eight = lock(&EIGHT);
            eight.push_back(self.stream.try_clone()?);
            if eight.len() > 8
                && let Some(oldest) = eight.pop_front()
            {
                let _ = oldest.shutdown(Shutdown::Both);
            }
        }
        Ok(())
    }

    /// Whether a frame with this first byte waits in the buffer.
    pub fn next_is(&self, first: u8) -> bool {
        self.input.get(self.used) == Some(&first)
    }

    /// Reads once.
    fn fill(&mut self) -> Result<(), End> {
        self.input.drain(..self.used);
        self.used = 0;
        let mut bytes = [0; 65_536];
        if has(PingsConstantly) || has(TalksConstantly) || has(TalksOnInstead) {
            let pause = if has(PingsConstantly) { 10 } else { 20 };
            self.stream.set_read_timeout(Some(Duration::from_millis(pause)))?;
            while let Err(error) = self.stream.peek(&mut bytes[..1]) {
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    return Err(End::Lost);
                }
                let opcode = if has(PingsConstantly) { wire::PING } else { wire::TEXT };
                self.write_frame(true, 0, opcode, b"still there?")?;
            }
        }
        match self.stream.read(&mut bytes)? {
            0 => Err(End::Lost),
            read => {
                self.input.extend_from_slice(&bytes[..read]);
                Ok(())
            }
        }
    }

    pub fn read_header(&mut self) -> Result<Header, End> {
        if has(DiesOfFirstFrame) {
            self.fill()?;
            std::process::exit(1);
        }
        if has(OneReadOneFrame) {
            self.used = self.input.len();
        }
        loop {
            if let Some((header, used)) = Header::parse(&self.input[self.used..]) {
                self.used += used;
                return Ok(header);
            }
            if has(HalfHeaderForgotten) {
                self.used = self.input.len();
            }
            self.fill()?;
        }
    }

    /// Reads the payload that belongs to this header, unmasked.
    pub fn read_payload(
        &mut self,
        header: &Header,
        mut text: Option<&mut Utf8>,
    ) -> Result<Vec<u8>, End> {
        let length = header.length as usize;
        let key = match header.key {
            Some(key) if has(MaskOfFirstFrame) => *self.first_key.get_or_insert(key),
            // The server takes "no key" from its bits, and reads the key as payload.
            Some([0, 0, 0, 0]) if has(ZeroMaskTakenForNone) => {
                self.used -= 4;
                [0; 4]
            }
            Some([255, 255, 255, 255]) if has(FfMaskTakenForNone) => [0; 4],
            Some(_) if has(NeverUnmasked) => [0; 4],
            key => key.unwrap_or_default(),
        };
        let mut payload = Vec::new();
        let _held = has(FramesReadUnderLock).then(|| lock(&ONE_FOR_ALL));
        while payload.len() < length {
            if self.used == self.input.len() {
                if has(OneReadOneFrame) || has(PayloadReadOnce) && !payload.is_empty() {
                    break;
                }
                self.fill()?;
            }
            let from = payload.len();
            let here = (self.input.len() - self.used).min(length - from);
            payload.extend_from_slice(&self.input[self.used..self.used + here]);
            self.used += here;
            match () {
                () if has(MaskRestartsWithEachRead) => wire::mask(key, 0, &mut payload[from..]),
                () if has(MaskOfFourBytesOnly) => {
                    wire::mask(key, from, &mut payload[from..length.min(4).max(from)])
                }
                () => wire::mask(key, from, &mut payload[from..]),
            }
            if let Some(text) = &mut text
                && !text.push(&payload[from..])
            {
                return Err(End::Violation(1007));
            }
        }
        if has(SecondFrameDropped) {
            self.used = self.input.len();
        }
        Ok(payload)
    }

    /// Writes a frame, masked if this is the client.
    pub fn write_frame(
        &mut self,
        fin: bool,
        rsv: u8,
        opcode: u8,
        payload: &[u8],
    ) -> Result<(), End> {
        let length = payload.len() as u64;
        let key = self.key(opcode, length);
        let header = Header { fin, rsv, opcode, key, length, wasteful: false };
        let mut bytes = header.write();
        let from = bytes.len();
        bytes.extend_from_slice(payload);
        match header.key {
            Some(_) if has(MaskNotApplied) => {}
            Some(key) => wire::mask(key, 0, &mut bytes[from..]),
            None => {}
        }
        self.write(&bytes)?;
        Ok(())
    }

    /// The key of the next frame.
    fn key(&self, opcode: u8, length: u64) -> Option<[u8; 4]> {
        if self.server {
            let masks = has(ServerMasks)
                || has(CloseMasked) && opcode == wire::CLOSE
                || has(BinaryMasked) && opcode == wire::BINARY;
            return masks.then(random);
        }
        match () {
            () if has(NothingMasked) => None,
            () if has(ControlNotMasked) && opcode >= wire::CLOSE => None,
            () if has(CloseNotMasked) && opcode == wire::CLOSE => None,
            () if has(BinaryNotMasked) && opcode == wire::BINARY => None,
            () if has(LongNotMasked) && length > 125 => None,
            () if has(EmptyNotMasked) && length == 0 => None,
            () if has(MaskFixed) => Some(*b"mask"),
            () if has(MaskZero) => Some([0; 4]),
            () if has(MaskOfConnection) => Some(self.own_key),
            () if has(MaskCounted) => Some(COUNTED.fetch_add(1, SeqCst).to_be_bytes()),
            () if has(MasksAlternate) => {
                Some([*b"mask", *b"fish"][COUNTED.fetch_add(1, SeqCst) as usize % 2])
            }
            // Each connection has a process of its own.
            () if has(MasksOfSeed) => {
                let count = COUNTED.fetch_add(1, SeqCst);
                Some((count * count).wrapping_mul(0x9e37_79b9).to_be_bytes())
            }
            () if has(MasksOf16Bits) => Some([0, 0, random()[0], random()[1]]),
            () if has(MaskOfOneByte) => Some([random()[0]; 4]),
            () => Some(random()),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let _held = has(OneSlowReaderBlocksAll).then(|| lock(&ONE_FOR_ALL));
        if has(DribblesFrames) && bytes.len() < 1000 {
            for byte in bytes {
                self.stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(1));
            }
            return Ok(());
        }
        if has(WritesSlowly) {
            for piece in bytes.chunks(1000) {
                self.stream.write_all(piece)?;
                thread::sleep(Duration::from_millis(piece.len() as u64 / 50));
            }
            return Ok(());
        }
        if has(WritersMixed) && bytes.len() > 1000 {
            let (mut stream, bytes) = (self.stream.try_clone()?, bytes.to_vec());
            thread::spawn(move || {
                let (first, last) = bytes.split_at(bytes.len() / 2);
                let _ = stream.write_all(first);
                thread::sleep(Duration::from_millis(60));
                let _ = stream.write_all(last);
            });
            return Ok(());
        }
        if has(EchoesWithoutBound) {
            let queue = match &self.queue {
                Some(queue) => queue,
                None => {
                    let (queue, waiting) = mpsc::channel::<Vec<u8>>();
                    let mut stream = self.stream.try_clone()?;
                    thread::spawn(move || {
                        for bytes in waiting {
                            if stream.write_all(&bytes).is_err() {
                                break;
                            }
                        }
                        let _ = stream.shutdown(Shutdown::Write);
                    });
                    self.queue.insert(queue)
                }
            };
            let _ = queue.send(bytes.to_vec());
            return Ok(());
        }
        if has(EchoesToAll) {
            for (_, stream) in lock(&ALL).iter_mut() {
                let _ = stream.write_all(bytes);
            }
            return Ok(());
        }
        if has(EchoesToNewest)
            && let Some((_, stream)) = lock(&ALL).last_mut()
        {
            let _ = stream.write_all(bytes);
            return Ok(());
        }
        self.stream.write_all(bytes)
    }

    /// Ends each connection of a faulty server.
    pub fn end_all(&self) {
        for (_, stream) in lock(&ALL).iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Ends the stream so that the peer still reads what was written: a lingering close, for a second at most.
    pub fn finish(mut self) {
        if has(TcpLeftOpen) {
            thread::sleep(Duration::from_secs(120));
        }
        if has(ClosesSlowly) {
            thread::sleep(Duration::from_millis(700));
        }
        // §7.1.1: the server closes first; the client waits for that. What is queued ends with the queue.
        if self.queue.take().is_none() && self.server {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        let end = Instant::now() + Duration::from_secs(2);
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(500)));
        let mut bytes = [0; 65_536];
        while Instant::now() < end && self.stream.read(&mut bytes).is_ok_and(|read| read > 0) {}
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&ALL).retain(|(peer, _)| Some(*peer) != self.listed_as);
    }
}

/// Four bytes that a peer can't foresee.
pub fn random() -> [u8; 4] {
    (RandomState::new().hash_one(0) as u32).to_be_bytes()
}
