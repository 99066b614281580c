//! The hosts that a server answers for, and why a server on a loopback address answers only for its
//! own machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::http::authority::Authority;

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
