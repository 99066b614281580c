//! Who is asked, and who asks: `Host` and `Origin`, taken apart and compared whole.
//!
//! ```text
//! Host: example.com:8080               the authority: a host, and perhaps a port
//! Origin: https://example.com          a scheme, and the authority of the page that asks
//! ```
//!
//! A browser tells us which page opens a connection, and sends our cookies along whichever page that
//! is. So the page must be one of ours (RFC 6455 §10.2), and "looks like" is not enough: letter case
//! and the scheme's default port aside, host and port are compared from first byte to last. Most
//! published holes of this kind compared a prefix, or a substring.

use std::fmt;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// In lower case; an IPv6 address in its brackets.
    pub host: String,
    /// If it was named.
    pub port: Option<u16>,
}

impl Authority {
    /// Takes apart `host`, `host:port` or `[v6]:port`. User names and empty hosts are not for us.
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

    /// With a port in any case: the one that was named, or the scheme's.
    fn with_port_of(&self, scheme: &str) -> (&str, Option<u16>) {
        (&self.host, self.port.or(default_port(scheme)))
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets. It is only ever compared, so it is
/// enough that no byte is one which a host can't have.
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

/// The port that goes without saying.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// A page's scheme, host and port (RFC 6454 §7).
#[derive(Debug)]
struct Origin {
    scheme: String,
    authority: Authority,
}

impl Origin {
    fn parse(text: &str) -> Option<Origin> {
        let (scheme, authority) = text.split_once("://")?;
        let (scheme, authority) = (scheme.to_ascii_lowercase(), Authority::parse(authority)?);
        Some(Origin { scheme, authority })
    }

    fn is_same_as(&self, other: &Origin) -> bool {
        self.scheme == other.scheme
            && self.authority.with_port_of(&self.scheme)
                == other.authority.with_port_of(&other.scheme)
    }
}

/// Which pages may connect.
#[derive(Clone, Debug, Default)]
pub enum Origins {
    /// Those that came from this very host and port.
    #[default]
    SameHost,
    /// Those listed, compared whole.
    Listed(Vec<String>),
    /// All. Right only where no cookie and no address gives a visitor any rights.
    Any,
}

impl Origins {
    // WALK: origin
    /// Whether a page of this origin may connect to the host that it asked for.
    pub fn allow(&self, origin: &str, host: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(listed) if origin == "null" => listed.iter().any(|one| one == "null"),
            Origins::Listed(listed) => Origin::parse(origin).is_some_and(|origin| {
                listed
                    .iter()
                    .filter_map(|one| Origin::parse(one))
                    .any(|one| one.is_same_as(&origin))
            }),
            Origins::SameHost => match (Origin::parse(origin), Authority::parse(host)) {
                (Some(Origin { scheme, authority }), Some(host)) => {
                    matches!(scheme.as_str(), "http" | "https")
                        && authority.with_port_of(&scheme) == host.with_port_of(&scheme)
                }
                _ => false,
            },
        }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origins::SameHost => f.write_str("pages of the same host and port"),
            Origins::Listed(listed) => f.write_str(&listed.join(", ")),
            Origins::Any => f.write_str("any page"),
        }
    }
}

/// Whether a host is among those that we answer for: an entry without a port means any port, and a
/// host without one has its scheme's.
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
    fn the_same_host_may_connect_letter_case_and_default_port_aside() {
        for (origin, host) in [
            ("http://example.com", "example.com"),
            ("http://EXAMPLE.com", "example.COM"),
            ("http://example.com", "example.com:80"),
            ("http://example.com:80", "example.com"),
            ("https://example.com", "example.com:443"),
            ("http://127.0.0.1:9001", "127.0.0.1:9001"),
            ("http://[::1]:9001", "[::1]:9001"),
        ] {
            assert!(Origins::SameHost.allow(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn a_foreign_page_may_not_connect_however_like_ours_it_looks() {
        for (origin, host) in [
            ("null", "example.com"),
            ("", "example.com"),
            ("http://example.com.evil.org", "example.com"),
            ("http://evilexample.com", "example.com"),
            ("http://evil.org/example.com", "example.com"),
            ("http://evil.org#example.com", "example.com"),
            ("http://evil.org?example.com", "example.com"),
            ("http://example.com@evil.org", "example.com"),
            ("http://evil.org@example.com", "example.com"),
            ("http://example.com/", "example.com"),
            ("http://example.com:8080", "example.com"),
            ("http://example.com", "example.com:8080"),
            ("https://example.com", "example.com:80"),
            ("http://example.com.", "example.com"),
            ("file://example.com", "example.com"),
            ("example.com", "example.com"),
        ] {
            assert!(!Origins::SameHost.allow(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn listed_origins_are_compared_whole_and_null_only_if_listed() {
        let listed =
            Origins::Listed(vec!["https://a.example".into(), "http://b.example:8080".into()]);
        for allowed in ["https://a.example", "HTTPS://A.example:443", "http://b.example:8080"] {
            assert!(listed.allow(allowed, "host"), "{allowed}");
        }
        for refused in [
            "http://a.example",
            "https://a.example:444",
            "http://b.example",
            "null",
            "https://x.a.example",
        ] {
            assert!(!listed.allow(refused, "a.example"), "{refused}");
        }
        assert!(Origins::Listed(vec!["null".into()]).allow("null", "host"));
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
