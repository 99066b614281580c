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
        let misuse = |why| Misuse::Address(without_password(url), why);
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

/// An address that isn't taken is shown, but not the password in it.
fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[start..];
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@').and_then(|at| Some((authority[..at].find(':')?, at))) {
        Some((colon, at)) => {
            format!("{}***{}", &url[..start + colon + 1], &url[start + at..])
        }
        None => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_refused_is_shown_without_its_password() {
        for (url, shown) in [
            ("ws://user:pass:word@host/a?b", "ws://user:***@host/a?b"),
            ("user:password@host", "user:***@host"),
            ("ws://u:p@q@h", "ws://u:***@h"),
        ] {
            let Err(Misuse::Address(told, _)) = Address::parse(url) else { panic!("{url}") };
            assert_eq!(told, shown);
        }
        assert_eq!(without_password("ws://host:1/a:b@c"), "ws://host:1/a:b@c");
    }
}
