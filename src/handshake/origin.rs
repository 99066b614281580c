//! Origins: the page that opens a connection in, whether it may out (RFC 6455 §10.2).
//!
//! ```text
//! Origin: https://example.com          a scheme, and the authority of the page
//! ```
//!
//! A browser sends the origin of the page that opens a connection. It also sends the user's
//! cookies, whichever page that is. So the server checks that it trusts the page. It compares the
//! whole host and port, except for letter case and the scheme's default port. Most published
//! cross-site WebSocket hijacking faults compared only a prefix or a substring.

use std::fmt;

use crate::http::authority::Authority;

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
            && self.authority.with_default_port(&self.scheme)
                == other.authority.with_default_port(&other.scheme)
    }
}

/// Whether a page could have this origin: `null`, or `scheme://host[:port]` and nothing more.
pub(super) fn can_match(listed: &str) -> bool {
    ["null", "self", SELF_OVER_TLS].contains(&listed) || Origin::parse(listed).is_some()
}

/// Which pages may connect.
#[derive(Clone, Debug, Default)]
pub enum Origins {
    /// Pages that came from the host and port of the request.
    #[default]
    SameHost,
    /// As `SameHost`, for a server that speaks TLS: only pages that came by https. An attacker on
    /// the network can change a page that comes by http, and the browser would send the user's
    /// cookies along.
    SameHostOverTls,
    /// Pages of the listed origins, compared whole. `self` stands for those of the request's own
    /// host and port.
    Listed(Vec<String>),
    /// All pages. This is safe only if no cookie and no client address grants any rights.
    Any,
}

/// Replaces `self` in the list of a server that speaks TLS. No origin has a space, so it can't be
/// one.
const SELF_OVER_TLS: &str = "self by https";

impl Origins {
    /// Returns the same rule for a server that speaks TLS, whose own pages come by https.
    pub fn over_tls(self) -> Origins {
        let over_tls = |one: String| if one == "self" { SELF_OVER_TLS.into() } else { one };
        match self {
            Origins::SameHost => Origins::SameHostOverTls,
            Origins::Listed(listed) => Origins::Listed(listed.into_iter().map(over_tls).collect()),
            origins => origins,
        }
    }

    // WALK: origin
    /// Whether a page of this origin may connect to this host.
    pub fn allow(&self, origin: &str, host: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(listed) if origin == "null" => listed.iter().any(|one| one == "null"),
            Origins::Listed(listed) => listed.iter().any(|one| match one.as_str() {
                "self" => is_of_host(origin, host, &["http", "https"]),
                SELF_OVER_TLS => is_of_host(origin, host, &["https"]),
                one => Origin::parse(origin)
                    .zip(Origin::parse(one))
                    .is_some_and(|(origin, one)| one.is_same_as(&origin)),
            }),
            Origins::SameHost => is_of_host(origin, host, &["http", "https"]),
            Origins::SameHostOverTls => is_of_host(origin, host, &["https"]),
        }
    }
}

/// Whether a page came from this host and port, by one of these schemes.
fn is_of_host(origin: &str, host: &str, schemes: &[&str]) -> bool {
    match (Origin::parse(origin), Authority::parse(host)) {
        (Some(Origin { scheme, authority }), Some(host)) => {
            schemes.contains(&scheme.as_str())
                && authority.with_default_port(&scheme) == host.with_default_port(&scheme)
        }
        _ => false,
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origins::SameHost => f.write_str("pages of the same host and port"),
            Origins::SameHostOverTls => f.write_str("pages of the same host and port, by https"),
            Origins::Listed(listed) => f.write_str(&listed.join(", ")),
            Origins::Any => f.write_str("any page"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_in_a_list_stands_for_the_pages_of_this_host_and_port_and_over_tls_only_those_by_https()
    {
        let listed = || Origins::Listed(vec!["self".into(), "http://a.example".into()]);
        for (origin, plain, over_tls) in [
            ("http://b:9001", true, false),
            ("https://b:9001", true, true),
            ("http://a.example", true, true),
            ("http://b:9002", false, false),
            ("self", false, false),
            ("self by https", false, false),
        ] {
            assert_eq!(listed().allow(origin, "b:9001"), plain, "{origin}");
            assert_eq!(listed().over_tls().allow(origin, "b:9001"), over_tls, "{origin}");
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
    fn over_tls_the_same_host_means_https() {
        let origins = Origins::SameHostOverTls;
        assert!(origins.allow("https://example.com", "example.com"));
        assert!(origins.allow("https://example.com:8443", "example.com:8443"));
        for origin in ["http://example.com", "http://example.com:443", "https://evil.org"] {
            assert!(!origins.allow(origin, "example.com"), "{origin}");
        }
        assert!(!origins.allow("http://example.com:8443", "example.com:8443"));
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
}
