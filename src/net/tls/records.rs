//! TLS on a stream that several threads read and write at the same time.
//!
//! ```text
//!  write: plaintext ─► seal ─► `sealed` ─► system call    `sealed` is locked over all of it
//!                       │
//!                      tls     locked for what is done in memory, never over a system call
//!                       │
//!  read:  system call ─► `arrived` ─► open ─► plaintext   `arrived` is locked over all of it
//! ```
//!
//! Rules of this file:
//! - One lock around all of TLS would do, until a reader waits for bytes with the lock in its hand, and
//!   every writer waits for the peer to speak. So the state of rustls has a lock of its own.
//! - Records go out in the order in which they were sealed, so writers hold `sealed` over both. The
//!   reader never waits for it: what rustls wants to answer it leaves to the next writer, and an alert
//!   is sent only if nobody is writing.
//! - A read whose bytes made no whole record says `Interrupted`: the caller asks again with what is left
//!   of its time. So a record that dribbles in can't stretch a deadline.
//! - The end without a close_notify is an error: anybody in between can cut a stream, but only the
//!   peer can sign its end (RFC 8446 §6.1).

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::Connection;

use crate::net::queue::lock;
use crate::net::stream::{Deadline, Stream, is_timeout, part, read_before, write_before};
use crate::protocol::buffer::Buffer;
use crate::protocol::lesson::quote;

/// How long we try to say a last word: an alert, or close_notify.
const A_MOMENT: Duration = Duration::from_secs(1);

/// TLS around another stream.
pub(crate) struct TlsStream {
    stream: Arc<dyn Stream>,
    tls: Mutex<Connection>,
    /// Read from the stream, and not yet opened.
    arrived: Mutex<Buffer>,
    sealed: Mutex<Sealed>,
}

/// Records on their way out.
#[derive(Default)]
struct Sealed {
    records: Vec<u8>,
    /// So many bytes of them are written.
    written: usize,
    /// So many bytes of our caller's are in them that it does not yet know to be written. It comes
    /// again with these, and they must not be sealed twice.
    owed: usize,
}

/// Why there is no TLS.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The stream ended, failed, or was too slow.
    Broken(io::Error),
    /// rustls refuses what has come, or the peer refuses us.
    Refused(rustls::Error),
    /// The peer speaks something else, which begins like this.
    NotTls(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Broken(error)
    }
}

/// The handshake of TLS, before a deadline. Nobody else has the stream yet, so no lock is needed.
pub(crate) fn shake_hands(
    mut tls: Connection,
    stream: Arc<dyn Stream>,
    deadline: Deadline,
) -> Result<TlsStream, Failure> {
    let (mut arrived, mut sealed) = (Buffer::default(), Vec::new());
    let mut first = true;
    loop {
        // 1. Say what is to be said.
        collect(&mut tls, &mut sealed)?;
        write_before(deadline, &*stream, &sealed)?;
        sealed.clear();
        if !tls.is_handshaking() {
            break;
        }
        // 2. Hear what the peer says. Each flight of TLS begins with a handshake record, or an alert.
        if arrived.unread().is_empty() {
            match read_before(deadline, &*stream, arrived.space())? {
                0 => return Err(ended().into()),
                count => arrived.filled(count),
            }
        }
        if std::mem::take(&mut first) && !matches!(arrived.unread()[0], 0x15 | 0x16) {
            return Err(Failure::NotTls(quote(arrived.unread())));
        }
        // 3. Let rustls judge it; what it has against it the peer is told in an alert.
        match feed(&mut tls, &mut arrived) {
            Ok(state) if state.peer_has_closed() => return Err(ended().into()),
            Ok(_) => {}
            Err(error) => {
                collect(&mut tls, &mut sealed)?;
                if write_before(deadline, &*stream, &sealed).is_ok() {
                    part(Deadline::after(A_MOMENT), &*stream);
                }
                return Err(Failure::Refused(error));
            }
        }
    }
    let (tls, arrived, sealed) = (Mutex::new(tls), Mutex::new(arrived), Mutex::default());
    Ok(TlsStream { stream, tls, arrived, sealed })
}

/// Gives rustls some of what has arrived.
fn feed(tls: &mut Connection, arrived: &mut Buffer) -> Result<rustls::IoState, rustls::Error> {
    let count = tls.read_tls(&mut &*arrived.unread());
    arrived.consume(count.map_err(|error| rustls::Error::General(error.to_string()))?);
    tls.process_new_packets()
}

/// Takes the records that rustls has sealed.
fn collect(tls: &mut Connection, records: &mut Vec<u8>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(records)?;
    }
    Ok(())
}

impl TlsStream {
    /// Opens what has arrived, as far as there is room for it. `None`: it takes more bytes.
    fn open(&self, arrived: &mut Buffer, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = lock(&self.tls);
        let mut count = 0;
        while count < into.len() {
            match tls.reader().read(&mut into[count..]) {
                // The peer's close_notify.
                Ok(0) => return Ok(Some(count)),
                Ok(more) => count += more,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Err(_) if arrived.unread().is_empty() => break,
                Err(_) => match feed(&mut tls, arrived) {
                    Ok(_) => {}
                    Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
                },
            }
        }
        Ok((count > 0).then_some(count))
    }

    /// As `open`, and tells the peer what is wrong with it.
    fn open_or_alert(&self, arrived: &mut Buffer, into: &mut [u8]) -> io::Result<Option<usize>> {
        let opened = self.open(arrived, into);
        if opened.is_err() {
            self.say_last(|_| {});
        }
        opened
    }

    /// Says a last word, if nobody is writing, and no write has failed half way.
    fn say_last(&self, say: impl FnOnce(&mut Connection)) {
        let Ok(mut sealed) = self.sealed.try_lock() else { return };
        if !sealed.rest().is_empty() {
            return;
        }
        let mut tls = lock(&self.tls);
        say(&mut tls);
        let collected = collect(&mut tls, &mut sealed.records);
        drop(tls);
        let _ = collected.and_then(|()| self.stream.set_write_timeout(A_MOMENT));
        while let Ok(count @ 1..) = self.stream.write(&[IoSlice::new(sealed.rest())]) {
            sealed.written += count;
        }
    }
}

impl Sealed {
    fn rest(&self) -> &[u8] {
        &self.records[self.written..]
    }

    /// All is written: the memory goes back, unless it is little.
    fn clear(&mut self) {
        const LITTLE: usize = 1024;
        self.written = 0;
        self.records.clear();
        self.records.shrink_to(LITTLE);
    }
}

impl Stream for TlsStream {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut arrived = lock(&self.arrived);
        // 1. What is here already.
        if let Some(count) = self.open_or_alert(&mut arrived, into)? {
            return Ok(count);
        }
        // 2. What comes. No other lock is held: whoever wants to write may.
        match self.stream.read(arrived.space()) {
            Ok(0) => return Err(ended()),
            Ok(count) => arrived.filled(count),
            Err(error) => {
                if is_timeout(&error) {
                    arrived.shrink();
                }
                return Err(error);
            }
        }
        // 3. Is it enough for a record?
        self.open_or_alert(&mut arrived, into)?.ok_or(ErrorKind::Interrupted.into())
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sealed = lock(&self.sealed);
        // 1. Seal, at most so much as rustls takes at a time: 64 KiB.
        if sealed.owed == 0 {
            let mut tls = lock(&self.tls);
            sealed.owed = tls.writer().write_vectored(slices)?;
            collect(&mut tls, &mut sealed.records)?;
        }
        // 2. Write. A call that writes a part has waited for the rest, so the caller, who has a
        // deadline, is told of the progress; but of its last byte only when the whole record is out.
        while !sealed.rest().is_empty() {
            let count = self.stream.write(&[IoSlice::new(sealed.rest())])?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            sealed.written += count;
            let told = count.min(sealed.owed.saturating_sub(1));
            if told > 0 && !sealed.rest().is_empty() {
                sealed.owed -= told;
                return Ok(told);
            }
        }
        sealed.clear();
        Ok(std::mem::take(&mut sealed.owed))
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Write {
            self.say_last(|tls| tls.send_close_notify());
        }
        self.stream.shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }
}

fn ended() -> io::Error {
    let why = "the stream was cut off: it ended without the close_notify of TLS";
    io::Error::new(ErrorKind::UnexpectedEof, why)
}
