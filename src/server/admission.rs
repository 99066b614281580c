//! What the application's own check found out about a client that it lets in.

use std::any::Any;
use std::sync::Arc;

/// What your function for [`Server::admit`](super::server::Server::admit) returns to let a client
/// in: who the client is, for the handler, and headers for the 101.
///
/// ```no_run
/// use ws101::{Admission, Refusal, Server};
///
/// struct User { name: String }
///
/// Server::bind("127.0.0.1:9001")?
///     .admit(|request| match request.cookie("session") {
///         Some(name) => Ok(Admission::of(User { name: name.into() }).header("X-Trace", "7")),
///         None => Err(Refusal::because(401, "Log in first.")),
///     })
///     .serve(|mut ws| {
///         let hello = format!("Hello, {}", ws.identity::<User>().unwrap().name);
///         ws.send(hello)
///     })
/// # ;ws101::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct Admission {
    pub(crate) identity: Option<Identity>,
    pub(crate) headers: Vec<(String, String)>,
}

/// What the application knows about a client that it let in, in a type of the application's choice.
pub(crate) type Identity = Arc<dyn Any + Send + Sync>;

impl Admission {
    /// Creates an admission that lets the client in, without an identity and without headers for
    /// the 101.
    pub fn new() -> Admission {
        Admission::default()
    }

    /// Creates an admission that lets the client in and says who it is. The handler gets this value
    /// from [`WebSocket::identity`](crate::WebSocket::identity).
    pub fn of(identity: impl Any + Send + Sync) -> Admission {
        Admission { identity: Some(Arc::new(identity)), headers: Vec::new() }
    }

    /// Adds a header to the 101, such as `Set-Cookie`. The handshake's own headers can't be set:
    /// the client then gets a 500.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Admission {
        self.headers.push((name.into(), value.into()));
        self
    }
}
