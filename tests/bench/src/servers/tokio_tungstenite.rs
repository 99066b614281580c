//! tokio-tungstenite: a task a connection, all on one thread, since a server has one core here.
//!
//! In two ways: with `send` for each message, as most handlers are written, and with `forward`,
//! which flushes only when there is nothing more to read. The latter is how its own example echoes;
//! it suits what needs no more of a message than to pass it on.

use std::future::Future;

use ::tokio_tungstenite::accept_async;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ANY_PORT, announce};
use crate::Result;

pub fn serve_sending() -> Result<()> {
    serve(send_each)
}

pub fn serve_forwarding() -> Result<()> {
    serve(forward)
}

#[tokio::main(flavor = "current_thread")]
async fn serve<F>(echo: fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(ANY_PORT).await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
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
