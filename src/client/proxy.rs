//! A client's HTTP proxy: the client sends `CONNECT host:port`, and the proxy opens a tunnel to
//! that host (RFC 9110 §9.3.6).
//!
//! ```text
//! client ──► CONNECT example.com:443 HTTP/1.1 ──► proxy
//!        ◄── HTTP/1.1 200 Connection established ◄──
//! client ◄═════════ TLS, or the WebSocket's request ═════════► example.com:443
//! ```
//!
//! Rules of this file:
//! - The proxy itself receives only the server's host and port, and the client's credentials for
//!   the proxy. The handshake and all later bytes pass through the tunnel, encrypted if the URL is
//!   `wss://`. `ws://` also uses a tunnel, because a proxy that reads the request might not support
//!   upgrades.
//! - The client reads the environment as curl does (`https_proxy`, `no_proxy`, ..), and only if the
//!   caller asks for that. It ignores `HTTP_PROXY` in capitals, because a CGI web server sets that
//!   variable from a client's `Proxy:` header (httpoxy, CVE-2016-5385).
//! - The proxy's response is bounded in size and in time, as a server's response is.

use std::io::ErrorKind;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::diagnostic::misuse::Misuse;
use crate::diagnostic::quote;
use crate::error::{Error, InHandshake, Result};
use crate::frames::buffer::Buffer;
use crate::handshake::client::HandshakeError;
use crate::handshake::url::{Address, host_to_dial, zone_of};
use crate::http::authority::Authority;
use crate::http::head::Head;
use crate::http::status_line::{is_interim, may_be_http, status_of};
use crate::http::syntax::percent_decoded;
use crate::transport::deadline::{Deadline, write_before};
use crate::transport::head_reader::{NoHead, read_head};
use crate::transport::stream::{Stream, is_timeout};

/// A client's choice of proxy: none, a fixed one, or the one that the environment names.
#[derive(Clone, Default)]
pub(crate) enum ProxyChoice {
    /// The client uses no proxy and connects directly.
    #[default]
    Direct,
    /// The client uses one proxy for every host. The string is the proxy's URL,
    /// `http://[user:password@]host[:port]`.
    Always(String),
    /// The client uses the proxy that the environment names for the host, if it names one.
    FromEnvironment,
}

/// A proxy's address, and the client's credentials for the proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// The proxy's host, in the form that the operating system resolves: an IPv6 address has no
    /// brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of the `Proxy-Authorization` header, if the proxy's URL contains a user name.
    authorization: Option<String>,
}

impl ProxyChoice {
    /// Finds the proxy for a server's address. Returns `None` if the client should connect
    /// directly. Fails if the proxy's URL is invalid. `variable` looks up an environment variable.
    /// Tests pass their own lookup.
    pub(crate) fn proxy_for(
        &self,
        address: &Address,
        variable: impl Fn(&str) -> Option<String>,
    ) -> std::result::Result<Option<Proxy>, Misuse> {
        let url = match self {
            ProxyChoice::Direct => return Ok(None),
            ProxyChoice::Always(url) => Some(url.clone()),
            ProxyChoice::FromEnvironment => from_environment(address, variable),
        };
        url.map(|url| Proxy::parse(&url)).transpose()
    }
}

/// Returns the URL of the proxy that the environment names for this address. Returns `None` if the
/// environment names no proxy, or if `no_proxy` lists the host.
fn from_environment(
    address: &Address,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let names: &[&str] = match address.secure {
        true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        false => &["http_proxy", "all_proxy", "ALL_PROXY"],
    };
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let url = names.iter().find_map(set)?;
    let exceptions = ["no_proxy", "NO_PROXY"].iter().find_map(set).unwrap_or_default();
    (!is_excepted(&address.host, &exceptions)).then_some(url)
}

/// Returns whether `exceptions`, the list in `no_proxy`, contains this host. An entry is a hostname
/// (which also covers its subdomains), an address, a CIDR block (`10.0.0.0/8`), or `*` for every
/// host. Commas or spaces separate the entries.
fn is_excepted(host: &str, exceptions: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    exceptions.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.trim_matches(['[', ']', '.']).to_ascii_lowercase();
        match address {
            _ if entry == "*" => true,
            Some(address) => is_in_network(address, &entry),
            None => host == entry || host.ends_with(&format!(".{entry}")),
        }
    })
}

/// Returns whether `network` is this address, or a CIDR block that contains it.
fn is_in_network(address: IpAddr, network: &str) -> bool {
    let (start, bits) = network.split_once('/').unwrap_or((network, "128"));
    let (Ok(start), Ok(bits)) = (start.parse(), bits.parse::<u32>()) else { return false };
    let prefix = |number: u128, width: u32| number.checked_shr(width.saturating_sub(bits));
    match (address, start) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            prefix(u32::from(a).into(), 32) == prefix(u32::from(b).into(), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => prefix(a.into(), 128) == prefix(b.into(), 128),
        _ => false,
    }
}

impl Proxy {
    /// Parses a proxy's URL, `[http://][user[:password]@]host[:port][/]`. The default port is
    /// curl's, 1080. Fails if the host, the port or the credentials are invalid, or if the scheme
    /// isn't `http`, because no other kind of proxy is supported.
    pub(crate) fn parse(url: &str) -> std::result::Result<Proxy, Misuse> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed = Authority::parse(authority);
        // The error shows only the host and port, because the URL may contain a password. If this
        // isn't a host and port, the password may stand here, too, such as in `user:password`.
        let shown = match authority.split_once(':') {
            Some((name, _)) if parsed.is_none() => format!("{name}:***"),
            _ => authority.into(),
        };
        let misuse = |why| Misuse::Proxy(shown.clone(), why);
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(misuse("the scheme isn't http, and no other proxy is supported"));
        }
        let parsed = parsed.ok_or_else(|| misuse("not a host with a port"))?;
        let authorization = match user {
            None => None,
            Some(user) => {
                let user =
                    percent_decoded(user).ok_or_else(|| misuse("user or password isn't UTF-8"))?;
                let user = if user.contains(':') { user } else { user + ":" };
                Some(format!("Basic {}", STANDARD.encode(user)))
            }
        };
        let host = host_to_dial(&parsed.host, zone_of(authority).as_deref());
        Ok(Proxy { host, port: parsed.port.unwrap_or(1080), authorization })
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to the server's `address`.
    /// Afterwards, the stream leads to that server. Fails if the proxy doesn't respond in time, if
    /// the status isn't a 2xx, or if the proxy sends bytes after the response's head.
    pub(crate) fn open_tunnel(
        &self,
        stream: &dyn Stream,
        address: &Address,
        head_limits: (usize, usize),
        deadline: Deadline,
    ) -> Result<()> {
        let target = format!("{}:{}", address.host, address.port);
        // RFC 9110 §9.3.6: the target is a host and a port. RFC 9112 §3.2: `Host` names the same
        // host and port.
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request += &format!("Proxy-Authorization: {authorization}\r\n");
        }
        request += "\r\n";
        let late_or_lost = |error| match is_timeout(&error) {
            true => Error::PeerTimeout,
            false => InHandshake::mark(error),
        };
        write_before(deadline, stream, request.as_bytes()).map_err(late_or_lost)?;
        let mut buffer = Buffer::default();
        let head = loop {
            let head = read_head(stream, &mut buffer, head_limits, deadline);
            let begins_as_http = may_be_http(buffer.unread());
            let length = head.map_err(|why| match why {
                NoHead::Bad(refusal) => {
                    let seen = &refusal.diagnostic().seen;
                    HandshakeError::by_proxy(None, &self.host, seen).into()
                }
                NoHead::Late if begins_as_http => Error::PeerTimeout,
                NoHead::Ended if begins_as_http => {
                    InHandshake::mark(ErrorKind::UnexpectedEof.into())
                }
                NoHead::Late | NoHead::Ended => {
                    let seen = format!("{}, then no end of a head", quote(buffer.unread()));
                    HandshakeError::by_proxy(None, &self.host, &seen).into()
                }
                NoHead::Broken(error) => late_or_lost(error),
            })?;
            let head = Head::parse_response(&buffer.unread()[..length]).map_err(|refusal| {
                HandshakeError::by_proxy(None, &self.host, &refusal.diagnostic().seen)
            })?;
            buffer.consume(length);
            // RFC 9110 §15.2: interim responses may precede the final one.
            if !status_of(head.first_line()).is_some_and(is_interim) {
                break head;
            }
        };
        // RFC 9110 §9.3.6: any 2xx opens the tunnel, directly after the head. A WebSocket server
        // never sends first, so bytes that have already arrived come from the proxy and are an
        // error.
        let (status, line) = (status_of(head.first_line()), quote(head.first_line()));
        let seen = match status {
            Some(200..=299) if buffer.unread().is_empty() => return Ok(()),
            Some(200..=299) => format!("{line}, then {}", quote(buffer.unread())),
            _ => line,
        };
        Err(HandshakeError::by_proxy(status, &self.host, &seen).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    #[test]
    fn a_proxy_is_a_host_perhaps_with_a_port_a_user_and_a_password() {
        for (url, host, port, authorization) in [
            ("http://proxy.example:3128", "proxy.example", 3128, None),
            ("proxy.example", "proxy.example", 1080, None),
            ("HTTP://[::1]:8080/", "::1", 8080, None),
            ("http://[fe80::1%25eth0]:8080", "fe80::1%eth0", 8080, None),
            ("http://ada:p%40ss@p:1", "p", 1, Some("Basic YWRhOnBAc3M=")),
            ("http://ada@p:1", "p", 1, Some("Basic YWRhOg==")),
        ] {
            let authorization = authorization.map(str::to_owned);
            let proxy = Proxy::parse(url).ok().unwrap();
            assert!(proxy == Proxy { host: host.into(), port, authorization }, "{url}");
        }
        for url in
            ["socks5://p:1", "https://p:1", "http://", "http://p:x", "http://a:b@", "http://%ff@p"]
        {
            let Err(Misuse::Proxy(..)) = Proxy::parse(url) else { panic!("{url}") };
        }
    }

    #[test]
    fn what_is_said_of_a_bad_proxy_shows_no_password() {
        let Err(misuse) = Proxy::parse("socks5://ada:secret@p:1") else { panic!() };
        assert!(
            !misuse.to_string().contains("secret") && misuse.to_string().contains("p:1"),
            "{misuse}"
        );
    }

    #[test]
    fn a_password_that_is_not_followed_by_an_at_sign_is_hidden_too() {
        for url in ["http://ada:secret", "http://ada:secret%40p:1", "socks5://ada:secret%40p/"] {
            let Err(misuse) = Proxy::parse(url) else { panic!("{url}") };
            let said = misuse.to_string();
            assert!(!said.contains("secret") && said.contains("ada:***"), "{said}");
        }
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let chosen = |url: &str, variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
            };
            let proxy =
                ProxyChoice::FromEnvironment.proxy_for(&address(url), variable).ok().unwrap();
            proxy.map(|proxy| proxy.host)
        };
        let some = |host: &str| Some(host.to_owned());
        assert_eq!(chosen("wss://a.example", &[]), None);
        assert_eq!(chosen("wss://a.example", &[("HTTPS_PROXY", "p:1")]), some("p"));
        let both = [("HTTPS_PROXY", "p:1"), ("https_proxy", "q:1")];
        assert_eq!(chosen("wss://a.example", &both), some("q"));
        assert_eq!(
            chosen("wss://a.example", &[("https_proxy", ""), ("ALL_PROXY", "r:1")]),
            some("r")
        );
        assert_eq!(chosen("ws://a.example", &[("HTTPS_PROXY", "p:1")]), None);
        assert_eq!(chosen("ws://a.example", &[("http_proxy", "p:1")]), some("p"));
        // A CGI web server sets this variable from a client's `Proxy:` header.
        assert_eq!(chosen("ws://a.example", &[("HTTP_PROXY", "p:1")]), None);
        let except = |url: &str, list: &str| {
            chosen(url, &[("https_proxy", "p:1"), ("NO_PROXY", list)]).is_none()
        };
        for (url, list) in [
            ("wss://a.example", "a.example"),
            ("wss://a.example", "b.example, .example"),
            ("wss://A.Example.:1", "example"),
            ("wss://a.example", "*"),
            ("wss://10.1.2.3", "10.0.0.0/8"),
            ("wss://10.1.2.3", "10.1.2.3"),
            ("wss://[fd00::1]", "fd00::/8"),
            ("wss://[::1]", "[::1]"),
            ("wss://10.1.2.3", "0.0.0.0/0"),
        ] {
            assert!(except(url, list), "{url} {list}");
        }
        for (url, list) in [
            ("wss://aexample", "example"),
            ("wss://example", "a.example"),
            ("wss://11.1.2.3", "10.0.0.0/8"),
            ("wss://10.1.2.3", "10.1.2.3/x"),
            ("wss://10.1.2.3", "fd00::/8"),
            ("wss://10.1.2.30", "10.1.2.3"),
            ("wss://a.example", ""),
        ] {
            assert!(!except(url, list), "{url} {list}");
        }
    }
}
