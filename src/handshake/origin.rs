//! Decides which web pages may open a connection, by their origin (RFC 6455 §10.2).
//!
//! ```text
//! Origin: https://example.com          a scheme, and the authority of the page
//! ```
//!
//! A browser sends the origin of the page that opens a connection. It also sends the user's
//! cookies, even if the page is hostile. Therefore the server checks whether it trusts the page. It
//! compares the origin's complete host and port, ignoring letter case, and accepts only an allowed
//! scheme. A missing port stands for the scheme's default. Most published cross-site WebSocket
//! hijacking bugs come from comparing only a prefix or a substring.

use std::fmt;

use crate::http::authority::Authority;

/// The origin of a web page: its scheme, host and port (RFC 6454 §7).
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

    fn is_same_origin(&self, other: &Origin) -> bool {
        self.scheme == other.scheme
            && self.authority.with_default_port(&self.scheme)
                == other.authority.with_default_port(&other.scheme)
    }
}

/// Returns whether an entry in a server's origin list can ever match a page: whether it's `null`,
/// `self` or exactly `scheme://host[:port]`. On a TLS server, [`SELF_OVER_HTTPS`] replaces `self`.
/// A `*` in an entry is no wildcard, and no page's host contains a `*`.
pub(super) fn can_match(listed: &str) -> bool {
    let is_origin = Origin::parse(listed).is_some() && !listed.contains('*');
    is_origin || ["null", "self", SELF_OVER_HTTPS].contains(&listed)
}

/// The origins of the web pages that may open a connection to a server. The server also accepts
/// WebSocket requests without an `Origin` header. Browsers send this header with every WebSocket
/// request, so a request without it doesn't come from a web page.
#[derive(Clone, Debug, Default)]
pub enum Origins {
    /// Only pages that were loaded over http or https from the request's own host and port may
    /// connect.
    #[default]
    SameHost,
    /// Only pages that were loaded over https from the request's own host and port may connect. A
    /// TLS server uses this rule, because an attacker on the network could alter a page that's
    /// loaded over http and let it connect with the user's cookies.
    SameHostOverTls,
    /// Only pages of the listed origins, such as `https://example.com`, may connect. The entry
    /// `self` stands for the request's own host and port, and `null` for pages that have no origin
    /// of their own, such as local files.
    Listed(Vec<String>),
    /// Any page may connect. This is safe only if the server grants no rights based on cookies or
    /// the client's address.
    Any,
}

/// The entry that replaces `self` in a TLS server's origin list. It stands for the request's own
/// host and port, over https only. It contains spaces, so it can't be mistaken for an origin.
const SELF_OVER_HTTPS: &str = "self by https";

impl Origins {
    /// Returns these origins with the stricter rule of a TLS server: pages from the server's own
    /// host must be loaded over https.
    pub fn over_tls(self) -> Origins {
        let over_tls = |one: String| if one == "self" { SELF_OVER_HTTPS.into() } else { one };
        match self {
            Origins::SameHost => Origins::SameHostOverTls,
            Origins::Listed(listed) => Origins::Listed(listed.into_iter().map(over_tls).collect()),
            origins => origins,
        }
    }

    // WALK: origin
    /// Returns whether a page with this `origin` may connect. `origin` is the value of the
    /// request's `Origin` header, and `host` is the host that the request asks for.
    pub fn allows(&self, origin: &str, host: &str) -> bool {
        match self {
            Origins::Any => true,
            Origins::Listed(listed) if origin == "null" => listed.iter().any(|one| one == "null"),
            Origins::Listed(listed) => listed.iter().any(|one| match one.as_str() {
                "self" => is_of_host(origin, host, &["http", "https"]),
                SELF_OVER_HTTPS => is_of_host(origin, host, &["https"]),
                one => Origin::parse(origin)
                    .zip(Origin::parse(one))
                    .is_some_and(|(origin, one)| one.is_same_origin(&origin)),
            }),
            Origins::SameHost => is_of_host(origin, host, &["http", "https"]),
            Origins::SameHostOverTls => is_of_host(origin, host, &["https"]),
        }
    }
}

/// Returns whether a page with this `origin` was loaded from `host`, on the same port, over one of
/// these `schemes`.
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
            assert_eq!(listed().allows(origin, "b:9001"), plain, "{origin}");
            assert_eq!(listed().over_tls().allows(origin, "b:9001"), over_tls, "{origin}");
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
            assert!(Origins::SameHost.allows(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn over_tls_the_same_host_means_https() {
        let origins = Origins::SameHostOverTls;
        assert!(origins.allows("https://example.com", "example.com"));
        assert!(origins.allows("https://example.com:8443", "example.com:8443"));
        for origin in ["http://example.com", "http://example.com:443", "https://evil.org"] {
            assert!(!origins.allows(origin, "example.com"), "{origin}");
        }
        assert!(!origins.allows("http://example.com:8443", "example.com:8443"));
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
            assert!(!Origins::SameHost.allows(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn listed_origins_are_compared_whole_and_null_only_if_listed() {
        let listed =
            Origins::Listed(vec!["https://a.example".into(), "http://b.example:8080".into()]);
        for allowed in ["https://a.example", "HTTPS://A.example:443", "http://b.example:8080"] {
            assert!(listed.allows(allowed, "host"), "{allowed}");
        }
        for refused in [
            "http://a.example",
            "https://a.example:444",
            "http://b.example",
            "null",
            "https://x.a.example",
        ] {
            assert!(!listed.allows(refused, "a.example"), "{refused}");
        }
        assert!(Origins::Listed(vec!["null".into()]).allows("null", "host"));
    }
}
