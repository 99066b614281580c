//! fastwebsockets: hyper makes the handshake and hands the connection over; a task each, all on one
//! thread.

use std::convert::Infallible;

use ::fastwebsockets::{FragmentCollector, OpCode, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::{ANY_PORT, Mode, announce, not_here};
use crate::Result;

pub fn serve(mode: Mode) -> Result<()> {
    if mode == Mode::Echo { accept() } else { not_here(mode) }
}

#[tokio::main(flavor = "current_thread")]
async fn accept() -> Result<()> {
    let listener = TcpListener::bind(ANY_PORT).await?;
    announce(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream));
    }
}

async fn connection(stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let http = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(handshake));
    Ok(http.with_upgrades().await?)
}

async fn handshake(
    mut request: Request<Incoming>,
) -> std::result::Result<Response<Empty<Bytes>>, Infallible> {
    // `upgrade` doesn't ask whether the request is for a WebSocket; the docs advise to ask it
    // first.
    let asks = upgrade::is_upgrade_request(&request);
    match upgrade::upgrade(&mut request) {
        Ok((response, upgraded)) if asks => {
            // `unconstrained`, as the library's own example has it: its reads don't count against
            // tokio's budget.
            tokio::spawn(tokio::task::unconstrained(echo(upgraded)));
            Ok(response)
        }
        _ => {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<()> {
    let mut ws = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}
