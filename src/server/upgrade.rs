//! The upgrade of an accepted stream: read the head, decide, answer. It returns a `WebSocket`, or
//! the error that says why there's none.
//!
//! Rules of this file:
//! - The client gets an answer in every case but one: before the TLS handshake is complete, the
//!   server can't send a 4xx or 5xx that the client could read. (Plain HTTP sent to a TLS port does
//!   get its 400.)
//! - One deadline covers the TLS handshake and the head, because both hold a thread.
//! - A permit is taken before the application's `authorize` runs, so slow authorisation counts as
//!   an open connection and not as a pending one.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::registry::{PendingGuard, Permit, Registry};
use crate::connection::close_guard::CloseGuard;
use crate::connection::limits::Limits;
use crate::connection::websocket::WebSocket;
use crate::connection::write_half::WriteHalf;
use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::quote;
use crate::error::{Error, Result};
use crate::frames::buffer::Buffer;
use crate::frames::decoder::Decoder;
use crate::frames::deflate;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::handshake::server::{Agreement, Decision, Rules, decide, upgrade_required};
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::transport::deadline::Deadline;
use crate::transport::head_reader::{NoHead, read_head};
use crate::transport::lingering_close::lingering_close;
use crate::transport::min_rate::{per_call_timeout, too_slow_or_lost, write_with_min_rate};
use crate::transport::stream::{Stream, WrapStream};
use crate::transport::tls::Tls;

/// What the caller configured: rules, limits, and functions of the application's own.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) tls: Option<Tls>,
    pub(crate) authorize: Option<Box<Authorize>>,
    pub(crate) http: Option<Box<HttpHandler>>,
    pub(crate) wrap_stream: WrapStream,
}

impl Options {
    /// Checks the configuration, before the first connection.
    pub(crate) fn check(&self) -> std::result::Result<(), Misuse> {
        self.rules.deflate.as_ref().map_or(Ok(()), deflate::check)?;
        self.rules.check()
    }
}

/// The application's own check, called after all checks of the RFC and of the server's rules have
/// passed.
pub(crate) type Authorize = dyn Fn(&Request) -> std::result::Result<(), Refusal> + Send + Sync;
/// The application's answer to requests that don't ask for a WebSocket.
pub(crate) type HttpHandler = dyn Fn(&Request) -> Option<Response> + Send + Sync;

/// What the request leads to: a plain HTTP answer, or an open WebSocket.
enum Outcome {
    Page(Response),
    Open(Box<Request>, Agreement, Permit),
}

/// Does the handshake on a stream, and answers the client in each case in which it could read an
/// answer: over TLS, not before the TLS handshake is complete.
pub(crate) fn upgrade(
    id: u64,
    stream: Arc<dyn Stream>,
    options: &Options,
    registry: &Arc<Registry>,
) -> Result<WebSocket> {
    let limits = &options.limits;
    let pending = registry.register(id, stream.clone(), limits.max_waiting);
    let mut buffer = Buffer::default();
    // One deadline and one bound for both: a TLS handshake holds a thread just as a head does.
    let deadline = Deadline::after(limits.head);
    let stream = match &options.tls {
        None => stream,
        Some(tls) => tls.accept(stream.clone(), deadline).map_err(|error| {
            log::debug!("{id} {error}");
            match error {
                Error::Refused(refusal) => refuse(id, refusal, &*stream, limits, &pending),
                error => error,
            }
        })?,
    };
    let own_fault = |stream: &dyn Stream, panic| -> ! {
        log::error!("{id} authorize, http or wrap_stream panicked");
        pending.keep_pending_for_answer();
        registry.totals.refused(500);
        answer(stream, &Response::text(OWN_FAULT).status(500), limits);
        resume_unwind(panic)
    };
    let wrap = || options.wrap_stream.wrap(stream.clone());
    let stream = catch_unwind(AssertUnwindSafe(wrap)).unwrap_or_else(|p| own_fault(&*stream, p));
    let admit = || admit(id, &*stream, &mut buffer, deadline, options, registry, &pending);
    match catch_unwind(AssertUnwindSafe(admit)).unwrap_or_else(|p| own_fault(&*stream, p)) {
        Ok(Outcome::Open(request, agreement, permit)) => {
            write(&*stream, &agreement.response(), limits).map_err(too_slow_or_lost)?;
            drop(pending);
            open(id, stream, buffer, request, agreement, permit, options)
        }
        Ok(Outcome::Page(page)) => {
            log::debug!("{id} gets a plain HTTP answer");
            if !pending.keep_pending_for_answer() {
                return Err(refuse(id, evicted(registry), &*stream, limits, &pending));
            }
            answer(&*stream, &page, limits);
            Err(Error::PageServed)
        }
        Err(refusal) => Err(refuse(id, refusal, &*stream, limits, &pending)),
    }
}

fn refuse(
    id: u64,
    refusal: Refusal,
    stream: &dyn Stream,
    limits: &Limits,
    pending: &PendingGuard,
) -> Error {
    log::debug!("{id} refused: {refusal}");
    pending.keep_pending_for_answer();
    pending.totals().refused(refusal.status());
    answer(stream, &refusal.response(), limits);
    refusal.into()
}

fn admit(
    id: u64,
    stream: &dyn Stream,
    buffer: &mut Buffer,
    deadline: Deadline,
    options: &Options,
    registry: &Arc<Registry>,
    pending: &PendingGuard,
) -> std::result::Result<Outcome, Refusal> {
    // 1. Read the head.
    let length = read_head(stream, buffer, options.limits.head_size(), deadline)
        .map_err(|why| no_head(why, registry.is_stopping(), pending.was_evicted()))?;
    let request = Box::new(Request::parse(&buffer.unread()[..length])?);
    buffer.consume(length);
    // 2. Check what the RFC and the server's rules ask for.
    let agreement = match decide(&request, &options.rules)? {
        Decision::Switch(agreement) => agreement,
        Decision::PlainHttp => {
            let page = options.http.as_ref().and_then(|http| http(&request));
            return page.map(Outcome::Page).ok_or_else(upgrade_required);
        }
    };
    // 3. Take a permit. This connection now counts as open, so it's no longer pending.
    let why_not = if registry.is_stopping() { ABOUT_TO_STOP } else { "all places are taken" };
    let permit = registry.permit(id, options.limits.max_connections);
    let permit = permit.ok_or_else(|| no_room(why_not))?;
    if !pending.promote() {
        return Err(evicted(registry));
    }
    // 4. Ask the application, which may take its time.
    if let Some(authorize) = &options.authorize {
        authorize(&request)?;
        if registry.is_stopping() {
            return Err(no_room(ABOUT_TO_STOP));
        }
    }
    Ok(Outcome::Open(request, agreement, permit))
}

/// Builds the `WebSocket` once [`write`] has sent the 101: from here on the stream carries frames,
/// and some may already stand after the head in the buffer. (A function of its own, so that the
/// stack frame of this step and those of the steps before aren't needed at the same time.)
#[inline(never)]
fn open(
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
    let (inflater, deflater) = deflate::halves(Role::Server, agreed, limits.max_message);
    let encoder = Encoder::new(None).deflating(deflater);
    let totals = permit.totals();
    totals.received(0, buffer.unread().len());
    let write_half = WriteHalf::new(id, stream, encoder, limits, totals);
    let owner = permit.open(&write_half);
    log::info!("{id} opened: {}", quote(request.path()));
    let close_guard = CloseGuard::new(write_half, Some(owner));
    let decoder = Decoder::new(Role::Server, limits.bounds(), buffer).inflating(inflater);
    Ok(WebSocket::new(close_guard, decoder, limits, request, agreement.subprotocol))
}

/// Sends an answer in plain HTTP, then closes the stream with a lingering close.
pub(crate) fn answer(stream: &dyn Stream, response: &Response, limits: &Limits) {
    let bytes = response.encode().unwrap_or_else(|misuse| {
        log::error!("a page or refusal of this server can't be sent: {misuse}");
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .into()
    });
    if write(stream, &bytes, limits).is_ok() {
        lingering_close(Deadline::after(limits.close), stream);
    }
}

/// Writes with the minimum rate that every connection must keep, and leaves the stream with that
/// write timeout.
fn write(stream: &dyn Stream, bytes: &[u8], limits: &Limits) -> io::Result<()> {
    stream.set_write_timeout(per_call_timeout(limits.write))?;
    write_with_min_rate(limits.write, stream, bytes, &[])
}

/// The body of the 500 that a client gets when the application's own code panicked.
const OWN_FAULT: &str =
    "500 Internal Server Error: the fault is the server's; its log says more.\n";

fn no_head(why: NoHead, is_stopping: bool, was_evicted: bool) -> Refusal {
    match why {
        NoHead::Bad(refusal) => refusal,
        _ if is_stopping => no_room(ABOUT_TO_STOP),
        NoHead::Ended | NoHead::Broken(_) if was_evicted => {
            too_late("made way for newer ones, since many came at once")
        }
        NoHead::Late => too_late("its time was up"),
        NoHead::Ended | NoHead::Broken(_) => Refusal::new(400, "a head cut short", ""),
    }
}

/// The refusal for a connection that was evicted although its head was complete.
fn evicted(registry: &Registry) -> Refusal {
    no_head(NoHead::Ended, registry.is_stopping(), true)
}

pub(crate) const ABOUT_TO_STOP: &str = "it is about to stop";

fn too_late(seen: &'static str) -> Refusal {
    Refusal::new(408, "a head too late", seen)
}

/// The 503 for want of a permit, a thread or a descriptor.
pub(crate) fn no_room(seen: &'static str) -> Refusal {
    Refusal::new(503, "no room", seen).header("Retry-After", "1")
}
