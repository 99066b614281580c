//! Compression (permessage-deflate, RFC 7692): a page of JSON, sent both ways, and what it saves.
//!
//! run: cargo run --example 12_compressed --features deflate
//! expect: a page of JSON, 11003 bytes, sent and echoed three times:
//! expect: as it is            33041 bytes to the server
//! expect: each by itself
//! expect: with takeover
//! next: src/lib.rs, where the reading order of the library stands
//!
//! With context takeover a message may repeat what those before it said. That is what helps an
//! application whose messages resemble each other, and what costs memory in between. Before you ask
//! for it in one of your own, read what `DeflateConfig` says about secrets.

use std::thread;
use std::time::Duration;

use ws101::{Client, DeflateConfig, Result, Server};

fn main() -> Result<()> {
    env_logger::init();
    let page = page();
    println!("a page of JSON, {} bytes, sent and echoed three times:", page.len());
    println!("as it is            {}", measure(&page, None)?);
    let by_itself = DeflateConfig {
        server_no_context_takeover: true,
        client_no_context_takeover: true,
        ..DeflateConfig::default()
    };
    println!("each by itself      {}", measure(&page, Some(by_itself))?);
    println!("with takeover       {}", measure(&page, Some(DeflateConfig::default()))?);
    Ok(())
}

/// Sends the page three times to a server that echoes, and tells what went over the wire.
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
    // When the server has ended, it has counted everything.
    handle.stop(Duration::from_secs(5));
    serving.join().expect("the server ends well")?;
    let counted = handle.counters();
    Ok(format!("{:5} bytes to the server, {:5} back", counted.bytes_in, counted.bytes_out))
}

/// What an API may answer: the stations of a railway line, with the trains that call there.
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
