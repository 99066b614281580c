//! tungstenite and tokio-tungstenite.

use std::net::{TcpListener, TcpStream};
use std::thread;

use futures_util::{StreamExt, TryStreamExt, future};
use tungstenite::WebSocket;

use crate::Failed;

/// Echoes until the connection ends; `read` then returns an error, after the Close was answered.
fn echo<S: std::io::Read + std::io::Write>(mut ws: WebSocket<S>) {
    while let Ok(message) = ws.read() {
        if (message.is_text() || message.is_binary()) && ws.send(message).is_err() {
            break;
        }
    }
}

pub fn serve(address: &str) -> Result<(), Failed> {
    for stream in TcpListener::bind(address)?.incoming() {
        let stream: TcpStream = stream?;
        thread::spawn(move || {
            if let Ok(ws) = tungstenite::accept(stream) {
                echo(ws);
            }
        });
    }
    Ok(())
}

pub fn connect(url: &str) -> Result<(), Failed> {
    echo(tungstenite::connect(url)?.0);
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub fn serve_async(address: &str) -> Result<(), Failed> {
    runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                if let Ok(ws) = tokio_tungstenite::accept_async(stream).await {
                    let (write, read) = ws.split();
                    let messages = read.try_filter(|m| future::ready(m.is_text() || m.is_binary()));
                    let _ = messages.forward(write).await;
                }
            });
        }
    })
}

pub fn connect_async(url: &str) -> Result<(), Failed> {
    runtime()?.block_on(async {
        let (ws, _) = tokio_tungstenite::connect_async(url).await?;
        let (write, read) = ws.split();
        let messages = read.try_filter(|m| future::ready(m.is_text() || m.is_binary()));
        messages.forward(write).await?;
        Ok(())
    })
}
