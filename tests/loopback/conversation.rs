//! Frames and messages, as a peer sees them.

use crate::support::{Frame, echo, masked};

#[test]
fn server_echoes_the_masked_hello_of_section_5_7_unmasked() {
    let server = echo();
    let mut peer = server.open();
    peer.write(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: b"Hello".into() });
    peer.write(masked(0x88, [3, 232]));
    assert_eq!(peer.read_close(), 1000);
}
