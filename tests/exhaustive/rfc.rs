//! The oracle: what RFC 6455, and the RFCs on which it builds, say about headers, codes, lengths
//! and heads.
//!
//! It was written from their text, slow and in their order, so that you can compare the two. It
//! uses nothing of the code under test. Where an RFC leaves a choice, the oracle names ours.

use std::ops::Range;

/// Which end reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Server,
    Client,
}

/// What the reader knows before a frame comes.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    pub reader: Reader,
    /// A message has begun, and its last fragment has not come.
    pub in_mid_message: bool,
    /// permessage-deflate was agreed on.
    pub deflate: bool,
}

/// The two bytes that each frame begins with, as the picture in §5.2 counts their bits.
#[derive(Clone, Copy, Debug)]
pub struct TwoBytes(pub u16);

impl TwoBytes {
    fn bits(self, places: Range<u16>) -> u16 {
        (self.0 >> (16 - places.end)) & ((1 << (places.end - places.start)) - 1)
    }

    pub fn fin(self) -> bool {
        self.bits(0..1) == 1
    }

    pub fn rsv1(self) -> bool {
        self.bits(1..2) == 1
    }

    pub fn opcode(self) -> u16 {
        self.bits(4..8)
    }

    /// §5.2: "data" opcodes are %x0-7, control opcodes %x8-F.
    pub fn is_control(self) -> bool {
        self.opcode() >= 8
    }

    pub fn masked(self) -> bool {
        self.bits(8..9) == 1
    }

    pub fn length(self) -> u16 {
        self.bits(9..16)
    }

    /// §5.2: 126 says that the length is in the next two bytes, 127 in the next eight.
    pub fn bytes_of_length(self) -> usize {
        match self.length() {
            126 => 2,
            127 => 8,
            _ => 0,
        }
    }

    /// The section that says that no frame may begin like this here, if one does. Each of them fails
    /// the connection with 1002 (§7.4.1).
    pub fn broken_rule(self, here: &Situation) -> Option<&'static str> {
        // §5.2, RSV1-3: 0, unless an extension was agreed on that says what they mean. RFC 7692 §6:
        // RSV1 says that a message is compressed; only its first frame may say so, and no control frame.
        if self.bits(2..4) != 0 {
            return Some("5.2 RSV2 and RSV3");
        }
        let begins_a_message = [1, 2].contains(&self.opcode());
        if self.rsv1() && !(here.deflate && begins_a_message) {
            return Some("5.2 RSV1");
        }
        // §5.2, opcode: continuation, text, binary; close, ping, pong; all others are not known.
        if ![0x0, 0x1, 0x2, 0x8, 0x9, 0xa].contains(&self.opcode()) {
            return Some("5.2 opcode");
        }
        // §5.1: a client masks all its frames, and a server none.
        match here.reader {
            Reader::Server if !self.masked() => return Some("5.1 unmasked"),
            Reader::Client if self.masked() => return Some("5.1 masked"),
            _ => {}
        }
        // §5.5: control frames have 125 bytes at most, and are not fragmented.
        if self.is_control() && self.length() > 125 {
            return Some("5.5 length");
        }
        if self.is_control() && !self.fin() {
            return Some("5.5 fragmented");
        }
        // §5.4: fragments of one message do not stand between those of another; a continuation
        // continues something.
        if begins_a_message && here.in_mid_message {
            return Some("5.4 interleaved");
        }
        if self.opcode() == 0 && !here.in_mid_message {
            return Some("5.4 nothing to continue");
        }
        None
    }
}

/// §5.2, payload length: whether a length may be written like this. The fewest bytes are used that can
/// hold it, and the highest bit of eight is 0.
pub fn length_may_be_written(length: u64, bytes_of_length: usize) -> bool {
    match bytes_of_length {
        0 => length <= 125,
        2 => (126..=65_535).contains(&length),
        8 => length > 65_535 && length < 1 << 63,
        _ => false,
    }
}

/// §7.4: whether a code may stand in a Close frame.
pub fn code_may_travel(code: u16) -> bool {
    match code {
        // §7.4.2: not used.
        0..=999 => false,
        // §7.4.1: defined, but for 1004, whose meaning was left to be found, and for 1005, 1006 and
        // 1015, which no endpoint may send.
        1000..=1003 => true,
        1004..=1006 => false,
        1007..=1011 => true,
        // The registry that §11.7 opened has since given out 1012 to 1014.
        1012..=1014 => true,
        1015 => false,
        // §7.4.2: up to 2999 for the protocol to come, and so for nobody yet.
        1016..=2999 => false,
        // §7.4.2: 3000-3999 are for libraries and applications, 4000-4999 for private use.
        3000..=4999 => true,
        // In no range at all.
        5000.. => false,
    }
}

/// What a server answers to a request for a WebSocket that any page of its own host may open.
/// `None`: the head is not whole.
pub fn answer_to(bytes: &[u8]) -> Option<u16> {
    answer(bytes).map_or_else(|status| status, Some)
}

/// The answers that refuse come as errors, the one for half a head as `Err(None)`.
fn answer(bytes: &[u8]) -> Result<u16, Option<u16>> {
    const BAD_REQUEST: Option<u16> = Some(400);
    // RFC 9112 §2.2: lines end with CR LF. A bare LF may be taken for one, and a bare CR for a space:
    // choices that let requests be smuggled, and so neither is made. RFC 9110 §5.5: CTLs are not
    // valid in values; nor are they anywhere else in a head.
    let mut lines: Vec<&[u8]> = Vec::new();
    // §2.2: one empty line in front of the request is skipped.
    let mut rest = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    loop {
        let is_ctl = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
        let end = rest.iter().position(is_ctl).ok_or(None)?;
        match &rest[end..] {
            [b'\r'] => return Err(None),
            [b'\r', b'\n', ..] => {}
            _ => return Err(BAD_REQUEST),
        }
        // RFC 9112 §2.1: an empty line ends the head.
        if end == 0 {
            break;
        }
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    let (request_line, field_lines) = lines.split_first().ok_or(BAD_REQUEST)?;

    // RFC 9112 §5: field-name ":" OWS field-value OWS. No space before the colon; a line that begins
    // with one is folded, and that is obsolete (§5.2).
    let mut fields: Vec<(String, &[u8])> = Vec::new();
    for line in field_lines {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(BAD_REQUEST)?;
        let (name, value) = (&line[..colon], without_ows(&line[colon + 1..]));
        if !is_token(name) {
            return Err(BAD_REQUEST);
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
    }
    let all = |name: &str| -> Vec<&[u8]> {
        fields.iter().filter(|field| field.0 == name).map(|field| field.1).collect()
    };
    let lists = |name: &str, token: &str| {
        let mut elements = all(name).into_iter().flat_map(|value| value.split(|b| *b == b','));
        elements.any(|one| without_ows(one).eq_ignore_ascii_case(token.as_bytes()))
    };

    // RFC 9112 §3: method SP request-target SP HTTP-version.
    let words: Vec<&[u8]> = request_line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return Err(BAD_REQUEST) };
    if !is_token(method) || target.is_empty() {
        return Err(BAD_REQUEST);
    }
    // RFC 9112 §2.3: "HTTP/" DIGIT "." DIGIT; the name is case-sensitive. Another major version is
    // another protocol.
    match version {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            if *major != b'1' {
                return Err(Some(505));
            }
        }
        _ => return Err(BAD_REQUEST),
    }
    // §3: a path and perhaps a query, no fragment; or (§4.2.1) an absolute URI of HTTP. RFC 9112 §3.2:
    // another form goes with another method.
    let visible = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b'#';
    if !target.iter().all(visible) {
        return Err(BAD_REQUEST);
    }
    let mut host_of_target = None;
    if method == b"CONNECT" && !target.starts_with(b"/") {
        host_and_port(target).ok_or(BAD_REQUEST)?;
    } else if !target.starts_with(b"/") && (method, target) != (b"OPTIONS", b"*") {
        let text = String::from_utf8_lossy(target).into_owned();
        let (scheme, rest) = text.split_once("://").ok_or(BAD_REQUEST)?;
        if !["ws", "wss", "http", "https"].contains(&&*scheme.to_ascii_lowercase()) {
            return Err(BAD_REQUEST);
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        host_of_target = Some(host_and_port(&rest.as_bytes()[..end]).ok_or(BAD_REQUEST)?);
    }

    // RFC 9112 §6: a body is announced by either of these. A GET has none here, and neither has HEAD;
    // another method may have one, if there is one way to tell its end (§6.3). HTTP/1.0 has no
    // Transfer-Encoding (§6.1).
    let is_1_0 = version.ends_with(b".0");
    let no_body =
        all("transfer-encoding").is_empty() && matches!(all("content-length")[..], [] | [b"0"]);
    let clear_end = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([length], []) => !length.is_empty() && length.iter().all(u8::is_ascii_digit),
        ([], [coding]) => !is_1_0 && coding.eq_ignore_ascii_case(b"chunked"),
        _ => false,
    };
    if !no_body && (!clear_end || method == b"GET" || method == b"HEAD") {
        return Err(BAD_REQUEST);
    }
    // RFC 9112 §3.2: 400, unless there is one Host, and a valid one. HTTP/1.0 may do without.
    let host = match all("host")[..] {
        [host] => Some(host_and_port(host).ok_or(BAD_REQUEST)?),
        [] if is_1_0 => None,
        _ => return Err(BAD_REQUEST),
    };
    // §4.1: GET. RFC 9110 §15.5.6: another method is not allowed. §4.2.1: HTTP/1.1 or higher.
    let not_a_get_of_1_1 = match (method, is_1_0) {
        (b"GET", false) => None,
        (b"GET", true) => Some(505),
        _ => Some(405),
    };
    // §4.2.1: an Upgrade that includes "websocket"; without, it is plain HTTP, for which there is
    // nothing here (RFC 9110 §15.5.22).
    if let Some(status) = not_a_get_of_1_1 {
        return Err(Some(status));
    }
    if !lists("upgrade", "websocket") {
        return Err(Some(426));
    }
    let host = host_of_target.or(host).ok_or(BAD_REQUEST)?;
    // §4.2.1: a Connection that includes "Upgrade".
    if !lists("connection", "upgrade") {
        return Err(BAD_REQUEST);
    }
    // §4.4: a version that is not known is answered with those that are.
    if all("sec-websocket-version") != [b"13"] {
        return Err(Some(426));
    }
    // §4.2.1: a key that is 16 bytes once it is decoded.
    let [key] = all("sec-websocket-key")[..] else { return Err(BAD_REQUEST) };
    if !is_base64_of_16_bytes(key) {
        return Err(BAD_REQUEST);
    }
    // §10.2: pages of other origins are refused with 403 (§4.2.2). Two origins are none.
    match all("origin")[..] {
        [] => {}
        [origin] if is_page_of(origin, &host) => {}
        [_] => return Err(Some(403)),
        _ => return Err(BAD_REQUEST),
    }
    // §4.1: subprotocols are tokens, all different, and at least one. RFC 9110 §5.6.1.2: the
    // reader of a list passes over empty elements.
    let lines = all("sec-websocket-protocol");
    let elements = lines.iter().flat_map(|value| value.split(|b| *b == b',')).map(without_ows);
    let offered: Vec<&[u8]> = elements.filter(|element| !element.is_empty()).collect();
    if offered.is_empty() && !lines.is_empty() {
        return Err(BAD_REQUEST);
    }
    for (at, name) in offered.iter().enumerate() {
        if !is_token(name) || offered[..at].contains(name) {
            return Err(BAD_REQUEST);
        }
    }
    // §9.1: a value that is no list of extensions fails the connection, also where nobody wants any.
    match all("sec-websocket-extensions").into_iter().all(is_list_of_extensions) {
        true => Ok(101),
        false => Err(BAD_REQUEST),
    }
}

/// §9.1: 1#( token *( ";" token [ "=" ( token | quoted-string ) ] ) ), blanks between any two words,
/// and what was quoted is a token without its quotes. The "1": a line names one extension at least.
fn is_list_of_extensions(mut bytes: &[u8]) -> bool {
    // 1. Words and marks; a quoted word as 'q', a bare one as 't', a mark as it is.
    let mut words = String::new();
    while let [first, rest @ ..] = without_ows(bytes) {
        bytes = rest;
        match first {
            b',' | b';' | b'=' => words.push(char::from(*first)),
            b'"' => {
                let mut word = Vec::new();
                loop {
                    match bytes {
                        [b'"', rest @ ..] => break bytes = rest,
                        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                            word.push(*byte);
                            bytes = rest;
                        }
                        [] => return false,
                    }
                }
                words.push(if is_token(&word) { 'q' } else { '!' });
            }
            _ => {
                let length = rest.iter().take_while(|byte| is_token(&[**byte])).count();
                words.push(if is_token(&[*first]) { 't' } else { '!' });
                bytes = &rest[length..];
            }
        }
    }
    // 2. Which of them may stand beside which. RFC 9110 §5.6.1.2: empty elements are passed over.
    let mut extensions = words.split(',').filter(|extension| !extension.is_empty()).peekable();
    extensions.peek().is_some()
        && extensions.all(|extension| {
            let mut parts = extension.split(';');
            let name = parts.next().unwrap_or_default();
            name == "t" && parts.all(|one| ["t", "t=t", "t=q"].contains(&one))
        })
}

/// RFC 9110 §5.6.2: token = 1*tchar.
fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

/// RFC 9110 §5.6.3: OWS = *( SP / HTAB ).
fn without_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// RFC 3986 §3.2.2: host [ ":" port ], where a name is of unreserved, pct-encoded and sub-delims; an
/// IPv6 address stands in brackets, perhaps with a zone (RFC 6874), which names no other host. RFC 9110
/// §4.2.1: the host is not empty. A port, where there is a colon, may be empty (§3.2.3).
fn host_and_port(bytes: &[u8]) -> Option<(String, Option<u16>)> {
    let text = str::from_utf8(bytes).ok()?.to_ascii_lowercase();
    let end_of_host = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(end_of_host);
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let (host, is_valid) = match host.strip_prefix('[') {
        Some(v6) => {
            let v6 = v6.strip_suffix(']')?;
            let (v6, zone) = match v6.split_once("%25") {
                Some((v6, zone)) => (v6, pct_decoded(zone)?),
                None => (v6, "none".into()),
            };
            let is_zone = !zone.is_empty() && zone.chars().all(|c| unreserved(c) || c == '%');
            (format!("[{v6}]"), is_zone && is_ipv6(v6))
        }
        None => {
            let decoded = pct_decoded(host)?;
            let is_name = decoded.chars().all(|c| unreserved(c) || "%!$&'()*+,;=".contains(c));
            (host.to_owned(), !host.is_empty() && is_name)
        }
    };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(number) if digits(number) => Some(number.parse().ok()?),
        _ => return None,
    };
    is_valid.then_some((host, port))
}

/// RFC 3986 §2.1: "%" HEXDIG HEXDIG, each of them replaced by one "%"; `None` where a "%" is another.
fn pct_decoded(text: &str) -> Option<String> {
    let mut decoded = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_hex = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
        if c == '%' && !(is_hex(rest.next()) && is_hex(rest.next())) {
            return None;
        }
        decoded.push(c);
    }
    Some(decoded)
}

/// RFC 3986 §3.2.2: eight groups of one to four hex digits; the last two may be an IPv4 address; and
/// "::" stands once for one group at least that is zero.
fn is_ipv6(text: &str) -> bool {
    // How many groups this is, if it is a list of some.
    let groups = |text: &str, is_end: bool| -> Option<usize> {
        if text.is_empty() {
            return Some(0);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let mut count = 0;
        for (at, part) in parts.iter().enumerate() {
            let is_group =
                (1..=4).contains(&part.len()) && part.chars().all(|c| c.is_ascii_hexdigit());
            let is_v4 = is_end && at == parts.len() - 1 && is_ipv4(part);
            count += if is_v4 { 2 } else { 1 };
            if !is_group && !is_v4 {
                return None;
            }
        }
        Some(count)
    };
    match text.split_once("::") {
        None => groups(text, true) == Some(8),
        Some((before, after)) => {
            let count = groups(before, false).zip(groups(after, true));
            count.is_some_and(|(before, after)| before + after <= 7)
        }
    }
}

/// RFC 3986 §3.2.2: four numbers up to 255, without zeros in front.
fn is_ipv4(text: &str) -> bool {
    let is_octet = |part: &str| {
        let digits =
            !part.is_empty() && part.len() <= 3 && part.chars().all(|c| c.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0')) && part.parse::<u16>().unwrap() <= 255
    };
    text.split('.').count() == 4 && text.split('.').all(is_octet)
}

/// RFC 6454 §7: scheme "://" host [ ":" port ]. A page of this host: the same host, and the same port,
/// where the scheme's own goes without saying.
fn is_page_of(origin: &[u8], host: &(String, Option<u16>)) -> bool {
    let text = String::from_utf8_lossy(origin).into_owned();
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let default = match &*scheme.to_ascii_lowercase() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Some((name, port)) = host_and_port(authority.as_bytes()) else { return false };
    name == host.0 && port.unwrap_or(default) == host.1.unwrap_or(default)
}

/// RFC 4648 §4: sixteen bytes are 21 whole letters, one of which two bits count, and two "=". What the
/// other four bits of that one say, §3.5 leaves to the reader: here, nothing.
fn is_base64_of_16_bytes(key: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    key.len() == 24 && key[..22].iter().all(is_letter) && key[22..] == *b"=="
}
