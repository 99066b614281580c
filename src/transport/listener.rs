//! The source of connections: a listening TCP or Unix socket.
//!
//! A program may bring its own listener: one opened by a supervisor (socket activation), a Unix
//! socket that a proxy connects to, or one whose port a test must know before the server starts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use super::stream::Stream;
use crate::handshake::hosts::is_loopback_address;

/// A listening TCP or Unix socket, for [`Server::on`](crate::Server::on). It can be created from a
/// `TcpListener` and, on Unix, from a `UnixListener`.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        Listener(Kind::Tcp(listener))
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener(Kind::Unix(listener))
    }
}

impl Listener {
    /// Waits for the next connection, and returns its stream.
    pub(crate) fn accept(&self) -> io::Result<Arc<dyn Stream>> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                // Nagle's algorithm would hold back a small frame until the peer acknowledges the
                // previous one.
                let _ = stream.set_nodelay(true);
                // On some systems a connection inherits non-blocking mode from its listener.
                #[cfg(not(target_os = "linux"))]
                stream.set_nonblocking(false)?;
                Ok(Arc::new(stream))
            }
            #[cfg(unix)]
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                #[cfg(not(target_os = "linux"))]
                stream.set_nonblocking(false)?;
                Ok(Arc::new(stream))
            }
        }
    }

    /// Sets what `accept` does if no client is waiting: it fails at once (`true`), or waits for a
    /// client (`false`).
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match &self.0 {
            Kind::Tcp(listener) => listener.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Kind::Unix(listener) => listener.set_nonblocking(nonblocking),
        }
    }

    /// Returns the address of a TCP listener. Fails for a Unix socket, which has a path instead of
    /// a port.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr(),
            #[cfg(unix)]
            Kind::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a Unix socket has a path, not a port",
            )),
        }
    }

    /// Returns the listener's address. A stopping server uses it to [wake](WakeAddress::wake) the
    /// thread that waits in `accept`.
    pub(crate) fn wake_address(&self) -> io::Result<WakeAddress> {
        Ok(match &self.0 {
            Kind::Tcp(listener) => WakeAddress::Tcp(listener.local_addr()?),
            #[cfg(unix)]
            Kind::Unix(listener) => WakeAddress::Unix(listener.local_addr()?),
        })
    }
}

/// A listener's address, used to wake the thread that waits in the listener's `accept`.
#[derive(Clone, Debug)]
pub(crate) enum WakeAddress {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(UnixAddress),
}

impl WakeAddress {
    /// Wakes the thread that waits in `accept`. Only a new connection interrupts that call, so this
    /// function connects to the listener, and closes the connection at once. If the listener's
    /// address is unspecified (0.0.0.0 or ::), it connects to the loopback address. `Ok` doesn't
    /// mean that the thread has woken up: another process that shares the listener may have
    /// accepted the connection.
    pub(crate) fn wake(&self) -> io::Result<()> {
        match self {
            WakeAddress::Tcp(address) => {
                let connect = |ip: IpAddr| {
                    let mut address = *address;
                    address.set_ip(ip);
                    TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
                };
                match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => connect(Ipv4Addr::LOCALHOST.into()),
                    // Some machines have no ::1. A listener on :: usually accepts IPv4 as well.
                    IpAddr::V6(ip) if ip.is_unspecified() => connect(Ipv6Addr::LOCALHOST.into())
                        .or_else(|_| connect(Ipv4Addr::LOCALHOST.into())),
                    ip => connect(ip),
                }
            }
            #[cfg(unix)]
            WakeAddress::Unix(address) => UnixStream::connect_addr(address).map(drop),
        }
    }

    /// Returns whether the listener has a loopback address, which only programs on this machine can
    /// reach. That includes an IPv4-mapped IPv6 address, such as `::ffff:127.0.0.1`. Returns
    /// `false` for a Unix socket.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            WakeAddress::Tcp(address) => is_loopback_address(address.ip()),
            #[cfg(unix)]
            WakeAddress::Unix(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_loopback_address_is_a_loopback_address() {
        for (address, is_loopback) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("[::ffff:10.0.0.1]:1", false),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
        ] {
            let wake_address = WakeAddress::Tcp(address.parse().unwrap());
            assert_eq!(wake_address.is_loopback(), is_loopback, "{address}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_woken_over_ipv4_where_ipv6_has_no_loopback() {
        // Nothing listens on ::1 at this port, as if there were no ::1.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        WakeAddress::Tcp((Ipv6Addr::UNSPECIFIED, port).into()).wake().unwrap();
        listener.accept().unwrap();
    }
}
