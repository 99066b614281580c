//! The decisions of the handshake, each as the answer that a peer gets.
//!
//! The server answers every request: with the 101, a page, or a refusal. A refusal is plain text of
//! the announced length, with the rule, what was seen, the cause and the fix; after it the stream
//! ends without a reset. [`read_refusal`] checks this for each refusal in this file.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use ws101::diagnostic::misuse::Misuse;
use ws101::{Error, Limits, Refusal, Response, Server};

use crate::support::{
    self, Frame, LINES, PATIENCE, Peer, Running, accept_of, echo, echo_handler, head, in_memory,
    masked, request, serve,
};

/// "Hello" as a client sends it, and as it comes back (§5.7).
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const HELLO_BACK: &[u8] = b"\x81\x05Hello";

/// What is asked and refused, and what the refusal must say.
type Row<'a> = (String, &'a [&'a str]);

/// A good request, but for one header, which is left out, and these lines in its place.
fn with(header: &str, lines: &[&str]) -> String {
    let is_other = |line: &&&str| line.split(':').next() != Some(header);
    let others: Vec<&str> = LINES.iter().filter(is_other).copied().collect();
    assert_eq!(others.len(), LINES.len() - 1, "{header} is one of the lines");
    head("GET / HTTP/1.1", &[&others, lines].concat())
}

/// The 101 to the key of `LINES`, byte for byte. Whatever a client sends, nothing else may be in it.
fn switching(subprotocol: Option<&str>) -> String {
    let mut lines = vec![
        "Upgrade: websocket".to_owned(),
        "Connection: Upgrade".to_owned(),
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
    ];
    lines.extend(subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    head("HTTP/1.1 101 Switching Protocols", &lines)
}

/// Sends a request that must open a WebSocket. The head of the answer.
#[track_caller]
fn opens(server: &Running, request: &str) -> String {
    let mut peer = server.dial();
    peer.write(request);
    let response = peer.read_response();
    assert_eq!(response.status, 101, "{request}\n{}", response.body);
    response.head
}

/// Sends a request that must be refused with this status, in a text that says these things.
#[track_caller]
fn refuses(
    server: &Running,
    request: impl AsRef<[u8]>,
    status: u16,
    says: &[&str],
) -> support::Response {
    let mut peer = server.dial();
    peer.write(&request);
    let refusal = read_refusal(&mut peer);
    let request = request.as_ref().escape_ascii();
    assert_eq!(refusal.status, status, "{request}\n{}", refusal.body);
    for part in says {
        assert!(refusal.body.contains(part), "{part:?} to {request}\n{}", refusal.body);
    }
    refusal
}

/// Reads a refusal and the end of the stream behind it.
#[track_caller]
fn read_refusal(peer: &mut Peer) -> support::Response {
    let refusal = read_last_words(peer);
    assert!((400..600).contains(&refusal.status), "{refusal:?}");
    assert_eq!(refusal.header("content-type"), Some("text/plain; charset=utf-8"));
    // No browser takes what we quote for a page or a script.
    assert_eq!(refusal.header("x-content-type-options"), Some("nosniff"));
    for part in ["seen: ", "usual cause: ", "fix: "] {
        assert!(refusal.body.contains(part), "no {part:?} in {}", refusal.body);
    }
    refusal
}

/// Reads a response in plain HTTP, behind which the connection must be closed.
#[track_caller]
fn read_last_words(peer: &mut Peer) -> support::Response {
    let response = peer.read_response();
    // RFC 9112 §9.6: whoever closes behind a response says so.
    let connection = response.header("connection").unwrap_or_default();
    assert!(connection.split(", ").any(|token| token == "close"), "{response:?}");
    // The length was right if the stream ends here.
    peer.read_end();
    response
}

/// A peer whose WebSocket works.
#[track_caller]
fn is_echoed(peer: &mut Peer) {
    peer.write(HELLO);
    assert_eq!(peer.read_frame(), Frame { first: 0x81, payload: b"Hello".into() });
}

// Plain HTTP.

#[test]
fn server_answers_a_request_for_no_websocket_with_426() {
    let server = echo();
    for request in [
        head("GET / HTTP/1.1", &["Host: 127.0.0.1", "User-Agent: curl/8.5.0", "Accept: */*"]),
        // RFC 9110 §7.8: an upgrade to something else may be ignored.
        with("Upgrade", &["Upgrade: h2c"]),
        with("Upgrade", &["Upgrade: foo"]),
        with("Upgrade", &["Upgrade: websockets"]),
        with("Upgrade", &["Upgrade: web", "Upgrade: socket"]),
        with("Upgrade", &["Upgrade:"]),
        with("Upgrade", &[]),
    ] {
        let refusal = refuses(&server, request, 426, &["WebSocket client", "Upgrade", "nginx"]);
        // RFC 9110 §15.5.22: a 426 names the protocol that it wants.
        assert_eq!(refusal.header("upgrade"), Some("websocket"));
        assert_eq!(refusal.header("connection"), Some("upgrade, close"));
        assert_eq!(refusal.header("sec-websocket-version"), Some("13"));
    }
}

#[test]
fn server_serves_pages_to_those_who_ask_for_no_websocket() {
    let page = |request: &ws101::Request| {
        let query = request.query().unwrap_or("none");
        let page = Response::html("<h1>Hello</h1>").header("X-Query", query);
        (request.path() == "/page").then_some(page)
    };
    let server = serve(|server| server.http(page), echo_handler);
    for request in [
        head("GET /page?a=b HTTP/1.1", &["Host: a"]),
        head("GET /page?a=b HTTP/1.1", &["Host: a", "Upgrade: h2c", "Connection: Upgrade"]),
    ] {
        let mut peer = server.dial();
        peer.write(request);
        let response = read_last_words(&mut peer);
        assert_eq!((response.status, response.body.as_str()), (200, "<h1>Hello</h1>"));
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.header("x-query"), Some("a=b"));
    }
    is_echoed(&mut server.open());
    refuses(&server, head("GET /other HTTP/1.1", &["Host: a"]), 404, &["\"/other\""]);
    refuses(&server, head("GET /page HTTP/1.1", &[]), 400, &["Host"]);
    refuses(&server, head("GET /page HTTP/1.1", &["Host: a", "Content-Length: 1"]), 400, &[]);
}

#[test]
fn server_asks_its_http_handler_whatever_the_method_and_the_version() {
    let page = |request: &ws101::Request| {
        let asked = format!("{} {}", request.method(), request.version());
        matches!(request.path(), "/" | "*")
            .then(|| Response::text("Hello").header("X-Asked", &asked))
    };
    let server = serve(|server| server.http(page).paths(["/chat"]), echo_handler);
    for (line, lines) in [
        ("GET / HTTP/1.1", &["Host: a"][..]),
        ("HEAD / HTTP/1.1", &["Host: a"]),
        ("OPTIONS / HTTP/1.1", &["Host: a"]),
        ("OPTIONS * HTTP/1.1", &["Host: a"]),
        ("POST / HTTP/1.1", &["Host: a", "Content-Length: 5"]),
        ("POST / HTTP/1.1", &["Host: a", "Transfer-Encoding: chunked"]),
        ("DELETE / HTTP/1.1", &["Host: a"]),
        ("GET / HTTP/1.0", &[]),
        ("HEAD / HTTP/1.0", &["Host: a"]),
        // `option httpchk` of haproxy, with nothing else said.
        ("OPTIONS / HTTP/1.0", &[]),
    ] {
        let mut peer = server.dial();
        peer.write(head(line, lines));
        let answer = read_all(&mut peer);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{line}: {answer}");
        let [method, _, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        assert!(answer.contains(&format!("\r\nX-Asked: {method} {version}\r\n")), "{answer}");
        // RFC 9110 §9.3.2: HEAD is GET without the body, whose length is told all the same.
        let body = if method == "HEAD" { "" } else { "Hello" };
        assert!(answer.contains("\r\nContent-Length: 5\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
    }
    for (line, status) in [
        ("GET /other HTTP/1.1", 404),
        ("POST /other HTTP/1.0", 404),
        ("GET /chat HTTP/1.1", 426),
        ("POST /chat HTTP/1.1", 405),
        // A tunnel is for a proxy to open.
        ("CONNECT a:80 HTTP/1.1", 405),
    ] {
        refuses(&server, head(line, &["Host: a"]), status, &[]);
    }
    let mut peer = server.dial();
    peer.write(head("HEAD /other HTTP/1.1", &["Host: a"]));
    let answer = read_all(&mut peer);
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    // A head that is refused before all of it is understood begins with its method.
    let many_lines = head("HEAD / HTTP/1.1", &["a: b"; 101]);
    for (bad, status) in
        [("HEAD / HTTP/2.0\r\n\r\n", 505), ("\r\nHEAD / HTTP/2.0\r\n\r\n", 505), (&many_lines, 431)]
    {
        let mut peer = server.dial();
        peer.write(bad);
        let answer = read_all(&mut peer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
    // What asks for a WebSocket, asks with a GET of HTTP/1.1.
    refuses(&server, request(&[]).replace("GET / ", "POST /chat "), 405, &[]);
    refuses(&server, request(&[]).replace(" / HTTP/1.1", " /chat HTTP/1.0"), 505, &["nginx"]);
}

/// All that comes until the stream ends.
fn read_all(peer: &mut Peer) -> String {
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut peer.stream, &mut answer).expect("an end, not a reset");
    answer
}

#[test]
fn server_says_in_each_page_and_refusal_what_time_it_is() {
    let page = |request: &ws101::Request| match request.path() {
        "/page" => Some(Response::text("Hello")),
        "/old" => Some(Response::text("Hello").header("Date", "Sun, 06 Nov 1994 08:49:37 GMT")),
        _ => None,
    };
    let server = serve(|server| server.http(page), echo_handler);
    for path in ["/page", "/other"] {
        let mut peer = server.dial();
        peer.write(head(&format!("GET {path} HTTP/1.1"), &["Host: a"]));
        let response = read_last_words(&mut peer);
        // RFC 9110 §6.6.1, §5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
        let date = response.header("date").unwrap_or_else(|| panic!("{response:?}"));
        let words: Vec<&str> = date.split(' ').collect();
        let [day, _, month, year, time, "GMT"] = words[..] else { panic!("{date}") };
        assert!(day.len() == 4 && day.ends_with(',') && month.len() == 3, "{date}");
        assert!(year.parse::<u32>().unwrap() >= 2025 && time.len() == 8, "{date}");
    }
    let mut peer = server.dial();
    peer.write(head("GET /old HTTP/1.1", &["Host: a"]));
    let response = read_last_words(&mut peer);
    assert_eq!(response.head.to_ascii_lowercase().matches("\r\ndate:").count(), 1);
    assert_eq!(response.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[test]
fn server_passes_over_one_empty_line_in_front_of_a_request() {
    let server = echo();
    let mut peer = server.dial();
    // RFC 9112 §2.2.
    peer.write(format!("\r\n{}", request(&[])));
    assert_eq!(peer.read_response().head, switching(None));
    is_echoed(&mut peer);
    refuses(&server, format!("\r\n\r\n{}", request(&[])), 400, &["\"\""]);
}

#[test]
fn server_on_loopback_answers_for_names_of_this_machine_alone_unless_told_otherwise() {
    let bind = |configure: fn(Server) -> Server| {
        let server = configure(Server::bind("127.0.0.1:0").unwrap());
        let address = server.local_addr().unwrap();
        let handle = server.handle();
        let serving = std::thread::spawn(move || server.serve(echo_handler));
        (address, handle, serving)
    };
    let ask = |address: std::net::SocketAddr, host: &str, origin: Option<&str>| {
        let mut peer = Peer::new(std::net::TcpStream::connect(address).unwrap());
        let mut lines = vec![format!("Host: {host}")];
        lines.extend(origin.map(|origin| format!("Origin: {origin}")));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        peer.write(with("Host", &lines));
        peer.read_response()
    };
    let (address, handle, serving) = bind(|server| server);
    let port = address.port();
    for host in ["127.0.0.1", "localhost", "[::1]", "127.0.0.2", "app.localhost", "LOCALHOST."] {
        assert_eq!(ask(address, &format!("{host}:{port}"), None).status, 101, "{host}");
        let origin = format!("http://{host}:{port}");
        assert_eq!(ask(address, &format!("{host}:{port}"), Some(&origin)).status, 101, "{host}");
    }
    // DNS rebinding: the attacker's own name leads here, and page and host agree on it.
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"] {
        let host = format!("{host}:{port}");
        let refused = ask(address, &host, Some(&format!("http://{host}")));
        assert_eq!(refused.status, 421, "{refused:?}");
        assert!(refused.body.contains("localhost and loopback addresses"), "{refused:?}");
        assert!(refused.body.contains("`hosts`"), "{refused:?}");
    }
    let origin = format!("http://evil.example:{port}");
    assert_eq!(ask(address, &format!("localhost:{port}"), Some(&origin)).status, 403);
    handle.stop(Duration::ZERO);
    serving.join().unwrap().unwrap();
    for configure in [(|server| server.hosts(["*"])) as fn(Server) -> Server, |server| {
        server.hosts(["proxied.example"])
    }] {
        let (address, handle, serving) = bind(configure);
        assert_eq!(ask(address, "proxied.example", None).status, 101);
        handle.stop(Duration::ZERO);
        serving.join().unwrap().unwrap();
    }
    // A server that other machines reach has names of which it knows nothing.
    let server = Server::bind("0.0.0.0:0").unwrap();
    let (port, handle) = (server.local_addr().unwrap().port(), server.handle());
    let serving = std::thread::spawn(move || server.serve(echo_handler));
    assert_eq!(ask(([127, 0, 0, 1], port).into(), "any.example", None).status, 101);
    handle.stop(Duration::ZERO);
    serving.join().unwrap().unwrap();
}

#[test]
fn a_server_on_a_mapped_loopback_address_refuses_other_hosts() {
    let server = match Server::bind("[::ffff:127.0.0.1]:0") {
        Ok(server) => server,
        // The unit test of the listener's address needs no IPv6.
        Err(error) => return println!("not tested, because there's no IPv6 here: {error}"),
    };
    let server = server.spawn(echo_handler).unwrap();
    let port = server.local_addr().port();
    for (host, status) in
        [("evil.example", 421), ("localhost", 101), ("127.0.0.1", 101), ("[::ffff:127.0.0.1]", 101)]
    {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut peer = Peer::new(stream);
        peer.write(with("Host", &[&format!("Host: {host}:{port}")]));
        assert_eq!(peer.read_response().status, status, "{host}");
    }
    server.stop(Duration::ZERO).unwrap();
}

#[test]
fn a_server_whose_settings_can_never_match_does_not_begin_to_serve() {
    for configure in [
        (|server| server.origins(["https://a/"])) as fn(Server) -> Server,
        |server| server.paths(["chat"]),
        |server| server.hosts(["http://a"]),
    ] {
        let server = configure(Server::bind("127.0.0.1:0").unwrap());
        let refused = server.serve(echo_handler);
        assert!(matches!(refused, Err(Error::Misuse(_))), "{refused:?}");
    }
}

#[test]
fn server_refuses_a_method_other_than_get_with_405() {
    let server = echo();
    // RFC 9110 §9.1: methods are case-sensitive.
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "GETS"] {
        let request = head(&format!("{method} / HTTP/1.1"), &LINES);
        // §4.1: the method is GET.
        let refusal = refuses(&server, request, 405, &[&format!("{method:?}"), "Use GET"]);
        // RFC 9110 §15.5.6: a 405 lists the methods that there are.
        assert_eq!(refusal.header("allow"), Some("GET"));
    }
}

#[test]
fn server_refuses_another_version_of_http_with_505() {
    let server = echo();
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0"] {
        // §4.1: HTTP/1.1 at least.
        let request = head(&format!("GET / {version}"), &LINES);
        refuses(&server, request, 505, &[&format!("{version:?}"), "proxy_http_version 1.1"]);
    }
    // What a client of HTTP/2 says first where it takes the server to know it.
    refuses(&server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, &["\"HTTP/2.0\"", "uses HTTP/2"]);
}

// Who is asked: `Host` and target.

#[test]
fn server_refuses_a_request_without_exactly_one_good_host_with_400() {
    let server = echo();
    // RFC 9112 §3.2: one Host, and a valid one.
    let rows: [Row; 12] = [
        (with("Host", &[]), &["none"]),
        (with("Host", &["Host: a", "Host: a"]), &["\"a\" and \"a\""]),
        (with("Host", &["Host: a", "host: b"]), &["\"a\" and \"b\""]),
        (with("Host", &["Host: ]"]), &["\"]\""]),
        (with("Host", &["Host:"]), &["\"\""]),
        (with("Host", &["Host: a b"]), &["\"a b\""]),
        (with("Host", &["Host: user@a"]), &["\"user@a\""]),
        (with("Host", &["Host: a:65536"]), &["\"a:65536\""]),
        (with("Host", &["Host: [::1"]), &["\"[::1\""]),
        (with("Host", &["Host: http://a"]), &["\"http://a\""]),
        (with("Host", &["Host: caf\u{e9}"]), &["\"caf\u{e9}\""]),
        (with("Host", &["Host: [1:2]"]), &["\"[1:2]\""]),
    ];
    for (request, says) in rows {
        refuses(&server, &request, 400, &[says, &["exactly one Host"]].concat());
    }
    let absolute = with("Host", &[]).replacen('/', "ws://a/", 1);
    refuses(&server, absolute, 400, &["exactly one Host"]);
}

#[test]
fn server_refuses_a_host_that_is_not_listed_with_421() {
    let server = serve(|server| server.hosts(&["example.com:8080", "localhost"]), echo_handler);
    for host in ["example.com:8080", "EXAMPLE.com:8080", "localhost", "localhost:1"] {
        opens(&server, &with("Host", &[&format!("Host: {host}")]));
    }
    for host in ["example.com", "example.com:80", "localhost.evil.example", "a-localhost", "[::1]"]
    {
        let says = [&format!("{host:?}"), "example.com:8080, localhost", "`hosts`"];
        let line = format!("Host: {host}");
        refuses(&server, with("Host", &[&line]), 421, &says);
        // A page, too, is not for whoever comes by another name (DNS rebinding).
        refuses(&server, head("GET / HTTP/1.1", &[&line]), 421, &says);
    }
}

#[test]
fn server_accepts_the_absolute_request_of_a_course_page_byte_for_byte() {
    let server = echo();
    let mut peer = server.dial();
    peer.write(
        "GET ws://example.com:8080/ HTTP/1.1\r\n\
         Host: localhost:8080\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: q4xkcO32u266gldTuKaSOw==\r\n\r\n",
    );
    let expected =
        switching(None).replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "fA9dggdnMPU79lJgAE3W4TRnyDM=");
    assert_eq!(peer.read_response().head, expected);
    is_echoed(&mut peer);
}

#[test]
fn server_takes_the_host_from_an_absolute_target() {
    // RFC 9112 §3.2.2: a Host beside an absolute target is ignored.
    let absolute = |target: &str, lines: &[&str]| {
        with("Host", &[&["Host: localhost:8080"], lines].concat()).replacen('/', target, 1)
    };
    let server = serve(|server| server.hosts(["example.com"]).paths(["/", "/chat"]), echo_handler);
    for target in [
        "ws://example.com/",
        "wss://example.com",
        "http://EXAMPLE.com:80/chat",
        "HTTPS://example.com/chat?room=1",
        "ws://example.com?room=1",
    ] {
        opens(&server, &absolute(target, &[]));
    }
    refuses(&server, absolute("/", &[]), 421, &["localhost:8080"]);
    refuses(&server, absolute("ws://localhost:8080/", &[]), 421, &["localhost:8080"]);
    refuses(&server, absolute("ws://example.com/other", &[]), 404, &["/other"]);
    let from = |origin: &str| absolute("ws://example.com:81/", &[&format!("Origin: {origin}")]);
    opens(&server, &from("http://example.com:81"));
    refuses(&server, from("http://localhost:8080"), 403, &["example.com:81"]);
}

#[test]
fn server_refuses_a_target_that_is_neither_a_path_nor_an_address_with_400() {
    let server = echo();
    for target in
        ["chat", "*", "?a", "ftp://a/", "ws://", "ws:///x", "ws://user@a/", "ws://a:b/", "a:80"]
    {
        // RFC 9112 §3.2: origin-form or absolute-form.
        let request = head(&format!("GET {target} HTTP/1.1"), &LINES);
        refuses(&server, request, 400, &[&format!("{target:?}")]);
    }
    // §3: no fragment. RFC 3986 §2: ASCII.
    for (target, seen) in [("/#a", "\"/#a\""), ("/caf\u{e9}", "\"/caf\u{e9}\"")] {
        let request = head(&format!("GET {target} HTTP/1.1"), &LINES);
        refuses(&server, request, 400, &[seen, "%23"]);
    }
}

#[test]
fn server_refuses_a_first_line_that_is_no_request_with_400() {
    let server = echo();
    for line in [
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.1.1",
        "GET /a b HTTP/1.1",
        "SSH-2.0-OpenSSH_9.6",
    ] {
        // RFC 9112 §3: method, target and version, one space in between.
        refuses(&server, head(line, &LINES), 400, &[&format!("{line:?}"), "GET /path HTTP/1.1"]);
    }
}

// What must be in the request (§4.2.1).

#[test]
fn server_reads_upgrade_and_connection_as_lists_of_tokens_in_any_case() {
    let server = echo();
    let names_in_lower_case = LINES.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        format!("{}:{value}", name.to_ascii_lowercase())
    });
    let names_in_lower_case = names_in_lower_case.each_ref().map(String::as_str);
    // §4.2.1: "websocket" and "Upgrade" in any case. RFC 9110 §5.6.1: empty elements are ignored.
    for request in [
        head("GET / HTTP/1.1", &names_in_lower_case),
        with("Connection", &["Connection: keep-alive, Upgrade"]),
        with("Connection", &["connection: keep-alive, UPGRADE"]),
        with("Connection", &["Connection: keep-alive", "Connection: upgrade"]),
        with("Connection", &["Connection: ,keep-alive\t,\t upgrade\t,"]),
        with("Upgrade", &["UPGRADE: WebSocket"]),
        with("Upgrade", &["Upgrade: h2c, websocket"]),
        with("Upgrade", &["Upgrade: h2c", "Upgrade: websocket"]),
        with("Upgrade", &["Upgrade:\t websocket \t"]),
    ] {
        assert_eq!(opens(&server, &request), switching(None));
    }
}

#[test]
fn server_refuses_an_upgrade_that_connection_does_not_list_with_400() {
    let server = echo();
    // §4.2.1: the token is there, as a whole.
    for (lines, seen) in [
        (&[][..], "none"),
        (&["Connection: notupgrade"], "\"notupgrade\""),
        (&["Connection: upgrade-insecure"], "\"upgrade-insecure\""),
        (&["Connection: up", "Connection: grade"], "\"up\" and \"grade\""),
        (&["Connection: keep-alive"], "\"keep-alive\""),
        (&["Connection: \"upgrade\""], r#""\"upgrade\"""#),
    ] {
        refuses(&server, with("Connection", lines), 400, &[seen, "proxy_set_header Connection"]);
    }
}

#[test]
fn server_refuses_a_version_other_than_13_with_426_and_13() {
    let server = echo();
    // §4.2.1: 13. §4.2.2, §4.4: any other is answered with what there is.
    for (lines, seen) in [
        (&[][..], "none"),
        (&["Sec-WebSocket-Version: 8"], "\"8\""),
        (&["Sec-WebSocket-Version: 777"], "\"777\""),
        (&["Sec-WebSocket-Version: 8, 13"], "\"8, 13\""),
        (&["Sec-WebSocket-Version: 13", "sec-websocket-version: 13"], "\"13\" and \"13\""),
        (&["Sec-WebSocket-Version: 013"], "\"013\""),
        (&["Sec-WebSocket-Version: +13"], "\"+13\""),
        (&["Sec-WebSocket-Version:"], "\"\""),
    ] {
        let says = [seen, "Send `Sec-WebSocket-Version: 13`"];
        let refusal = refuses(&server, with("Sec-WebSocket-Version", lines), 426, &says);
        assert_eq!(refusal.header("sec-websocket-version"), Some("13"));
        assert_eq!(refusal.header("upgrade"), Some("websocket"));
    }
}

#[test]
fn server_tells_a_client_of_the_2010_draft_what_it_speaks_and_what_to_speak() {
    // draft-hixie-thewebsocketprotocol-76 §1.2, with the eight bytes behind its head.
    let request = head(
        "GET /demo HTTP/1.1",
        &[
            "Host: example.com",
            "Connection: Upgrade",
            "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00",
            "Sec-WebSocket-Protocol: sample",
            "Upgrade: WebSocket",
            "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5",
            "Origin: http://example.com",
        ],
    ) + "^n:ds[4U";
    let says = ["2010", "Sec-WebSocket-Key1", "Sec-WebSocket-Version: 13", "RFC 6455"];
    let refusal = refuses(&echo(), request, 426, &says);
    assert_eq!(refusal.header("sec-websocket-version"), Some("13"));
}

#[test]
fn server_refuses_a_key_that_is_not_16_bytes_with_400_and_their_number() {
    let server = echo();
    for length in [0, 1, 15, 17, 18, 23, 24, 25, 32, 64, 4096] {
        // §4.2.1: 16 bytes when decoded.
        let key = format!("Sec-WebSocket-Key: {}", BASE64_STANDARD.encode(vec![7; length]));
        let says = [&format!("base64 of {length} bytes"), "16 random bytes"];
        let refusal = refuses(&server, with("Sec-WebSocket-Key", &[&key]), 400, &says);
        assert!(refusal.body.len() < 1024, "a long key is not quoted whole");
    }
    // A text on the handshake has this one: `my-websocket-key!`.
    let key = "Sec-WebSocket-Key: bXktd2Vic29ja2V0LWtleSE=";
    refuses(&server, with("Sec-WebSocket-Key", &[key]), 400, &["bXktd2Vic29ja2V0LWtleSE=", "17"]);
}

#[test]
fn server_refuses_a_key_missing_twice_or_not_in_base64_with_400() {
    let server = echo();
    let good = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    // §4.2.1: there is a key; §11.3.1: and not a second one.
    for (lines, seen) in [
        (&[][..], "0 keys"),
        (&[good, good], "2 keys"),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], "not base64"),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ_=="], "not base64"),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ=="], "not base64"),
        (&["Sec-WebSocket-Key: caf\u{e9}\"<b>"], "\"caf\u{e9}\\\"<b>\""),
    ] {
        refuses(&server, with("Sec-WebSocket-Key", lines), 400, &[seen, "base64 of 16 bytes"]);
    }
}

#[test]
fn server_accepts_unused_bits_after_the_last_byte_of_a_key() {
    let server = echo();
    for key in ["dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZf=="] {
        let head =
            opens(&server, &with("Sec-WebSocket-Key", &[&format!("Sec-WebSocket-Key: {key}")]));
        // §4.2.2: the answer is to the key as it was sent.
        assert!(head.contains(&format!("\r\nSec-WebSocket-Accept: {}\r\n", accept_of(key))));
    }
}

#[test]
fn server_refuses_whatever_says_that_a_body_follows_with_400() {
    let server = echo();
    opens(&server, &request(&["Content-Length: 0"]));
    for lines in [
        &["Content-Length: 5"][..],
        &["Content-Length: +0"],
        &["Content-Length: -0"],
        &["Content-Length: 00"],
        &["Content-Length: 0x0"],
        &["Content-Length: 0, 0"],
        &["Content-Length:"],
        &["Content-Length: 0", "Content-Length: 0"],
        &["Content-Length: 0", "content-length: 5"],
        &["Content-Length: 18446744073709551616"],
        &["Transfer-Encoding: chunked"],
        &["transfer-encoding: identity"],
        &["Transfer-Encoding:"],
        &["Content-Length: 0", "Transfer-Encoding: chunked"],
        &["Transfer-Encoding\0: chunked"],
        &["Transfer-Encoding : chunked"],
        &["Transfer-Encoding\t: chunked"],
        &["X: a\r\n Transfer-Encoding: chunked"],
    ] {
        // RFC 9112 §11.2: what two readers could understand in two ways is not let pass.
        refuses(&server, request(lines) + "hello", 400, &[]);
        let plain = [&["Host: a"], lines].concat();
        refuses(&server, head("GET / HTTP/1.1", &plain) + "hello", 400, &[]);
    }
}

#[test]
fn server_shows_the_body_header_that_it_refuses() {
    let server = echo();
    for (line, seen) in [
        ("Content-Length: +0", "\"+0\""),
        ("Content-Length: 5", "\"5\""),
        ("Transfer-Encoding: chunked", "\"chunked\""),
    ] {
        refuses(&server, request(&[line]), 400, &[seen]);
    }
}

// Who asks, and for what (§4.2.2).

#[test]
fn server_agrees_on_the_first_subprotocol_of_the_client_that_it_speaks() {
    let server = serve(|server| server.subprotocols(["superchat", "chat"]), echo_handler);
    // §4.2.2: one of those offered, or none; the order is the client's.
    for (lines, agreed) in [
        (&["Sec-WebSocket-Protocol: chat, superchat"][..], Some("chat")),
        (&["Sec-WebSocket-Protocol: superchat,chat"], Some("superchat")),
        (&["Sec-WebSocket-Protocol: soap, chat"], Some("chat")),
        (&["Sec-WebSocket-Protocol: soap", "sec-websocket-protocol: chat"], Some("chat")),
        (&["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: superchat"], Some("chat")),
        (&["Sec-WebSocket-Protocol: soap, v1.x!#$%&'*+-^_`|~"], None),
        // §11.3.4: names are compared as they are, letter case included.
        (&["Sec-WebSocket-Protocol: Chat, SUPERCHAT, chat2"], None),
        (&[], None),
        // Not asked for, not answered.
        (&["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"], None),
    ] {
        assert_eq!(opens(&server, &request(lines)), switching(agreed), "{lines:?}");
    }
    // A server that speaks none agrees on none.
    let offer = request(&["Sec-WebSocket-Protocol: chat"]);
    assert_eq!(opens(&echo(), &offer), switching(None));
}

#[test]
fn server_refuses_malformed_and_repeated_subprotocols_with_400() {
    let server = serve(|server| server.subprotocols(["chat"]), echo_handler);
    let offer = |names: &[u8]| {
        let head = request(&["Sec-WebSocket-Protocol: NAMES"]);
        let (before, after) = head.split_once("NAMES").unwrap();
        [before.as_bytes(), names, after.as_bytes()].concat()
    };
    // §4.1: tokens, each named once.
    let rows: [(&[u8], &str); 11] = [
        // So the 2010 draft had them.
        (b"chat superchat", "\"chat superchat\""),
        (b"chat, chat", "\"chat\""),
        (b"soap, chat, soap", "\"soap\""),
        (b"chat\r\nSec-WebSocket-Protocol: chat", "\"chat\""),
        (b"chat;q=1", "\"chat;q=1\""),
        (b"\"chat\"", r#""\"chat\"""#),
        (b"chat/1", "\"chat/1\""),
        (b"soap\r\nSec-WebSocket-Protocol: a b", "\"a b\""),
        ("caf\u{e9}".as_bytes(), "\"caf\u{e9}\""),
        (b"\xff", "\"\u{ff}\""),
        (b"chat, a\xffb", "\"a\u{ff}b\""),
    ];
    for (names, seen) in rows {
        refuses(&server, offer(names), 400, &[seen, "Subprotocols are tokens"]);
    }
    // A CR can't split the response, since it can't stand in a request.
    refuses(&server, offer(b"a\rb"), 400, &["0x0d", "0x62"]);
}

#[test]
fn server_lets_in_a_page_of_its_own_host_and_programs_without_an_origin() {
    let server = echo();
    opens(&server, &request(&[]));
    for (host, origin) in [
        ("example.com:9001", "http://example.com:9001"),
        ("example.com", "http://EXAMPLE.com"),
        ("EXAMPLE.com", "https://example.com"),
        ("example.com:80", "http://example.com"),
        ("example.com:443", "https://example.com"),
        ("example.com", "http://example.com:80"),
        ("[::1]:9001", "http://[::1]:9001"),
    ] {
        let lines = [format!("Host: {host}"), format!("Origin: {origin}")];
        opens(&server, &with("Host", &lines.each_ref().map(String::as_str)));
    }
}

#[test]
fn server_refuses_a_page_of_another_host_with_403_that_names_both_and_the_option() {
    let server = echo();
    // §10.2: a page that is not ours gets 403.
    for (host, origin) in [
        ("example.com", "http://evil.example"),
        ("example.com", "http://example.com.evil.example"),
        ("example.com", "http://evilexample.com"),
        ("example.com", "http://evil.example/example.com"),
        ("example.com", "http://example.com@evil.example"),
        // What nginx's `$host` makes of example.com:8080.
        ("example.com", "http://example.com:8080"),
        ("example.com:8080", "http://example.com"),
        ("example.com:80", "https://example.com"),
        ("example.com", "ftp://example.com"),
        ("example.com", "example.com"),
        ("example.com", "null"),
        ("null", "null"),
        ("example.com", ""),
        ("example.com", "http://example.com http://example.com"),
    ] {
        let lines = [format!("Host: {host}"), format!("Origin: {origin}")];
        let request = with("Host", &lines.each_ref().map(String::as_str));
        let says = [&format!("{origin:?}"), &*format!("{host:?}"), "`origins`", "$http_host"];
        refuses(&server, request, 403, &says);
    }
    let two = ["Origin: http://127.0.0.1", "Origin: http://127.0.0.1"];
    // RFC 6454 §7.3: one at most.
    refuses(&server, request(&two), 400, &["\"http://127.0.0.1\" and \"http://127.0.0.1\""]);
}

#[test]
fn server_compares_listed_origins_whole() {
    let listed = ["https://dashboard.corp.example", "http://localhost:8080"];
    let server = serve(|server| server.origins(listed), echo_handler);
    let from = |origin: &str| request(&[&format!("Origin: {origin}")]);
    for origin in [
        "https://dashboard.corp.example",
        "HTTPS://Dashboard.Corp.Example:443",
        "http://localhost:8080",
    ] {
        opens(&server, &from(origin));
    }
    opens(&server, &request(&[]));
    for origin in [
        "http://dashboard.corp.example",
        "https://dashboard.corp.example:8443",
        "https://dashboard.corp.example.attacker.example",
        "https://xdashboard.corp.example",
        "https://corp.example",
        "http://localhost",
        "http://localhost:80801",
        "null",
        // The page's own host is not listed either.
        "http://127.0.0.1",
    ] {
        let says = [&format!("{origin:?}"), "dashboard.corp.example, http://localhost:8080"];
        refuses(&server, from(origin), 403, &says);
    }
    let server = serve(|server| server.origins(["null"]), echo_handler);
    opens(&server, &from("null"));
    refuses(&server, from("http://null"), 403, &[]);
    let server = serve(|server| server.origins(["*"]), echo_handler);
    for origin in ["null", "http://evil.example"] {
        opens(&server, &from(origin));
    }
    refuses(&server, request(&["Origin: null", "Origin: null"]), 400, &[]);
    let server = serve(|server| server.origins([""; 0]), echo_handler);
    refuses(&server, from("http://127.0.0.1"), 403, &[]);
}

#[test]
fn server_refuses_a_path_that_is_not_listed_with_404() {
    let server = serve(|server| server.paths(["/chat", "/"]), echo_handler);
    let at = |path: &str| head(&format!("GET {path} HTTP/1.1"), &LINES);
    for path in ["/", "/?a", "/chat", "/chat?room=1"] {
        opens(&server, &at(path));
    }
    for path in ["/Chat", "/chat/", "/chat2", "//chat", "/%63hat", "/x/../chat"] {
        // §4.2.2: a resource that is not there is 404.
        refuses(&server, at(path), 404, &[&format!("{path:?}"), "/chat, /", "`paths`"]);
    }
}

#[test]
fn server_asks_authorize_last_and_answers_with_its_status_and_headers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let authorize = move |request: &ws101::Request| {
        counter.fetch_add(1, SeqCst);
        match request.cookie("token") {
            Some("let-me-in") => Ok(()),
            _ => Err(Refusal::because(401, "Members only.").header("WWW-Authenticate", "Bearer")),
        }
    };
    let configure = |server: Server| server.paths(["/"]).authorize(authorize);
    let server = serve(configure, echo_handler);
    // Whatever else is wrong is told first, and `authorize` is not asked.
    refuses(&server, head("POST / HTTP/1.1", &LINES), 405, &[]);
    refuses(&server, head("GET /x HTTP/1.1", &LINES), 404, &[]);
    refuses(&server, head("GET / HTTP/1.1", &["Host: a"]), 426, &[]);
    refuses(&server, request(&["Origin: http://evil.example"]), 403, &[]);
    refuses(&server, request(&["Sec-WebSocket-Protocol: a b"]), 400, &[]);
    refuses(&server, with("Sec-WebSocket-Key", &[]), 400, &[]);
    assert_eq!(asked.load(SeqCst), 0);
    // Then its word is what counts.
    let mut peer = server.dial();
    peer.write(request(&["Cookie: token=guess"]));
    let response = read_last_words(&mut peer);
    assert_eq!((response.status, asked.load(SeqCst)), (401, 1));
    assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    assert!(response.body.contains("Members only."));
    opens(&server, &request(&["Cookie: a=b; token=let-me-in"]));
    assert_eq!(asked.load(SeqCst), 2);
}

// Heads that are none.

#[test]
fn server_refuses_lines_that_are_not_valid_http_with_400() {
    let server = echo();
    // RFC 9112 §2.2: CR LF; §5.1: no space before the colon; §5.2: nothing folded.
    let rows: [Row; 12] = [
        (request(&[]).replace("\r\n", "\n"), &["0x0a", "offset 14", "CR LF"]),
        (request(&["A: b\nC: d"]), &["0x0a", "CR LF"]),
        (request(&["A: b"]).replace("b\r\n", "b\n"), &["0x0a", "CR LF"]),
        (request(&["A: b\rC: d"]), &["byte 0x0d (CR)", "0x43 after it"]),
        (request(&["A: b\r\r"]), &["byte 0x0d (CR)", "0x0d after it"]),
        (request(&["A: b\r\n c"]), &["\" c\"", "folded"]),
        (request(&["A: b\r\n\tc: d"]), &[r#""\tc: d""#, "folded"]),
        (request(&["A : b"]), &["\"A : b\""]),
        (request(&["A b"]), &["\"A b\""]),
        (request(&[": b"]), &["\": b\""]),
        (request(&["A(b): c"]), &["\"A(b): c\""]),
        (request(&["caf\u{e9}: b"]), &["\"caf\u{e9}: b\""]),
    ];
    for (request, says) in rows {
        refuses(&server, request, 400, says);
    }
}

#[test]
fn server_refuses_control_bytes_anywhere_in_a_head_with_400() {
    let server = echo();
    for byte in (0..=0x1f).filter(|byte| !b"\t\r\n".contains(byte)).chain([0x7f]) {
        // RFC 9110 §5.5: none in a value; RFC 9112 §2.2: none in front.
        let byte = char::from(byte);
        let seen = format!("{:#04x}", u32::from(byte));
        refuses(&server, request(&[&format!("A: b{byte}c")]), 400, &[&seen]);
        refuses(&server, request(&[&format!("A{byte}: b")]), 400, &[&seen]);
        refuses(&server, request(&[]).replacen('/', &format!("/{byte}"), 1), 400, &[&seen]);
        let in_front = if byte == '\x16' { "TLS" } else { &seen };
        refuses(&server, format!("{byte}{}", request(&[])), 400, &[in_front]);
    }
}

#[test]
fn server_answers_a_tls_client_that_it_speaks_no_tls() {
    // The beginning of a ClientHello: a handshake record, in which one byte says how long it is.
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0x5a; 506]].concat();
    refuses(&echo(), hello, 400, &["TLS", "0x16", "wss://", "ws://"]);
}

#[test]
fn server_answers_a_head_that_is_cut_short_with_400() {
    let server = echo();
    let request = request(&[]);
    for end in [1, 14, 15, 16, 40, request.len() - 2, request.len() - 1] {
        let mut peer = server.dial();
        peer.write(&request[..end]);
        peer.finish();
        assert_eq!(read_refusal(&mut peer).status, 400, "after {end} bytes");
    }
}

#[test]
fn a_client_that_closes_without_a_byte_is_no_refused_request() {
    // As a load balancer's TCP check, or a connection that a browser opened in advance.
    let server = echo();
    for _ in 0..3 {
        let mut peer = server.dial();
        peer.finish();
        peer.read_end();
    }
    is_echoed(&mut server.open());
    assert_eq!(server.handle.counters().refused, [].into());
    // The caller of `accept` learns what became of the stream.
    for (bytes, is_refused) in [("", false), ("\r\n", true), ("GET", true)] {
        let mut reads = [bytes, ""].into_iter();
        let (stream, written) = in_memory(move |_| reads.next().unwrap_or_default().into());
        let server = Server::without_listener();
        match (server.accept(stream), is_refused) {
            (Err(Error::Refused(refusal)), true) => assert_eq!(refusal.status(), 400),
            (Err(Error::ConnectionLost(_)), false) => {}
            (ended, _) => panic!("{bytes:?}: {:?}", ended.map(drop)),
        }
        assert_eq!(written.lock().unwrap().is_empty(), !is_refused, "{bytes:?}");
        let refused = server.handle().counters().refused.values().sum::<u64>();
        assert_eq!(refused, u64::from(is_refused), "{bytes:?}");
    }
}

#[test]
fn server_ends_the_stream_after_an_answer_without_a_reset_though_more_came() {
    let configure = |server: Server| {
        let limits = Limits { max_connections: 1, ..Limits::default() };
        let page =
            |request: &ws101::Request| (request.path() == "/page").then(|| Response::text("Hello"));
        server.limits(limits).http(page).paths(["/"]).origins(["http://a"])
    };
    let server = serve(configure, echo_handler);
    let _the_only_place = server.open();
    let more = "GET / HTTP/1.1\r\n\r\n".repeat(64 * 1024);
    for (request, status) in [
        ("\x16\x03\x01".into(), 400),
        ("GET /\n".into(), 400),
        (head("GET / HTTP/1.0", &[]), 505),
        (head("POST / HTTP/1.1", &["Host: a", "Content-Length: 1179648"]), 405),
        (request(&["Content-Length: 1179648"]), 400),
        (request(&["Origin: http://b"]), 403),
        (head("GET /other HTTP/1.1", &LINES), 404),
        (head("GET / HTTP/1.1", &["Host: a"]), 426),
        (head("GET /page HTTP/1.1", &["Host: a"]), 200),
        (with("Sec-WebSocket-Version", &[]), 426),
        (request(&[&format!("A: {}", "b".repeat(16 * 1024))]), 431),
        (request(&[]), 503),
    ] {
        let mut peer = server.dial();
        peer.write(request.clone() + &more);
        assert_eq!(read_last_words(&mut peer).status, status, "{request}");
    }
}

// How much and how long.

#[test]
fn server_takes_a_head_of_16_kib_and_refuses_one_byte_more_with_431() {
    let server = echo();
    let of_length = |length: usize| {
        let padding = length - request(&["A: "]).len();
        request(&[&format!("A: {}", "b".repeat(padding))])
    };
    opens(&server, &of_length(16 * 1024));
    // RFC 6585 §5.
    refuses(&server, of_length(16 * 1024 + 1), 431, &["more than 16384 bytes"]);
    // What comes behind the head does not count.
    let mut peer = server.dial();
    let message = vec![b'x'; 60_000];
    peer.write([request(&[]).as_bytes(), &masked(0x82, &message)].concat());
    assert_eq!(peer.read_response().status, 101);
    assert_eq!(peer.read_frame().payload, message);
}

#[test]
fn server_takes_100_lines_and_refuses_one_more_with_431() {
    let server = echo();
    let of_lines = |count: usize| request(&vec!["A: b"; count - 1 - LINES.len()]);
    opens(&server, &of_lines(100));
    for count in [101, 2_000] {
        refuses(&server, of_lines(count), 431, &["more than 100 lines"]);
    }
}

#[test]
fn what_if_a_head_is_a_megabyte_in_small_writes() {
    let limits = Limits { close: PATIENCE, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let mut peer = server.dial();
    peer.write("GET / HTTP/1.1\r\nA: ");
    (0..512).for_each(|_| peer.write([b'b'; 64]));
    // Refused though the head has not ended, and its deadline has not come.
    assert_eq!(read_refusal(&mut peer).status, 431);
    // The rest is taken and thrown away.
    (512..16 * 1024).for_each(|_| peer.write([b'b'; 64]));
    is_echoed(&mut server.open());
}

#[test]
fn server_answers_a_slow_head_with_408_however_slowly_its_bytes_come() {
    let deadline = Duration::from_millis(200);
    let limits = Limits { head: deadline, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    // RFC 9110 §15.5.9.
    for beginning in ["", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let start = Instant::now();
        refuses(&server, beginning, 408, &["its time was up"]);
        assert!(start.elapsed() >= deadline, "an honest head has that long");
    }
    // A byte every few milliseconds does not renew the deadline.
    let (mut peer, start) = (server.dial(), Instant::now());
    peer.stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    peer.write("GET / HTTP/1.1\r\nA: ");
    while peer.stream.peek(&mut [0]).is_err() {
        assert!(start.elapsed() < PATIENCE, "still no answer");
        peer.write("b");
    }
    peer.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_refusal(&mut peer).status, 408);
}

#[test]
fn server_takes_an_honest_request_of_one_byte_per_write() {
    let server = echo();
    let mut peer = server.dial();
    request(&[]).bytes().for_each(|byte| peer.write([byte]));
    assert_eq!(peer.read_response().head, switching(None));
    is_echoed(&mut peer);
}

#[test]
fn server_gets_a_first_frame_that_came_with_the_request_in_whatever_pieces() {
    let server = echo();
    let bytes = [request(&[]).as_bytes(), HELLO].concat();
    for cut in 0..bytes.len() {
        let mut peer = server.dial();
        peer.write(&bytes[..cut]);
        peer.write(&bytes[cut..]);
        assert_eq!(peer.read_response().status, 101, "cut at {cut}");
        assert_eq!(peer.read_exact::<7>(), HELLO_BACK, "cut at {cut}");
    }
}

#[test]
fn server_gets_a_first_frame_that_came_with_the_request_wherever_its_reads_end() {
    let server = Server::without_listener();
    let bytes = [request(&[]).as_bytes(), HELLO].concat();
    for cut in 1..bytes.len() {
        let mut pieces = [&bytes[..cut], &bytes[cut..]].map(Vec::from).into_iter();
        let (stream, written) = in_memory(move |_| pieces.next().unwrap_or_default());
        let mut ws = server.accept(stream).unwrap();
        let message = ws.recv().unwrap().unwrap();
        assert_eq!(message.as_text(), Some("Hello"), "cut at {cut}");
        assert_eq!(*written.lock().unwrap(), switching(None).as_bytes());
    }
}

#[test]
fn server_answers_one_connection_too_many_with_503_and_harms_no_other() {
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let (mut first, mut second) = (server.open(), server.open());
    let refusal = refuses(&server, request(&[]), 503, &["all places are taken"]);
    // RFC 9110 §10.2.3: seconds to wait.
    let wait: u64 = refusal.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0);
    is_echoed(&mut first);
    is_echoed(&mut second);
    // Other refusals take no place, and what was refused with 503 gave none away.
    refuses(&server, head("GET / HTTP/1.1", &["Host: a"]), 426, &[]);
    refuses(&server, request(&[]), 503, &[]);
    // One leaves, one comes.
    first.write(masked(0x88, [3, 232]));
    assert_eq!(first.read_close(), 1000);
    drop(first);
    server.wait_until(|counters| counters.open == 1);
    is_echoed(&mut server.open());
    is_echoed(&mut second);
    let counters = server.handle.counters();
    assert_eq!((counters.accepted, counters.refused[&503], counters.refused[&426]), (3, 2, 1));
}

#[test]
fn server_evicts_the_oldest_pending_head_for_a_newer_one() {
    let limits = Limits { max_waiting: 2, head: PATIENCE, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let sent_out = |count| server.wait_until(|c| c.refused.get(&408) == Some(&count));
    // Three silent ones for two places: all have been seen once one has had to go.
    let mut silent = [server.dial(), server.dial(), server.dial()];
    sent_out(1);
    let mut fourth = server.dial();
    sent_out(2);
    // The fourth is younger than whoever is left of the three, so it stays when a fifth comes.
    let mut fifth = server.dial();
    sent_out(3);
    for peer in [&mut fourth, &mut fifth] {
        peer.write(request(&[]));
        assert_eq!(peer.read_response().status, 101);
        is_echoed(peer);
    }
    for peer in &mut silent {
        let refusal = read_refusal(peer);
        assert_eq!(refusal.status, 408);
        assert!(refusal.body.contains("made way"), "{}", refusal.body);
    }
}

#[test]
fn server_lets_an_honest_client_in_past_a_crowd_of_silent_ones() {
    let limits = Limits { max_waiting: 8, head: PATIENCE, ..Limits::default() };
    let server = serve(|server| server.limits(limits), echo_handler);
    let crowd: Vec<Peer> = (0..64).map(|_| server.dial()).collect();
    server.wait_until(|counters| counters.refused.get(&408) == Some(&56));
    is_echoed(&mut server.open());
    drop(crowd);
}

/// A server whose `authorize` tells that it thinks, and goes on when it is told to.
fn thoughtful(limits: Limits) -> (Running, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (thinks, is_thinking) = mpsc::sync_channel(1);
    let (decide, decided) = mpsc::channel();
    let decided = Mutex::new(decided);
    let authorize = move |_: &ws101::Request| {
        thinks.send(()).unwrap();
        decided.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Ok(())
    };
    let server = serve(|server| server.limits(limits).authorize(authorize), echo_handler);
    (server, is_thinking, decide)
}

#[test]
fn server_does_not_evict_a_complete_head_while_authorize_runs() {
    let limits = Limits { max_waiting: 1, head: PATIENCE, ..Limits::default() };
    let (server, is_thinking, decide) = thoughtful(limits);
    let mut honest = server.dial();
    honest.write(request(&[]));
    is_thinking.recv_timeout(PATIENCE).unwrap();
    let _silent = [server.dial(), server.dial()];
    server.wait_until(|counters| counters.refused.get(&408) == Some(&1));
    decide.send(()).unwrap();
    assert_eq!(honest.read_response().status, 101);
    (0..3).for_each(|_| is_echoed(&mut honest));
}

#[test]
fn server_answers_101_though_authorize_took_longer_than_a_head_may_take() {
    // Long enough for an honest head on a busy machine.
    let limits = Limits { head: Duration::from_secs(2), ..Limits::default() };
    let (server, is_thinking, decide) = thoughtful(limits);
    let mut honest = server.dial();
    honest.write(request(&[]));
    is_thinking.recv_timeout(PATIENCE).unwrap();
    // This one came later, and its time is up.
    assert_eq!(server.dial().read_response().status, 408);
    decide.send(()).unwrap();
    assert_eq!(honest.read_response().status, 101);
    is_echoed(&mut honest);
}

#[test]
fn a_client_whose_authorize_ends_after_the_stop_gets_503() {
    let (server, is_thinking, decide) = thoughtful(Limits::default());
    let mut late = server.dial();
    late.write(request(&[]));
    is_thinking.recv_timeout(PATIENCE).unwrap();
    server.stop(Duration::ZERO).unwrap();
    decide.send(()).unwrap();
    assert_eq!(late.read_response().status, 503);
    late.read_end();
}

#[test]
fn a_client_whose_stream_cannot_be_wrapped_gets_500() {
    let server = serve(|server| server.wrap_stream(|_| panic!("on purpose")), echo_handler);
    let mut peer = server.dial();
    peer.write(request(&[]));
    assert_eq!(peer.read_response().status, 500);
    peer.read_end();
    server.wait_until(|counters| counters.refused.get(&500) == Some(&1));
}

#[test]
fn refused_counts_the_status_that_was_sent() {
    let authorize = |request: &ws101::Request| match request.path() {
        "/status" => Err(Refusal::because(700, "no response has this status")),
        "/header" => Err(Refusal::because(401, "no").header("A", "b\r\nc")),
        _ => Err(Refusal::because(403, "no")),
    };
    let server = serve(|server| server.authorize(authorize), echo_handler);
    for (path, status) in [("/status", 500), ("/header", 500), ("/", 403)] {
        let mut peer = server.dial();
        peer.write(request(&[]).replace("GET / ", &format!("GET {path} ")));
        assert_eq!(peer.read_response().status, status, "{path}");
        peer.read_end();
    }
    assert_eq!(server.handle.counters().refused, [(500, 2), (403, 1)].into());
    // A page that can't be sent is a 500, too, and the caller of `accept` learns why.
    let page = |_: &ws101::Request| Some(Response::text("a").header("A", "b\r\nc"));
    let mut reads = [head("GET / HTTP/1.1", &["Host: a"]), String::new()].into_iter();
    let (stream, written) = in_memory(move |_| reads.next().unwrap_or_default().into());
    let server = Server::without_listener().http(page);
    let ended = server.accept(stream).map(drop);
    assert!(matches!(ended, Err(Error::Misuse(Misuse::Header(..)))), "{ended:?}");
    assert!(written.lock().unwrap().starts_with(b"HTTP/1.1 500 "));
    assert_eq!(server.handle().counters().refused, [(500, 1)].into());
}

// Any byte anywhere.

#[test]
fn what_if_any_byte_of_a_request_is_any_other_byte() {
    let server = Server::without_listener();
    let good = request(&["Origin: http://127.0.0.1", "Sec-WebSocket-Protocol: a, b"]);
    for (at, was) in good.bytes().enumerate() {
        for byte in 0..=255 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = byte;
            let mut reads = [bytes].into_iter();
            let (stream, written) = in_memory(move |_| reads.next().unwrap_or_default());
            let result = server.accept(stream);
            let opened = result.is_ok();
            drop(result);
            let answer = written.lock().unwrap();
            let status = status_of(&answer);
            let is_bad = byte < b' ' && byte != b'\t' || byte == 0x7f;
            match (status, opened) {
                (101, true) => assert!(!is_bad || byte == was, "{byte:#04x} at {at} opens"),
                (400 | 403 | 405 | 426 | 505, false) => assert!(!is_bad || status == 400),
                _ => panic!("{byte:#04x} at {at}: {}", answer.escape_ascii()),
            }
        }
    }
}

#[test]
fn what_if_any_byte_stands_where_a_head_turns_while_the_peer_waits() {
    let server = echo();
    let good = request(&["Sec-WebSocket-Protocol: a, b"]);
    // Method, spaces, target, version; the ends of the first and the last line; a name, its colon,
    // its value; the list; the last four bytes.
    let at = |text: &str| good.find(text).unwrap();
    let turns = [
        0,
        3,
        4,
        5,
        6,
        at("1.1"),
        at("\r\n"),
        at("\r\n") + 1,
        at("Host"),
        at(": 127"),
        at(" 127"),
        at("127"),
        at("Upgrade: "),
        at("websocket\r"),
        at("Upgrade\r"),
        at("dGhl"),
        at("==\r") + 1,
        at("13\r"),
        at("a, b"),
        at(", b"),
        good.len() - 4,
        good.len() - 3,
        good.len() - 2,
        good.len() - 1,
    ];
    let bytes: Vec<u8> = (0..=255).collect();
    for at in turns {
        // Some at a time: the server answers each without waiting for another.
        for some in bytes.chunks(64) {
            let dial = |&byte: &u8| {
                let mut bytes = good.clone().into_bytes();
                bytes[at] = byte;
                let mut peer = server.dial();
                peer.write(bytes);
                (byte, peer)
            };
            for (byte, mut peer) in some.iter().map(dial).collect::<Vec<_>>() {
                // Never 408: nobody has to wait for a head that can't become good.
                match peer.read_response().status {
                    101 => is_echoed(&mut peer),
                    400 | 405 | 426 | 505 => peer.read_end(),
                    status => panic!("{byte:#04x} at {at}: {status}"),
                }
            }
        }
    }
}

/// The status of an answer, if it is one.
fn status_of(answer: &[u8]) -> u16 {
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|status| str::from_utf8(status).ok()?.parse().ok()).unwrap_or_default()
}

#[test]
fn what_if_an_option_of_the_server_has_a_line_break_in_it() {
    const BROKEN: &str = "a\r\nX: y";
    let page = |page: fn() -> Response| move |server: Server| server.http(move |_| Some(page()));
    let refusal =
        |refusal: fn() -> Refusal| move |server: Server| server.authorize(move |_| Err(refusal()));
    let plain = head("GET / HTTP/1.1", &["Host: a"]);
    let offer = request(&["Sec-WebSocket-Protocol: a"]);
    let foreign = request(&["Origin: http://b"]);
    type Configure = Box<dyn Fn(Server) -> Server>;
    let rows: [(&str, Configure, &str); 11] = [
        ("subprotocol", Box::new(|server| server.subprotocols([BROKEN])), &offer),
        ("origin", Box::new(|server| server.origins([BROKEN])), &foreign),
        ("host", Box::new(|server| server.hosts([BROKEN])), &offer),
        ("path", Box::new(|server| server.paths([BROKEN])), &offer),
        ("page's type", Box::new(page(|| Response::new(BROKEN, ""))), &plain),
        ("page's name", Box::new(page(|| Response::text("").header(BROKEN, "b"))), &plain),
        ("page's value", Box::new(page(|| Response::html("").header("A", BROKEN))), &plain),
        ("page's text", Box::new(page(|| Response::text(BROKEN))), &plain),
        ("refusal", Box::new(refusal(|| Refusal::because(401, BROKEN))), &offer),
        (
            "refusal's name",
            Box::new(refusal(|| Refusal::because(401, "").header(BROKEN, "b"))),
            &offer,
        ),
        (
            "refusal's value",
            Box::new(refusal(|| Refusal::because(401, "").header("A", BROKEN))),
            &offer,
        ),
    ];
    for (option, configure, request) in rows {
        let mut reads = [Vec::from(request)].into_iter();
        let (stream, written) = in_memory(move |_| reads.next().unwrap_or_default());
        let result = configure(Server::without_listener()).accept(stream);
        let answer = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(!head.contains("X: y"), "{option}: {answer}");
        match option {
            "subprotocol" | "origin" | "host" | "path" => {
                assert!(matches!(result, Err(Error::Misuse(_))), "{result:?}");
                assert_eq!(answer, "");
            }
            // There it is a line of text, and counted.
            _ => assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}"),
        }
    }
}
