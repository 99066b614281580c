//! All 65,536 close codes (§7.4): which ones a peer may send, and which ones our caller may send.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ws101::diagnostic::misuse::Misuse;
use ws101::frames::close::Close;
use ws101::frames::close_code::CloseCode;
use ws101::frames::decoder::Event;
use ws101::frames::encoder::Encoder;
use ws101::{Error, Limits, Server, Stream};

use crate::ear::{Ear, READERS, frame_for};
use crate::rfc::code_may_travel;

#[test]
fn each_close_code_arrives_or_fails_with_1002_as_section_7_4_says() {
    for reader in READERS {
        for code in 0..=u16::MAX {
            for reason in ["", "\u{2603}"] {
                let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
                let mut ear = Ear::new(reader);
                ear.hear(&frame_for(reader, 0x88, &payload));
                let came = Event::Close(Close { code: CloseCode(code), reason: reason.into() });
                let expected =
                    if code_may_travel(code) { (vec![came], None) } else { (vec![], Some(1002)) };
                assert!((ear.events, ear.failed_with) == expected, "{code} at the {reader:?}");
            }
        }
    }
}

/// A [`Close`] can be made without asking whether it may be sent: its fields are anybody's to fill.
#[test]
fn each_close_code_that_may_not_be_sent_is_refused_by_the_sending_half_and_nothing_is_written() {
    for code in 0..=u16::MAX {
        for reason in ["", "bye"] {
            let mut outgoing = Encoder::new(None);
            let close = Close { code: CloseCode(code), reason: reason.into() };
            let sent = outgoing.close(&close);
            let written = match code {
                // §7.1.5: this one says that there was none, which is how such a Close is answered.
                1005 => Some(b"\x88\x00".to_vec()),
                _ if code_may_travel(code) => {
                    let length = 2 + reason.len() as u8;
                    Some([&[0x88, length], &code.to_be_bytes()[..], reason.as_bytes()].concat())
                }
                _ => None,
            };
            match written {
                Some(bytes) => {
                    assert_eq!(sent, Ok(()), "{code}");
                    assert_eq!(outgoing.batch().copied_bytes(), bytes, "{code}");
                }
                None => {
                    assert_eq!(sent, Err(Misuse::CloseCode(code)), "{code}");
                    assert_eq!(
                        (outgoing.batch().copied_bytes(), outgoing.is_closed()),
                        (&[][..], false),
                        "{code}"
                    );
                }
            }
        }
    }
}

/// A caller's `close` of every code: codes that may not be sent leave the connection as it was, and
/// the others each end one.
#[test]
fn each_close_code_is_sent_for_our_caller_or_refused_and_nothing_written() {
    let (mut ws, written) = open();
    let begun = written.lock().unwrap().len();
    for code in 0..=u16::MAX {
        if !code_may_travel(code) {
            let error = ws.close(code, "").unwrap_err();
            assert!(matches!(error, Error::Misuse(Misuse::CloseCode(_))), "{code}: {error}");
            let error = ws.sender().close(code, "").unwrap_err();
            assert!(matches!(error, Error::Misuse(Misuse::CloseCode(_))), "{code}: {error}");
            assert_eq!(written.lock().unwrap().len(), begun, "{code}");
        } else {
            let (mut ws, written) = open();
            // The peer says nothing more, so that it does not answer is all that can go wrong.
            assert!(matches!(ws.close(code, "").unwrap_err(), Error::ConnectionLost(_)), "{code}");
            let expected = [&[0x88, 0x02], &code.to_be_bytes()[..]].concat();
            assert!(written.lock().unwrap().ends_with(&expected), "{code}");
        }
    }
    ws.send("still here").unwrap();
    assert!(written.lock().unwrap().ends_with(b"still here"));
}

/// A WebSocket whose peer has asked for it and then ended, and what is written to that peer.
fn open() -> (ws101::WebSocket, Arc<Mutex<Vec<u8>>>) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let stream = Asks { request: Mutex::new(request.as_bytes()), written: written.clone() };
    let limits = Limits { close: Duration::from_secs(1), ..Limits::default() };
    (Server::without_listener().limits(limits).accept(stream).unwrap(), written)
}

struct Asks {
    request: Mutex<&'static [u8]>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Stream for Asks {
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut *self.request.lock().unwrap(), into)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = self.written.lock().unwrap();
        slices.iter().for_each(|slice| written.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn set_read_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
