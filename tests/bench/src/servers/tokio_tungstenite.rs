//! tokio-tungstenite: a task a connection, all on one thread, since a server has one core here.
//!
//! In two ways: with `send` for each message, as most handlers are written, and with `forward`,
//! which flushes only when there is nothing more to read. The latter is how its own example echoes;
//! it suits what needs no more of a message than to pass it on.

use std::future::Future;

use ::tokio_tungstenite::accept_async;
use ::tokio_tungstenite::tungstenite::Message;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::{ANY_PORT, Mode, announce, not_here};
use crate::Result;

/// Messages that a member of a room may be behind.
const BEHIND: usize = 16;

pub fn serve_sending(mode: Mode) -> Result<()> {
    match mode {
        Mode::Echo => serve(send_each),
        Mode::Broadcast => {
            let (room, _) = broadcast::channel(BEHIND);
            serve(move |stream| member(stream, room.clone()))
        }
        Mode::Deflate | Mode::Tls => not_here(mode),
    }
}

pub fn serve_forwarding(mode: Mode) -> Result<()> {
    match mode {
        Mode::Echo => serve(forward),
        _ => not_here(mode),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve<F>(handler: impl Fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(ANY_PORT).await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(handler(stream));
    }
}

async fn send_each(stream: TcpStream) -> Result<()> {
    let mut ws = accept_async(stream).await?;
    while let Some(message) = ws.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            ws.send(message).await?;
        }
    }
    Ok(())
}

async fn forward(stream: TcpStream) -> Result<()> {
    let (write, read) = accept_async(stream).await?.split();
    Ok(read.forward(write).await?)
}

async fn member(stream: TcpStream, room: broadcast::Sender<Message>) -> Result<()> {
    let mut ws = accept_async(stream).await?;
    let Some(first) = ws.next().await else { return Ok(()) };
    let mut heard = room.subscribe();
    ws.send(first?).await?;
    loop {
        tokio::select! {
            said = ws.next() => match said {
                Some(message) => drop(room.send(message?)?),
                None => return Ok(()),
            },
            message = heard.recv() => ws.send(message?).await?,
        }
    }
}
