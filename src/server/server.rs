//! The [`Server`]: its settings, and the functions that accept clients with them.

use std::fmt;
use std::mem::take;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use super::accept_loop::serve_until_stopped;
use super::application_check::Admission;
use super::handle::Handle;
use super::options::Options;
use super::registry::registry::Registry;
use super::running_server::RunningServer;
use super::upgrade::upgrade;
use crate::connection::websocket::WebSocket;
use crate::diagnostic::misuse::Misuse;
use crate::error::Result;
use crate::frames::header::Role;
use crate::handshake::deflate_params::DeflateConfig;
use crate::handshake::hosts::Hosts;
use crate::handshake::origin::Origins;
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::limits::Limits;
use crate::transport::annotation_printer::Explainer;
use crate::transport::listener::Listener;
use crate::transport::stream::{Stream, WrapStream};
use crate::transport::tap::Tap;
use crate::transport::tls::Tls;

/// A WebSocket server. Create it with [`bind`](Server::bind), add settings such as
/// [`limits`](Server::limits), and call [`serve`](Server::serve), which runs your handler for each
/// connection, in the connection's own thread.
///
/// ```no_run
/// ws101::Server::bind("127.0.0.1:9001")?.serve(|mut ws| {
///     while let Some(message) = ws.recv()? {
///         ws.send(message)?;
///     }
///     Ok(())
/// })
/// # ;ws101::Result::Ok(())
/// ```
pub struct Server {
    listener: Option<Listener>,
    options: Options,
    registry: Arc<Registry>,
}

impl Server {
    /// Creates a server that listens on `address`. With port 0, the operating system chooses a free
    /// port, which [`Server::local_addr`] returns.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Server> {
        Server::on(TcpListener::bind(address)?)
    }

    /// Creates a server for an existing `TcpListener` or `UnixListener`, for example one that a
    /// supervisor has opened. A non-blocking listener becomes blocking. (`examples/service` takes
    /// either kind from systemd.)
    ///
    /// To stop, the server connects to its own listener, because only a new connection wakes the
    /// thread that waits in `accept`. The connection doesn't reach that thread if another process
    /// that shares the listener accepts it, if the path of a Unix socket now belongs to another
    /// server, or if the path's permissions exclude this process. [`Handle::stop`] then still
    /// closes the connections within the grace period, but `serve` returns only after it has
    /// accepted another client.
    pub fn on(listener: impl Into<Listener>) -> Result<Server> {
        let listener = listener.into();
        // A non-blocking listener would make `serve` spin.
        listener.set_nonblocking(false)?;
        let wake_address = listener.wake_address()?;
        let mut options = Options::default();
        if wake_address.is_loopback() {
            options.rules.hosts = Hosts::Loopback;
        }
        Ok(Server {
            listener: Some(listener),
            options,
            registry: Registry::new(Some(wake_address)),
        })
    }

    /// Creates a server without a listener, for streams that you accept yourself. Pass each stream
    /// to [`Server::accept`].
    pub fn without_listener() -> Server {
        Server { listener: None, options: Options::default(), registry: Registry::new(None) }
    }

    /// Sets the origins whose pages may connect, each as `scheme://host[:port]`. A page's origin
    /// must match an entry completely. Three entries are special: `"self"` stands for the request's
    /// own host and port, `"null"` for pages without an origin of their own (such as local files),
    /// and `"*"` for all origins.
    ///
    /// Without this call, only pages from the request's own host and port may connect. If the
    /// server uses TLS, those pages must also be loaded over https. A page that isn't allowed
    /// receives a 403, which names the allowed origins. Requests without an `Origin` header pass
    /// this check, because they come from programs other than browsers.
    pub fn origins(mut self, origins: impl IntoIterator<Item: AsRef<str>>) -> Server {
        let listed = to_strings(origins);
        let any = listed.iter().any(|origin| origin == "*");
        let origins = if any { Origins::Any } else { Origins::Listed(listed) };
        let over_tls = self.options.tls.is_some();
        self.options.rules.origins = if over_tls { origins.over_tls() } else { origins };
        self
    }

    /// Sets the hosts that a request's `Host` header may name, such as `example.com` or
    /// `example.com:8080`. An entry without a port matches every port. `*` or an empty list allows
    /// any host. A request for another host receives a 421, which names the allowed hosts.
    ///
    /// Without this call, the default depends on the address that the server listens on:
    /// - On a loopback address, the server accepts only requests for `localhost`, for names that
    ///   end with `.localhost`, and for loopback addresses such as `127.0.0.1` and `[::1]`, on any
    ///   port.
    /// - On any other address, on a Unix socket, or without a listener, it accepts requests for any
    ///   host.
    ///
    /// The loopback rule prevents DNS rebinding: an attacker points their own hostname at
    /// 127.0.0.1, so that their page can reach this server. If a proxy on the same machine forwards
    /// its clients' `Host` header, list the hostnames that its clients use. Otherwise, the clients
    /// receive a 421.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item: AsRef<str>>) -> Server {
        let listed = to_strings(hosts);
        let any = listed.is_empty() || listed.iter().any(|host| host == "*");
        self.options.rules.hosts = if any { Hosts::Any } else { Hosts::Listed(listed) };
        self
    }

    /// Sets the paths that open a WebSocket. Each must begin with `/` and contain no query;
    /// otherwise, `serve`, `spawn` and `accept` fail. A WebSocket request for another path receives
    /// a 404, which names the allowed paths. By default, every path opens a WebSocket. (Plain HTTP
    /// requests for any path go to [`http`](Server::http).)
    pub fn paths(mut self, paths: impl IntoIterator<Item: AsRef<str>>) -> Server {
        self.options.rules.paths = to_strings(paths);
        self
    }

    /// Sets the subprotocols that this server supports. For each connection, the server picks the
    /// first supported name in the client's list. If none is supported, the connection opens
    /// without a subprotocol, and browsers and some other clients then close it at once.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Server {
        self.options.rules.subprotocols = to_strings(names);
        self
    }

    /// Sets your own check of each WebSocket request, for example to verify a token or a cookie.
    /// The server runs it on a request that has passed all other checks. If your check returns a
    /// refusal, the server sends that refusal as its response. If your check panics, the client
    /// receives a 500. There is only one check: a later call to this function or to
    /// [`admit`](Server::admit) replaces it. (Plain HTTP requests go to [`http`](Server::http)
    /// without this check.)
    pub fn authorize(
        self,
        authorize: impl Fn(&Request) -> std::result::Result<(), Refusal> + Send + Sync + 'static,
    ) -> Server {
        self.admit(move |request| authorize(request).map(|()| Admission::new()))
    }

    /// Like [`authorize`](Server::authorize), but your check returns an [`Admission`]: the client's
    /// identity, which the handler can read, and headers for the 101.
    pub fn admit(
        mut self,
        admit: impl Fn(&Request) -> std::result::Result<Admission, Refusal> + Send + Sync + 'static,
    ) -> Server {
        self.options.admit = Some(Box::new(admit));
        self
    }

    /// Sets the function that answers requests that don't ask for a WebSocket, on the same port.
    /// These requests may use any method except CONNECT, and HTTP/1.0 as well as HTTP/1.1. The
    /// server doesn't read their bodies, and answers a HEAD request without your response's body.
    ///
    /// If `http` returns `None`, the client receives a 404. If the path is one of the
    /// [`paths`](Server::paths), the client instead receives a 405 if the method isn't GET, a 505
    /// if the version is HTTP/1.0, and otherwise a 426. If `http` panics, the client receives a
    /// 500.
    pub fn http(
        mut self,
        http: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Server {
        self.options.http = Some(Box::new(http));
        self
    }

    /// Serves `wss://` and `https://` instead of `ws://` and `http://`. Pages from the server's own
    /// host must then be loaded over https (see [`origins`](Server::origins)). Two kinds of
    /// response are still plain HTTP: the 400 for a client that doesn't use TLS, and the 503 that
    /// the server sends before the TLS handshake if it's stopping or has no thread or descriptor
    /// left. After such a 503, a client of this crate fails with
    /// [`Rejected`](crate::Error::Rejected), so it may try again later.
    pub fn tls(mut self, tls: Tls) -> Server {
        self.options.rules.origins = take(&mut self.options.rules.origins).over_tls();
        self.options.tls = Some(tls);
        self
    }

    /// Compresses messages if the client offers compression (permessage-deflate). In a build
    /// without the `deflate` feature, this call makes `serve`, `spawn` and `accept` fail.
    /// [`DeflateConfig`] describes the cost per connection.
    pub fn deflate(mut self, settings: DeflateConfig) -> Server {
        self.options.rules.deflate = Some(settings);
        self
    }

    /// Explains every byte of each connection, from its request to its last frame. The explainer
    /// prints the explanation as the bytes pass. This replaces the wrapper that
    /// [`wrap_stream`](Server::wrap_stream) has set.
    pub fn explain(self, explainer: Explainer) -> Server {
        let count = AtomicU64::new(0);
        self.wrap_stream(move |stream| {
            let name = format!("#{}", count.fetch_add(1, Relaxed) + 1);
            Arc::new(Tap::new(stream, Role::Server, explainer.sink(name)))
        })
    }

    /// Wraps each accepted stream in your own stream, such as a meter, a throttle, or a [`Tap`]
    /// that explains the bytes. Over TLS, the wrapper sees the plaintext. The client's address is
    /// the one that the wrapper's [`peer`](Stream::peer) returns. If that is `None`, the server
    /// uses the accepted stream's address. There is only one wrapper: a later call to this function
    /// or to [`explain`](Server::explain) replaces it.
    pub fn wrap_stream(
        mut self,
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> Server {
        self.options.wrap_stream = WrapStream::new(wrap);
        self
    }

    /// Sets this server's [`Limits`], such as the maximum message size, the maximum number of
    /// connections, and the timeouts. Without this call, the default limits apply.
    pub fn limits(mut self, limits: Limits) -> Server {
        self.options.limits = Arc::new(limits);
        self
    }

    /// Returns the IP address and port that the server listens on. Fails if the server has no
    /// listener, or if it listens on a Unix socket.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let listener = self.listener.as_ref().ok_or(Misuse::NoListener)?;
        Ok(listener.local_addr()?)
    }

    /// Returns a handle that can stop the server and read its counters while `serve` runs.
    pub fn handle(&self) -> Handle {
        Handle { registry: self.registry.clone() }
    }

    /// Performs the server's side of the handshake on a stream that you accepted yourself, and
    /// returns the open WebSocket. Blocks the calling thread until the handshake is over.
    ///
    /// Fails:
    /// - with [`Refused`](crate::Error::Refused) if the server refuses the client, for example
    ///   because its request is incomplete;
    /// - with [`PageServed`](crate::Error::PageServed) if the client asked for a page and received
    ///   it;
    /// - with [`ConnectionLost`](crate::Error::ConnectionLost) if the client closes without sending
    ///   a byte, or if the stream fails during the TLS handshake or while the 101 is sent;
    /// - with [`WriteTimeout`](crate::Error::WriteTimeout) if the client reads the 101 too slowly;
    /// - over TLS, with [`Tls`](crate::Error::Tls) or [`PeerTimeout`](crate::Error::PeerTimeout) if
    ///   the TLS handshake fails or takes too long;
    /// - with [`Misuse`](crate::Error::Misuse) if a setting is invalid, and also if your page or
    ///   one of your headers for the 101 is invalid or reserved for the server: the client then
    ///   receives a 500.
    ///
    /// If `authorize` or another of your functions panics, the client receives a 500, and this call
    /// panics, too.
    ///
    /// On a `TcpStream`, call `set_nodelay(true)` first. Otherwise, TCP may delay a short message
    /// until the peer has acknowledged the previous one (Nagle's algorithm).
    ///
    /// A socket must be in blocking mode (see [`Stream`]).
    pub fn accept(&self, stream: impl Stream) -> Result<WebSocket> {
        self.options.validate_configuration()?;
        upgrade(self.registry.next_id(), Arc::new(stream), &self.options, &self.registry)
    }

    /// Runs [`serve`](Server::serve) in a new thread, and returns at once. The returned
    /// [`RunningServer`] can stop the server and wait for it to end. Fails if a setting is invalid,
    /// if the server has no listener, or if no thread can be started.
    pub fn spawn(
        self,
        handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
    ) -> Result<RunningServer> {
        self.options.validate_configuration()?;
        self.listener.as_ref().ok_or(Misuse::NoListener)?;
        let (address, handle) = (self.local_addr(), self.handle());
        let builder = thread::Builder::new().name("accepting".into());
        let thread = builder.spawn(move || self.serve(handler))?;
        Ok(RunningServer { address, handle, thread })
    }

    /// Accepts connections, and runs `handler` for each one in a thread of its own, until a
    /// [`Handle`] [stops](Handle::stop) the server or has [drained](Handle::drain) it. Returns once
    /// all connections have closed and all pages and refusals have been sent, at the latest when
    /// the grace period of `stop` or `drain` is over. If the handler returns an error or panics,
    /// its connection closes with code 1011.
    ///
    /// Fails at once if a setting is invalid, if the server has no listener, or if the thread that
    /// refuses clients can't be started.
    pub fn serve(
        self,
        handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        self.options.validate_configuration()?;
        let Server { listener, options, registry } = self;
        let listener = listener.ok_or(Misuse::NoListener)?;
        serve_until_stopped(listener, options, registry, Box::new(handler))
    }
}

fn to_strings(names: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { rules, limits, .. } = &self.options;
        f.debug_struct("Server")
            .field("rules", rules)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}
