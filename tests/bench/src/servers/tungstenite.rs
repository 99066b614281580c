//! tungstenite: blocking, a thread a connection; for TLS, rustls beneath it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ::tungstenite::protocol::Role;
use ::tungstenite::{Message, WebSocket};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{ANY_PORT, Mode, announce, not_here};
use crate::{Result, certificate};

pub fn serve(mode: Mode) -> Result<()> {
    match mode {
        Mode::Echo => accept(echo),
        Mode::Broadcast => {
            let members = Arc::default();
            accept(move |stream| broadcast(stream, &members))
        }
        Mode::Tls => {
            let chain = CertificateDer::pem_file_iter(certificate::file())?
                .collect::<std::result::Result<_, _>>()?;
            let key = PrivateKeyDer::from_pem_file(certificate::key_file())?;
            let config = ServerConfig::builder().with_no_client_auth();
            let config = Arc::new(config.with_single_cert(chain, key)?);
            accept(move |stream| {
                echo(StreamOwned::new(ServerConnection::new(config.clone())?, stream))
            })
        }
        Mode::Deflate => not_here(mode),
    }
}

fn accept(handler: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static) -> Result<()> {
    let listener = TcpListener::bind(ANY_PORT)?;
    announce(listener.local_addr()?)?;
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let handler = handler.clone();
        thread::spawn(move || handler(stream));
    }
    Ok(())
}

fn echo<S: Read + Write>(stream: S) -> Result<()> {
    let mut ws = ::tungstenite::accept(stream).map_err(|_| "the handshake failed")?;
    loop {
        let message = ws.read()?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            ws.send(message)?;
        }
    }
}

/// Its `WebSocket` can't be written while it waits to read. Those that all write to are on the same
/// socket, and are never read.
fn broadcast(stream: TcpStream, members: &Mutex<Vec<WebSocket<TcpStream>>>) -> Result<()> {
    let members = || members.lock().unwrap_or_else(PoisonError::into_inner);
    let mut ws = ::tungstenite::accept(stream.try_clone()?)?;
    let first = ws.read()?;
    members().push(WebSocket::from_raw_socket(stream, Role::Server, None));
    ws.send(first)?;
    loop {
        let message = ws.read()?;
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            for member in members().iter_mut() {
                member.send(message.clone())?;
            }
        }
    }
}
