//! The head of a browser's request: scanned strictly and cut into places, or taken for text and split.

use ws101::http::head::{Head, Scan};

use super::Case;
use crate::Result;

const HEAD: &str = "GET /chat HTTP/1.1\r\n\
    Host: example.com:8080\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Upgrade: websocket\r\n\
    Origin: http://example.com:8080\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

/// The first line and the fields: so much and no more is compared.
type Lines = (String, Vec<(String, String)>);

pub fn cases() -> Result<Vec<Case>> {
    let title = format!("head of {} B, first line and fields", HEAD.len());
    Ok(vec![Case::new(title, HEAD, |head| ours(head), |head| naive(head))?])
}

fn ours(head: &str) -> Option<Lines> {
    let bytes = head.as_bytes();
    let end = Scan::new(16 * 1024, 100).advance(bytes).ok()??;
    let head = Head::parse(&bytes[..end]).ok()?;
    let fields = head.fields().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some((head.first_line().to_owned(), fields.collect()))
}

fn naive(head: &str) -> Option<Lines> {
    let text = String::from_utf8(head.as_bytes().to_vec()).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let first = lines.next()?.to_owned();
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    });
    Some((first, fields.collect::<Option<_>>()?))
}
