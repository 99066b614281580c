//! ws-tool and rust-websocket, both blocking.

use std::net::TcpListener;
use std::thread;

use websocket::{ClientBuilder, Message, OwnedMessage};
use ws_tool::codec::{FrameCodec, default_handshake_handler};
use ws_tool::frame::OpCode;
use ws_tool::{ClientBuilder as WsToolClient, ServerBuilder};

use crate::Failed;

fn echo_ws_tool<S: std::io::Read + std::io::Write>(mut ws: FrameCodec<S>) {
    while let Ok((header, data)) = ws.receive() {
        let (code, data) = (header.code, data.to_vec());
        let done = match code {
            OpCode::Text | OpCode::Binary => ws.send(code, &data),
            OpCode::Ping => ws.send(OpCode::Pong, &data),
            OpCode::Close => {
                let _ = ws.send(OpCode::Close, &data);
                break;
            }
            _ => Ok(()),
        };
        if done.is_err() || ws.flush().is_err() {
            break;
        }
    }
}

pub fn serve_ws_tool(address: &str) -> Result<(), Failed> {
    for stream in TcpListener::bind(address)?.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            let accepted =
                ServerBuilder::accept(stream, default_handshake_handler, FrameCodec::factory);
            if let Ok(ws) = accepted {
                echo_ws_tool(ws);
            }
        });
    }
    Ok(())
}

pub fn connect_ws_tool(url: &str) -> Result<(), Failed> {
    let host = url.trim_start_matches("ws://").trim_end_matches('/');
    let stream = std::net::TcpStream::connect(host)?;
    let ws = WsToolClient::new()
        .with_stream(url.parse().map_err(|_| "no URL")?, stream, FrameCodec::check_fn)
        .map_err(|error| error.to_string())?;
    echo_ws_tool(ws);
    Ok(())
}

pub fn serve_rust_websocket(address: &str) -> Result<(), Failed> {
    for request in websocket::sync::Server::bind(address)?.filter_map(Result::ok) {
        thread::spawn(|| {
            let Ok(client) = request.accept() else { return };
            let Ok((mut receiver, mut sender)) = client.split() else { return };
            for message in receiver.incoming_messages() {
                let answer = match message {
                    Ok(OwnedMessage::Close(_)) => OwnedMessage::Close(None),
                    Ok(OwnedMessage::Ping(payload)) => OwnedMessage::Pong(payload),
                    Ok(OwnedMessage::Pong(_)) => continue,
                    Ok(message) => message,
                    Err(_) => break,
                };
                let is_close = answer.is_close();
                if sender.send_message(&answer).is_err() || is_close {
                    break;
                }
            }
        });
    }
    Ok(())
}

pub fn connect_rust_websocket(url: &str) -> Result<(), Failed> {
    let mut client = ClientBuilder::new(url)?.connect_insecure()?;
    loop {
        match client.recv_message()? {
            OwnedMessage::Close(_) => {
                client.send_message(&Message::close())?;
                return Ok(());
            }
            OwnedMessage::Ping(payload) => client.send_message(&Message::pong(payload))?,
            OwnedMessage::Pong(_) => {}
            message => client.send_message(&message)?,
        }
    }
}
