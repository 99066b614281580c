//! ws101: a thread a connection; `feed` answers all that one read brought with one write. The
//! server that echoes and does nothing else is the library's example `04_echo`.

use std::sync::{Mutex, PoisonError};

use ::ws101::{DeflateConfig, PreparedMessage, Server, Tls, WebSocket};

use super::{ANY_PORT, Mode, announce, not_here};
use crate::{Result, certificate};

pub fn serve(mode: Mode) -> Result<()> {
    let server = Server::bind(ANY_PORT)?;
    announce(server.local_addr()?)?;
    match mode {
        Mode::Echo => not_here(mode)?,
        Mode::Deflate => server.deflate(DeflateConfig::DEFAULT).serve(echo)?,
        Mode::Tls => {
            let tls = Tls::from_pem_files(certificate::file(), certificate::key_file())?;
            server.tls(tls).serve(echo)?;
        }
        Mode::Broadcast => broadcast(server)?,
    }
    Ok(())
}

fn echo(mut ws: WebSocket) -> ws101::Result<()> {
    while let Some(message) = ws.recv()? {
        ws.feed(message)?;
    }
    Ok(())
}

fn broadcast(server: Server) -> ws101::Result<()> {
    let members = Mutex::new(Vec::new());
    server.serve(move |mut ws| {
        let members = || members.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = ws.recv()? else { return Ok(()) };
        members().push(ws.sender());
        ws.send(first)?;
        while let Some(message) = ws.recv()? {
            let message = PreparedMessage::new(message);
            for member in members().iter() {
                member.send(&message)?;
            }
        }
        Ok(())
    })
}
