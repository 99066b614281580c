//! Authorities: the text of `Host` in, a host and perhaps a port out (RFC 3986 §3.2).
//!
//! ```text
//! Host: example.com:8080               a name and a port
//! Host: [::1]                          an IPv6 address stands in brackets
//! ```
//!
//! User information (`user@`) is refused, because a WebSocket request has no use for it.

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The host in lower case. An IPv6 address keeps its brackets.
    pub host: String,
    /// The port, if the text names one.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses `host`, `host:port` or `[v6]:port`. User names and empty hosts are refused.
    pub fn parse(text: &str) -> Option<Authority> {
        let (host, port) = match text.strip_prefix('[') {
            // A colon inside the brackets belongs to the address.
            Some(rest) => text.split_at(1 + rest.find(']')? + 1),
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if !is_host(host) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            // RFC 3986 §3.2.3: a port may be left empty.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Authority { host: host.to_ascii_lowercase(), port })
    }

    /// The port that the text names, or else the scheme's default port.
    pub(crate) fn with_port_of(&self, scheme: &str) -> (&str, Option<u16>) {
        (&self.host, self.port.or(default_port(scheme)))
    }
}

/// Whether this is a name, an IPv4 address, or an IPv6 address in brackets. We only compare hosts,
/// so it's enough to check that every byte may occur in one.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => {
            v6.contains(':') && v6.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
        }
        None => {
            let is_host_byte =
                |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b);
            !host.is_empty() && host.bytes().all(is_host_byte)
        }
    }
}

/// The default port of a scheme.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Whether the server answers for this host. A listed host without a port allows any port. A
/// requested host without a port has its scheme's default port, 80 or 443.
pub fn host_is_listed(host: &Authority, listed: &[String]) -> bool {
    let mut entries = listed.iter().filter_map(|entry| Authority::parse(entry));
    let is_port = |port| match host.port {
        Some(named) => port == named,
        None => port == 80 || port == 443,
    };
    entries.any(|entry| entry.host == host.host && entry.port.is_none_or(is_port))
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
        ] {
            assert_eq!(
                Authority::parse(text),
                Some(Authority { host: host.into(), port }),
                "{text}"
            );
        }
        for bad in [
            "", ":", ":80", "]", "[", "[]", "[::1", "[::1]x", "[::g]", "a:b", "a:65536", "a:+1",
            "a b", "u@a", "a/b", "a:1:2", "\u{e9}",
        ] {
            assert_eq!(Authority::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_listed_host_without_a_port_means_any_port() {
        let listed = ["a.example".into(), "b.example:1".into(), "c.example:443".into()];
        let is_listed = |host| host_is_listed(&Authority::parse(host).unwrap(), &listed);
        assert!(is_listed("A.example") && is_listed("a.example:7") && is_listed("b.example:1"));
        assert!(is_listed("c.example") && is_listed("c.example:443") && !is_listed("c.example:1"));
        assert!(!is_listed("b.example") && !is_listed("b.example:2") && !is_listed("c.a.example"));
    }
}
