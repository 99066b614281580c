//! The same faults over TLS, where they hit records: half a record yields no bytes, a signal in the
//! middle of a record must not encrypt it twice, and an end without the peer's `close_notify` is an
//! error. (Feature `tls`.)

#[path = "../../examples/secure/certificate.rs"]
mod certificate;

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore};
use rustls::{ServerConfig, ServerConnection};
use ws101::frames::decoder::Event;
use ws101::frames::header::Role;
use ws101::{Client, Server, Tls};

use self::certificate::{SelfSigned, VALID, self_signed};
use crate::conversations::{Conversation, ROLES, conversations, messages, replies, understood};
use crate::faulty_stream::{Direction, Direction::Read, Direction::Write, Fault, Faulty, Plan};
use crate::life::{End, Heard, Manner, limits, live_as};
use crate::peer::{Script, Wire};

/// A handshake of TLS takes long without optimisation: then, only some bytes are tried.
const STEP: usize = if cfg!(debug_assertions) { 61 } else { 1 };

struct Made {
    pem: SelfSigned,
    file: PathBuf,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let pem = self_signed(&["localhost"], VALID);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("faults-{}.pem", std::process::id()));
    std::fs::write(&file, &pem.certificate).unwrap();
    let chain = CertificateDer::from_pem_slice(pem.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(chain.clone()).unwrap();
    let server = ServerConfig::builder().with_no_client_auth();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let server = Arc::new(server.with_single_cert(vec![chain], key).unwrap());
    Made { pem, file, server, client: Arc::new(client) }
});

/// A peer behind TLS.
struct Secure {
    tls: Connection,
    script: Script,
    waiting: VecDeque<u8>,
    /// Our role: a peer that is the server has spoken once it has answered.
    role: Role,
    has_said_all: bool,
    knows_the_end: bool,
}

impl Secure {
    fn new(role: Role, script: Script) -> Secure {
        let tls = match role {
            Role::Server => {
                let name = "localhost".try_into().unwrap();
                Connection::Client(ClientConnection::new(MADE.client.clone(), name).unwrap())
            }
            Role::Client => Connection::Server(ServerConnection::new(MADE.server.clone()).unwrap()),
        };
        let waiting = VecDeque::new();
        let (has_said_all, knows_the_end) = (false, false);
        let mut peer = Secure { tls, script, waiting, role, has_said_all, knows_the_end };
        // It goes out when the handshake is done.
        let opening = peer.script.opening();
        peer.tls.writer().write_all(&opening).unwrap();
        peer.collect();
        peer
    }

    fn collect(&mut self) {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).unwrap();
        }
        self.waiting.extend(records);
    }
}

impl Wire for Secure {
    fn available(&self) -> usize {
        self.waiting.len()
    }

    fn take(&mut self, into: &mut [u8]) {
        into.iter_mut().for_each(|byte| *byte = self.waiting.pop_front().unwrap());
    }

    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            // Records that are broken would be our fault: no plan changes a byte.
            let state = self.tls.process_new_packets().expect("records as they were sealed");
            self.knows_the_end |= state.peer_has_closed();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
            let answer = self.script.hear(&plain);
            self.tls.writer().write_all(&answer).unwrap();
            let has_spoken = self.role == Role::Server || !answer.is_empty();
            if has_spoken && !self.tls.is_handshaking() && !self.has_said_all {
                self.has_said_all = true;
                self.tls.send_close_notify();
            }
            self.collect();
        }
    }

    fn heard(&self) -> &[u8] {
        self.script.heard()
    }

    fn knows_the_end(&self) -> bool {
        self.knows_the_end
    }
}

struct Case {
    name: String,
    role: Role,
    conversation: Conversation,
    events: Vec<Event>,
}

impl Case {
    fn run(&self, plan: Plan<'_>) -> (Arc<Faulty>, Heard) {
        let (role, deflate) = (self.role, self.conversation.deflate);
        let (frames, _) = self.conversation.frames_for(role);
        let stream = Faulty::new(Secure::new(role, Script::new(role, deflate, &frames)), plan);
        let tls = Tls::from_pem(MADE.pem.certificate.as_bytes(), MADE.pem.key.as_bytes()).unwrap();
        let server = Server::without_listener().limits(limits()).tls(tls);
        let client = Client::new("wss://localhost/").limits(limits()).root_certificates(&MADE.file);
        let heard = live_as(role, deflate, Manner::Whole, stream.clone(), server, client);
        (stream, heard)
    }

    /// What the peer has heard, but for our own pings.
    fn said(&self, stream: &Faulty) -> (Vec<Event>, bool) {
        let (mut said, whole) = understood(self.role, self.conversation.deflate, &stream.heard());
        said.retain(|event| !matches!(event, Event::Ping(_)));
        (said, whole)
    }

    fn is_as_it_should_be(&self, stream: &Faulty, heard: &Heard, plan: Plan<'_>) {
        let name = format!("{}, {plan:?}: {heard:?}", self.name);
        assert_eq!(heard.messages, messages(&self.events), "{name}");
        assert!(matches!(heard.end, End::Closed(_)), "{name}");
        assert_eq!(self.said(stream), (replies(&self.events), true), "{name}");
        assert!(stream.peer_knows_the_end(), "{name}: no close_notify");
    }

    /// What was heard and said is the beginning of what should have been, and only if it was all of it
    /// has it ended well.
    fn is_a_beginning(&self, stream: &Faulty, heard: &Heard, plan: Plan<'_>) {
        let name = format!("{}, {plan:?}: {heard:?}", self.name);
        assert!(messages(&self.events).starts_with(&heard.messages), "{name}");
        // A request that was refused is answered in plain HTTP.
        if !matches!(heard.end, End::NotOpened(_)) {
            let (said, _) = self.said(stream);
            assert!(replies(&self.events).starts_with(&said), "{name}: {said:?}");
            assert!(messages(&said).len() >= heard.returned, "{name}: {said:?}");
        }
        if matches!(heard.end, End::Closed(_)) {
            assert_eq!(heard.messages, messages(&self.events), "{name}");
        }
    }
}

/// Each case with a fault at each byte of a direction.
fn each_byte(direction: Direction, fault: Fault, judge: impl Fn(&Case, &Faulty, &Heard, Plan<'_>)) {
    for role in ROLES {
        for conversation in conversations() {
            let events = conversation.frames_for(role).1.into_iter().map(|(_, event)| event);
            let events = events.collect();
            let name = format!("{}, at the {role:?}, over TLS", conversation.name);
            let case = Case { name, role, conversation, events };
            let (stream, heard) = case.run(&[]);
            case.is_as_it_should_be(&stream, &heard, &[]);
            let by_our_end = stream.passed_by_our_end(direction);
            // A signature is a byte or two longer or shorter each time.
            for at in (0..stream.passed(direction) - 4).step_by(STEP) {
                let plan = [(direction, at, fault)];
                let (stream, heard) = case.run(&plan);
                let must_come = at + 4 < by_our_end;
                assert!(stream.all_went_wrong() || !must_come, "{}, {plan:?}", case.name);
                judge(&case, &stream, &heard, &plan);
            }
        }
    }
}

#[test]
fn a_read_of_tls_that_stops_short_or_is_interrupted_at_any_byte_changes_nothing() {
    for fault in [Fault::One, Fault::Interrupted] {
        each_byte(Read, fault, Case::is_as_it_should_be);
    }
}

#[test]
fn a_write_of_tls_that_stops_short_or_is_interrupted_at_any_byte_is_finished_later() {
    for fault in [Fault::One, Fault::Interrupted] {
        each_byte(Write, fault, Case::is_as_it_should_be);
    }
}

#[test]
fn a_timeout_of_a_read_at_any_byte_of_tls_ends_the_handshake_or_changes_nothing() {
    each_byte(Read, Fault::TimedOut, |case, stream, heard, plan| match heard.end {
        End::NotOpened(_) => assert!(heard.messages.is_empty(), "{}, {plan:?}", case.name),
        _ => case.is_as_it_should_be(stream, heard, plan),
    });
}

#[test]
fn a_stream_of_tls_that_ends_or_is_reset_at_any_byte_of_a_read_is_lost_unless_all_was_said() {
    for fault in [Fault::End, Fault::Reset] {
        each_byte(Read, fault, Case::is_a_beginning);
    }
}

#[test]
fn after_a_write_of_tls_that_failed_at_any_byte_nothing_follows_that_is_not_its_rest() {
    for fault in [Fault::TimedOut, Fault::End, Fault::Reset] {
        each_byte(Write, fault, Case::is_a_beginning);
    }
}
