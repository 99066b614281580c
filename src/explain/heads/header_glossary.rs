//! Explains the purpose of each header field in a handshake: the fields that WebSocket needs, and
//! those that browsers and servers add.
//!
//! This file only explains the names. The handshake validates the values.

/// Returns the purpose of the header field `name` (ignoring case), and the section of the RFC or
/// other standard that defines this field. Returns `None` if the glossary doesn't list the field.
pub fn purpose(name: &str) -> Option<(&'static str, &'static str)> {
    let known = FIELDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    known.map(|(_, purpose, section)| (*purpose, *section))
}

/// Returns the names of all header fields in the glossary.
pub fn names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, ..)| *name)
}

/// The glossary, as tuples `(name, purpose, section)`: what each header field is for, and which
/// section defines it.
const FIELDS: [(&str, &str, &str); 27] = [
    ("Host", "the host that the client wants: one port may serve several", "RFC 9112 §3.2"),
    ("Upgrade", "asks for another protocol on this connection, or agrees to it", "§4.2"),
    ("Connection", "names the fields that apply to this connection only", "§4.2.1"),
    ("Sec-WebSocket-Key", "16 random bytes in base64, which the accept must fit", "§4.2.1"),
    ("Sec-WebSocket-Version", "the protocol's version; 13 is the only one", "§4.2.1"),
    ("Sec-WebSocket-Accept", "proves that the server has read this request", "§4.1"),
    (
        "Sec-WebSocket-Protocol",
        "subprotocols: the client offers some, the server picks one",
        "§4.2.2",
    ),
    ("Sec-WebSocket-Extensions", "extensions: the client offers, the server accepts", "§9.1"),
    ("Sec-WebSocket-Key1", "a key of the draft of 2010, older than the RFC", "§4.4"),
    ("Sec-WebSocket-Key2", "a key of the draft of 2010, older than the RFC", "§4.4"),
    ("Origin", "the page that asks: the server can refuse foreign pages", "§10.2"),
    ("Cookie", "browsers send cookies whichever page asks, so check the origin", "RFC 6265 §4.2"),
    ("Authorization", "credentials; a page can't set them for a WebSocket", "RFC 9110 §11.6"),
    ("User-Agent", "the client program", "RFC 9110 §10.1.5"),
    ("Pragma", "an old way to ask for an uncached response", "RFC 9111 §5.4"),
    ("Cache-Control", "whether caches may store or answer this", "RFC 9111 §5.2"),
    ("Accept-Encoding", "for pages; a WebSocket has no body to encode", "RFC 9110 §12.5.3"),
    ("Accept-Language", "for pages; a WebSocket does not use it", "RFC 9110 §12.5.4"),
    ("Accept", "for pages; a WebSocket does not use it", "RFC 9110 §12.5.1"),
    ("Content-Length", "the length of the body", "RFC 9110 §8.6"),
    ("Content-Type", "the type of the body", "RFC 9110 §8.3"),
    ("Transfer-Encoding", "how the body is sent: in chunks", "RFC 9112 §6.1"),
    ("X-Content-Type-Options", "tells browsers not to guess another type", "WHATWG Fetch"),
    ("Allow", "the methods that the server accepts", "RFC 9110 §10.2.1"),
    ("Location", "the address to ask instead", "RFC 9110 §10.2.2"),
    ("Retry-After", "when to try again", "RFC 9110 §10.2.3"),
    ("Date", "when the response was made", "RFC 9110 §6.6.1"),
];
