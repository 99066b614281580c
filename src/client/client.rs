//! The client: it turns a URL into an open `WebSocket`.
//!
//! ```text
//! url ──► checks ──► dial ──► (TLS) ──► request ──► head of the answer ──► verify ──► WebSocket
//! ```
//!
//! Rules of this file:
//! - All arguments are validated before a byte is written or an address is dialled.
//! - One deadline covers dialling, TLS and the handshake, however many addresses a hostname has and
//!   however slowly the response arrives.
//! - The client follows no redirect, because only the caller knows which hosts may receive its
//!   cookies and tokens.
//! - If the server's response isn't a 101, the client reads up to 4 KiB of its body, for at most a
//!   second, and shows this text in the error.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::proxy::ProxyChoice;
use super::random::Random;
use crate::connection::close_guard::CloseGuard;
use crate::connection::websocket::WebSocket;
use crate::connection::write_half::WriteHalf;
use crate::counters::ConnectionCounts;
use crate::diagnostic::quote;
use crate::error::{Error, InHandshake, Result};
use crate::frames::buffer::Buffer;
use crate::frames::decoder::Decoder;
use crate::frames::deflate;
use crate::frames::encoder::Encoder;
use crate::frames::header::Role;
use crate::handshake::accept_key;
use crate::handshake::client::{ClientRequest, HandshakeError};
use crate::handshake::deflate_params::DeflateConfig;
use crate::handshake::url::{Address, without_secrets};
use crate::http::body::Body;
use crate::http::head::Head;
use crate::http::request::Request;
use crate::http::status_line::{is_interim, may_be_http, status_of};
use crate::limits::Limits;
use crate::transport::annotation_printer::Explainer;
use crate::transport::deadline::{Deadline, read_before, write_before};
use crate::transport::head_reader::{NoHead, read_head};
use crate::transport::min_write_rate::per_call_timeout;
use crate::transport::stream::{Stream, WrapStream, is_timeout};
use crate::transport::tap::Tap;
use crate::transport::tls::{ClientConfig, TrustedRoots, late_alert};

/// A client that hasn't connected yet. Create it with a URL, add settings, and call
/// [`connect`](Client::connect), which returns the open [`WebSocket`].
///
/// ```no_run
/// let ws = ws101::Client::new("ws://127.0.0.1:9001/chat")
///     .header("Authorization", "Bearer 123")
///     .subprotocols(["chat"])
///     .connect()?;
/// # ws101::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Client {
    url: String,
    request: ClientRequest,
    limits: Arc<Limits>,
    root_certificates: Option<PathBuf>,
    tls_config: Option<Arc<ClientConfig>>,
    wrap_stream: WrapStream,
    proxy: ProxyChoice,
}

/// The client's arguments after validation: all that is needed to perform the handshake.
struct PreparedHandshake {
    address: Address,
    /// The root certificates that a `wss` client trusts, and the host that the server's certificate
    /// must name. `None` for `ws`.
    trust: Option<TrustedRoots>,
    request: Vec<u8>,
    key: String,
}

impl Client {
    /// Creates a client for `ws://host[:port][/path][?query]`, or for `wss://` over TLS (feature
    /// `tls`). If the URL is invalid, `connect` fails.
    pub fn new(url: impl Into<String>) -> Client {
        Client {
            url: url.into(),
            request: ClientRequest::default(),
            limits: Arc::default(),
            root_certificates: None,
            tls_config: None,
            wrap_stream: WrapStream::default(),
            proxy: ProxyChoice::default(),
        }
    }

    /// Adds a header, such as `Authorization`, to the request that opens the connection. If the
    /// header is invalid, or is reserved for the client (such as `Host` or `Content-Length`),
    /// `connect` fails.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Client {
        self.request.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the request's `Origin` header, such as `https://example.com`. Browsers set it to the
    /// origin of the page that opens the connection. Other clients need it only if the server
    /// requires it.
    pub fn origin(mut self, origin: impl Into<String>) -> Client {
        self.request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Origin"));
        self.header("Origin", origin)
    }

    /// Offers subprotocols, the preferred one first. A later call adds more. The server may choose
    /// one of them or none. If it chooses none, the connection opens anyway, and
    /// [`WebSocket::subprotocol`](crate::WebSocket::subprotocol) returns `None`. Check this before
    /// you send. (Browsers and many other clients fail the connection in this case.)
    pub fn subprotocols(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Client {
        self.request.subprotocols.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// For `wss://`: trusts the root certificates in this PEM file instead of the system's. If the
    /// file is missing or invalid, `connect` fails.
    pub fn root_certificates(mut self, file: impl Into<PathBuf>) -> Client {
        self.root_certificates = Some(file.into());
        self
    }

    /// For `wss://`: uses your own rustls configuration, instead of `root_certificates` and the
    /// defaults. The configuration may contain a client certificate, ALPN protocols or a verifier.
    /// Needs the `tls` feature, which re-exports rustls as `ws101::rustls`.
    ///
    /// Your configuration then decides which certificates the client trusts. List nothing but
    /// `http/1.1` in `alpn_protocols`: if ALPN chooses another protocol, `connect` fails.
    pub fn tls_config(mut self, config: Arc<ClientConfig>) -> Client {
        self.tls_config = Some(config);
        self
    }

    /// Offers to compress messages (permessage-deflate). If the server ignores the offer, messages
    /// aren't compressed. In a build without the `deflate` feature, this call makes `connect` fail.
    pub fn deflate(mut self, settings: DeflateConfig) -> Client {
        self.request.deflate = Some(settings);
        self
    }

    /// Explains the connection's bytes as they pass, from the request to the last byte. The
    /// explainer prints the explanation. This call replaces the wrapper that
    /// [`wrap_stream`](Client::wrap_stream) has set.
    pub fn explain(self, explainer: &Explainer) -> Client {
        let sink = explainer.sink("");
        self.wrap_stream(move |stream| Arc::new(Tap::new(stream, Role::Client, sink.clone())))
    }

    /// Wraps the connection's stream in your own stream, such as a meter, a throttle, or a [`Tap`]
    /// that explains the bytes. Over TLS, the wrapper sees the plaintext. The server's address is
    /// the one that the wrapper's [`peer`](Stream::peer) returns. If that is `None`, the client
    /// uses the connected stream's address. There is only one wrapper: a later call to this
    /// function or to [`explain`](Client::explain) replaces it.
    pub fn wrap_stream(
        mut self,
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> Client {
        self.wrap_stream = WrapStream::new(wrap);
        self
    }

    /// Connects through this HTTP proxy, `http://[user:password@]host[:port]`. The default port is
    /// 1080, as in curl. The client asks the proxy for a tunnel to the server (CONNECT). Over
    /// `wss://`, the proxy sees only encrypted bytes in the tunnel; over `ws://`, it can read the
    /// whole traffic.
    pub fn proxy(mut self, url: impl Into<String>) -> Client {
        self.proxy = ProxyChoice::Always(url.into());
        self
    }

    /// Connects through the HTTP proxy that the environment names, with curl's rules: `https_proxy`
    /// or `HTTPS_PROXY` for `wss://`, `http_proxy` for `ws://`, `all_proxy` or `ALL_PROXY` for
    /// both. `HTTP_PROXY` is ignored, because any client of a CGI program can set it. The client
    /// connects directly if none of the variables for the URL's scheme is set, or if `no_proxy` or
    /// `NO_PROXY` lists the host.
    pub fn proxy_from_environment(mut self) -> Client {
        self.proxy = ProxyChoice::FromEnvironment;
        self
    }

    /// Sets this client's [`Limits`], such as the maximum message size and the timeouts.
    /// [`Limits::connect`] bounds the time until the WebSocket is open. Without this call, the
    /// default limits apply.
    pub fn limits(mut self, limits: Limits) -> Client {
        self.limits = Arc::new(limits);
        self
    }

    /// Dials the server, sends the request, and verifies the response. Returns the open WebSocket.
    /// Fails with [`Error::Rejected`] if the response isn't a valid 101, and with
    /// [`Error::PeerTimeout`] if the WebSocket isn't open within [`Limits::connect`]. If the bytes
    /// that have arrived by then aren't HTTP, the error is a `Rejected` instead.
    pub fn connect(self) -> Result<WebSocket> {
        let prepared = self.prepare_handshake()?;
        // A variable that isn't UTF-8 must not look unset: the client would bypass the proxy.
        let variable = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let proxy = self.proxy.proxy_for(&prepared.address, variable)?;
        let deadline = Deadline::after(self.limits.connect);
        let stream = match proxy {
            None => dial(&prepared.address.host_to_dial(), prepared.address.port, deadline)?,
            Some(proxy) => {
                let stream = dial(&proxy.host, proxy.port, deadline)?;
                proxy.open_tunnel(
                    &stream,
                    &prepared.address,
                    self.limits.head_limits(),
                    deadline,
                )?;
                stream
            }
        };
        // (On macOS, this fails if the server has already reset the connection. The handshake then
        // fails, too.)
        let _ = stream.set_nodelay(true);
        self.handshake(Arc::new(stream), prepared, deadline)
    }

    /// Like [`connect`](Client::connect), but over a stream that you have connected yourself. The
    /// client then ignores its proxy settings. With `wss://`, the client first performs the TLS
    /// handshake over this stream.
    ///
    /// On a `TcpStream`, call `set_nodelay(true)` first. Otherwise, TCP may delay a short message
    /// until the peer has acknowledged the previous one (Nagle's algorithm).
    ///
    /// A socket must be in blocking mode (see [`Stream`]).
    pub fn connect_over(self, stream: impl Stream) -> Result<WebSocket> {
        let prepared = self.prepare_handshake()?;
        let deadline = Deadline::after(self.limits.connect);
        self.handshake(Arc::new(stream), prepared, deadline)
    }

    // WALK: prepare
    /// Validates all arguments and builds the request, before an address is dialled or a byte is
    /// written.
    fn prepare_handshake(&self) -> Result<PreparedHandshake> {
        let address = Address::parse(&self.url)?;
        self.request.deflate.as_ref().map_or(Ok(()), deflate::validate)?;
        let key = accept_key::encode_key(Random::new().next_handshake_nonce());
        let request = self.request.request(&address, &key)?;
        let roots = self.root_certificates.as_deref();
        let trust = address
            .secure
            .then(|| {
                let config = self.tls_config.clone();
                TrustedRoots::new(self.url_without_query(), &address.host, roots, config)
            })
            .transpose()?;
        Ok(PreparedHandshake { address, trust, request, key })
    }

    fn handshake(
        self,
        stream: Arc<dyn Stream>,
        prepared: PreparedHandshake,
        deadline: Deadline,
    ) -> Result<WebSocket> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let PreparedHandshake { trust, request, key, .. } = prepared;
        let limits = &self.limits;
        // The operating system forgets the server's address when the server resets the connection,
        // and the application's own stream may not know it.
        let peer = stream.peer();
        // 1. TLS, which verifies the server's certificate; then the application's own stream.
        let stream = match trust {
            None => stream,
            Some(trust) => trust.connect(stream, deadline)?,
        };
        let stream = self.wrap_stream.apply(stream);
        // 2. Send the request. A server may refuse and close before it has read all of the request.
        // Then this write fails, but the reason may have arrived, so read on for up to a second.
        let (deadline, unsent) = match write_before(deadline, &*stream, &request) {
            Err(error) if is_closed_by_peer(&error) => {
                (deadline.earlier(Deadline::after(Duration::from_secs(1))), Some(error))
            }
            sent => (deadline, sent.map(|()| None).map_err(error_in_handshake)?),
        };
        // 3. Read the head of the response.
        let mut buffer = Buffer::default();
        let head = read_answer_head(&*stream, &mut buffer, limits, deadline);
        let head = head.map_err(|error| match (error, unsent) {
            (Error::PeerTimeout | Error::ConnectionLost(_), Some(unsent)) => {
                error_in_handshake(unsent)
            }
            (error, _) => error,
        })?;
        // 4. Verify it. A response other than a 101 may say more in its body.
        let answer = self.request.verify(&head, &key).map_err(|error| match error.status {
            Some(101) | None => error,
            Some(status) => {
                let body = read_body(&head, status, &*stream, &mut buffer, deadline);
                HandshakeError { body, ..error }
            }
        })?;
        // 5. Open: bytes after the head are already frames.
        let mut random = Random::new();
        let agreed = answer.deflate.zip(self.request.deflate);
        let (inflater, deflater) =
            deflate::inflater_and_deflater(Role::Client, agreed, limits.max_message);
        let encoder =
            Encoder::new(Some(Box::new(move || random.next_masking_key()))).deflating(deflater);
        let id = NEXT_ID.fetch_add(1, Relaxed);
        stream.set_write_timeout(per_call_timeout(limits.write)).map_err(error_in_handshake)?;
        let traffic = ConnectionCounts::default();
        traffic.count_received(0, buffer.unread().len());
        let write_half = WriteHalf::new(id, stream, encoder, limits, traffic);
        log::info!("{id} connected to {}", quote(self.url_without_query()));
        let mut request = Box::new(Request::parse(&request)?);
        request.set_peer(write_half.stream.peer().or(peer), Vec::new());
        let close_guard = CloseGuard::new(write_half, None, request);
        let decoder = Decoder::new(Role::Client, limits.message_bounds(), buffer)
            .inflating(inflater)
            .limit_streamed(limits.max_streamed());
        let ws = WebSocket::new(close_guard, decoder, answer.subprotocol);
        Ok(ws.with_response(head))
    }

    /// Returns the URL for logs and error messages, without the query, because a query often
    /// contains a token.
    fn url_without_query(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }
}

/// Hides the query, the headers and the proxy's URL, because they often contain secrets.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &without_secrets(&self.url))
            .field("limits", &self.limits)
            .field("wrap_stream", &self.wrap_stream)
            .finish_non_exhaustive()
    }
}

/// Looks up the host's addresses, and connects to the first address that accepts the connection
/// before the deadline. (The lookup itself has only the operating system's timeout.)
fn dial(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream> {
    let found = (host, port).to_socket_addrs().map_err(|error| {
        io::Error::new(error.kind(), format!("the host {} isn't found: {error}", quote(host)))
    })?;
    dial_first(found.collect(), deadline)
}

/// Dials a hostname's addresses one after the other until one accepts the connection. Each attempt
/// may take an equal share of the remaining time, so that a silent address leaves time for those
/// after it. If no address accepts, returns the last address's error.
fn dial_first(mut addresses: VecDeque<SocketAddr>, deadline: Deadline) -> Result<TcpStream> {
    let mut last = Error::Io(io::Error::new(ErrorKind::NotFound, "the name has no address"));
    while let Some(address) = addresses.pop_front() {
        let rest = deadline.remaining().map_err(|_| Error::PeerTimeout)?;
        let share = rest / (1 + addresses.len() as u32);
        // (`connect_timeout` rejects a timeout of zero.)
        let connected = TcpStream::connect_timeout(&address, share.max(Duration::from_millis(1)));
        match connected.and_then(refuse_own_end) {
            Ok(stream) => return Ok(stream),
            // This is the same error as for a server that accepts the connection and then stays
            // silent.
            Err(error) if is_timeout(&error) => {
                log::info!("{address} doesn't answer in time: {error}");
                last = Error::PeerTimeout;
            }
            Err(error) => {
                last = Error::Io(io::Error::new(error.kind(), format!("{address}: {error}")));
            }
        }
    }
    Err(last)
}

/// Refuses a stream that the operating system has connected to itself. That happens, rarely, if no
/// server listens at the address, and if the operating system chooses the dialled port as the
/// connection's own port. Such a stream would return the client's request as the server's response.
fn refuse_own_end(stream: TcpStream) -> io::Result<TcpStream> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(own), Ok(peer)) if own == peer => Err(ErrorKind::ConnectionRefused.into()),
        _ => Ok(stream),
    }
}

/// Reads the HTTP head of the server's final response, which is the 101 or a rejection. Skips other
/// 1xx responses, such as a 103, because the final response comes after them (RFC 9110 §15.2).
fn read_answer_head(
    stream: &dyn Stream,
    buffer: &mut Buffer,
    limits: &Limits,
    deadline: Deadline,
) -> Result<Head> {
    loop {
        let head = read_head(stream, buffer, limits.head_limits(), deadline);
        let begins_as_http = may_be_http(buffer.unread());
        let bad_head = |refusal| HandshakeError::bad_head(&refusal, begins_as_http);
        let length = head.map_err(|why| match why {
            NoHead::Bad(refusal) => bad_head(refusal).into(),
            NoHead::Late if begins_as_http => Error::PeerTimeout,
            NoHead::Late => {
                let seen = format!("{}, then no end of a head in time", quote(buffer.unread()));
                HandshakeError::not_http(seen).into()
            }
            // A restarting server may close the stream before or during its response. That counts
            // as a lost connection, not as bad HTTP.
            NoHead::Ended if begins_as_http => InHandshake::mark(ErrorKind::UnexpectedEof.into()),
            // Over TLS, many servers end the stream without a close_notify. That's an
            // `UnexpectedEof`, which counts as an end below.
            NoHead::Broken(error) if begins_as_http || error.kind() != ErrorKind::UnexpectedEof => {
                error_in_handshake(error)
            }
            NoHead::Ended | NoHead::Broken(_) => {
                let seen = format!("{}, then the end of the stream", quote(buffer.unread()));
                HandshakeError::not_http(seen).into()
            }
        })?;
        let head = Head::parse_response(&buffer.unread()[..length]).map_err(bad_head)?;
        buffer.consume(length);
        if !status_of(head.first_line()).is_some_and(is_interim) {
            return Ok(head);
        }
    }
}

/// Reads the body of a response that opens no WebSocket, as text. The text is for a human reader,
/// so the client keeps at most 4 KiB, and waits no longer than a second.
fn read_body(
    head: &Head,
    status: u16,
    stream: &dyn Stream,
    buffer: &mut Buffer,
    deadline: Deadline,
) -> String {
    const MOST: usize = 4 * 1024;
    const BODY_TIMEOUT: Duration = Duration::from_secs(1);
    let deadline = Deadline::after(deadline.remaining().unwrap_or_default().min(BODY_TIMEOUT));
    let mut body = Body::after_head(head, status, MOST);
    body.push(buffer.unread());
    let mut piece = [0; 1024];
    while !body.has_enough() {
        match read_before(deadline, stream, &mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => body.push(&piece[..count]),
        }
    }
    body.into_text()
}

/// Returns whether a write has failed because the server has already closed the connection.
fn is_closed_by_peer(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// Converts a stream error during the handshake to an [`Error`]: a timeout, the server's TLS alert,
/// or a lost connection.
fn error_in_handshake(error: io::Error) -> Error {
    match is_timeout(&error) {
        true => Error::PeerTimeout,
        false => late_alert(&error).unwrap_or_else(|| InHandshake::mark(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_os = "linux")] // Elsewhere a full queue may refuse.
    fn a_silent_address_takes_its_share_of_the_time_and_leaves_the_next_one_the_rest() {
        // No program accepts there: once the listen queue is full, the operating system no longer
        // answers.
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
    #[cfg(target_os = "linux")] // Elsewhere a full queue may refuse.
    fn an_address_that_does_not_answer_in_time_is_a_peer_timeout_as_a_silent_handshake_is() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let moment = Duration::from_millis(100);
        let _full: Vec<_> =
            std::iter::from_fn(|| TcpStream::connect_timeout(&address, moment).ok()).collect();
        let dialled = dial_first([address].into(), Deadline::after(moment));
        assert!(matches!(dialled, Err(Error::PeerTimeout)), "{dialled:?}");
        let dialled = dial_first([address].into(), Deadline::after(Duration::ZERO));
        assert!(matches!(dialled, Err(Error::PeerTimeout)), "{dialled:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_client_never_takes_its_own_end_for_the_server() {
        // Linux chooses even ports for clients, and odd ones for listeners of port 0. About one in
        // 14,000 attempts to reach a port without a listener connects to itself.
        let odd = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let unused = SocketAddr::new(odd.ip(), odd.port() & !1);
        let end = Deadline::after(Duration::from_secs(60));
        for _ in 0..60_000 {
            let connected = dial_first([unused].into(), end);
            let is_own = |stream: TcpStream| stream.local_addr().ok() == stream.peer_addr().ok();
            assert!(!connected.is_ok_and(is_own));
        }
    }

    #[test]
    fn if_no_address_answers_the_error_is_that_of_the_last_one() {
        // Nothing listens at these clients' own addresses, and no other program gets their ports.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let clients = [(); 2].map(|()| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
        let [first, last] = clients.each_ref().map(|client| client.local_addr().unwrap());
        let error = dial_first([first, last].into(), Deadline::after(Duration::from_secs(30)));
        assert!(error.unwrap_err().to_string().contains(&last.to_string()));
        let error = dial_first([].into(), Deadline::after(Duration::from_secs(30)));
        assert!(error.unwrap_err().to_string().contains("no address"));
    }
}
