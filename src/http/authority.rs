//! Parses authorities: the text of a `Host` header becomes a host and an optional port (RFC 3986
//! §3.2).
//!
//! ```text
//! Host: example.com:8080               a name and a port
//! Host: [::1]                          an IPv6 address stands in brackets
//! Host: [fe80::1%25eth0]               perhaps with a zone (RFC 6874), which the server ignores
//! ```
//!
//! An authority with user information (`user@`) is refused, because a `Host` header contains only a
//! host and an optional port.
//!
//! [`Hosts`] lists the hosts that a server answers for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and an optional port, as named in a request or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host in lower case. An IPv6 address is in brackets and in its shortest form, without a
    /// zone.
    pub host: String,
    /// The port, or `None` if the request or URL names no port.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses `host` or `host:port`. The port may be empty (`host:`), and an IPv6 address must be
    /// in brackets. Returns `None` for any other text, such as `user@host` or `:8080`.
    pub fn parse(text: &str) -> Option<Authority> {
        let (host, port) = match text.strip_prefix('[') {
            // A colon inside the brackets belongs to the address.
            Some(rest) => text.split_at(1 + rest.find(']')? + 1),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let host = parse_host(host)?;
        let port = match port.strip_prefix(':') {
            // RFC 3986 §3.2.3: the port after the colon may be empty.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Authority { host, port })
    }

    /// Returns the host and the port. If the authority has no port, returns the default port of
    /// `scheme` instead, or `None` if the scheme is unknown.
    pub(crate) fn with_default_port(&self, scheme: &str) -> (&str, Option<u16>) {
        (&self.host, self.port.or(default_port(scheme)))
    }
}

/// Parses a host, and returns it in lower case. An IPv6 address must be in brackets. It's returned
/// in its shortest form, without its zone. Returns `None` if the text isn't a name or an IP
/// address.
fn parse_host(host: &str) -> Option<String> {
    let Some(in_brackets) = host.strip_prefix('[') else {
        let is_host_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b);
        let is_name = host.bytes().all(is_host_byte) && escapes_are_whole(host);
        return (is_name && !host.is_empty()).then(|| host.to_ascii_lowercase());
    };
    let in_brackets = in_brackets.strip_suffix(']')?;
    // RFC 6874 §2: a zone follows `%25`. The zone is meaningful only on the client's machine, so
    // it's dropped.
    let (address, zone) = in_brackets.split_once("%25").unwrap_or((in_brackets, "0"));
    let is_zone_byte = |b: u8| b.is_ascii_alphanumeric() || b"-._~%".contains(&b);
    let is_zone = !zone.is_empty() && zone.bytes().all(is_zone_byte) && escapes_are_whole(zone);
    // The same address can be written in several ways. Browsers use the shortest one (RFC 5952).
    let address = address.parse::<Ipv6Addr>().ok().filter(|_| is_zone)?;
    Some(format!("[{address}]"))
}

/// Returns whether two hex digits follow each `%` in the text (RFC 3986 §2.1).
pub(crate) fn escapes_are_whole(text: &str) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    text.split('%').skip(1).all(|rest| rest.as_bytes().get(..2).is_some_and(is_hex))
}

/// Returns the default port of a URL's scheme: 80 for `http` and `ws`, 443 for `https` and `wss`,
/// and `None` for any other scheme.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The hosts that a server answers for. The server refuses a request for any other host with a 421.
/// It doesn't refuse an HTTP/1.0 request that names no host.
#[derive(Clone, Debug, Default)]
pub enum Hosts {
    /// The server answers for any host.
    #[default]
    Any,
    /// The server answers only for its own machine: `localhost`, names that end with `.localhost`,
    /// and loopback addresses, on any port. This prevents DNS rebinding, in which a hostile page
    /// makes its own hostname resolve to a loopback address.
    Loopback,
    /// The server answers only for these hosts, written as in a `Host` header, such as
    /// `example.com:8080`. An entry without a port allows any port.
    Listed(Vec<String>),
}

impl Hosts {
    // WALK: hosts
    /// Returns whether the server answers for `host`, which a request names in its `Host` header or
    /// its target. Only `Any` accepts a text that isn't a host with an optional port.
    pub fn answers_for(&self, host: &str) -> bool {
        let is = |test: &dyn Fn(Authority) -> bool| Authority::parse(host).is_some_and(test);
        match self {
            Hosts::Any => true,
            Hosts::Loopback => is(&|host| is_loopback(&host.host)),
            Hosts::Listed(listed) => is(&|host| is_listed(&host, listed)),
        }
    }
}

/// Returns whether `listed` contains the `host` that a client asked for. An entry without a port
/// matches any port. If the client named no port, it meant its scheme's default, 80 or 443. This
/// function doesn't know the scheme, so an entry with either port matches.
fn is_listed(host: &Authority, listed: &[String]) -> bool {
    let is_port = |port| match host.port {
        Some(named) => port == named,
        None => port == 80 || port == 443,
    };
    let mut entries = listed.iter().filter_map(|entry| Authority::parse(entry));
    entries.any(|entry| entry.host == host.host && entry.port.is_none_or(is_port))
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hosts::Any => f.write_str("any host"),
            Hosts::Loopback => f.write_str("localhost and loopback addresses"),
            Hosts::Listed(listed) => f.write_str(&listed.join(", ")),
        }
    }
}

/// Returns whether this host always names the machine on which it's looked up: `localhost`, a name
/// that ends with `.localhost` (RFC 6761 §6.3), or a loopback address.
fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let v6 = in_brackets.and_then(|host| host.parse::<Ipv6Addr>().ok());
    let is_v4 = || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    name == "localhost"
        || name.ends_with(".localhost")
        || v6.map_or_else(is_v4, |address| is_loopback_address(address.into()))
}

/// Returns whether this is a loopback address, which only programs on the same machine can reach.
/// An IPv4-mapped IPv6 address, such as `::ffff:127.0.0.1`, counts like the IPv4 address.
pub fn is_loopback_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        for (text, host, port) in [
            ("Example.COM", "example.com", None),
            ("a:", "a", None),
            ("a:0", "a", Some(0)),
            ("127.0.0.1:9001", "127.0.0.1", Some(9001)),
            ("[::1]", "[::1]", None),
            ("[::1]:65535", "[::1]", Some(65_535)),
            ("[::FFFF:1.2.3.4]:1", "[::ffff:1.2.3.4]", Some(1)),
            ("[fe80::1%25eth0]:1", "[fe80::1]", Some(1)),
            ("a%2Db", "a%2db", None),
        ] {
            assert_eq!(
                Authority::parse(text),
                Some(Authority { host: host.into(), port }),
                "{text}"
            );
        }
        for bad in [
            "",
            ":",
            ":80",
            "]",
            "[",
            "[]",
            "[::1",
            "[::1]x",
            "[::g]",
            "a:b",
            "a:65536",
            "a:+1",
            "a b",
            "u@a",
            "a/b",
            "a:1:2",
            "\u{e9}",
            "[1:2]",
            "[::1:::]",
            "[1.2.3.4]",
            "%",
            "a%4",
            "%zz",
            "[::1%]",
            "[::1%25]",
            "[::1%eth0]",
            "[::1%25a%2]",
            "[1:2%25a]",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_listed_host_without_a_port_means_any_port() {
        let listed = ["a.example", "b.example:1", "c.example:443"];
        let listed = Hosts::Listed(listed.map(String::from).into());
        let is_listed = |host| listed.answers_for(host);
        assert!(is_listed("A.example") && is_listed("a.example:7") && is_listed("b.example:1"));
        assert!(is_listed("c.example") && is_listed("c.example:443") && !is_listed("c.example:1"));
        assert!(!is_listed("b.example") && !is_listed("b.example:2") && !is_listed("c.a.example"));
    }

    #[test]
    fn a_listed_ipv6_address_matches_however_it_is_written() {
        for listed in ["[2001:db8::1]", "[2001:0DB8:0:0:0:0:0:1]"] {
            let hosts = Hosts::Listed(vec![listed.into()]);
            // A browser writes it in the shortest form.
            for asked in ["[2001:db8::1]:9001", "[2001:db8:0::0:1]:9001"] {
                assert!(hosts.answers_for(asked), "{asked} at {listed}");
            }
            assert!(!hosts.answers_for("[2001:db8::2]"), "{listed}");
        }
    }

    #[test]
    fn the_names_of_this_machine_are_localhost_and_the_loopback_addresses_at_any_port() {
        let is_ours = |host| Hosts::Loopback.answers_for(host);
        for host in [
            "localhost",
            "LOCALHOST:9001",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1",
            "127.0.0.2:9001",
            "[::1]:9001",
            "[0:0::1]",
            "[::ffff:127.0.0.1]",
            "[::1%25lo]",
        ] {
            assert!(is_ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "xlocalhost",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "0.0.0.0",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "127.1",
        ] {
            assert!(!is_ours(host), "{host}");
        }
    }
}
