//! The Rust peers of the matrix, each as its docs or examples show an echo.
//!
//! ```text
//! ws101-matrix server NAME 127.0.0.1:PORT
//! ws101-matrix client NAME ws://127.0.0.1:PORT/
//! ```

mod fast;
mod others;
mod tungstenites;

use std::process::ExitCode;

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["server", "tungstenite", address] => tungstenites::serve(address),
        ["client", "tungstenite", url] => tungstenites::connect(url),
        ["server", "tokio-tungstenite", address] => tungstenites::serve_async(address),
        ["client", "tokio-tungstenite", url] => tungstenites::connect_async(url),
        ["server", "fastwebsockets", address] => fast::serve(address),
        ["client", "fastwebsockets", url] => fast::connect(url),
        ["server", "ws-tool", address] => others::serve_ws_tool(address),
        ["client", "ws-tool", url] => others::connect_ws_tool(url),
        ["server", "rust-websocket", address] => others::serve_rust_websocket(address),
        ["client", "rust-websocket", url] => others::connect_rust_websocket(url),
        _ => Err("server|client NAME ADDRESS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
