//! Messages over TLS. The load works as hard as the server here: the server's time for each message
//! is the figure to compare.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::blocking::{self, RoundTrips};
use super::{Span, dial};
use crate::Result;
use crate::certificate;
use crate::peers::Speaks;
use crate::process::Server;
use crate::results::Sample;
use crate::scenarios::Payload;
use crate::wire::{self, Ring};

pub fn run(server: &Server, connections: usize, payload: Payload, span: Span) -> Result<Sample> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate::file())?)?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let config = Arc::new(config);
    let ring = Arc::new(Ring::new(Speaks::WebSocket, payload, 1));
    let connections = (0..connections).map(|_| Ok(RoundTrips::new(open(server, &config)?, &ring)));
    blocking::run(server, connections.collect::<Result<Vec<_>>>()?, span)
}

fn open(
    server: &Server,
    config: &Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::IpAddress(server.address.ip().into());
    let tls = ClientConnection::new(config.clone(), name)?;
    let mut stream = StreamOwned::new(tls, dial(server)?);
    wire::handshake(&mut stream, server.address, Speaks::WebSocket, "")?;
    Ok(stream)
}
