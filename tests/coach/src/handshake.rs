//! Decides about a request as a server: the 101 or a refusal (RFC 6455 §4.2). It also computes the
//! accept for both ends.

use base64::prelude::*;
use sha1::{Digest, Sha1};

use crate::deflate::{self, Params};
use crate::head::Head;
use crate::switch::{Switch::*, has};

/// What the server answers: the bytes of the head (and what follows it), and whether the WebSocket is open then.
pub enum Answer {
    Open {
        head: Vec<u8>,
        deflate: Option<Params>,
    },
    Refused {
        head: Vec<u8>,
    },
    /// A faulty server says nothing, and hangs up or not.
    Silence {
        hangs_up: bool,
    },
}

/// Why a request is refused: the status, and the field that tells the client what would be right.
struct Refusal(u16, &'static str);

/// Decides about one request.
pub fn answer(bytes: &[u8]) -> Answer {
    let decided = Head::parse(bytes).ok_or(Refusal(400, "")).and_then(|request| {
        check(&request)?;
        Ok(request)
    });
    match decided {
        Ok(request) => {
            let (head, deflate) = switching_protocols(&request);
            Answer::Open { head, deflate }
        }
        Err(_) if has(RefusalIsSilence) => Answer::Silence { hangs_up: false },
        Err(_) if has(RefusalHangsUp) => Answer::Silence { hangs_up: true },
        Err(Refusal(status, field)) => Answer::Refused { head: refusal(status, field) },
    }
}

/// The rules of §4.2.1, in its order.
fn check(request: &Head) -> Result<(), Refusal> {
    let unless =
        |holds: bool, switch, refusal| if holds || has(switch) { Ok(()) } else { Err(refusal) };
    let words: Vec<&str> = request.first.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Refusal(400, "")) };
    unless(
        version == "HTTP/1.1" || !version.starts_with("HTTP/1."),
        Http10Accepted,
        Refusal(400, ""),
    )?;
    if !version.starts_with("HTTP/1.") {
        return Err(Refusal(400, ""));
    }
    unless(method == "GET", AnyMethodAccepted, Refusal(405, "Allow: GET\r\n"))?;
    if has(RootPathOnly) && target != "/" {
        return Err(Refusal(404, ""));
    }
    let hosts = request.lines("Host").len();
    unless(request.only("Host").is_some() || hosts != 0, NoHostAccepted, Refusal(400, ""))?;
    unless(request.only("Host").is_some() || hosts == 0, TwoHostsAccepted, Refusal(400, ""))?;
    // RFC 9112 §3.2: a name and perhaps a port, so no space among them.
    if request.only("Host").is_some_and(|host| host.contains([' ', '\t', '/', ',']))
        && !has(MalformedHostAccepted)
    {
        return Err(Refusal(400, ""));
    }
    let upgrade = Refusal(426, "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    unless(request.lists("Upgrade", "websocket"), UpgradeUnchecked, upgrade)?;
    unless(request.lists("Connection", "upgrade"), ConnectionUnchecked, Refusal(400, ""))?;
    let key = request.only("Sec-WebSocket-Key");
    unless(
        key.is_some() || !request.lines("Sec-WebSocket-Key").is_empty(),
        NoKeyAccepted,
        Refusal(400, ""),
    )?;
    unless(
        key.is_some() || request.lines("Sec-WebSocket-Key").is_empty(),
        TwoKeysAccepted,
        Refusal(400, ""),
    )?;
    let length = key.and_then(|key| BASE64_STANDARD.decode(key.trim()).ok()).map(|key| key.len());
    let whole = key.is_none() || length.is_some();
    unless(
        whole || has(KeyUnchecked) || has(KeyCutWhenLast),
        KeyNotBase64Accepted,
        Refusal(400, ""),
    )?;
    let long = key.is_none() || length.is_none() || length == Some(16);
    unless(long || has(KeyCutWhenLast), KeyUnchecked, Refusal(400, ""))?;
    let field = if has(RefusalWithoutVersion) { "" } else { "Sec-WebSocket-Version: 13\r\n" };
    match request.only("Sec-WebSocket-Version") {
        Some("13") => Ok(()),
        Some(_) if has(OtherVersionAccepted) => Ok(()),
        None if has(NoVersionAccepted) => Ok(()),
        _ => Err(Refusal(426, field)),
    }?;
    if has(OwnOriginRefused) && !request.lines("Origin").is_empty() {
        return Err(Refusal(400, ""));
    }
    if has(OtherSitesPagesOnly) && !request.lines("Origin").is_empty() {
        return Err(Refusal(403, ""));
    }
    if has(ForeignOriginRefused)
        && request.lines("Origin").iter().any(|origin| !origin.contains("//127.0.0.1"))
    {
        return Err(Refusal(403, ""));
    }
    Ok(())
}

pub fn refusal(status: u16, field: &str) -> Vec<u8> {
    let status = match status {
        405 | 426 if has(RefusalsAre400) => 400,
        400 if has(RefusalsAre426) => 426,
        _ if has(RefusalIs200) => 200,
        _ if has(RefusalIs101) => 101,
        status => status,
    };
    let reason = match status {
        101 => "Switching Protocols",
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        _ => "Bad Request",
    };
    if has(RefusalIsNoHttp) {
        return format!("ERROR {status} {reason}\n").into_bytes();
    }
    let field = if status == 426 && field.is_empty() { "Upgrade: websocket\r\n" } else { field };
    let (kind, body) = if has(RefusesWithPage) {
        let page =
            format!("<!doctype html><title>{reason}</title><p>This is a WebSocket server.</p>\r\n");
        (format!("Content-Type: text/html\r\nContent-Length: {}\r\n", page.len()), page)
    } else {
        ("Content-Length: 0\r\n".to_string(), String::new())
    };
    let rest = if has(KeptAliveAfterRefusal) { "" } else { "Connection: close\r\n" };
    let rest = if field.contains("Connection") { "" } else { rest };
    format!("HTTP/1.1 {status} {reason}\r\n{field}{kind}{rest}\r\n{body}").into_bytes()
}

/// The answer to a good request (§4.2.2).
fn switching_protocols(request: &Head) -> (Vec<u8>, Option<Params>) {
    let key = request.lines("Sec-WebSocket-Key").first().copied().unwrap_or_default();
    let status = match () {
        () if has(AnswerIs200) => "HTTP/1.1 200 OK",
        () if has(AnswerIsHttp10) => "HTTP/1.0 101 Switching Protocols",
        () if has(OtherReasonPhrase) => "HTTP/1.1 101 Web Socket Protocol Handshake",
        () if has(NoReasonPhrase) => "HTTP/1.1 101 ",
        () => "HTTP/1.1 101 Switching Protocols",
    };
    let upgrade = match () {
        () if has(AnswerUpgradeMissing) => None,
        () if has(AnswerUpgradeWrong) => Some("Upgrade: h2c"),
        () if has(AnswerUpgradeListed) => Some("Upgrade: h2c, websocket"),
        () if has(AnswerUpgradeTwice) => Some("Upgrade: websocket\r\nUpgrade: websocket"),
        () if has(AnswerInUpperCase) => Some("UPGRADE: WebSocket"),
        () if has(AnswerInLowerCase) => Some("upgrade:websocket"),
        () => Some("Upgrade: websocket"),
    };
    let connection = match () {
        () if has(AnswerConnectionMissing) => None,
        () if has(AnswerConnectionWrong) => Some("Connection: keep-alive"),
        () if has(ListOn101) => Some("Connection: keep-alive, Upgrade"),
        () if has(AnswerInUpperCase) => Some("CONNECTION: UPGRADE"),
        () if has(AnswerInLowerCase) => Some("connection:upgrade"),
        () => Some("Connection: Upgrade"),
    };
    let accept = match () {
        () if has(AnswerAcceptMissing) => None,
        () if has(AnswerInUpperCase) => Some(format!("SEC-WEBSOCKET-ACCEPT:   {}  ", accept(key))),
        () if has(AnswerInLowerCase) => Some(format!("sec-websocket-accept:{}", accept(key))),
        () if has(AnswerAcceptTwice) => {
            Some(format!("Sec-WebSocket-Accept: {0}\r\nSec-WebSocket-Accept: {0}", accept(key)))
        }
        () if has(AnswerHasLength) => {
            Some(format!("Sec-WebSocket-Accept: {}\r\nContent-Length: 0", accept(key)))
        }
        () => Some(format!("Sec-WebSocket-Accept: {}", accept(key))),
    };
    let mut lines = vec![status.to_string()];
    lines.extend(upgrade.map(String::from));
    lines.extend(connection.map(String::from));
    lines.extend(accept);
    if has(ExtraFieldsOn101) {
        lines.extend(
            ["Server: zoo", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Set-Cookie: a=b"]
                .map(String::from),
        );
        lines.extend(["X-Empty:", "Sec-WebSocket-Version: 13"].map(String::from));
    }
    lines.extend(subprotocol(&request.list("Sec-WebSocket-Protocol")));
    let (extension, deflate) = deflate::choose(&request.lines("Sec-WebSocket-Extensions"));
    lines.extend(extension.map(|value| format!("Sec-WebSocket-Extensions: {value}")));
    let newline = if has(AnswerInBareLineFeeds) { "\n" } else { "\r\n" };
    let mut head =
        lines.iter().map(|line| format!("{line}{newline}")).collect::<String>() + newline;
    if has(AnswerIndented) {
        head = head.replace("\r\nSec-", "\r\n  Sec-");
    }
    if has(SpaceBeforeColonWritten) {
        head = head.replace(": ", " : ");
    }
    if has(AnswerHasLineWithoutColon) {
        head = head.replace("\r\nConnection", "\r\nno colon here\r\nConnection");
    }
    if has(BytesAfter101) {
        head += "Welcome!\r\n";
    }
    if has(NewlineAfter101) {
        head += "\r\n";
    }
    if has(AnswerNeverEnds) || has(AnswerEndsUnfinished) {
        head.truncate(head.len() - 2);
    }
    (head.into_bytes(), deflate)
}

/// The field that answers an offer of subprotocols. A good server of this zoo speaks none.
fn subprotocol(offered: &[String]) -> Option<String> {
    let first = offered.first().cloned();
    let value = match () {
        () if has(TakesFirstSubprotocol) => first,
        () if has(TakesLastSubprotocol) => offered.last().cloned(),
        () if has(UnaskedSubprotocol) && first.is_none() => Some("chat".into()),
        () if has(UnofferedSubprotocol) && first.is_some() => Some("zoo.example".into()),
        () if has(AllSubprotocolsEchoed) && first.is_some() => Some(offered.join(", ")),
        () if has(SubprotocolInUpperCase) => first.map(|name| name.to_uppercase()),
        () if has(SubprotocolTwice) => first.map(|_| {
            format!("{}\r\nSec-WebSocket-Protocol: {}", offered[0], offered.last().unwrap())
        }),
        () if has(SubprotocolEmpty) => Some(String::new()),
        () => None,
    };
    value.map(|value| format!("Sec-WebSocket-Protocol: {value}"))
}

/// The accept that belongs to a key (§4.2.2, item 5.4).
pub fn accept(key: &str) -> String {
    let guid = match () {
        () if has(GuidSwapped) => "258EAFA5-E914-47DA-95CA-5AB0DC85B711",
        () if has(GuidOfBenchmark) => "258EAFA5-E914-47DA-95CA-5BAB11DC85B6",
        () if has(GuidTransposed) => "258EAFA5-E914-47DA-95CA-C5AB0DC85B1",
        () if has(GuidInLowerCase) => "258eafa5-e914-47da-95ca-c5ab0dc85b11",
        () if has(GuidOfAnotherEnd) => "258EAFA5-E914-47DA-95CA-C5AB0DC85B12",
        () if has(GuidInBraces) => "{258EAFA5-E914-47DA-95CA-C5AB0DC85B11}",
        () if has(GuidForgotten) => "",
        () => "258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
    };
    if has(AcceptFixed) {
        return "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into();
    }
    let mut hashed = match () {
        () if has(AcceptOfDecodedKey) => BASE64_STANDARD.decode(key).unwrap_or_default(),
        () if has(AcceptOfLineFeed) => format!("{key}\n").into_bytes(),
        () if has(AcceptOfUnpaddedKey) => key.trim_end_matches('=').as_bytes().to_vec(),
        () => key.as_bytes().to_vec(),
    };
    hashed.extend_from_slice(guid.as_bytes());
    if has(GuidFirst) {
        hashed = [guid.as_bytes(), key.as_bytes()].concat();
    }
    let digest = Sha1::digest(&hashed);
    let hex = || digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match () {
        () if has(AcceptHex) => hex(),
        () if has(AcceptHexInBase64) => BASE64_STANDARD.encode(hex()),
        () if has(AcceptInUrlAlphabet) => BASE64_URL_SAFE.encode(digest),
        () if has(AcceptUnpadded) => BASE64_STANDARD_NO_PAD.encode(digest),
        () if has(AcceptWithLineFeed) => BASE64_STANDARD.encode(digest) + "\n",
        () if has(AcceptIsKey) => key.into(),
        () if has(AcceptInLowerCase) => BASE64_STANDARD.encode(digest).to_lowercase(),
        () if has(AcceptQuoted) => format!("\"{}\"", BASE64_STANDARD.encode(digest)),
        () => BASE64_STANDARD.encode(digest),
    }
}
