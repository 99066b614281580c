//! tungstenite: blocking, a thread a connection.

use std::net::{TcpListener, TcpStream};
use std::thread;

use ::tungstenite::{Message, accept};

use super::{ANY_PORT, announce};
use crate::Result;

pub fn serve() -> Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || echo(stream));
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut ws = accept(stream)?;
    loop {
        let message = ws.read()?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            ws.send(message)?;
        }
    }
}
