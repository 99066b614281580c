//! The application's own check of a request: [`Server::admit`](super::server::Server::admit) or
//! [`Server::authorize`](super::server::Server::authorize). It refuses the client, or admits it
//! with an [`Admission`].

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::http::refusal::Refusal;
use crate::http::request::Request;

/// The application's own check of a WebSocket request. The server runs it on a request that has
/// passed all other checks.
pub(crate) type ApplicationCheck =
    dyn Fn(&Request) -> std::result::Result<Admission, Refusal> + Send + Sync;

/// The value that your [`Server::admit`](super::server::Server::admit) function returns to admit a
/// client: the client's identity, for the handler, and headers for the 101.
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

/// An admitted client's identity: a value of whatever type the application chooses.
pub(crate) type Identity = Arc<dyn Any + Send + Sync>;

impl Admission {
    /// Creates an admission without an identity and without headers for the 101.
    pub fn new() -> Admission {
        Admission::default()
    }

    /// Creates an admission with the client's identity. The handler reads this value with
    /// [`WebSocket::identity`](crate::WebSocket::identity).
    pub fn of(identity: impl Any + Send + Sync) -> Admission {
        Admission { identity: Some(Arc::new(identity)), headers: Vec::new() }
    }

    /// Adds a header to the 101, such as `Set-Cookie`. If the header is invalid, or is reserved for
    /// the server (such as `Upgrade` or `Content-Length`), the client receives a 500 instead of the
    /// 101.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Admission {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Shows neither the identity nor the headers' values, which may be secret.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Admission").field("headers", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_admission_is_shown() {
        let admission = Admission::of("the identity").header("Set-Cookie", "session=secret");
        assert_eq!(format!("{admission:?}"), r#"Admission { headers: ["Set-Cookie"], .. }"#);
    }
}
