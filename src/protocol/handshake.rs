//! The handshake at the server: the head of a request in, a decision out (RFC 6455 §4.2).
//!
//! A decision is one of three: a WebSocket (the 101), plain HTTP (no upgrade was asked for), or a
//! [`Refusal`] that says which rule was broken.

use super::authority::{Authority, Origins, host_is_listed};
use super::head::{Head, is_token};
use super::key;
use super::lesson::quote;
use super::misuse::Misuse;
use super::refusal::Refusal;
use super::request::Request;

/// The only version there is (§4.1).
pub const VERSION: &str = "13";

/// What a server asks of a request, beyond what the RFC does.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Which pages may connect.
    pub origins: Origins,
    /// The hosts that we answer for; empty: any.
    pub hosts: Vec<String>,
    /// The paths at which there is a WebSocket; empty: any.
    pub paths: Vec<String>,
    /// The subprotocols that we speak.
    pub subprotocols: Vec<String>,
}

impl Rules {
    /// Whether these are rules that can be kept.
    pub fn check(&self) -> Result<(), Misuse> {
        check_subprotocols(&self.subprotocols).map_err(|name| Misuse::Subprotocol(name.into()))
    }
}

/// What becomes of a request that was not refused.
#[derive(Debug)]
pub enum Decision {
    /// It asks for no upgrade: a page, perhaps.
    PlainHttp,
    /// It becomes a WebSocket.
    Switch(Agreement),
}

/// What both ends have agreed on.
#[derive(Clone, Debug)]
pub struct Agreement {
    accept: String,
    /// One that the client offered and we speak.
    pub subprotocol: Option<String>,
}

impl Agreement {
    /// The 101. §4.2.2
    pub fn response(&self) -> Vec<u8> {
        let mut response = format!(
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n",
            self.accept
        );
        // Only ever a name of our own list, so nothing that a client sent is reflected here.
        if let Some(name) = &self.subprotocol {
            response += &format!("Sec-WebSocket-Protocol: {name}\r\n");
        }
        (response + "\r\n").into_bytes()
    }
}

/// Decides what becomes of a request.
pub fn decide(request: &Request, rules: &Rules) -> Result<Decision, Refusal> {
    // 1. HTTP: a GET without a body, for a host that is ours.
    check_method(request)?;
    check_body(request.head())?;
    let host = check_host(request, &rules.hosts)?;
    // 2. Is a WebSocket asked for? Any other upgrade (h2c) may be ignored, as if it were not there.
    if !request.head().lists("Upgrade", "websocket") {
        return Ok(Decision::PlainHttp);
    }
    check_connection(request.head())?;
    // 3. The version comes before the key: a version of its own may have another kind of key.
    check_version(request.head())?;
    let key = check_key(request.head())?;
    // 4. Who asks, and for what?
    check_origin(request.head(), &rules.origins, host)?;
    check_path(request.path(), &rules.paths)?;
    let subprotocol = choose_subprotocol(request.head(), &rules.subprotocols)?;
    Ok(Decision::Switch(Agreement { accept: key::accept(key), subprotocol }))
}

fn check_method(request: &Request) -> Result<(), Refusal> {
    // §4.1: the method is GET.
    if request.method() == "GET" {
        return Ok(());
    }
    Err(Refusal::new(
        405,
        "A WebSocket begins with GET (RFC 6455 §4.1), and no other method is served here.",
        format!("method {}", quote(request.method())),
        "a form or an API call sent to the address of a WebSocket",
        "Use GET.",
    )
    .header("Allow", "GET"))
}

fn check_body(head: &Head) -> Result<(), Refusal> {
    // A body behind an upgrade is read by one side as HTTP and by the other as frames: it is how
    // requests are smuggled (RFC 9112 §11.2).
    let mut lengths = head.headers("Content-Length");
    let no_body = matches!((lengths.next(), lengths.next()), (None | Some("0"), None));
    if no_body && head.header("Transfer-Encoding").is_none() {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "A request for a WebSocket or a page has no body.",
        "Transfer-Encoding, or a Content-Length other than one plain 0",
        "a client that sends a body with GET, or an attempt to smuggle a request",
        "Send no body; data goes into messages once the connection is open.",
    ))
}

fn check_host<'a>(request: &'a Request, listed: &[String]) -> Result<&'a str, Refusal> {
    let mut hosts = request.head().headers("Host");
    // RFC 9112 §3.2: one Host, no more and no less. RFC 6455 §4.2.1: it is our authority.
    let seen = match (hosts.next(), hosts.next()) {
        (Some(host), None) => match (Authority::parse(host), request.host()) {
            (Some(_), Some(asked)) => {
                let is_ours = |host| listed.is_empty() || host_is_listed(&host, listed);
                return match Authority::parse(asked).is_some_and(is_ours) {
                    true => Ok(asked),
                    false => Err(misdirected(asked, listed)),
                };
            }
            _ => format!("Host: {}", quote(host)),
        },
        (None, _) => "no Host".into(),
        (Some(first), Some(second)) => {
            format!("Host: {} and Host: {}", quote(first), quote(second))
        }
    };
    Err(Refusal::bad_request(
        "A request has exactly one Host, a name or an address and perhaps a port (RFC 9112 §3.2).",
        seen,
        "a request written by hand, or one that was put together from two",
        "Send `Host: name:port`.",
    ))
}

fn misdirected(host: &str, listed: &[String]) -> Refusal {
    Refusal::new(
        421,
        "The host that is asked for must be one that this server answers for (RFC 9110 §15.5.20).",
        format!("{}; this server answers for {}", quote(host), listed.join(", ")),
        "a name that points here though it should not (DNS rebinding), or a proxy that rewrites Host",
        "Ask for a listed name, or add this one to `hosts`.",
    )
}

fn check_connection(head: &Head) -> Result<(), Refusal> {
    // §4.2.1: `Connection` is a list that has the token `Upgrade`.
    if head.lists("Connection", "upgrade") {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "`Connection` lists `Upgrade` (RFC 6455 §4.1): it tells every proxy that `Upgrade` is meant for it.",
        format!("Connection: {}", quote(head.header("Connection").unwrap_or(""))),
        "a proxy that passes `Upgrade` on but not `Connection`, which is for one hop only",
        "In nginx: `proxy_set_header Connection \"upgrade\";`.",
    ))
}

fn check_version(head: &Head) -> Result<(), Refusal> {
    let mut versions = head.headers("Sec-WebSocket-Version");
    // §4.2.1: the value is 13. §4.4: else the answer lists what we speak.
    if let (Some(VERSION), None) = (versions.next(), versions.next()) {
        return Ok(());
    }
    let seen: Vec<_> = head.headers("Sec-WebSocket-Version").map(quote).collect();
    let is_draft =
        head.header("Sec-WebSocket-Key1").is_some() || head.header("Sec-WebSocket-Key2").is_some();
    let (seen, cause) = match (is_draft, seen.as_slice()) {
        (true, _) => (
            "Sec-WebSocket-Key1 and Sec-WebSocket-Key2".into(),
            "a client of the 2010 draft (hixie-76), from before the RFC, whose keys and frames are others",
        ),
        (false, []) => ("no Sec-WebSocket-Version".into(), "a request written by hand"),
        (false, seen) => (seen.join(" and "), "a client of a draft from before 2011"),
    };
    Err(Refusal::new(
        426,
        "The version of the protocol is 13 (RFC 6455 §4.1), the only one there is.",
        seen,
        cause,
        "Send `Sec-WebSocket-Version: 13`, once, and speak RFC 6455.",
    )
    .header("Sec-WebSocket-Version", VERSION)
    .header("Upgrade", "websocket"))
}

fn check_key(head: &Head) -> Result<&str, Refusal> {
    let mut keys = head.headers("Sec-WebSocket-Key");
    // §4.2.1: a key of 16 bytes in base64. §11.3.1: not more than one.
    let seen = match (keys.next(), keys.next()) {
        (Some(sent), None) => match key::decode(sent) {
            Ok(_) => return Ok(sent),
            Err(why) => format!("{}, which is {why}", quote(sent)),
        },
        (None, _) => "no Sec-WebSocket-Key".into(),
        (Some(_), Some(_)) => "more than one Sec-WebSocket-Key".into(),
    };
    Err(Refusal::bad_request(
        "`Sec-WebSocket-Key` is base64 of 16 bytes, sent once (RFC 6455 §4.1).",
        seen,
        "a key made of some text, rather than of 16 random bytes",
        "Encode 16 random bytes: 24 characters, of which the last two are `==`.",
    ))
}

fn check_origin(head: &Head, origins: &Origins, host: &str) -> Result<(), Refusal> {
    let mut sent = head.headers("Origin");
    // §4.2.2, §10.2: a page that is not ours is answered with 403.
    let origin = match (sent.next(), sent.next()) {
        (None, _) => return Ok(()),
        (Some(origin), None) if origins.allow(origin, host) => return Ok(()),
        (Some(origin), None) => origin,
        (Some(first), Some(second)) => {
            return Err(Refusal::bad_request(
                "A request comes from one page: it has one `Origin` at most (RFC 6454 §7.3).",
                format!("{} and {}", quote(first), quote(second)),
                "a proxy that adds an Origin to the one that is there",
                "Send one.",
            ));
        }
    };
    Err(Refusal::new(
        403,
        "A page may connect only to a server that trusts it (RFC 6455 §10.2); without a list, to the host it came from.",
        format!("Origin: {} at Host: {}; allowed: {origins}", quote(origin), quote(host)),
        "a page of another site; or a proxy that rewrites Host, or drops its port (nginx's `$host` does)",
        "List the origin in `origins`; behind nginx also `proxy_set_header Host $http_host;`.",
    ))
}

fn check_path(path: &str, listed: &[String]) -> Result<(), Refusal> {
    // §4.2.2: a resource that is not there is 404.
    if listed.is_empty() || listed.iter().any(|one| one == path) {
        return Ok(());
    }
    Err(Refusal::new(
        404,
        "A WebSocket is opened at a path where the server has one (RFC 6455 §4.2.2).",
        format!("path {}; there is one at {}", quote(path), listed.join(", ")),
        "a slash too many or too few, or a proxy that adds a prefix",
        "Connect to a path of the list, or add this one to `paths`.",
    ))
}

fn choose_subprotocol(head: &Head, ours: &[String]) -> Result<Option<String>, Refusal> {
    let offered: Vec<&str> = head.list("Sec-WebSocket-Protocol").collect();
    // §4.1: tokens, each named once.
    check_subprotocols(&offered).map_err(|bad| {
        Refusal::bad_request(
            "Subprotocols are tokens with commas in between, each named once (RFC 6455 §4.1).",
            format!("{} in {}", quote(bad), quote(offered.join(", "))),
            "names with spaces in between, as the 2010 draft had them, or the same name twice",
            "Write `Sec-WebSocket-Protocol: chat, superchat`.",
        )
    })?;
    // §4.2.2: the client's order says what it prefers. None in common: none is agreed on.
    Ok(offered.into_iter().find(|name| ours.iter().any(|one| one == name)).map(str::to_owned))
}

/// Finds the first name that is no token or stands twice.
pub(crate) fn check_subprotocols<T: AsRef<str>>(names: &[T]) -> Result<(), &str> {
    let bad = names.iter().enumerate().find(|(i, name)| {
        let name = name.as_ref();
        !is_token(name) || names[..*i].iter().any(|earlier| earlier.as_ref() == name)
    });
    bad.map_or(Ok(()), |(_, name)| Err(name.as_ref()))
}

/// The refusal of a plain request where there is no page.
pub fn upgrade_required() -> Refusal {
    Refusal::new(
        426,
        "There is a WebSocket here, and nothing else: it takes a WebSocket client (RFC 6455 §4.1).",
        "a request without `Upgrade: websocket`",
        "the address typed into a browser or curl; or a proxy that drops `Upgrade`, as all do unless told",
        "Use a client, `new WebSocket(\"ws://...\")` for one; in nginx: `proxy_set_header Upgrade $http_upgrade;`.",
    )
    .header("Upgrade", "websocket")
    .header("Sec-WebSocket-Version", VERSION)
}
