//! ws101 over real sockets, on the loopback interface, as a peer sees it.
//!
//! A test waits for something to happen rather than for time to pass, and uses a free port. The tests
//! write a peer's messages as bytes, so they don't rely on the code that they test.

/// For a stream of a test that only reads and writes: the rest of `Stream` does nothing.
macro_rules! neither_timeouts_nor_shutdown {
    () => {
        fn set_read_timeout(&self, _: std::time::Duration) -> std::io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: std::time::Duration) -> std::io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: std::net::Shutdown) -> std::io::Result<()> {
            Ok(())
        }
    };
}

/// The same half for a stream that wraps another, in the field `$stream`.
macro_rules! timeouts_and_shutdown_of {
    ($stream:tt) => {
        fn set_read_timeout(&self, timeout: std::time::Duration) -> std::io::Result<()> {
            self.$stream.set_read_timeout(timeout)
        }

        fn set_write_timeout(&self, timeout: std::time::Duration) -> std::io::Result<()> {
            self.$stream.set_write_timeout(timeout)
        }

        fn shutdown(&self, how: std::net::Shutdown) -> std::io::Result<()> {
            self.$stream.shutdown(how)
        }
    };
}

mod client;
mod conversation;
mod deadlines_and_limits;
mod decisions;
#[cfg(feature = "deflate")]
mod deflate;
mod ends;
mod operators;
mod proxy;
mod registry;
mod streams;
mod support;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
