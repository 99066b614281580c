//! ws101: a thread a connection; `feed` answers all that one read brought with one write.

use ::ws101::Server;

use super::{ANY_PORT, announce};
use crate::Result;

pub fn serve() -> Result<()> {
    let server = Server::bind(ANY_PORT)?;
    announce(server.local_addr()?)?;
    server.serve(|mut ws| {
        while let Some(message) = ws.recv()? {
            ws.feed(message)?;
        }
        Ok(())
    })?;
    Ok(())
}
