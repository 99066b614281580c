//! WebSocket URLs: `ws://host:port/path?query` in, its parts out (RFC 6455 §3).

use crate::diagnostic::misuse::Misuse;
use crate::http::authority::{Authority, default_port};

/// The parts of a WebSocket URL, `ws://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether the scheme is `wss` rather than `ws`.
    pub secure: bool,
    /// A name or an IP address. An IPv6 address keeps its brackets.
    pub host: String,
    /// The port in the URL, or the scheme's default.
    pub port: u16,
    /// Path and query, at least `/`.
    pub target: String,
}

impl Address {
    /// Parses a URL (§3).
    pub fn parse(url: &str) -> Result<Address, Misuse> {
        let misuse = |why| Misuse::Address(url.into(), why);
        let (scheme, rest) = url.split_once("://").ok_or(misuse("no scheme"))?;
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "ws" && scheme != "wss" {
            return Err(misuse("the scheme is neither ws nor wss"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(misuse("a space, a control character or one that is not ASCII"));
        }
        // §3: a WebSocket URL has no fragment.
        if rest.contains('#') {
            return Err(misuse("a fragment (#)"));
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let Authority { host, port } =
            Authority::parse(authority).ok_or(misuse("no host, or one that is none"))?;
        let port = port.or(default_port(&scheme)).unwrap_or_default();
        // §3: an empty query counts as none.
        let target = target.strip_suffix('?').filter(|rest| !rest.contains('?')).unwrap_or(target);
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        Ok(Address { secure: scheme == "wss", host, port, target })
    }

    /// The value for `Host`. It has a port only if that isn't the scheme's default.
    pub fn authority(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        match default_port(scheme) == Some(self.port) {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}
