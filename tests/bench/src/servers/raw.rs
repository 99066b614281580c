//! No WebSocket at all: what a thread reads it writes back. What this reaches, no server of our
//! design can pass by much.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{ANY_PORT, Mode, announce, not_here};
use crate::Result;

pub fn serve(mode: Mode) -> Result<()> {
    match mode {
        Mode::Echo => accept(echo),
        Mode::Broadcast => {
            let members = Arc::default();
            accept(move |stream| broadcast(stream, &members))
        }
        Mode::Deflate | Mode::Tls => not_here(mode),
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

fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

fn broadcast(mut stream: TcpStream, members: &Mutex<Vec<TcpStream>>) -> Result<()> {
    let members = || members.lock().unwrap_or_else(PoisonError::into_inner);
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer)?;
    members().push(stream.try_clone()?);
    stream.write_all(&buffer[..length])?;
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        for mut member in members().iter() {
            member.write_all(&buffer[..length])?;
        }
    }
}
