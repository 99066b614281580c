//! fastwebsockets, on hyper, as its `echo_server` example and its docs of `handshake::client` have it.

use std::convert::Infallible;

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, handshake, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::Failed;

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    ws: fastwebsockets::WebSocket<S>,
) -> Result<(), WebSocketError> {
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => ws.write_frame(frame).await?,
            _ => {}
        }
    }
}

async fn server_upgrade(
    mut request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    // The docs leave this question to the application; the example doesn't ask it.
    let asks = upgrade::is_upgrade_request(&request);
    match upgrade::upgrade(&mut request) {
        Ok((response, upgraded)) if asks => {
            tokio::spawn(async move {
                if let Ok(ws) = upgraded.await {
                    let _ = echo(ws).await;
                }
            });
            Ok(response)
        }
        _ => {
            let mut response = Response::new(Empty::new());
            *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
            Ok(response)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failed> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

pub fn serve(address: &str) -> Result<(), Failed> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let served = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(server_upgrade))
                    .with_upgrades();
                let _ = served.await;
            });
        }
    })
}

struct OnTokio;

impl<F> hyper::rt::Executor<F> for OnTokio
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

pub fn connect(url: &str) -> Result<(), Failed> {
    runtime()?.block_on(async {
        let host = url.trim_start_matches("ws://").trim_end_matches('/');
        let stream = TcpStream::connect(host).await?;
        let request = Request::builder()
            .method("GET")
            .uri("/")
            .header("Host", host)
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header("Sec-WebSocket-Key", handshake::generate_key())
            .header("Sec-WebSocket-Version", "13")
            .body(Empty::<Bytes>::new())?;
        let (ws, _) = handshake::client(&OnTokio, request, stream).await?;
        echo(ws).await?;
        Ok(())
    })
}
