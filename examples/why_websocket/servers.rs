//! The servers of `09_why_websocket`: three kinds of plain HTTP, written by hand, and a WebSocket.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use ws101::Server;

use super::{Board, MESSAGES};

pub fn serve_websocket(board: Arc<Board>) -> ws101::Result<SocketAddr> {
    let server = Server::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    thread::spawn(move || {
        server.serve(move |mut ws| {
            for i in 0..MESSAGES {
                ws.send(&board.wait_from(i)[0])?;
            }
            ws.recv().map(|_| ())
        })
    });
    Ok(address)
}

pub fn serve_http(board: Arc<Board>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let board = board.clone();
            thread::spawn(move || answer_all(&stream, &board));
        }
    });
    Ok(address)
}

/// Answers one request after the other, until the client sends no more.
fn answer_all(mut stream: &TcpStream, board: &Board) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let head = read_until(&mut reader, "\r\n\r\n")?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, from) = target.split_once("?from=").unwrap_or((target, "0"));
        let from = from.parse().unwrap_or(0);
        let news = match path {
            "/all-news" => return tell_all(stream, board),
            "/news" => board.from(from),
            _ => board.wait_from(from),
        };
        let body: String = news.iter().map(|text| format!("{text}\n")).collect();
        let length = body.len();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length:";
        stream.write_all(format!("{head} {length}\r\n\r\n{body}").as_bytes())?;
    }
}

/// Sends a response that never ends. Each event in it is a line of data and an empty line.
fn tell_all(mut stream: &TcpStream, board: &Board) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    )?;
    for i in 0..MESSAGES {
        stream.write_all(format!("data: {}\n\n", board.wait_from(i)[0]).as_bytes())?;
    }
    Ok(())
}

/// Reads up to and including `end`, which ends a head or an event.
pub fn read_until(reader: &mut impl BufRead, end: &str) -> io::Result<String> {
    let mut text = String::new();
    while !text.ends_with(end) {
        if reader.read_line(&mut text)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(text)
}
