//! WebSocket as it was in 2010, a year before the RFC: both ends of its handshake, its frames, and
//! three of its flaws.
//!
//! run: cargo run --example 10_before_the_rfc
//! expect: client > Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5
//! expect: client > ^n:ds[4U
//! expect: server: key 1 is 4146546015 with 5 spaces in it, and 4146546015 / 5 = 829309203
//! expect: server: key 2 is 1299853100 with 5 spaces in it, and 1299853100 / 5 = 259970620
//! expect: server > 8jKS'y:G*Co,Wxa-
//! expect: client: the answer is the one that the draft prints
//! expect: client > 00 48 65 6c 6c 6f ff
//! expect: proxy:  a request without a body; I pass it on
//! expect: server: the head has arrived, but the eight bytes after it have not
//! expect: 2010: a proxy on the way sees GET /script.js for shop.example
//! expect: 2011: a proxy on the way sees no request
//! expect: ws101 > HTTP/1.1 426 Upgrade Required
//! expect: ws101 > Sec-WebSocket-Version: 13
//! next: 11_secure, which encrypts the connection
//!
//! The draft is called hixie-76 or hybi-00. Chrome and Safari supported it. Firefox 4 and Opera
//! shipped with it switched off, after researchers had shown how a page could attack proxies with
//! it. The RFC's replacements are in `src/handshake/accept_key.rs` and `src/frames/mask.rs`.

#[path = "shared/help.rs"]
mod help;
#[path = "before_the_rfc/md5.rs"]
mod md5;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use md5::md5;
use ws101::frames::mask;

/// The request that the draft prints as its example. Each key hides a number: the key's digits,
/// divided by the number of its spaces.
const REQUEST: &str = "GET /demo HTTP/1.1\r\n\
    Host: example.com\r\n\
    Upgrade: WebSocket\r\n\
    Connection: Upgrade\r\n\
    Origin: http://example.com\r\n\
    Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\n\
    Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\
    \r\n";
/// The third key. The client sends it after the head, and no header announces it.
const THIRD_KEY: &[u8; 8] = b"^n:ds[4U";
/// The answer to these three keys, as the draft prints it.
const ANSWER: &[u8; 16] = b"8jKS'y:G*Co,Wxa-";

fn main() -> io::Result<()> {
    help::print_if_asked(include_str!("10_before_the_rfc.rs"));
    println!("--- The handshake of 2010, and a message in each direction\n");
    talk(&mut TcpStream::connect(serve(answer)?)?)?;

    println!("\n--- Wrong: eight bytes that no header announces\n");
    let server = serve(answer)?;
    let proxy = serve(move |client| pass_on(client, server))?;
    let mut stream = TcpStream::connect(proxy)?;
    stream.write_all(&[REQUEST.as_bytes(), THIRD_KEY].concat())?;
    stream.read_to_end(&mut Vec::new())?;
    println!("The RFC has only one key, and it is an ordinary header.");

    println!("\n--- Wrong: a page chooses which bytes go over the wire\n");
    let chosen = "GET /script.js HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    println!("2010: {}", seen_by_proxy(&frame(chosen)));
    let mut payload = chosen.as_bytes().to_vec();
    // These four bytes stand for the new random mask that a client makes for each frame.
    mask::apply([0x5f, 0x13, 0xc8, 0x6e], 0, &mut payload);
    println!("2011: {}", seen_by_proxy(&payload));
    println!(
        "Such a proxy would have cached the answer of the page's own server, and would have given it"
    );
    println!(
        "to every visitor who asks for that script. So in the RFC, a client masks all that it sends."
    );

    println!("\n--- Wrong: nothing says which draft it is\n");
    let mut stream = TcpStream::connect(serve(|stream| {
        let _ = ws101::accept(stream);
        Ok(())
    })?)?;
    stream.write_all(&[REQUEST.as_bytes(), THIRD_KEY].concat())?;
    let mut refusal = String::new();
    stream.read_to_string(&mut refusal)?;
    refusal.lines().for_each(|line| println!("ws101 > {line}"));
    println!(
        "\nLater drafts have Sec-WebSocket-Version. They counted it up to 13, which the RFC kept."
    );
    Ok(())
}

/// The client's end: sends the request, checks the answer, sends a text, and closes.
fn talk(stream: &mut TcpStream) -> io::Result<()> {
    REQUEST.lines().for_each(|line| println!("client > {line}"));
    println!("client > {}", String::from_utf8_lossy(THIRD_KEY));
    stream.write_all(&[REQUEST.as_bytes(), THIRD_KEY].concat())?;
    let head = read_head(stream)?;
    head.lines().for_each(|line| println!("server > {line}"));
    let mut proof = [0; 16];
    stream.read_exact(&mut proof)?;
    println!("server > {}", String::from_utf8_lossy(&proof));
    if proof == *ANSWER {
        println!("client: the answer is the one that the draft prints\n");
    }

    println!(
        "client > {}   {:?}: a text begins with 00 and ends with ff",
        hex(&frame("Hello")),
        "Hello"
    );
    stream.write_all(&frame("Hello"))?;
    let text = read_text(stream)?.unwrap_or_default();
    println!("server > {}   {text:?}: without a mask, and without a length", hex(&frame(&text)));
    println!("client > ff 00   a close, without a code");
    stream.write_all(&[0xff, 0])?;
    stream.read_to_end(&mut Vec::new())?;
    println!("There is no binary data, no ping and no fragment: 00 is the only kind of frame.");
    Ok(())
}

/// The server's end: answers the three keys, and then echoes each message.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    let mut third_key = [0; 8];
    if stream.read_exact(&mut third_key).is_err() {
        println!("server: the head has arrived, but the eight bytes after it have not");
        return Ok(());
    }
    let mut all = Vec::new();
    for (number, name) in [(1, "Sec-WebSocket-Key1: "), (2, "Sec-WebSocket-Key2: ")] {
        let key = head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let digits: String = key.chars().filter(char::is_ascii_digit).collect();
        let spaces = key.chars().filter(|&c| c == ' ').count() as u64;
        let whole: u64 = digits.parse().unwrap_or_default();
        // The digits must be divisible by the number of spaces. A request that isn't a WebSocket's
        // hardly ever has such a key by chance.
        let Some(0) = whole.checked_rem(spaces) else { return Ok(()) };
        let value = whole / spaces;
        println!(
            "server: key {number} is {whole} with {spaces} spaces in it, and {whole} / {spaces} = {value}"
        );
        all.extend((value as u32).to_be_bytes());
    }
    all.extend(third_key);
    println!(
        "server: MD5 of both numbers in four bytes each, and of the third key: {}",
        hex(&md5(&all))
    );
    let head = "HTTP/1.1 101 WebSocket Protocol Handshake\r\n\
        Upgrade: WebSocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Origin: http://example.com\r\n\
        Sec-WebSocket-Location: ws://example.com/demo\r\n\
        \r\n";
    stream.write_all(&[head.as_bytes(), &md5(&all)].concat())?;
    while let Some(text) = read_text(&mut stream)? {
        stream.write_all(&frame(&text))?;
    }
    stream.write_all(&[0xff, 0])
}

/// A proxy that follows HTTP. It passes on the head alone, because no header announces a body. Then
/// it takes the third key for the beginning of another request.
fn pass_on(mut client: TcpStream, server: SocketAddr) -> io::Result<()> {
    let head = read_head(&mut client)?;
    println!("proxy:  a request without a body; I pass it on");
    let mut server = TcpStream::connect(server)?;
    server.write_all(head.as_bytes())?;
    server.shutdown(std::net::Shutdown::Write)?;
    let mut next = [0; 8];
    client.read_exact(&mut next)?;
    println!(
        "proxy:  the next request begins with {:?}, which is not a request",
        next.escape_ascii().to_string()
    );
    server.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Returns what a proxy sees if it doesn't understand the 101, and parses the bytes after it as
/// HTTP.
fn seen_by_proxy(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.find("GET ").and_then(|start| text[start..].split(' ').nth(1));
    let host = text.split("\r\nHost: ").nth(1).and_then(|rest| rest.lines().next());
    match line.zip(host) {
        Some((path, host)) => format!("a proxy on the way sees GET {path} for {host}"),
        None => format!("a proxy on the way sees no request in {}...", hex(&bytes[..12])),
    }
}

/// Encodes a text as a frame of the draft: the byte 00, the text, the byte ff.
fn frame(text: &str) -> Vec<u8> {
    [&[0], text.as_bytes(), &[0xff]].concat()
}

/// Reads the next text, or returns `None` at a close. It reads byte by byte, because the draft's
/// frames have no length.
fn read_text(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut bytes = [0];
    stream.read_exact(&mut bytes)?;
    if bytes == [0xff] {
        // A close is ff 00; this reads the 00.
        stream.read_exact(&mut bytes)?;
        return Ok(None);
    }
    let mut text = Vec::new();
    loop {
        stream.read_exact(&mut bytes)?;
        match bytes {
            [0xff] => return Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            [byte] => text.push(byte),
        }
    }
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Starts a server that serves one connection on a free port, and returns its address.
fn serve(one: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || one(listener.accept()?.0));
    Ok(address)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
