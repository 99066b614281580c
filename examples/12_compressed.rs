//! Compression (permessage-deflate, RFC 7692): the example sends a page of JSON in both directions,
//! and prints how many bytes this takes without compression and with it.
//!
//! run: cargo run --example 12_compressed --features deflate
//! expect: a page of JSON, 11003 bytes, sent and echoed three times:
//! expect: uncompressed        33041 bytes to the server
//! expect: without takeover
//! expect: with takeover
//! next: 13_stay_connected, a client that comes back
//!
//! With context takeover, a message may refer to the messages before it. That saves bytes if
//! messages resemble each other, and costs memory, because each connection keeps its window. Before
//! you use compression in your program, read what `DeflateConfig` says about secrets.

#[path = "shared/help.rs"]
mod help;

use std::thread;
use std::time::Duration;

use ws101::{Client, DeflateConfig, Result, Server};

fn main() -> Result<()> {
    help::print_if_asked(include_str!("12_compressed.rs"));
    env_logger::init();
    let page = page();
    println!("a page of JSON, {} bytes, sent and echoed three times:", page.len());
    println!("uncompressed        {}", measure(&page, None)?);
    let without_takeover = DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateConfig::default()
    };
    println!("without takeover    {}", measure(&page, Some(without_takeover))?);
    println!("with takeover       {}", measure(&page, Some(DeflateConfig::default()))?);
    Ok(())
}

/// Sends the page three times to an echo server. Returns a text that says how many bytes went over
/// the wire in each direction.
fn measure(page: &str, deflate: Option<DeflateConfig>) -> Result<String> {
    let mut server = Server::bind("127.0.0.1:0")?;
    let mut client = Client::new(format!("ws://{}", server.local_addr()?));
    if let Some(settings) = deflate {
        server = server.deflate(settings);
        client = client.deflate(settings);
    }
    let handle = server.handle();
    let serving = thread::spawn(move || {
        server.serve(|mut ws| {
            while let Some(message) = ws.recv()? {
                ws.send(message)?;
            }
            Ok(())
        })
    });

    let mut ws = client.connect()?;
    for _ in 0..3 {
        ws.send(page)?;
        let echo = ws.recv()?.expect("an echo");
        assert_eq!(echo.as_text(), Some(page));
    }
    ws.close(1000, "")?;
    // The counters are complete only after the server has stopped.
    handle.stop(Duration::from_secs(5));
    serving.join().expect("the server stops")?;
    let counted = handle.counters();
    Ok(format!("{:5} bytes to the server, {:5} back", counted.bytes_in, counted.bytes_out))
}

/// Returns JSON as a web API might: the stations of a railway line, with their departures.
fn page() -> String {
    let names = ["Abbey Road", "Bank", "Canary Wharf", "Deptford Bridge", "East India"];
    let station = |i: usize| {
        let name = names[i % names.len()];
        let minutes: Vec<_> = (0..4).map(|train| (i * 7 + train * 13) % 60).collect();
        format!(
            r#"{{"id":{},"name":"{name} {i}","latitude":{:.4},"longitude":{:.4},"step_free":{},"departures":{minutes:?}}}"#,
            9400 + i * 37,
            51.5 + (i * i % 97) as f64 / 1000.0,
            -0.02 - (i * 31 % 89) as f64 / 1000.0,
            i.is_multiple_of(3),
        )
    };
    let stations: Vec<_> = (0..90).map(station).collect();
    format!(r#"{{"line":"docklands","stations":[{}]}}"#, stations.join(","))
}
