//! A page, served to a learner's browser, that talks to the learner's server.
//!
//! The page's origin is another port of this machine. A server that accepts only pages of its own
//! host therefore has to compare the host without the port.

use ws101::{Response, Server};

use crate::ctrl_c;

const PAGE: &str = include_str!("../course/page.html");
const ADDRESS: &str = "127.0.0.1:9002";

/// Serves until Ctrl-C, and returns early only if it can't.
pub fn serve(url: &str) -> Result<(), String> {
    let server = Server::bind(ADDRESS).or_else(|_| Server::bind("127.0.0.1:0"));
    let server = server.map_err(|error| format!("{ADDRESS}: {error}"))?;
    let server = server.http(|_| Some(Response::html(PAGE)));
    let address = server.local_addr().map_err(|error| error.to_string())?;
    ctrl_c::stops(server.handle());
    println!("open http://{address}/?url={}", in_query(url));
    println!("Ctrl-C ends it");
    // This address serves only the page, and has no WebSocket.
    server.serve(|_| Ok(())).map_err(|error| error.to_string())
}

/// Encodes what would end a value in a query, or have another meaning there, such as a `&` in the
/// URL's own query.
fn in_query(url: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:/?=[]@".contains(&byte);
    let encoded = url.bytes().map(|byte| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::in_query;

    #[test]
    fn the_page_gets_the_whole_address_with_its_query() {
        assert_eq!(in_query("ws://[::1]:9001/chat"), "ws://[::1]:9001/chat");
        assert_eq!(in_query("ws://a/?b=1&c=x+y%20z"), "ws://a/?b=1%26c=x%2By%2520z");
    }
}
