//! Parses WebSocket URLs: `ws://host:port/path?query` is split into its parts (RFC 6455 §3).
//!
//! ```text
//! wss://example.com/chat?room=1        port 443, the scheme's default
//! ws://[::1]:9001                      an IPv6 address, and the path `/`
//! ws://[fe80::1%25eth0]:9001           one with a zone: the network interface (RFC 6874)
//! ```
//!
//! This file refuses characters that RFC 3986 doesn't allow in a URL, fragments (§3), and user
//! information (`user@`), which a WebSocket handshake can't carry. The error names the offending
//! part.

use crate::diagnostic::misuse::Misuse;
use crate::http::authority::{Authority, default_port, escapes_are_whole};
use crate::http::syntax::percent_decoded;

/// Where a client connects, and what it requests there: the parts of the URL
/// `ws://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether the URL's scheme is `wss`. If so, the client must connect over TLS.
    pub secure: bool,
    /// The server's hostname or IP address. An IPv6 address is in brackets.
    pub host: String,
    /// The zone of an IPv6 address: the network interface, such as `eth0`. `None` if the URL names
    /// no zone. A zone is meaningful only on this machine, so the client omits it from the `Host`
    /// header.
    pub zone: Option<String>,
    /// The port in the URL, or the scheme's default: 80 for `ws`, 443 for `wss`.
    pub port: u16,
    /// The request target: the path and the query. It always begins with `/`, even if the URL has
    /// no path.
    pub target: String,
}

impl Address {
    /// Parses a WebSocket URL (§3). The error names the invalid part of the URL. It shows `***`
    /// instead of a password, and instead of the query, which often contains a token.
    pub fn parse(url: &str) -> Result<Address, Misuse> {
        let misuse = |why| Misuse::Address(without_secrets(url), why);
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
            Authority::parse(authority).ok_or_else(|| misuse(authority_fault(authority)))?;
        // RFC 3986 §3.3, §3.4: any other character is written as % and two hex digits.
        if !target.bytes().all(is_target_byte) || !escapes_are_whole(target) {
            return Err(misuse(
                "in path or query, a character that is written as % and two hex digits",
            ));
        }
        let port = port.or(default_port(&scheme)).unwrap_or_default();
        // §3: an empty query is the same as none.
        let target = target.strip_suffix('?').filter(|rest| !rest.contains('?')).unwrap_or(target);
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        Ok(Address { secure: scheme == "wss", host, zone: zone_of(authority), port, target })
    }

    /// Returns the host to dial, in the form that the operating system resolves: an IPv6 address
    /// has no brackets, but keeps its zone.
    pub(crate) fn host_to_dial(&self) -> String {
        host_to_dial(&self.host, self.zone.as_deref())
    }

    /// Returns the value for the request's `Host` header. The value includes the port unless it's
    /// the scheme's default port.
    pub fn authority(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        match default_port(scheme) == Some(self.port) {
            true => self.host.clone(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Returns the zone in an authority such as `[fe80::1%25eth0]:9001`. The zone may be
/// percent-encoded (RFC 6874 §2). Returns `None` if the authority has no zone, or one that isn't
/// UTF-8 once it's decoded.
pub(crate) fn zone_of(authority: &str) -> Option<String> {
    let (zone, _) = authority.split_once("%25")?.1.split_once(']')?;
    percent_decoded(zone)
}

/// Returns a host in the form that the operating system resolves: an IPv6 address without its
/// brackets, but with its zone.
pub(crate) fn host_to_dial(host: &str, zone: Option<&str>) -> String {
    let host = host.trim_matches(['[', ']']);
    zone.map_or(host.into(), |zone| format!("{host}%{zone}"))
}

/// Describes, for an error message, why `authority` isn't a host with an optional port. `authority`
/// is the text between `://` and the path.
fn authority_fault(authority: &str) -> &'static str {
    let before_port = authority.rsplit_once(':').map(|(host, _)| host);
    if authority.contains('@') {
        return "user@ or user:password@, which a WebSocket's address hasn't: give the client a header \
                instead, `Authorization: Basic` and the base64 of user:password";
    }
    match before_port {
        _ if authority.is_empty() => "no host",
        Some("") => "no host",
        Some(host) if Authority::parse(host).is_some() => "a port that is no number up to 65535",
        _ => "a host that is neither a name nor an IP address (IPv6 in brackets)",
    }
}

/// Returns whether a byte may occur in a URL's path or query.
fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

/// Replaces the password and the query in a URL with `***`, so that an error message may contain
/// the URL. The password is taken to be everything from the first colon (after `://`, if there is
/// one) to the last `@`, because it may contain a `/`, `?` or `#` that should have been escaped. If
/// the text between `://` and the path is a valid host and port, the URL has no password.
pub(crate) fn without_secrets(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[start..];
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let is_host = start > 0 && Authority::parse(authority).is_some();
    let user_info = rest.rfind('@').filter(|_| !is_host);
    let shown = match user_info.and_then(|at| Some((rest[..at].find(':')?, at))) {
        Some((colon, at)) => format!("{}***{}", &url[..start + colon + 1], &rest[at..]),
        None => url.into(),
    };
    match shown.split_once('?') {
        Some((before, query)) if !query.is_empty() => format!("{before}?***"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_refused_is_shown_without_its_password_and_query() {
        for (url, shown) in [
            ("ws://user:pass:word@host/a?b", "ws://user:***@host/a?***"),
            ("user:password@host", "user:***@host"),
            ("ws://u:p@q@h", "ws://u:***@h"),
            ("ws://ada:se/cret@host/", "ws://ada:***@host/"),
            ("ws://ada:se?cret@host/", "ws://ada:***@host/"),
            ("ws://ada:se#cret@host/", "ws://ada:***@host/"),
            ("ws://ada:#secret@host/", "ws://ada:***@host/"),
            ("ws://ada:1#secret@host/", "ws://ada:***@host/"),
            ("ws:/ada:secret@host/", "ws:***@host/"),
            ("ws//ada:secret@host/", "ws//ada:***@host/"),
            ("ws://host/a?token=secret\n", "ws://host/a?***"),
            ("ws://host/a?token=se?cret#b", "ws://host/a?***"),
            ("ws://user@host/?a:secret@b", "ws://user@host/?***"),
            ("http://host/a?", "http://host/a?"),
        ] {
            let Err(Misuse::Address(told, _)) = Address::parse(url) else { panic!("{url}") };
            assert_eq!(told, shown);
        }
        assert_eq!(without_secrets("ws://host:1/a:b@c"), "ws://host:1/a:b@c");
    }

    #[test]
    fn each_fault_of_an_address_has_words_of_its_own() {
        for (url, why) in [
            ("ws://user@host/", "`Authorization: Basic`"),
            ("ws://user:password@host/", "`Authorization: Basic`"),
            ("ws://", "no host"),
            ("ws:///a", "no host"),
            ("ws://:80/", "no host"),
            ("ws://h:99999", "a port"),
            ("ws://h:x", "a port"),
            ("ws://[::1]:-1", "a port"),
            ("ws://[1:2]/", "neither a name nor"),
            ("ws://::1/", "neither a name nor"),
            ("ws://%zz/", "neither a name nor"),
            ("ws://h/a\"b<c>", "two hex digits"),
            ("ws://h/%zz", "two hex digits"),
            ("ws://h/?a=%4", "two hex digits"),
            ("ws://h/a|b", "two hex digits"),
            ("ws://h/#a", "fragment"),
            ("ws://h/a b", "space"),
            ("http://h/", "scheme"),
        ] {
            let Err(Misuse::Address(_, told)) = Address::parse(url) else { panic!("{url}") };
            assert!(told.contains(why), "{url}: {told}");
        }
    }

    #[test]
    fn the_zone_of_an_address_stays_on_this_machine() {
        let address = Address::parse("ws://[fe80::1%25eth0]:9001/").unwrap();
        assert_eq!(address.zone.as_deref(), Some("eth0"));
        assert_eq!(
            (address.host.as_str(), address.authority().as_str()),
            ("[fe80::1]", "[fe80::1]:9001")
        );
        let address = Address::parse("ws://[fe80::1%25eth0%3A1]/").unwrap();
        assert_eq!(address.zone.as_deref(), Some("eth0:1"));
        assert_eq!(address.host_to_dial(), "fe80::1%eth0:1");
        assert_eq!(Address::parse("ws://h/%25]").err().map(drop), Some(()));
        assert_eq!(Address::parse("ws://h/%25").unwrap().zone, None);
    }
}
