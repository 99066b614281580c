//! A peer of ws101: the `tungstenite` crate, blocking, as client (`client URL`) or `server`.
//!
//! Which exercises there are stands in `../../python/exercises.py`; they come on standard input, line
//! by line. This file opens connections and reports; what is done over one is in `exercises.rs`.

#![expect(clippy::result_large_err, reason = "how the crate wants a refusal")]

mod exercises;

use exercises::{PATIENCE, Trouble, Ws, close, converse, perform};
use std::io::{self, BufRead, Write};
use std::net::{TcpListener, TcpStream};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::error::{Error, ProtocolError, SubProtocolError};
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::{HeaderValue, Uri};

const PEER: &str = "tungstenite";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan: Vec<String> = io::stdin().lock().lines().collect::<io::Result<_>>()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["client", url] => client(&plan, url),
        ["server"] => server(&plan),
        _ => panic!("usage: client URL | server, and the plan on standard input"),
    }
}

// ---- client ----

/// Each exercise over a connection of its own.
fn client(plan: &[String], url: &str) -> io::Result<()> {
    for exercise in plan {
        let outcome = connect(exercise, url).and_then(|mut ws| perform(exercise, &mut ws));
        report("client", exercise, outcome)?;
    }
    Ok(())
}

fn connect(exercise: &str, url: &str) -> Result<Ws, Trouble> {
    let uri: Uri = url.parse().map_err(|why| Trouble::Wrong(format!("{url}: {why}")))?;
    let stream = TcpStream::connect(uri.authority().map_or("", |authority| authority.as_str()))?;
    stream.set_nodelay(true)?;
    limit_waiting(&stream)?;

    let mut request = ClientRequestBuilder::new(uri);
    for subprotocol in
        exercise.strip_prefix("subprotocols ").into_iter().flat_map(|names| names.split(','))
    {
        request = request.with_sub_protocol(subprotocol);
    }
    match tungstenite::client(request, stream) {
        Ok((ws, _)) => Ok(ws),
        // The RFC lets a server choose none of the subprotocols; this crate does not.
        Err(HandshakeError::Failure(Error::Protocol(
            ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol),
        ))) => Err(Trouble::Cannot("gives up when no subprotocol is chosen")),
        Err(why) => Err(Trouble::Wrong(why.to_string())),
    }
}

// ---- server ----

/// Serves one connection after the other, each by its path, until `/updateReports`, which is last.
fn server(plan: &[String]) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    say(&format!("listening on ws://{}", listener.local_addr()?))?;
    loop {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        limit_waiting(&stream)?;

        let mut head = Request::default();
        let Ok(mut ws) = tungstenite::accept_hdr(stream, |request: &Request, response| {
            head.clone_from(request);
            answer(request, response)
        }) else {
            continue; // refused, as `/refused` is, or not a handshake: the other side says so
        };
        match head.uri().path() {
            "/getCaseCount" => {
                _ = ws.send(plan.len().to_string().into());
                _ = close(&mut ws, Some(1000), "");
            }
            "/runCase" => {
                let exercise = &plan[case_number(head.uri()) - 1];
                report("server", exercise, perform(exercise, &mut ws))?;
            }
            "/conversation" => report("server", "conversation", converse(&mut ws, head.headers()))?,
            "/updateReports" => {
                _ = close(&mut ws, Some(1000), "");
                return Ok(());
            }
            _ => {}
        }
    }
}

/// The 101, with the subprotocol `superchat` for those who ask for it; 403 for `/refused`.
fn answer(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() == "/refused" {
        let mut refusal = ErrorResponse::new(Some("not here\n".into()));
        *refusal.status_mut() = tungstenite::http::StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    if request.headers().get("Sec-WebSocket-Protocol").is_some_and(|asked| asked == "superchat") {
        response
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", HeaderValue::from_static("superchat"));
    }
    Ok(response)
}

/// The N of `/runCase?case=N&agent=ws101`.
fn case_number(uri: &Uri) -> usize {
    let query = uri.query().unwrap_or_default();
    let number = query.split('&').find_map(|pair| pair.strip_prefix("case="));
    number.and_then(|digits| digits.parse().ok()).expect("/runCase has ?case=N")
}

// ---- both ----

fn limit_waiting(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

fn report(role: &str, exercise: &str, outcome: Result<(), Trouble>) -> io::Result<()> {
    let verdict = match outcome {
        Ok(()) => "ok".to_owned(),
        Err(Trouble::Cannot(why)) => format!("cannot: {why}"),
        Err(Trouble::Wrong(why)) => format!("FAILED: {}", why.replace(char::is_whitespace, " ")),
    };
    say(&format!("{PEER}\t{role}\t{exercise}\t{verdict}"))
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
