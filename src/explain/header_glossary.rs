//! What the header fields of a handshake are for.
//!
//! Those that WebSocket needs, and those that browsers send of their own accord. The judgement on
//! them is the handshake's; this is a glossary.

/// What a field is for, and where that stands. `None`: the handshake does not look at it.
pub fn purpose(name: &str) -> Option<(&'static str, &'static str)> {
    let known = FIELDS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    known.map(|(_, purpose, section)| (*purpose, *section))
}

/// Name, purpose, section.
const FIELDS: [(&str, &str, &str); 26] = [
    ("Host", "who is asked: one port may serve many names", "RFC 9110 §7.2"),
    ("Upgrade", "asks for, or agrees to, another protocol on this connection", "§4.1"),
    ("Connection", "what holds for this connection alone, and no proxy may pass on", "§4.1"),
    ("Sec-WebSocket-Key", "16 random bytes in base64, to be answered by the accept", "§4.1"),
    ("Sec-WebSocket-Version", "13 is the only version there is", "§4.1"),
    ("Sec-WebSocket-Accept", "proof that the server read this very request", "§4.2.2"),
    ("Sec-WebSocket-Protocol", "subprotocols: offered by the client, one chosen", "§1.9"),
    ("Sec-WebSocket-Extensions", "extensions: offered by the client, some taken", "§9.1"),
    ("Sec-WebSocket-Key1", "a key of the draft of 2010, before the RFC", "§4.4"),
    ("Sec-WebSocket-Key2", "a key of the draft of 2010, before the RFC", "§4.4"),
    ("Origin", "which page asks: the server's guard against foreign ones", "§10.2"),
    ("Cookie", "goes along, as with any request: so `Origin` has to be checked", "RFC 6265 §4.2"),
    ("Authorization", "who asks; browsers can't set it for a WebSocket", "RFC 9110 §11.6"),
    ("User-Agent", "which program asks", "RFC 9110 §10.1.5"),
    ("Pragma", "the old way to ask for no cached answer", "RFC 9111 §5.4"),
    ("Cache-Control", "whether caches may answer or keep it", "RFC 9111 §5.2"),
    ("Accept-Encoding", "for pages; a WebSocket has no body to encode", "RFC 9110 §12.5.3"),
    ("Accept-Language", "for pages; of no use here", "RFC 9110 §12.5.4"),
    ("Accept", "for pages; of no use here", "RFC 9110 §12.5.1"),
    ("Content-Length", "how long the body is", "RFC 9110 §8.6"),
    ("Content-Type", "what the body is", "RFC 9110 §8.3"),
    ("Transfer-Encoding", "a body in pieces", "RFC 9112 §6.1"),
    ("X-Content-Type-Options", "a browser must not guess another type", "WHATWG Fetch"),
    ("Allow", "the methods that would have done", "RFC 9110 §10.2.1"),
    ("Location", "where else to ask", "RFC 9110 §10.2.2"),
    ("Retry-After", "when to come back", "RFC 9110 §10.2.3"),
];
