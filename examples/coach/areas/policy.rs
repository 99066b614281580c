//! Stage 13: subprotocols, and which pages may connect.

use crate::areas::refuse::no;
use crate::check::{Check, Lesson, Outcome, Stop, check, fails, skips, warns};
use crate::probe::{Head, Probe, answer};

const SUBPROTOCOL: Lesson = Lesson {
    section: "§4.2.2",
    rule: "A server names one of the offered subprotocols, spelled as in the offer, or none. If it names another, a browser closes the connection.",
    causes: "The offer is copied into the answer whole, or a fixed name is sent.",
    fix: "Go through the offers in their order, and answer the first one that you support; if there is none, leave the header out.",
};
const OFFER: Lesson = Lesson {
    section: "§4.1",
    rule: "A client that offers subprotocols sends a list of tokens, none of them empty or repeated.",
    causes: "The client always sends the header, even for an empty list; or it sends the application's list unchecked.",
    fix: "Leave the header out if there's nothing to offer; refuse a list with a repeated name before connecting.",
};
const ORIGIN: Lesson = Lesson {
    section: "§10.2",
    rule: "A browser names the page's origin in Origin, and sends its user's cookies. A server that is only for its own pages refuses others with 403.",
    causes: "The server doesn't check Origin, or compares only its beginning. Any page that your user visits may then talk to your server in the user's name.",
    fix: "Compare scheme, host and port with those that you serve. If any page may connect, write that down.",
};

const HOST: Lesson = Lesson {
    section: "RFC 9112 §3.2",
    rule: "A request with two Host lines, or with a Host that isn't a name and a port, is answered with 400.",
    causes: "The server uses the first or the last line, or doesn't check the value. A proxy in front may use the other line, and then checks another site than the one that answers.",
    fix: "Count the lines called Host; refuse unless there's one, and it's a name or address with an optional port.",
};

fn offers(p: &mut Probe, lines: &[&str]) -> Outcome {
    let mut request = p.request();
    for line in lines {
        request = request.add("Sec-WebSocket-Protocol", line);
    }
    let (head, _) = match p.ask(&request.bytes())? {
        (head, line) if head.status() == Some(101) => (head, line),
        (head, _) if matches!(head.status(), Some(400..=499)) => {
            return warns(format!("{:?}: it insists on a subprotocol of its own", head.first));
        }
        (head, _) => return fails(format!("{:?}", head.first)),
    };
    let offered: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    match head.all("Sec-WebSocket-Protocol")[..] {
        [] => Ok(()),
        [one] if offered.contains(&one) => Ok(()),
        [one] => fails(format!("{one:?}, which isn't one of those offered: {offered:?}")),
        _ => fails("more than one Sec-WebSocket-Protocol"),
    }
}

fn from(p: &mut Probe, origin: &str) -> Result<Head, Stop> {
    let request = p.request().add("Origin", origin).bytes();
    Ok(p.ask(&request)?.0)
}

fn foreign(p: &mut Probe, origin: &str) -> Outcome {
    match from(p, origin)?.status() {
        Some(101) => warns(format!(
            "a page of {origin:?} was let in: with cookies as its only guard, this server is open to it"
        )),
        _ => Ok(()),
    }
}

pub const CHECKS: &[Check] = &[
    check("policy/two-hosts", &HOST, "a request with two Host lines", "400", |p| {
        no(p, |r| r.add("Host", "other.example"))
    }),
    check("policy/malformed-host", &HOST, "`Host: two words`", "400", |p| {
        no(p, |r| r.set("Host", "two words"))
    })
    .should(),
    check(
        "policy/subprotocol-one",
        &SUBPROTOCOL,
        "the offer of one subprotocol",
        "it, or none",
        |p| offers(p, &["coach.v1"]),
    ),
    check(
        "policy/subprotocol-several",
        &SUBPROTOCOL,
        "the offer of three in one line",
        "one of them, or none",
        |p| offers(p, &["chat, superchat, coach.v1"]),
    ),
    check(
        "policy/subprotocol-two-lines",
        &SUBPROTOCOL,
        "the offer of two in two lines",
        "one of them, or none",
        |p| offers(p, &["chat", "superchat"]),
    ),
    check(
        "policy/subprotocol-unknown",
        &SUBPROTOCOL,
        "the offer of an unknown name",
        "it, or none",
        |p| offers(p, &["x-coach-unknown"]),
    ),
    check(
        "policy/subprotocol-answered",
        &SUBPROTOCOL,
        "the offers that are usual: chat, superchat, echo, json, graphql-transport-ws, mqtt",
        "one of them, if the server speaks one",
        |p| {
            let usual = "chat, superchat, echo, json, graphql-transport-ws, mqtt";
            let request = p.request().add("Sec-WebSocket-Protocol", usual).bytes();
            let (head, _) = p.ask(&request)?;
            match head.all("Sec-WebSocket-Protocol")[..] {
                [] => skips(
                    "none was chosen, which is allowed; a browser whose page offers one leaves then, so speak your page's",
                ),
                _ => Ok(()),
            }
        },
    )
    .advice(),
    check(
        "policy/subprotocol-empty",
        &SUBPROTOCOL,
        "an empty offer, which the grammar forbids",
        "no subprotocol",
        |p| {
            let request = p.request().add("Sec-WebSocket-Protocol", "").bytes();
            let (head, _) = p.ask(&request)?;
            match head.all("Sec-WebSocket-Protocol")[..] {
                [] => Ok(()),
                _ => warns("a subprotocol was chosen"),
            }
        },
    )
    .advice(),
    check("policy/origin-own", &ORIGIN, "an Origin of the same host and port", "101", |p| {
        let own = p.own_origin();
        let head = from(p, &own)?;
        match head.status() {
            Some(101) => Ok(()),
            // This is allowed: a server may accept only the pages of another site.
            Some(403) => warns("403 to a page of its own host"),
            _ => fails(format!("{:?} to a page of its own host", head.first)),
        }
    }),
    check(
        "policy/origin-foreign",
        &ORIGIN,
        "the Origin of another site",
        "403, if you mean your own pages",
        |p| foreign(p, "https://attacker.example"),
    )
    .advice(),
    check(
        "policy/origin-null",
        &ORIGIN,
        "`Origin: null`, as from a file or a sandbox",
        "403, if you mean your own pages",
        |p| foreign(p, "null"),
    )
    .advice(),
    check(
        "policy/origin-prefix",
        &ORIGIN,
        "an Origin that begins like the server's own",
        "403: origins are compared whole",
        |p| {
            let host = p.request().lines[0].1.clone();
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).to_owned();
            foreign(p, &format!("http://{name}.attacker.example"))
        },
    )
    .advice(),
    check(
        "policy/host-foreign",
        &ORIGIN,
        "a Host that isn't the server's (DNS rebinding)",
        "a refusal, if the server knows its names",
        |p| {
            let request = p.request().set("Host", "attacker.example").bytes();
            match p.ask(&request)?.0.status() {
                Some(101) => warns("it was let in"),
                _ => Ok(()),
            }
        },
    )
    .advice(),
    check(
        "policy/offer",
        &OFFER,
        "nothing; it reads the request",
        "no list of subprotocols, or one of different tokens",
        |p| {
            let (head, mut line) = p.arrives()?;
            line.send(&answer(&head).bytes());
            let lines = head.all("Sec-WebSocket-Protocol");
            let names = head.list("Sec-WebSocket-Protocol");
            let twice = names.iter().enumerate().any(|(i, name)| names[..i].contains(name));
            match () {
                () if !lines.is_empty() && names.is_empty() => fails("an empty list"),
                () if twice => fails(format!("a name twice: {lines:?}")),
                () if names.iter().any(|name| name.contains([' ', '"', '/', ';'])) => {
                    fails(format!("a name that is no token: {lines:?}"))
                }
                () => Ok(()),
            }
        },
    )
    .clients(),
    check(
        "policy/subprotocol-refused",
        &SUBPROTOCOL,
        "a 101 without the subprotocol that was offered",
        "either is allowed: to go on, or to leave",
        |p| {
            let (head, mut line) = p.arrives()?;
            if head.all("Sec-WebSocket-Protocol").is_empty() {
                return skips("it offers none");
            }
            line.send(&answer(&head).without("Sec-WebSocket-Protocol").bytes());
            match line.alive() {
                Ok(()) => warns("it went on without"),
                Err(_) => Ok(()),
            }
        },
    )
    .clients()
    .advice(),
];
