//! TLS over a stream that several threads read from and write to at the same time.
//!
//! ```text
//!  write: plaintext ─► seal ─► `sealed` ─► system call       `sealed` is locked for the whole write
//!                       │
//!                      tls     locked only for work in memory, never during a system call
//!                       │
//!  read:  system call ─► `arrived` ─► decrypt ─► plaintext   `arrived` is locked for the whole read
//! ```
//!
//! Rules of this file:
//! - The rustls state has its own lock, `tls`. With a single lock around all of TLS, a thread that
//!   waits in `read` would hold that lock, and every writer would wait until the peer sends
//!   something.
//! - Records must be sent in the order in which they were sealed, so a writer holds `sealed` while
//!   it seals and while it writes. The reader never waits for `sealed`. If rustls must answer the
//!   peer (for example, when the peer asks for new keys), the reader leaves that answer to the next
//!   writer. The reader itself sends only alerts, and only if no thread is writing.
//! - If a read's bytes don't complete a record, the read fails with `Interrupted` and a
//!   [`PartOfRecord`] inside. The caller then knows that the peer is alive, and reads again with
//!   its remaining time. That way, a record that arrives byte by byte can't extend a deadline.
//! - A write fails once the keys of TLS 1.2 are used up. With AES-GCM, they last for 2^24 records
//!   in each direction. (TLS 1.3 renews its keys.)
//! - A stream that ends without a close_notify is an error: anyone on the network path can cut a
//!   stream, but only the peer can authenticate its end (RFC 8446 §6.1).

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::Connection;

use crate::diagnostic::quote;
use crate::frames::buffer::Buffer;
use crate::transport::deadline::{Deadline, read_before, write_before};
use crate::transport::lingering_close::lingering_close;
use crate::transport::lock::lock;
use crate::transport::stream::{PartOfRecord, Stream, is_timeout};

/// How long this end waits for the peer when it ends TLS:
/// - After the handshake: the timeout of each write of this end's last record, an alert or a
///   close_notify.
/// - After a failed handshake: how long this end waits for the peer to close, once it has sent an
///   alert. The handshake's deadline can end this wait earlier.
const LAST_RECORD_TIMEOUT: Duration = Duration::from_secs(1);

/// A TLS stream: it encrypts and decrypts the bytes that pass through an underlying stream. Several
/// threads may use it at once.
pub(crate) struct TlsStream {
    stream: Arc<dyn Stream>,
    tls: Mutex<Connection>,
    /// The encrypted bytes that were read from the underlying stream and aren't decrypted yet.
    arrived: Mutex<Buffer>,
    sealed: Mutex<SealedRecords>,
}

/// Sealed (encrypted) records, and how many of their bytes have been written to the underlying
/// stream.
#[derive(Default)]
struct SealedRecords {
    records: Vec<u8>,
    /// The number of bytes of `records` that have been written to the underlying stream.
    written: usize,
    /// The number of the caller's bytes that are encrypted but not yet reported as written. After a
    /// timeout, the caller passes these bytes again, and `write` must not encrypt them twice.
    owed: usize,
}

/// Why a TLS handshake failed.
#[derive(Debug)]
pub(crate) enum HandshakeFailure {
    /// The stream ended or failed, or the deadline passed, before the handshake was complete.
    Broken(io::Error),
    /// rustls rejected the peer's bytes, or the peer rejected ours.
    Refused(rustls::Error),
    /// The peer's first bytes aren't TLS. This variant holds these bytes. If they begin an HTTP
    /// response, they include its status, unless the stream ended before that.
    NotTls(Vec<u8>),
    /// ALPN chose this protocol instead of HTTP/1.1.
    OtherProtocol(String),
}

impl From<io::Error> for HandshakeFailure {
    fn from(error: io::Error) -> HandshakeFailure {
        HandshakeFailure::Broken(error)
    }
}

/// Performs this end's part of the TLS handshake, as client or server, before the deadline. No
/// other thread reads or writes the stream yet, so the handshake needs no lock.
pub(crate) fn handshake(
    mut tls: Connection,
    stream: Arc<dyn Stream>,
    deadline: Deadline,
) -> Result<TlsStream, HandshakeFailure> {
    let (mut arrived, mut sealed) = (Buffer::default(), Vec::new());
    let mut first = true;
    loop {
        // 1. Send what rustls wants to send.
        collect_records(&mut tls, &mut sealed)?;
        write_before(deadline, &*stream, &sealed)?;
        sealed.clear();
        if !tls.is_handshaking() {
            break;
        }
        // 2. Read the peer's bytes. They must begin with a handshake record or an alert.
        if arrived.unread().is_empty() {
            match read_before(deadline, &*stream, arrived.space())? {
                0 => return Err(end_of_stream_error().into()),
                count => arrived.filled(count),
            }
        }
        if std::mem::take(&mut first) && !matches!(arrived.unread()[0], 0x15 | 0x16) {
            read_on_to_status(&mut arrived, &*stream, deadline)?;
            return Err(HandshakeFailure::NotTls(arrived.unread().to_vec()));
        }
        // 3. Let rustls validate these bytes. If it rejects them, send its alert to the peer.
        match feed_rustls(&mut tls, &mut arrived) {
            // A close_notify before the handshake is complete ends the stream too early. Once the
            // handshake is complete, a close_notify is legal: a peer may send its last handshake
            // record, its data and its close_notify together.
            Ok(state) if state.peer_has_closed() && tls.is_handshaking() => {
                return Err(end_of_stream_error().into());
            }
            Ok(_) => {}
            Err(error) => {
                collect_records(&mut tls, &mut sealed)?;
                if write_before(deadline, &*stream, &sealed).is_ok() {
                    let rest = deadline.remaining().unwrap_or_default();
                    lingering_close(Deadline::after(rest.min(LAST_RECORD_TIMEOUT)), &*stream);
                }
                return Err(HandshakeFailure::Refused(error));
            }
        }
    }
    // RFC 7301 §3.2: the bytes that follow are in the protocol that ALPN chose. We speak only
    // HTTP/1.1.
    if let Some(protocol) = tls.alpn_protocol().filter(|protocol| *protocol != b"http/1.1") {
        return Err(HandshakeFailure::OtherProtocol(quote(protocol)));
    }
    let (tls, arrived, sealed) = (Mutex::new(tls), Mutex::new(arrived), Mutex::default());
    Ok(TlsStream { stream, tls, arrived, sealed })
}

/// If the bytes in `arrived` begin like an HTTP response, reads on until they include its status or
/// the stream ends.
fn read_on_to_status(
    arrived: &mut Buffer,
    stream: &dyn Stream,
    deadline: Deadline,
) -> io::Result<()> {
    const START: &[u8] = b"HTTP/1.";
    const LENGTH: usize = b"HTTP/1.1 503 ".len();
    let begins_like_http =
        |bytes: &[u8]| bytes.iter().zip(START).all(|(byte, of_http)| byte == of_http);
    while arrived.unread().len() < LENGTH && begins_like_http(arrived.unread()) {
        match read_before(deadline, stream, arrived.space())? {
            0 => break,
            count => arrived.filled(count),
        }
    }
    Ok(())
}

/// Moves bytes from `arrived` to rustls, as many as rustls takes in one call. rustls then validates
/// and decrypts them.
fn feed_rustls(
    tls: &mut Connection,
    arrived: &mut Buffer,
) -> Result<rustls::IoState, rustls::Error> {
    let count = tls.read_tls(&mut &*arrived.unread());
    arrived.consume(count.map_err(|error| rustls::Error::General(error.to_string()))?);
    tls.process_new_packets()
}

/// Moves the records that rustls wants to send into `records`.
fn collect_records(tls: &mut Connection, records: &mut Vec<u8>) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(records)?;
    }
    Ok(())
}

/// Returns whether `records` holds at least one record, and each record's type is application data.
/// With TLS 1.3, this is the type of every encrypted record (RFC 8446 §5.2).
fn are_application_data(mut records: &[u8]) -> bool {
    const APPLICATION_DATA: u8 = 0x17;
    let is_empty = records.is_empty();
    while let [APPLICATION_DATA, _, _, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records = rest.get(length..).unwrap_or_default();
    }
    !is_empty && records.is_empty()
}

impl TlsStream {
    /// Decrypts arrived records into `into`, until `into` is full or no complete record is left.
    /// Returns the number of decrypted bytes, which is 0 after the peer's close_notify. Returns
    /// `None` if there's nothing to decrypt until more bytes arrive.
    fn decrypt(&self, arrived: &mut Buffer, into: &mut [u8]) -> io::Result<Option<usize>> {
        let mut tls = lock(&self.tls);
        let (mut count, mut fed) = (0, Ok(()));
        while count < into.len() {
            match tls.reader().read(&mut into[count..]) {
                // The peer has sent its close_notify.
                Ok(0) => return Ok(Some(count)),
                Ok(more) => count += more,
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Err(_) if fed.is_err() || arrived.unread().is_empty() => break,
                Err(_) => {
                    // After our close_notify, a debug build of rustls panics on a bad record
                    // instead of returning an error, because it can send no alert any more.
                    let feed = AssertUnwindSafe(|| feed_rustls(&mut tls, arrived).map(drop));
                    let panicked = |_| Err(rustls::Error::General("rustls panicked".into()));
                    fed = catch_unwind(feed).unwrap_or_else(panicked);
                }
            }
        }
        // A bad record doesn't affect the good records before it: rustls reports the error again in
        // the next call.
        if count > 0 {
            return Ok(Some(count));
        }
        let checked = fed.and_then(|()| tls.process_new_packets().map(drop));
        checked.map(|()| None).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    /// Calls [`decrypt`](TlsStream::decrypt) and returns its result. If it fails, also sends the
    /// peer a TLS alert that names the reason. Sends no alert while another thread is writing, or
    /// if an earlier write stopped in the middle of a record.
    fn decrypt_or_alert(&self, arrived: &mut Buffer, into: &mut [u8]) -> io::Result<Option<usize>> {
        let decrypted = self.decrypt(arrived, into);
        if decrypted.is_err() {
            self.send_last_record(|_| {});
        }
        decrypted
    }

    /// Sends this end's last TLS record: the alert that rustls has prepared, or the close_notify
    /// that `seal` adds. Does nothing if another thread is writing. Also does nothing if an earlier
    /// write stopped in the middle of a record, because the peer would read the new record as the
    /// rest of the incomplete one.
    fn send_last_record(&self, seal: impl FnOnce(&mut Connection)) {
        let Ok(mut sealed) = self.sealed.try_lock() else { return };
        if !sealed.unwritten().is_empty() {
            return;
        }
        let mut tls = lock(&self.tls);
        seal(&mut tls);
        let collected = collect_records(&mut tls, &mut sealed.records);
        drop(tls);
        let _ = collected.and_then(|()| self.stream.set_write_timeout(LAST_RECORD_TIMEOUT));
        while !sealed.unwritten().is_empty() {
            match self.stream.write(&[IoSlice::new(sealed.unwritten())]) {
                Ok(count @ 1..) => sealed.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
    }
}

impl SealedRecords {
    fn unwritten(&self) -> &[u8] {
        &self.records[self.written..]
    }

    /// Removes the records, all of which have been written, and frees all but 1 KiB of their
    /// memory.
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
        // 1. Decrypt what has arrived already.
        if let Some(count) = self.decrypt_or_alert(&mut arrived, into)? {
            return Ok(count);
        }
        // 2. Read. This thread holds no lock that a writer needs. // WALK: tls-read
        match self.stream.read(arrived.space()) {
            Ok(0) => return Err(end_of_stream_error()),
            Ok(count) => arrived.filled(count),
            Err(error) => {
                if is_timeout(&error) {
                    arrived.free_idle_memory();
                }
                return Err(error);
            }
        }
        // 3. Decrypt a record, if it's complete now.
        let decrypted = self.decrypt_or_alert(&mut arrived, into)?;
        decrypted.ok_or_else(|| io::Error::new(ErrorKind::Interrupted, PartOfRecord))
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sealed = lock(&self.sealed);
        // 1. Seal (encrypt) the bytes. rustls takes at most 64 KiB at a time.
        if sealed.owed == 0 {
            let mut tls = lock(&self.tls);
            collect_records(&mut tls, &mut sealed.records)?;
            let before = sealed.records.len();
            let taken = tls.writer().write_vectored(slices)?;
            collect_records(&mut tls, &mut sealed.records)?;
            // Once the keys of TLS 1.2 are used up, rustls seals a close_notify instead of bytes,
            // and drops these bytes, but counts them as taken.
            if taken > 0 && !are_application_data(&sealed.records[before..]) {
                return Err(io::Error::other("the keys of TLS 1.2 are used up: connect again"));
            }
            sealed.owed = taken;
        }
        // 2. Write the records. A call that wrote only part of the records has used up its timeout.
        //    This function then returns, because the caller has a deadline and needs to see the
        //    progress. The caller's last byte counts as written only when all records are written:
        //    until then, the caller must call again.
        while !sealed.unwritten().is_empty() {
            let count = self.stream.write(&[IoSlice::new(sealed.unwritten())])?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            sealed.written += count;
            let reported = count.min(sealed.owed.saturating_sub(1));
            if reported > 0 && !sealed.unwritten().is_empty() {
                sealed.owed -= reported;
                return Ok(reported);
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
            self.send_last_record(|tls| tls.send_close_notify());
        }
        self.stream.shutdown(how)
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let tls = lock(&self.tls);
        tls.peer_certificates().into_iter().flatten().map(|der| der.to_vec()).collect()
    }

    fn unacknowledged(&self) -> Option<u64> {
        self.stream.unacknowledged()
    }
}

fn end_of_stream_error() -> io::Error {
    let why = "the stream was cut off: it ended without the close_notify of TLS";
    io::Error::new(ErrorKind::UnexpectedEof, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tls::certificate::{SelfSigned, VALID, self_signed};
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    use std::sync::{Condvar, LazyLock, mpsc};
    use std::thread;

    use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
        SupportedCipherSuite, Tls12CipherSuite,
    };

    /// The maximum time that a test waits before it fails. No step takes that long.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// One direction of an in-memory pipe: its bytes, and whether it has ended.
    #[derive(Default)]
    struct Half {
        bytes: Mutex<(VecDeque<u8>, bool)>,
        changed: Condvar,
    }

    /// One end of an in-memory pipe, as the stream under TLS.
    struct End {
        from: Arc<Half>,
        to: Arc<Half>,
        /// The maximum number of bytes that one call reads or writes.
        piece: usize,
        /// The pipe's capacity in bytes. A write waits while the pipe is full.
        room: usize,
        /// Whether every other read and write times out at once.
        stutters: AtomicBool,
        calls: AtomicUsize,
        read_timeout: Mutex<Duration>,
    }

    fn pipe(piece: usize, room: usize) -> [Arc<End>; 2] {
        let [a, b] = [Arc::<Half>::default(), Arc::<Half>::default()];
        [(a.clone(), b.clone()), (b, a)].map(|(from, to)| {
            let (stutters, calls) = (AtomicBool::new(false), AtomicUsize::new(0));
            let read_timeout = Mutex::new(PATIENCE);
            Arc::new(End { from, to, piece, room, stutters, calls, read_timeout })
        })
    }

    impl End {
        /// Waits until `ready` returns `true` for this half. Fails if the wait takes longer than
        /// `patience`, or if a stuttering pipe makes this call time out.
        fn wait<'a>(
            &self,
            half: &'a Half,
            patience: Duration,
            ready: impl Fn(&(VecDeque<u8>, bool)) -> bool,
        ) -> io::Result<std::sync::MutexGuard<'a, (VecDeque<u8>, bool)>> {
            if self.stutters.load(SeqCst) && self.calls.fetch_add(1, SeqCst).is_multiple_of(2) {
                return Err(ErrorKind::WouldBlock.into());
            }
            let waited =
                half.changed.wait_timeout_while(lock(&half.bytes), patience, |s| !ready(s));
            let (state, late) = waited.unwrap();
            if late.timed_out() { Err(ErrorKind::WouldBlock.into()) } else { Ok(state) }
        }

        fn end(half: &Half) {
            lock(&half.bytes).1 = true;
            half.changed.notify_all();
        }
    }

    impl Stream for End {
        fn read(&self, into: &mut [u8]) -> io::Result<usize> {
            let mut state = self.wait(&self.from, *lock(&self.read_timeout), |(bytes, over)| {
                !bytes.is_empty() || *over
            })?;
            let count = into.len().min(self.piece).min(state.0.len());
            into.iter_mut().zip(state.0.drain(..count)).for_each(|(to, from)| *to = from);
            self.from.changed.notify_all();
            Ok(count)
        }

        fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            let mut state =
                self.wait(&self.to, PATIENCE, |(bytes, over)| bytes.len() < self.room || *over)?;
            if state.1 {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let count = slices[0].len().min(self.piece).min(self.room - state.0.len());
            state.0.extend(&slices[0][..count]);
            self.to.changed.notify_all();
            Ok(count)
        }

        fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
            *lock(&self.read_timeout) = timeout.min(PATIENCE);
            Ok(())
        }

        fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            if how != Shutdown::Read {
                End::end(&self.to);
            }
            if how != Shutdown::Write {
                End::end(&self.from);
            }
            Ok(())
        }
    }

    static CERTIFICATE: LazyLock<SelfSigned> = LazyLock::new(|| self_signed(&["localhost"], VALID));

    fn server() -> Connection {
        server_with(ring::default_provider())
    }

    fn server_with(provider: CryptoProvider) -> Connection {
        let chain = CertificateDer::from_pem_slice(CERTIFICATE.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(CERTIFICATE.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![chain], key));
        Connection::Server(ServerConnection::new(Arc::new(config.unwrap())).unwrap())
    }

    /// Returns a provider that speaks only TLS 1.2, and whose keys are used up after this number of
    /// records instead of 2^24.
    fn tls_1_2_with_keys_for(records: u64) -> CryptoProvider {
        let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        let SupportedCipherSuite::Tls12(suite) = suite else { panic!("not a suite of TLS 1.2") };
        let common = CipherSuiteCommon { confidentiality_limit: records, ..suite.common };
        let suite = Tls12CipherSuite { common, ..*suite };
        let cipher_suites = vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))];
        CryptoProvider { cipher_suites, ..ring::default_provider() }
    }

    fn client() -> Connection {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(CERTIFICATE.certificate.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        Connection::Client(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    /// Returns a client's TLS state, and its first record (the ClientHello).
    fn hello() -> (Connection, Vec<u8>) {
        let (mut tls, mut hello) = (client(), Vec::new());
        collect_records(&mut tls, &mut hello).unwrap();
        (tls, hello)
    }

    fn soon() -> Deadline {
        Deadline::after(PATIENCE)
    }

    /// Returns a client and a server that have completed the TLS handshake over this pipe.
    fn over([a, b]: [Arc<End>; 2]) -> [Arc<TlsStream>; 2] {
        let other = thread::spawn(|| handshake(server(), b, soon()).unwrap());
        [Arc::new(handshake(client(), a, soon()).unwrap()), Arc::new(other.join().unwrap())]
    }

    fn read_exact(stream: &TlsStream, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            match stream.read(&mut bytes[have..]) {
                Ok(0) => panic!("an end after {have} of {count}"),
                Ok(more) => have += more,
                Err(error) if error.kind() == ErrorKind::Interrupted || is_timeout(&error) => {}
                Err(error) => panic!("{error} after {have} of {count}"),
            }
        }
        bytes
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    /// Reads until the stream ends or fails, and returns the result of that last read.
    fn end_of(stream: &TlsStream) -> io::Result<usize> {
        loop {
            match stream.read(&mut [0; 100]) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                end => return end,
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out_whatever_the_pieces() {
        for (piece, length) in [(1, 3_000), (2, 3_000), (7, 20_000), (5_000, 300_000)] {
            let [a, b] = over(pipe(piece, 1 << 20));
            let sent = sample(length);
            thread::scope(|scope| {
                for (from, to) in [(&a, &b), (&b, &a)] {
                    scope.spawn(|| write_before(soon(), &**from, &sent).unwrap());
                    scope.spawn(|| assert!(read_exact(to, length) == sent));
                }
            });
        }
    }

    #[test]
    fn what_was_written_is_not_kept() {
        let [a, b] = over(pipe(1 << 16, 1 << 20));
        for _ in 0..3 {
            write_before(soon(), &*a, &sample(10_000)).unwrap();
            read_exact(&b, 10_000);
            let sealed = lock(&a.sealed);
            assert!(sealed.records.is_empty() && sealed.records.capacity() <= 1024);
        }
    }

    #[test]
    fn a_timeout_before_every_byte_loses_nothing_and_doubles_nothing() {
        let ends = pipe(1, 1 << 20);
        let [a, b] = over(ends.clone());
        ends.iter().for_each(|end| end.stutters.store(true, SeqCst));
        let sent = sample(2_000);
        thread::scope(|scope| {
            scope.spawn(|| write_before(soon(), &*a, &sent).unwrap());
            assert!(read_exact(&b, sent.len()) == sent);
        });
    }

    #[test]
    fn a_write_reports_progress_and_its_last_byte_only_when_all_is_written() {
        let [a, b] = over(pipe(1, 1 << 20));
        let mut told = 0;
        while told < 5 {
            assert_eq!(a.write(&[IoSlice::new(&b"hello"[told..])]).unwrap(), 1);
            told += 1;
        }
        assert_eq!(lock(&a.sealed).unwritten(), []);
        assert_eq!(read_exact(&b, 5), b"hello");
    }

    #[test]
    fn a_writer_is_not_held_up_by_a_reader_that_waits() {
        let [a, b] = over(pipe(1 << 16, 1 << 16));
        let reader = thread::spawn({
            let a = a.clone();
            move || end_of(&a)
        });
        // 300 rounds, because the reader waits in its system call in most of them, but not in all.
        for round in 0..300 {
            let sent = sample(if round % 10 == 0 { 100_000 } else { round });
            thread::scope(|scope| {
                scope.spawn(|| write_before(soon(), &*a, &sent).unwrap());
                assert!(read_exact(&b, sent.len()) == sent);
            });
        }
        b.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
    }

    #[test]
    fn a_reader_is_not_held_up_by_a_writer_that_is_stuck() {
        let [a, b] = over(pipe(1 << 16, 4_096));
        let (stuck, is_stuck) = mpsc::channel();
        let writer = thread::spawn({
            let a = a.clone();
            move || {
                stuck.send(()).unwrap();
                write_before(soon(), &*a, &sample(1 << 20))
            }
        });
        is_stuck.recv().unwrap();
        // The peer asks for new keys (rustls must answer that), and sends some text.
        if let Connection::Server(tls) = &mut *lock(&b.tls) {
            tls.refresh_traffic_keys().unwrap();
        }
        write_before(soon(), &*b, b"are you there?").unwrap();
        assert_eq!(read_exact(&a, 14), b"are you there?");
        assert!(read_exact(&b, 1 << 20) == sample(1 << 20));
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_close_notify_is_an_end_and_the_other_direction_goes_on() {
        let [a, b] = over(pipe(1 << 16, 1 << 16));
        a.shutdown(Shutdown::Write).unwrap();
        assert_eq!(end_of(&b).unwrap(), 0);
        assert_eq!(end_of(&b).unwrap(), 0);
        write_before(soon(), &*b, b"still here").unwrap();
        assert_eq!(read_exact(&a, 10), b"still here");
    }

    #[test]
    fn a_bad_record_after_our_close_notify_is_an_error() {
        let [a, b] = pipe(1 << 20, 1 << 20);
        let [a, _b] = over([a, b.clone()]);
        a.shutdown(Shutdown::Write).unwrap();
        b.write(&[IoSlice::new(&[0xff; 40])]).unwrap();
        for _ in 0..2 {
            assert_eq!(a.read(&mut [0; 9]).unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn an_end_without_close_notify_is_an_error_wherever_it_comes() {
        for after in [0, 1, 5, 20] {
            let [x, y] = pipe(1 << 16, 1 << 16);
            let [a, b] = over([x, y.clone()]);
            // Send only the first bytes of a record, and end the stream there.
            let mut record = Vec::new();
            let mut tls = lock(&b.tls);
            tls.writer().write_all(b"hello").unwrap();
            collect_records(&mut tls, &mut record).unwrap();
            write_before(soon(), &*y, &record[..after]).unwrap();
            y.shutdown(Shutdown::Write).unwrap();
            assert_eq!(end_of(&a).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{after}");
        }
    }

    #[test]
    fn a_record_that_was_changed_on_its_way_is_an_error_and_stays_one() {
        let [x, y] = pipe(1 << 16, 1 << 16);
        let [a, b] = over([x, y.clone()]);
        write_before(soon(), &*b, b"hello").unwrap();
        *lock(&y.to.bytes).0.back_mut().unwrap() ^= 1;
        assert_eq!(end_of(&a).unwrap_err().kind(), ErrorKind::InvalidData);
        write_before(soon(), &*b, b"hello").unwrap();
        assert!(end_of(&a).is_err());
        // The peer has received an alert that names the reason.
        assert!(end_of(&b).unwrap_err().to_string().contains("BadRecordMac"));
    }

    #[test]
    fn a_message_that_tls_1_2_can_no_longer_encrypt_is_not_reported_as_sent() {
        // The keys last for 39 records of data, because the handshake's last record counts, too.
        // A message takes 1, 4 or 7 records. The keys are used up at the first record of a message,
        // at the last one, or at one in between.
        for (length, most) in [(10, 39), (50_000, 9), (100_000, 5)] {
            let [x, y] = pipe(1 << 20, 1 << 20);
            let tls = server_with(tls_1_2_with_keys_for(40));
            let other = thread::spawn(|| handshake(tls, y, soon()).unwrap());
            let a = handshake(client(), x, soon()).unwrap();
            let b = other.join().unwrap();
            let sent = sample(length);
            let send = |_: &usize| write_before(soon(), &b, &sent).is_ok();
            assert_eq!((0..100).take_while(send).count(), most, "{length}");
            (0..most).for_each(|_| assert!(read_exact(&a, length) == sent));
        }
    }

    #[test]
    fn tls_alert_keeps_to_connect_limit() {
        let limit = LAST_RECORD_TIMEOUT / 2;
        let [a, b] = pipe(1 << 16, 1 << 16);
        // A handshake record of an unknown type. rustls rejects it.
        write_before(soon(), &*a, &[0x16, 3, 3, 0, 4, 0x7f, 0, 0, 0]).unwrap();
        a.shutdown(Shutdown::Write).unwrap();
        let failed = handshake(server(), b.clone(), Deadline::after(limit)).err().unwrap();
        assert!(matches!(failed, HandshakeFailure::Refused(_)), "{failed:?}");
        // The timeout of the lingering close, which is the last to read.
        let waits = *lock(&b.read_timeout);
        assert!(waits <= limit, "{waits:?}");
    }

    #[test]
    fn what_if_close_notify_comes_during_the_handshake() {
        const CLOSE_NOTIFY: [u8; 7] = [0x15, 3, 3, 0, 2, 1, 0];
        // RUSTSEC-2024-0336. During the handshake a close_notify isn't authenticated, so rustls
        // ignores one of them, but not a hundred.
        for (alerts, ends) in [(1, true), (100, false)] {
            for (tls, prefix) in [(server(), vec![]), (server(), hello().1), (client(), vec![])] {
                let [a, b] = pipe(1 << 16, 1 << 16);
                write_before(soon(), &*a, &[prefix, CLOSE_NOTIFY.repeat(alerts)].concat()).unwrap();
                if ends {
                    a.shutdown(Shutdown::Write).unwrap();
                }
                let failed = handshake(tls, b, soon()).err().unwrap();
                assert!(
                    !matches!(&failed, HandshakeFailure::Broken(e) if is_timeout(e)),
                    "{failed:?}"
                );
            }
        }
    }

    #[test]
    fn what_if_the_hello_comes_in_records_of_one_byte() {
        // RUSTSEC-2024-0399: a ClientHello in many fragments made an old rustls panic.
        let (tls, hello) = hello();
        let [a, b] = pipe(1 << 16, 1 << 16);
        for byte in &hello[5..] {
            write_before(soon(), &*a, &[0x16, 3, 1, 0, 1, *byte]).unwrap();
        }
        let server = thread::spawn(|| handshake(server(), b, soon()));
        assert!(handshake(tls, a, soon()).is_ok());
        assert!(server.join().unwrap().is_ok());
    }

    #[test]
    fn what_if_a_plain_answer_comes_in_pieces_or_ends_before_its_status() {
        let first_bytes = |answer: &[u8], piece| {
            let (tls, _) = hello();
            let [a, b] = pipe(piece, 1 << 16);
            write_before(soon(), &*b, answer).unwrap();
            b.shutdown(Shutdown::Write).unwrap();
            match handshake(tls, a, soon()) {
                Err(HandshakeFailure::NotTls(bytes)) => bytes,
                other => panic!("{:?}", other.err()),
            }
        };
        for piece in [1, 2, 7, 12, 1 << 16] {
            let answer = b"HTTP/1.1 503 Service Unavailable\r\n\r\n";
            assert!(first_bytes(answer, piece).starts_with(b"HTTP/1.1 503 "), "{piece}");
            assert_eq!(first_bytes(b"HTTP/1.1 50", piece), b"HTTP/1.1 50", "{piece}");
        }
        assert_eq!(first_bytes(b"SSH-2.0-x", 1), b"S");
    }

    #[test]
    fn what_if_a_peer_speaks_no_tls_or_ends_or_sends_nothing() {
        let [a, b] = pipe(1 << 16, 1 << 16);
        write_before(soon(), &*a, b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(handshake(server(), b, soon()), Err(HandshakeFailure::NotTls(_))));

        let [a, b] = pipe(1 << 16, 1 << 16);
        a.shutdown(Shutdown::Both).unwrap();
        assert!(matches!(handshake(server(), b, soon()), Err(HandshakeFailure::Broken(_))));

        let [_a, b] = pipe(1 << 16, 1 << 16);
        b.stutters.store(true, SeqCst);
        let failed = handshake(server(), b, soon()).err().unwrap();
        assert!(matches!(failed, HandshakeFailure::Broken(error) if is_timeout(&error)));
    }
}
