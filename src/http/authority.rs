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

use std::net::Ipv6Addr;

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
}
