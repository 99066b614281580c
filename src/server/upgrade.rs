//! The upgrade of an accepted stream, from the first byte of the client's request to an open
//! `WebSocket`.
//!
//! ```text
//! an accepted stream
//!   │  1. pending ────────────── evicted by newer clients ──► a refusal
//!   │  2. TLS and `wrap_stream`, if configured
//!   │  3. head ──────────────┬── late, too large, not HTTP ──► a refusal
//!   │                        └── closed without a byte ──► no response
//!   │  4. decision ──────────┬── breaks a rule ──► a refusal
//!   │                        └── asks for no WebSocket ──► a page
//!   │  5. permit ─────────────── all are taken ──► a refusal
//!   │  6. authorize ──────────── the application says no ──► its own refusal
//!   │  7. 101
//!   ▼  8. open
//! WebSocket
//! ```
//!
//! Rules of this file:
//! - [`upgrade`] has one step for each number in the picture. If a request fails a step, that step
//!   sends the client a response, and returns an error that says why there's no `WebSocket`.
//! - The client always receives a response, with two exceptions. If the TLS handshake fails, the
//!   client receives none, because it expects an encrypted one. (A client that sends plain HTTP to
//!   a TLS port does receive a 400.) A client that closes without sending a byte has requested
//!   nothing, so it's neither answered nor counted as refused. Load balancers check a port that
//!   way, and browsers open connections in advance that they may not need.
//! - A stopping server waits for these responses, but only until the end of its grace period.
//! - One deadline covers the TLS handshake and the head, because a slow client can hold a thread
//!   during either.
//! - A permit is taken before the application's `authorize` runs, so a connection whose
//!   authorization is slow counts towards `max_connections`, and can't be evicted.

use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::application_check::{Admission, ApplicationCheck};
use super::options::Options;
use super::registry::pending_connections::PendingGuard;
use super::registry::registry::{Permit, Registry};
use crate::connection::close_guard::CloseGuard;
use crate::connection::websocket::WebSocket;
use crate::connection::write_half::WriteHalf;
use crate::counters::ConnectionCounts;
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::quote;
use crate::error::{Error, Result};
use crate::frames::buffer::Buffer;
use crate::frames::decoder::Decoder;
use crate::frames::deflate;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::handshake::server::{Agreement, Decision, decide, refusal_of_plain_http};
use crate::http::refusal::Refusal;
use crate::http::request::{Request, begins_with_head_method};
use crate::http::response::Response;
use crate::limits::Limits;
use crate::transport::deadline::Deadline;
use crate::transport::head_reader::{NoHead, read_head};
use crate::transport::lingering_close::lingering_close;
use crate::transport::min_write_rate::{per_call_timeout, write_error, write_with_min_rate};
use crate::transport::stream::Stream;
use crate::transport::tls::Tls;

/// Upgrades an accepted stream: reads the client's request, checks it, and returns the open
/// WebSocket. If the request fails a check or asks for plain HTTP, sends the client a response, and
/// returns an error that says why there's no WebSocket.
pub(crate) fn upgrade(
    id: u64,
    stream: Arc<dyn Stream>,
    options: &Options,
    registry: &Arc<Registry>,
) -> Result<WebSocket> {
    let limits = &options.limits;
    // 1. The connection is pending until its head is complete: newer connections may evict it. One
    //    deadline covers everything before the decision.
    let pending = registry.register_pending(id, stream.clone(), limits.max_waiting);
    let deadline = Deadline::after(limits.head);
    let mut requester = Requester {
        id,
        peer: stream.peer(),
        is_wrapped: options.wrap_stream.is_set(),
        stream,
        pending,
        limits,
        registry,
        wants_body: true,
    };
    // 2. TLS, if this server uses it. Then the application's own stream, if `wrap_stream` is set.
    requester.stream = requester.start_tls(options.tls.as_ref(), deadline)?;
    let certificates = requester.stream.peer_certificates();
    requester.stream =
        requester.run_or_respond_500(|| options.wrap_stream.apply(requester.stream.clone()));
    // 3. The request's head.
    let mut buffer = Buffer::default();
    let request = requester
        .run_or_respond_500(|| requester.read_request(&mut buffer, deadline, certificates));
    // RFC 9110 §9.3.2: a response to HEAD has no body. (A head that is refused is still unread.)
    requester.wants_body = match &request {
        Ok(Some(request)) => request.method() != "HEAD",
        Ok(None) | Err(_) => !begins_with_head_method(buffer.unread()),
    };
    let Some(request) = requester.or_refuse(request)? else {
        return Err(Error::ConnectionLost(ErrorKind::UnexpectedEof.into()));
    };
    // 4. The decision on this request, by the RFCs and the server's rules.
    let agreement = match requester.or_refuse(decide(&request, &options.rules))? {
        Decision::Switch(agreement) => agreement,
        Decision::PlainHttp => return Err(requester.serve_page(&request, options)),
    };
    requester.log_unsupported_subprotocols(&request, &agreement);
    // 5. The permit: from here on, the connection can't be evicted.
    let permit = requester.or_refuse(requester.take_permit())?;
    // 6. The application's own check, which may be slow. A refusal frees the permit.
    let admit = options.admit.as_deref();
    let admitted =
        requester.run_or_respond_500(|| requester.ask_application(&request, permit, admit));
    let (permit, Admission { identity, headers }) = requester.or_refuse(admitted)?;
    // 7. The 101, with the application's own headers. Just before the 101, the connection is
    //    counted as open.
    let permit = requester.send_101(&agreement, &headers, permit)?;
    let stream = requester.into_stream();
    // 8. Open: after the 101, the stream carries frames.
    let mut ws = build_websocket(id, stream, buffer, request, agreement, permit, options)?;
    ws.set_identity(identity);
    Ok(ws)
}

/// A client whose request the server is handling, with all that the steps of [`upgrade`] need to
/// respond to this client.
struct Requester<'a> {
    id: u64,
    /// The client's address, or `None` if the stream has no such address. It's looked up before the
    /// client's first byte is read, because the operating system forgets the address when the
    /// client resets the connection.
    peer: Option<SocketAddr>,
    /// Whether the application wraps the stream. If so, the client's address is the one that the
    /// application's stream returns, for example from a proxy's header. If that stream returns no
    /// address, the client's address is `peer`.
    is_wrapped: bool,
    /// The client's stream: at first the accepted stream. Step 2 of [`upgrade`] wraps it in TLS if
    /// the server uses TLS, and then in the application's own stream if `wrap_stream` is set.
    stream: Arc<dyn Stream>,
    pending: PendingGuard,
    limits: &'a Limits,
    registry: &'a Arc<Registry>,
    /// Whether the response may have a body. `false` for a HEAD request.
    wants_body: bool,
}

// A thread's stack never shrinks, so these steps are never inlined: each then reuses the same stack
// space, and their stack frames don't add up.
impl Requester<'_> {
    /// Performs the TLS handshake, and returns the TLS stream. Returns the accepted stream if this
    /// server doesn't use TLS. A client whose first bytes aren't TLS (they may be plain HTTP)
    /// receives a 400. If the handshake fails for any other reason, the client receives no HTTP
    /// response.
    #[inline(never)]
    fn start_tls(&self, tls: Option<&Tls>, deadline: Deadline) -> Result<Arc<dyn Stream>> {
        let Some(tls) = tls else { return Ok(self.stream.clone()) };
        tls.accept(self.stream.clone(), deadline).map_err(|error| match error {
            Error::Refused(refusal) => self.refuse(refusal),
            error => {
                log::debug!("{} {error}", self.id);
                error
            }
        })
    }

    /// Reads and parses the request's HTTP head. Bytes after the head stay in the buffer. Returns
    /// `None` if the client closes without sending a byte. Returns a refusal if the head is
    /// malformed, too large, cut short or too late, and also if the server evicts the connection,
    /// or begins to stop, before the head is complete.
    #[inline(never)]
    fn read_request(
        &self,
        buffer: &mut Buffer,
        deadline: Deadline,
        certificates: Vec<Vec<u8>>,
    ) -> std::result::Result<Option<Box<Request>>, Refusal> {
        let head = read_head(&*self.stream, buffer, self.limits.head_limits(), deadline);
        let length = match head {
            Ok(length) => length,
            Err(why) => {
                return self.without_head(why, buffer.unread().is_empty()).map_or(Ok(None), Err);
            }
        };
        let mut request = Box::new(Request::parse(&buffer.unread()[..length])?);
        let of_wrapper = self.is_wrapped.then(|| self.stream.peer()).flatten();
        request.set_peer(of_wrapper.or(self.peer), certificates);
        buffer.consume(length);
        Ok(Some(request))
    }

    /// Returns the refusal for a client whose head couldn't be read. Returns `None` if the client
    /// has closed without sending a byte (`is_empty`), because it then needs no response.
    #[inline(never)]
    fn without_head(&self, why: NoHead, is_empty: bool) -> Option<Refusal> {
        let is_stopping = self.registry.is_stopping();
        let was_evicted = self.pending.was_evicted();
        // Over TLS, some clients close without a close_notify.
        let has_ended = match &why {
            NoHead::Ended => true,
            NoHead::Broken(error) => error.kind() == ErrorKind::UnexpectedEof,
            NoHead::Bad(_) | NoHead::Late => false,
        };
        // (An eviction or a stop also ends the stream, but then the client still waits for a
        // response.)
        if has_ended && is_empty && !is_stopping && !was_evicted {
            log::debug!("{} closed without a byte", self.id);
            // Over TLS, this sends a close_notify (RFC 8446 §6.1).
            let _ = self.stream.shutdown(Shutdown::Write);
            return None;
        }
        Some(refusal_without_head(why, is_stopping, was_evicted))
    }

    /// Logs the subprotocols that the client offers if the server supports none of them. A browser
    /// then closes the connection at once.
    #[inline(never)]
    fn log_unsupported_subprotocols(&self, request: &Request, agreement: &Agreement) {
        if agreement.subprotocol.is_none() && request.header("Sec-WebSocket-Protocol").is_some() {
            let names = || quote(request.head().list("Sec-WebSocket-Protocol").join(", "));
            log::debug!(
                "{} none of {} is spoken here, so a browser will not stay",
                self.id,
                names()
            );
        }
    }

    /// Reserves a permit for the connection, and removes the connection from the pending list.
    /// Returns a refusal if all permits are taken, if the server no longer admits clients, or if
    /// this connection has been evicted.
    #[inline(never)]
    fn take_permit(&self) -> std::result::Result<Permit, Refusal> {
        let why_not =
            if self.registry.is_accepting() { "all places are taken" } else { ABOUT_TO_STOP };
        let permit = self.registry.permit(self.id, self.limits.max_connections);
        let permit = permit.ok_or_else(|| refusal_without_room(why_not))?;
        match self.pending.leave_unless_evicted() {
            true => Ok(permit),
            false => Err(refusal_after_eviction(self.registry)),
        }
    }

    /// Runs the application's own check on the request. Returns the permit, and the check's
    /// admission, which is empty if the application has no check. Fails with the check's refusal,
    /// or with a 503 if the server has stopped admitting clients in the meantime. On a refusal or a
    /// panic, the permit is freed before the client receives its response.
    #[inline(never)]
    fn ask_application(
        &self,
        request: &Request,
        permit: Permit,
        admit: Option<&ApplicationCheck>,
    ) -> std::result::Result<(Permit, Admission), Refusal> {
        let Some(admit) = admit else { return Ok((permit, Admission::new())) };
        let admission = admit(request)?;
        match self.registry.is_accepting() {
            true => Ok((permit, admission)),
            false => Err(refusal_without_room(ABOUT_TO_STOP)),
        }
    }

    /// Counts the connection as open, and sends the 101 with the application's own `headers`. If
    /// one of them is invalid or reserved, the client receives a 500 instead. Returns the permit.
    #[inline(never)]
    fn send_101(
        &self,
        agreement: &Agreement,
        headers: &[(String, String)],
        permit: Permit,
    ) -> Result<Permit> {
        let response = match agreement.response_with(headers) {
            Ok(response) => response,
            Err(misuse) => return Err(self.respond_500_for_header(misuse, permit)),
        };
        permit.count_as_open();
        write_response(&*self.stream, &response, &[], self.limits).map_err(write_error)?;
        Ok(permit)
    }

    /// Responds with a 500, because a header that the application wants in the 101 is invalid or
    /// reserved for the handshake. The permit is freed before the client receives its response.
    #[inline(never)]
    fn respond_500_for_header(&self, misuse: Misuse, permit: Permit) -> Error {
        drop(permit);
        log::error!("{} a header for the 101 can't be sent: {misuse}", self.id);
        self.pending.make_evictable_for_response();
        self.registry.totals.count_refused(500);
        self.respond_and_close(Response::text(OWN_FAULT).status(500));
        misuse.into()
    }

    /// Responds to a plain HTTP request with the application's page. Returns [`Error::PageServed`],
    /// or [`Error::Misuse`] if the page can't be sent. Refuses the request if the application has
    /// no page for it, or if too many pages are being generated already.
    #[inline(never)]
    fn serve_page(&self, request: &Request, options: &Options) -> Error {
        // RFC 9110 §9.3.6: a 200 to CONNECT would open a tunnel.
        let http = options.http.as_deref().filter(|_| request.method() != "CONNECT");
        let Some(http) = http else {
            return self.refuse(refusal_of_plain_http(request, &options.rules, false));
        };
        // While its page is generated, the connection counts as a page and not as pending.
        let Some(slot) = self.registry.page_slots.reserve(self.limits.max_waiting) else {
            return self.refuse(refusal_without_room("too many pages are being made"));
        };
        self.pending.suspend_eviction();
        let page = self.run_or_respond_500(|| {
            // The slot is freed before any response is written, even if `http` panics.
            let _slot = slot;
            http(request)
        });
        let Some(page) = page else {
            return self.refuse(refusal_of_plain_http(request, &options.rules, true));
        };
        log::debug!("{} gets a plain HTTP answer", self.id);
        self.pending.make_evictable_for_response();
        let misuse = self.why_unsendable(&page);
        if misuse.is_some() {
            self.registry.totals.count_refused(500);
        }
        self.respond_and_close(page);
        misuse.map_or(Error::PageServed, Error::from)
    }

    /// Runs a step that may call the application's code: `authorize`, `http`, `wrap_stream`, or the
    /// stream that `wrap_stream` returned. If that code panics, sends the client a 500, and then
    /// resumes the panic.
    fn run_or_respond_500<T>(&self, code: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(|panic| {
            log::error!("{} authorize, http or wrap_stream panicked", self.id);
            self.pending.make_evictable_for_response();
            self.registry.totals.count_refused(500);
            self.respond_and_close(Response::text(OWN_FAULT).status(500));
            resume_unwind(panic)
        })
    }

    /// Returns the value of a step of [`upgrade`]. If the step returned a refusal instead, sends
    /// the refusal to the client, and returns it as an error.
    fn or_refuse<T>(&self, step: std::result::Result<T, Refusal>) -> Result<T> {
        step.map_err(|refusal| self.refuse(refusal))
    }

    #[inline(never)]
    fn refuse(&self, refusal: Refusal) -> Error {
        log::debug!("{} refused: {refusal}", self.id);
        self.pending.make_evictable_for_response();
        let response = refusal.response();
        let status = self.why_unsendable(&response).map_or(refusal.status(), |_| 500);
        self.registry.totals.count_refused(status);
        self.respond_and_close(response);
        refusal.into()
    }

    /// Returns the reason why the application's response can't be sent, and logs the reason.
    /// `respond_and_close` then sends a 500 instead. Returns `None` if the response can be sent.
    fn why_unsendable(&self, response: &Response) -> Option<Misuse> {
        let misuse = response.head(None).err()?;
        log::error!("{} a page or refusal can't be sent: {misuse}", self.id);
        Some(misuse)
    }

    fn respond_and_close(&self, response: Response) {
        let response = if self.wants_body { response } else { response.for_head_request() };
        respond_and_close(&*self.stream, &response, self.limits);
    }

    /// Returns the client's stream, and drops the rest of this value.
    fn into_stream(self) -> Arc<dyn Stream> {
        self.stream
    }
}

/// Builds the `WebSocket` after the 101 response. From here on, the stream carries WebSocket
/// frames, and `buffer` may already contain the first ones. (This is a separate function, so that
/// its local variables take no stack space during the earlier steps.)
#[inline(never)]
fn build_websocket(
    id: u64,
    stream: Arc<dyn Stream>,
    mut buffer: Buffer,
    request: Box<Request>,
    agreement: Agreement,
    permit: Permit,
    options: &Options,
) -> Result<WebSocket> {
    let limits = &options.limits;
    let agreed = agreement.deflate.zip(options.rules.deflate);
    let (inflater, deflater) =
        deflate::inflater_and_deflater(Role::Server, agreed, limits.max_message);
    let encoder = Encoder::new(None).deflating(deflater);
    let traffic = ConnectionCounts::adding_to(permit.totals());
    traffic.count_received(0, buffer.unread().len());
    let write_half = WriteHalf::new(id, stream, encoder, limits, traffic);
    let owner = permit.register_open(&write_half);
    log::debug!("{id} opened: {}", quote(request.path()));
    let close_guard = CloseGuard::new(write_half, Some(owner), request);
    let decoder = Decoder::new(Role::Server, limits.message_bounds(), buffer)
        .inflating(inflater)
        .limit_streamed(limits.max_streamed());
    Ok(WebSocket::new(close_guard, decoder, agreement.subprotocol))
}

/// Sends a plain HTTP response, then closes the stream with a lingering close. If the response's
/// status or headers are invalid, sends a 500 ([`UNSENDABLE`]) instead.
pub(crate) fn respond_and_close(stream: &dyn Stream, response: &Response, limits: &Limits) {
    let (head, body) = match response.head(unix_time()) {
        Ok(head) => (head, response.body()),
        Err(_) => (UNSENDABLE.into(), &[][..]),
    };
    if write_response(stream, &head, body, limits).is_ok() {
        lingering_close(Deadline::after(limits.close), stream);
    }
}

/// Returns the current time in seconds since 1 January 1970. `None` if the system clock shows an
/// earlier time.
fn unix_time() -> Option<u64> {
    Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Writes a response's head and body. Fails if the stream fails, or if the peer reads more slowly
/// than [`write_with_min_rate`] allows. Sets the stream's write timeout, and doesn't reset it,
/// because the frames after a 101 need the same timeout.
fn write_response(
    stream: &dyn Stream,
    head: &[u8],
    body: &[u8],
    limits: &Limits,
) -> io::Result<()> {
    stream.set_write_timeout(per_call_timeout(limits.write))?;
    let mut slices = [head, body].map(IoSlice::new);
    let count = if body.is_empty() { 1 } else { 2 };
    write_with_min_rate(limits.write, stream, &mut slices[..count], &mut |_| ())
}

/// The 500 that replaces a page or a refusal whose status or headers are invalid.
const UNSENDABLE: &[u8] =
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The body of the 500 that a client receives if the application's code panics, or if one of the
/// application's headers for the 101 is invalid or reserved.
const OWN_FAULT: &str =
    "500 Internal Server Error: the fault is the server's; its log says more.\n";

fn refusal_without_head(why: NoHead, is_stopping: bool, was_evicted: bool) -> Refusal {
    match why {
        NoHead::Bad(refusal) => refusal,
        _ if is_stopping => refusal_without_room(ABOUT_TO_STOP),
        NoHead::Ended | NoHead::Broken(_) if was_evicted => {
            refusal_too_late("made way for newer ones, because many came at once")
        }
        NoHead::Late => refusal_too_late("its time was up"),
        NoHead::Ended | NoHead::Broken(_) => Refusal::new(400, "a head cut short", ""),
    }
}

/// Returns the refusal for a connection that was evicted just as its head became complete: a 408,
/// or a 503 if the server is stopping.
fn refusal_after_eviction(registry: &Registry) -> Refusal {
    refusal_without_head(NoHead::Ended, registry.is_stopping(), true)
}

pub(crate) const ABOUT_TO_STOP: &str = "it is about to stop";

fn refusal_too_late(seen: &'static str) -> Refusal {
    Refusal::new(408, "a head too late", seen)
}

/// Returns the 503 for a client that the server has no room for. `seen` is what the server found,
/// such as "all places are taken". The response states this as the reason.
pub(crate) fn refusal_without_room(seen: &'static str) -> Refusal {
    Refusal::new(503, "no room", seen).header("Retry-After", "1")
}
