//! The client: dial, ask, verify.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::random::Random;
use crate::connection::close_guard::CloseGuard;
use crate::connection::limits::Limits;
use crate::connection::websocket::WebSocket;
use crate::connection::write_half::WriteHalf;
use crate::diagnostic::quote;
use crate::error::{Error, InHandshake, Result};
use crate::frames::buffer::Buffer;
use crate::frames::decoder::Decoder;
use crate::frames::deflate;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::handshake::accept_key;
use crate::handshake::client::{ClientRequest, HandshakeError, is_interim, status_of};
use crate::handshake::deflate_params::DeflateConfig;
use crate::handshake::url::Address;
use crate::http::head::Head;
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::transport::deadline::{Deadline, read_before, write_before};
use crate::transport::explainer::Explainer;
use crate::transport::head_reader::{NoHead, read_head};
use crate::transport::min_rate::per_call_timeout;
use crate::transport::stream::{Stream, WrapStream};
use crate::transport::tap::Tap;
use crate::transport::tls::Trust;

/// A connection to be dialled: what it asks for, and how long it may take.
///
/// ```no_run
/// let ws = ws101::Client::new("ws://127.0.0.1:9001/chat")
///     .header("Authorization", "Bearer 123")
///     .subprotocols(["chat"])
///     .connect()?;
/// # ws101::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    ask: ClientRequest,
    limits: Limits,
    root_certificates: Option<PathBuf>,
    wrap_stream: WrapStream,
}

/// What the client checks before it dials or writes anything.
struct Prepared {
    address: Address,
    /// For wss: whom to believe that it is the one who was asked for.
    trust: Option<Trust>,
    request: Vec<u8>,
    key: String,
}

impl Client {
    /// A connection to `ws://host[:port][/path][?query]`, or `wss://` for TLS (feature `tls`).
    pub fn new(url: impl Into<String>) -> Client {
        Client {
            url: url.into(),
            ask: ClientRequest::default(),
            limits: Limits::default(),
            root_certificates: None,
            wrap_stream: WrapStream::default(),
        }
    }

    /// Adds a header to the request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Client {
        self.ask.headers.push((name.into(), value.into()));
        self
    }

    /// Says which page asks, as a browser would.
    pub fn origin(mut self, origin: impl Into<String>) -> Client {
        self.ask.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Origin"));
        self.header("Origin", origin)
    }

    /// Offers subprotocols, the preferred one first.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Client {
        self.ask.subprotocols.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Trusts the certificates of this PEM file, and not those of the system: for `wss://`.
    pub fn root_certificates(mut self, file: impl Into<PathBuf>) -> Client {
        self.root_certificates = Some(file.into());
        self
    }

    /// Offers to compress messages (permessage-deflate), which takes the feature `deflate`. Whether it
    /// comes to that is for the server to say.
    pub fn deflate(mut self, settings: DeflateConfig) -> Client {
        self.ask.deflate = Some(settings);
        self
    }

    /// Has the connection explained while it goes on, from its request to its last byte.
    pub fn explain(self, explainer: &Explainer) -> Client {
        let tell = explainer.sink("");
        self.wrap_stream(move |stream| Arc::new(Tap::new(stream, Role::Client, tell.clone())))
    }

    /// Passes the stream through something of your own: a [`Tap`](crate::Tap) that explains it, a
    /// meter, a brake. Over TLS it sees what TLS protects.
    pub fn wrap_stream(
        mut self,
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> Client {
        self.wrap_stream = WrapStream::new(wrap);
        self
    }

    /// How much, how many, how long. Dialling and handshake together take `head` at most, beside the time
    /// that the system takes to look up a name.
    pub fn limits(mut self, limits: Limits) -> Client {
        self.limits = limits;
        self
    }

    /// Dials, asks, and verifies the answer.
    pub fn connect(self) -> Result<WebSocket> {
        let ready = self.prepare()?;
        let deadline = Deadline::after(self.limits.head);
        let stream = dial(&ready.address, deadline)?;
        stream.set_nodelay(true)?;
        self.handshake(Arc::new(stream), ready, deadline)
    }

    /// The same over a stream of one's own, which is not dialled. `wss://` means TLS here, too.
    pub fn connect_over(self, stream: impl Stream) -> Result<WebSocket> {
        let ready = self.prepare()?;
        let deadline = Deadline::after(self.limits.head);
        self.handshake(Arc::new(stream), ready, deadline)
    }

    // WALK: prepare
    /// Checks all arguments, before anything is dialled or written.
    fn prepare(&self) -> Result<Prepared> {
        let address = Address::parse(&self.url)?;
        self.ask.deflate.as_ref().map_or(Ok(()), deflate::check)?;
        let key = accept_key::encode(Random::new().sixteen());
        let request = self.ask.request(&address, &key)?;
        let trust = address
            .secure
            .then(|| Trust::new(&self.url, &address.host, self.root_certificates.as_deref()))
            .transpose()?;
        Ok(Prepared { address, trust, request, key })
    }

    fn handshake(
        self,
        stream: Arc<dyn Stream>,
        ready: Prepared,
        deadline: Deadline,
    ) -> Result<WebSocket> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let Client { ask, limits, wrap_stream, .. } = self;
        let Prepared { trust, request, key, .. } = ready;
        // 1. Over TLS: is it who it should be? Then ask.
        let stream = match trust {
            None => stream,
            Some(trust) => trust.connect(stream, deadline)?,
        };
        let stream = wrap_stream.wrap(stream);
        write_before(deadline, &*stream, &request).map_err(in_handshake)?;
        // 2. Read the answer.
        let mut buffer = Buffer::default();
        let head = read_answer(&*stream, &mut buffer, &limits, deadline)?;
        // 3. Verify it.
        let answer = ask.verify(&head, &key).map_err(|rejection| match rejection.status {
            Some(101) | None => rejection,
            Some(_) => HandshakeError {
                body: read_body(&head, &*stream, &mut buffer, deadline),
                ..rejection
            },
        })?;
        // 4. The bytes after the head are the first frames.
        let mut random = Random::new();
        let agreed = answer.deflate.zip(ask.deflate);
        let (inflater, deflater) = deflate::halves(Role::Client, agreed, limits.max_message);
        let encoder = Encoder::new(Some(Box::new(move || random.four()))).deflating(deflater);
        let id = NEXT_ID.fetch_add(1, Relaxed);
        stream.set_write_timeout(per_call_timeout(limits.write))?;
        let write_half = WriteHalf::new(id, stream, encoder, &limits, Arc::default());
        // A query often holds a token, and logs are kept.
        let without_query = self.url.split('?').next().unwrap_or_default();
        log::info!("{id} connected to {}", quote(without_query));
        let close_guard = CloseGuard::new(write_half, None);
        let decoder = Decoder::new(Role::Client, limits.bounds(), buffer)
            .inflating(inflater)
            .limit_pieces(limits.max_pieces());
        let request = Box::new(Request::parse(&request)?);
        Ok(WebSocket::new(close_guard, decoder, &limits, request, answer.subprotocol))
    }
}

fn dial(address: &Address, deadline: Deadline) -> Result<TcpStream> {
    let name = address.host.trim_start_matches('[').trim_end_matches(']');
    dial_first((name, address.port).to_socket_addrs()?.collect(), deadline)
}

/// Tries each address that a name stands for, until one answers: each for its share of the time.
fn dial_first(mut addresses: VecDeque<SocketAddr>, deadline: Deadline) -> Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name stands for no address");
    while let Some(address) = addresses.pop_front() {
        let share = deadline.remaining()? / (1 + addresses.len() as u32);
        match TcpStream::connect_timeout(&address, share) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
        }
    }
    Err(Error::Io(last))
}

/// Reads the head of the answer. It skips interim responses, which only say that the answer will come
/// (RFC 9110 §15.2).
fn read_answer(
    stream: &dyn Stream,
    buffer: &mut Buffer,
    limits: &Limits,
    deadline: Deadline,
) -> Result<Head> {
    let not_http = |refusal: Refusal| HandshakeError::not_http(&refusal.diagnostic().seen);
    loop {
        let length =
            read_head(stream, buffer, limits.head_size(), deadline).map_err(|why| match why {
                NoHead::Bad(refusal) => not_http(refusal).into(),
                NoHead::Late => Error::PeerTimeout,
                // A server that restarts ends like that: what came is no reason to call it another one.
                NoHead::Ended if may_be_http(buffer.unread()) => {
                    InHandshake::mark(ErrorKind::UnexpectedEof.into())
                }
                NoHead::Ended => {
                    let seen = format!("{}, then the end of the stream", quote(buffer.unread()));
                    HandshakeError::not_http(seen).into()
                }
                NoHead::Broken(error) => in_handshake(error),
            })?;
        let head = Head::parse(&buffer.unread()[..length]).map_err(not_http)?;
        buffer.consume(length);
        if !status_of(head.first_line()).is_some_and(is_interim) {
            return Ok(head);
        }
    }
}

/// What a server says that does not open a WebSocket: text for a person, so a few KiB are enough; and
/// where it does not say how long it is, a second.
fn read_body(head: &Head, stream: &dyn Stream, buffer: &mut Buffer, deadline: Deadline) -> String {
    const MOST: usize = 4 * 1024;
    const BODY_TIMEOUT: Duration = Duration::from_secs(1);
    let deadline = Deadline::after(deadline.remaining().unwrap_or_default().min(BODY_TIMEOUT));
    let length =
        head.header("Content-Length").and_then(|length| length.parse().ok()).unwrap_or(MOST);
    let mut body = buffer.unread().to_vec();
    let mut piece = [0; 1024];
    while body.len() < length.min(MOST) {
        match read_before(deadline, stream, &mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => body.extend_from_slice(&piece[..count]),
        }
    }
    body.truncate(length.min(MOST));
    String::from_utf8_lossy(&body).into_owned()
}

fn in_handshake(error: io::Error) -> Error {
    match crate::transport::stream::is_timeout(&error) {
        true => Error::PeerTimeout,
        false => InHandshake::mark(error),
    }
}

/// Whether these bytes may be the beginning of an answer in HTTP/1.x.
fn may_be_http(bytes: &[u8]) -> bool {
    let beginning = b"HTTP/1.";
    beginning.starts_with(bytes) || bytes.starts_with(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_os = "linux")] // Elsewhere a full queue may refuse.
    fn a_silent_address_takes_its_share_of_the_time_and_leaves_the_next_one_the_rest() {
        // This listener never accepts. Once its queue is full, the system answers no further client.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let moment = Duration::from_millis(100);
        let _full: Vec<_> =
            std::iter::from_fn(|| TcpStream::connect_timeout(&address, moment).ok()).collect();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = std::time::Instant::now();
        let addresses = [address, good.local_addr().unwrap()].into();
        let stream = dial_first(addresses, Deadline::after(Duration::from_secs(4))).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
        assert!(start.elapsed() > Duration::from_millis(1_900), "{:?}", start.elapsed());
    }

    #[test]
    fn if_no_address_answers_the_error_is_that_of_the_last_one() {
        let closed_port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (first, last) = (closed_port(), closed_port());
        let error = dial_first([first, last].into(), Deadline::after(Duration::from_secs(3)));
        assert!(error.unwrap_err().to_string().contains(&last.to_string()));
        let error = dial_first([].into(), Deadline::after(Duration::from_secs(3)));
        assert!(error.unwrap_err().to_string().contains("no address"));
    }
}
