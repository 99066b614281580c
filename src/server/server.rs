//! The server: accept, and give each connection a thread of its own.
//!
//! Rules of this file:
//! - `accept` is not held up: the handshake, too, is done in the connection's thread. Only those for
//!   whom there is none, or who come as the server stops, are answered where they are accepted.
//! - Nothing that goes wrong with one connection ends another, or the listener: no descriptor, no
//!   thread, a handler that fails or panics.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::registry::{Handle, Registry, Reserve};
use super::threads::Threads;
use super::upgrade::{ABOUT_TO_STOP, Options, answer, no_room, upgrade};
use crate::connection::limits::Limits;
use crate::connection::websocket::WebSocket;
use crate::diagnostic::misuse::Misuse;
use crate::error::Result;
use crate::frames::close_code::CloseCode;
use crate::frames::header::Role;
use crate::handshake::deflate_params::DeflateConfig;
use crate::handshake::origin::Origins;
use crate::http::refusal::Refusal;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::transport::deadline::{Deadline, read_before};
use crate::transport::explainer::Explainer;
use crate::transport::stream::{Stream, WrapStream};
use crate::transport::tap::Tap;
use crate::transport::tls::Tls;

/// A WebSocket server: what it asks of those who connect, and where it listens.
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
    listener: Option<TcpListener>,
    options: Options,
    registry: Arc<Registry>,
}

impl Server {
    /// A server that listens at an address. Port 0 takes a free one: see [`Server::local_addr`].
    pub fn bind(address: impl ToSocketAddrs) -> Result<Server> {
        let listener = TcpListener::bind(address)?;
        let registry = Registry::new(Some(listener.local_addr()?));
        Ok(Server { listener: Some(listener), options: Options::default(), registry })
    }

    /// A server without a listener: give each stream to [`Server::accept`].
    pub fn without_listener() -> Server {
        Server { listener: None, options: Options::default(), registry: Registry::new(None) }
    }

    /// Which pages may connect, each as `scheme://host[:port]`, compared whole; `null` for pages without
    /// an origin, `*` for all. Without this call: those that came from this very host and port, over TLS by https.
    /// Programs that are no browser send no `Origin`, and are let in.
    pub fn origins(mut self, origins: impl IntoIterator<Item: AsRef<str>>) -> Server {
        let listed = owned(origins);
        let any = listed.iter().any(|origin| origin == "*");
        self.options.rules.origins = if any { Origins::Any } else { Origins::Listed(listed) };
        self
    }

    /// The hosts that this server answers for: others are told 421. An entry without a port means any
    /// port. A guard against DNS rebinding, for a server that only listens on loopback.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item: AsRef<str>>) -> Server {
        self.options.rules.hosts = owned(hosts);
        self
    }

    /// The paths at which there is a WebSocket: others are told 404. Without this call: all.
    pub fn paths(mut self, paths: impl IntoIterator<Item: AsRef<str>>) -> Server {
        self.options.rules.paths = owned(paths);
        self
    }

    /// The subprotocols that this server speaks. Of those that a client offers, the first that is ours
    /// is agreed on. If there is none, the connection opens without one; browsers, and some others,
    /// then leave at once.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Server {
        self.options.rules.subprotocols = owned(names);
        self
    }

    /// Asks a question of your own once all others are answered: a token, a cookie.
    pub fn authorize(
        mut self,
        authorize: impl Fn(&Request) -> std::result::Result<(), Refusal> + Send + Sync + 'static,
    ) -> Server {
        self.options.authorize = Some(Box::new(authorize));
        self
    }

    /// Answers those who ask for no WebSocket, on the same port. `None`: they are told 426.
    pub fn http(
        mut self,
        http: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
    ) -> Server {
        self.options.http = Some(Box::new(http));
        self
    }

    /// Speaks TLS: `wss://` and `https://`, and nothing else. (But one for whom there is no thread is told
    /// so in plain HTTP, since TLS would take one.)
    pub fn tls(mut self, tls: Tls) -> Server {
        if let Origins::SameHost = self.options.rules.origins {
            self.options.rules.origins = Origins::SameHostOverTls;
        }
        self.options.tls = Some(tls);
        self
    }

    /// Compresses messages where the client offers to (permessage-deflate), which takes the feature
    /// `deflate`. What a connection then costs, [`DeflateConfig`] says.
    pub fn deflate(mut self, settings: DeflateConfig) -> Server {
        self.options.rules.deflate = Some(settings);
        self
    }

    /// Has each connection explained while it goes on, from its request to its last byte.
    pub fn explain(self, explainer: Explainer) -> Server {
        let count = AtomicU64::new(0);
        self.wrap_stream(move |stream| {
            let name = format!("#{}", count.fetch_add(1, Relaxed) + 1);
            Arc::new(Tap::new(stream, Role::Server, explainer.sink(name)))
        })
    }

    /// Passes each stream that is accepted through something of your own: a [`Tap`](crate::Tap) that
    /// explains it, a meter, a brake. Over TLS it sees what TLS protects.
    pub fn wrap_stream(
        mut self,
        wrap: impl Fn(Arc<dyn Stream>) -> Arc<dyn Stream> + Send + Sync + 'static,
    ) -> Server {
        self.options.wrap_stream = WrapStream::new(wrap);
        self
    }

    /// How much, how many, how long.
    pub fn limits(mut self, limits: Limits) -> Server {
        self.options.limits = limits;
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Result<SocketAddr> {
        let listener = self.listener.as_ref().ok_or(Misuse::NoListener)?;
        Ok(listener.local_addr()?)
    }

    /// A handle to stop it with, and to read its counters.
    pub fn handle(&self) -> Handle {
        Handle { registry: self.registry.clone() }
    }

    /// The handshake on a stream that somebody else accepted. In the caller's thread.
    pub fn accept(&self, stream: impl Stream) -> Result<WebSocket> {
        self.options.check()?;
        upgrade(self.registry.next_id(), Arc::new(stream), &self.options, &self.registry)
    }

    /// Accepts connections and runs the handler for each in a thread of its own, until somebody
    /// [stops](Handle::stop) it.
    pub fn serve(
        self,
        handler: impl Fn(WebSocket) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        self.options.check()?;
        let Server { listener, options, registry } = self;
        let listener = listener.ok_or(Misuse::NoListener)?;
        log::info!("listening on {}", listener.local_addr()?);
        let threads = Threads::new(options.limits.stack);
        let shared = Arc::new(Shared { options, registry, handler: Box::new(handler) });
        // Where there is no descriptor left, the next client comes in by this one, and is told.
        let mut reserve = Reserve::new();
        loop {
            let accepted = listener.accept();
            if shared.registry.is_stopping() {
                turn_all_away(accepted, &listener, &shared.registry);
                break;
            }
            match accepted {
                Ok((stream, _)) => {
                    reserve = reserve.or_else(Reserve::new);
                    match reserve {
                        Some(_) => give_thread(stream, &threads, &shared),
                        None => turn_away(&stream, "no descriptor is left", &shared.registry),
                    }
                }
                Err(error) if is_of_one_client(&error) => {}
                Err(error) => {
                    log::warn!("accept: {error}");
                    if reserve.take().is_none() {
                        thread::sleep(TURN_AWAY_TIMEOUT);
                    }
                }
            }
        }
        drop(listener);
        shared.registry.shut_down();
        log::info!("stopped");
        Ok(())
    }
}

fn owned(names: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
    names.into_iter().map(|name| name.as_ref().to_owned()).collect()
}

/// What the threads of a server share.
struct Shared {
    options: Options,
    registry: Arc<Registry>,
    handler: Box<Handler>,
}

type Handler = dyn Fn(WebSocket) -> Result<()> + Send + Sync;

/// Gives a connection a thread of its own, or turns it away if there is none.
fn give_thread(stream: TcpStream, threads: &Threads, shared: &Arc<Shared>) {
    let id = shared.registry.next_id();
    let (stream, for_thread) = (Arc::new(stream), shared.clone());
    let of_thread = stream.clone();
    let job = move || serve_one(id, of_thread, &for_thread);
    if let Err(error) = threads.give(Box::new(job)) {
        log::warn!("{id} gets no thread: {error}");
        turn_away(&stream, "no thread is left", &shared.registry);
    }
}

// WALK: life
/// The life of a connection, in its own thread.
fn serve_one(id: u64, stream: Arc<TcpStream>, shared: &Shared) {
    let Shared { options, registry, handler } = shared;
    log::debug!("{id} comes from {:?}", stream.peer());
    // A small frame must not wait for the answer to the one before it (Nagle).
    let _ = stream.set_nodelay(true);
    let greeted = catch_unwind(AssertUnwindSafe(|| upgrade(id, stream.clone(), options, registry)));
    // Whoever does not become one has been told why, also where code of the application's own panicked.
    if let Ok(Ok(ws)) = greeted {
        drop(stream);
        run(handler, ws);
    }
}

// WALK: handler
/// Runs the handler, and says goodbye where it could not. A frame of its own: a thread keeps as much
/// stack as it ever used, and so no more than the greeting or the handler takes, but not both.
#[inline(never)]
fn run(handler: &Handler, ws: WebSocket) {
    let id = ws.id();
    // Held over the handler's end: what the handler could not say is said here.
    let close_guard = ws.close_guard();
    match catch_unwind(AssertUnwindSafe(|| handler(ws))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            log::info!("{id} ended: {error}");
            close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
        Err(_) => {
            log::error!("{id} the handler panicked");
            close_guard.set_code(CloseCode::INTERNAL_ERROR);
        }
    }
}

/// Tells a client that there is no room. In the thread that accepts, which has a moment: it could not
/// take anybody else right now.
fn turn_away(stream: &TcpStream, seen: &'static str, registry: &Registry) {
    // What has come of the request is read, so that no reset destroys the answer.
    let read = read_before(Deadline::after(TURN_AWAY_TIMEOUT), stream, &mut [0; 4096]);
    // Whoever said nothing and has left is told nothing, among them who wakes us to stop.
    if !matches!(read, Ok(0)) {
        registry.totals.refused(503);
        let limits = Limits { close: TURN_AWAY_TIMEOUT, ..Limits::default() };
        answer(stream, &no_room(seen).response(), &limits);
    }
}

/// Tells those who have come, and are not let in any more since the server stops; for a second.
fn turn_all_away(
    mut accepted: io::Result<(TcpStream, SocketAddr)>,
    listener: &TcpListener,
    registry: &Registry,
) {
    let deadline = Deadline::after(Duration::from_secs(1));
    let _ = listener.set_nonblocking(true);
    while let (Ok((stream, _)), false) = (&accepted, deadline.has_passed()) {
        let _ = stream.set_nonblocking(false);
        turn_away(stream, ABOUT_TO_STOP, registry);
        accepted = listener.accept();
    }
}

/// Whether this error of `accept` is about the client that has just gone, or an interruption.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// How long `accept` rests when the machine has run out of something.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_millis(50);
