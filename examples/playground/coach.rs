//! The coach in the page: it checks a server on this machine, and sends the page each verdict.
//!
//! ```text
//! address ─► only loopback? ─► a thread: calibrate, then stage by stage ─► verdicts, for the lens
//!                                 │ each failure is kept, with its bytes: the page asks for it
//!               stop, time's up ──┘ the run's streams end, and what is under way isn't told
//! ```
//!
//! Rules of this file:
//! - The coach connects only to this machine. It looks a name up once, requires that each of its
//!   addresses is loopback, and connects only to these addresses.
//! - A page has one run at a time. A run has a time limit, and a limit for all bytes that the server
//!   sends.
//! - All that comes from the server is cut to a limit before it goes to the page, which shows it as text.

#[path = "../coach/areas/mod.rs"]
pub mod areas;
#[path = "../coach/causes.rs"]
pub mod causes;
#[path = "../coach/check.rs"]
pub mod check;
#[path = "../coach/echo.rs"]
pub mod echo;
#[path = "../coach/inflate.rs"]
pub mod inflate;
#[path = "../coach/library.rs"]
pub mod library;
#[path = "../coach/needs.rs"]
pub mod needs;
#[path = "../coach/probe.rs"]
pub mod probe;
#[path = "../coach/report.rs"]
pub mod report;
#[path = "../coach/run.rs"]
pub mod run;
#[path = "../coach/wire.rs"]
pub mod wire;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use areas::{STAGES, chapter};
use library::{Address, Annotation};
use probe::{Dial, PATIENCE, Socket, Target, connect};
use report::Exchange;
use run::{Judged, Manner, Verdict};
use ws101::explain::json::{self, array, object, string};

use crate::tabs::{Lens, lock};

/// How long a run may take before it is stopped.
const MOST_TIME: Duration = Duration::from_secs(300);
/// How many bytes a server may send in a run. A correct server sends about a tenth of that.
const MOST_READ: u64 = 32 << 20;
/// How many checks run at the same time.
const JOBS: usize = 8;
/// How many characters of what a check saw are sent to the page at most.
const LONGEST_SEEN: usize = 1000;
/// How many reads and writes of an exchange are explained at most.
const MOST_TURNS: usize = 2000;
/// How many bytes the exchange of a failure has at most, as JSON.
const LONGEST_EXCHANGE: usize = 48 * 1024;

/// A run of the coach for one page, with the failures that it has found.
pub struct Run {
    target: Arc<Target>,
    reins: Arc<Reins>,
    /// The failures: each check's id, and the failure in full as JSON.
    failures: Mutex<Vec<(&'static str, String)>>,
}

/// Ends a run early: holds the open streams, and the reason once they are ended.
#[derive(Default)]
struct Reins {
    stopped: Mutex<Option<String>>,
    streams: Mutex<Vec<Weak<TcpStream>>>,
    read: AtomicU64,
}

impl Reins {
    /// Ends every stream, so that checks that wait for one continue at once.
    fn stop(&self, why: String) {
        lock(&self.stopped).get_or_insert(why);
        for stream in lock(&self.streams).drain(..).filter_map(|stream| stream.upgrade()) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    fn is_stopped(&self) -> bool {
        lock(&self.stopped).is_some()
    }

    /// Connects to the first address that accepts the connection.
    fn dial(self: &Arc<Reins>, addresses: &[SocketAddr]) -> io::Result<Box<dyn Socket>> {
        let mut last = io::ErrorKind::ConnectionAborted.into();
        for address in addresses {
            match connect(address) {
                Ok(stream) => {
                    let stream = Arc::new(stream);
                    let mut streams = lock(&self.streams);
                    streams.retain(|stream| stream.strong_count() > 0);
                    streams.push(Arc::downgrade(&stream));
                    drop(streams);
                    // Check after adding the stream to the list. A stop before the check is noticed
                    // here; a later stop finds the stream in the list.
                    if self.is_stopped() {
                        break;
                    }
                    return Ok(Box::new(Reined { stream, reins: self.clone() }));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A stream that another thread can end, and whose bytes count against the run's limit.
struct Reined {
    stream: Arc<TcpStream>,
    reins: Arc<Reins>,
}

impl Read for Reined {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // On Windows, `Reins::stop` ends this waiting read, but not one of `std`.
        let count = ws101::Stream::read(&*self.stream, into)?;
        if self.reins.read.fetch_add(count as u64, Relaxed) + count as u64 > MOST_READ {
            let most = MOST_READ >> 20;
            self.reins
                .stop(format!("Your server has sent more than {most} MiB, so the run ended."));
            return Ok(0);
        }
        Ok(count)
    }
}

impl Write for Reined {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Reined {
    fn tcp(&self) -> &TcpStream {
        &self.stream
    }
}

/// Parses the typed address, and looks up its addresses on this machine. An error is a sentence for
/// the page.
fn local(typed: &str) -> Result<(Address, Vec<SocketAddr>), String> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Err("Type your server's address, such as ws://127.0.0.1:9002.".into());
    }
    let scheme = if typed.contains("://") { "" } else { "ws://" };
    let address = Address::parse(&format!("{scheme}{typed}"));
    let address = address.map_err(|misuse| misuse.diagnostic().rule.to_string())?;
    if address.secure {
        return Err("This page coaches ws:// only. For wss://, use a terminal: \
                    cargo run --features tls --example coach -- wss://.."
            .into());
    }
    let Address { host, port, .. } = &address;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found = (name, *port).to_socket_addrs();
    let found = found.map_err(|error| format!("{host} can't be looked up: {error}."))?;
    let found: Vec<SocketAddr> = found.collect();
    match found.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
        Some(other) => Err(format!(
            "{host} leads to {}, which isn't a loopback address. This page coaches servers on its own machine \
             alone: at 127.0.0.1, [::1] or localhost.",
            other.ip()
        )),
        None if found.is_empty() => Err(format!("{host} has no address.")),
        None => Ok((address, found)),
    }
}

/// Which stages a run includes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// One stage after another, up to the first one that fails.
    UntilOneFails,
    All,
    One(usize),
}

impl Plan {
    pub fn parse(word: &str) -> Plan {
        match word.parse() {
            Ok(stage) => Plan::One(stage),
            Err(_) if word == "all" => Plan::All,
            Err(_) => Plan::UntilOneFails,
        }
    }
}

/// Starts a run, and sends its progress through the lens.
pub fn start(lens: &Arc<Lens>, typed: &str, plan: Plan) {
    let mut coached = lock(&lens.coached);
    if coached.is_running {
        return lens.tell("coach", refused("A run is under way. Stop it first."));
    }
    let (of_thread, typed) = (lens.clone(), typed.to_owned());
    let thread = thread::Builder::new().name("coach".into());
    let spawned = thread.spawn(move || {
        let last_word = match local(&typed) {
            Ok((address, found)) => Run::new(address, found).go(&of_thread, plan),
            Err(why) => refused(&why),
        };
        // Clear this first: the page may start another run as soon as it learns that this one has
        // ended.
        lock(&of_thread.coached).is_running = false;
        of_thread.tell("coach", last_word);
    });
    match spawned {
        Ok(_) => coached.is_running = true,
        Err(error) => lens.tell("coach", refused(&no_thread(&error))),
    }
}

fn no_thread(error: &io::Error) -> String {
    format!("No thread can be started: {error}.")
}

/// The fields of an event for the page.
type Told = Vec<(&'static str, String)>;

fn told(state: &str, mut fields: Told) -> Told {
    fields.insert(0, ("state", string(state)));
    fields
}

fn refused(why: &str) -> Told {
    told("refused", vec![("why", string(why))])
}

/// The latest run for a page, and whether it's still running.
#[derive(Default)]
pub struct Coached {
    is_running: bool,
    run: Option<Arc<Run>>,
}

/// Ends the page's run, if one is running.
pub fn stop(lens: &Lens, why: &str) {
    if let Some(run) = &lock(&lens.coached).run {
        run.stop(why.into());
    }
}

/// Returns a failure in full, as JSON, or `null` if the latest run has none with this id.
pub fn failure(lens: &Lens, id: &str) -> String {
    let coached = lock(&lens.coached);
    let Some(run) = &coached.run else { return "null".into() };
    let failures = lock(&run.failures);
    let found = failures.iter().rev().find(|(of, _)| *of == id);
    found.map_or("null".into(), |(_, told)| told.clone())
}

impl Run {
    fn new(address: Address, found: Vec<SocketAddr>) -> Arc<Run> {
        let reins = Arc::new(Reins::default());
        let of_dial = reins.clone();
        let dial: Box<Dial> = Box::new(move |_| of_dial.dial(&found));
        let target = Arc::new(Target::new(Some(address), dial, PATIENCE));
        Arc::new(Run { target, reins, failures: Mutex::default() })
    }

    /// Ends the run: ends its streams, and skips the remaining checks.
    fn stop(&self, why: String) {
        *lock(&self.target.gone) = Some(why.clone());
        self.reins.stop(why);
    }

    /// Does the whole run, while another thread watches the time. Returns the last event for the
    /// page.
    fn go(self: &Arc<Run>, lens: &Lens, plan: Plan) -> Told {
        lock(&lens.coached).run = Some(self.clone());
        let (done, is_done) = channel::<()>();
        let run = self.clone();
        let clock = thread::Builder::new().name("coach's clock".into()).spawn(move || {
            if is_done.recv_timeout(MOST_TIME) == Err(RecvTimeoutError::Timeout) {
                let seconds = MOST_TIME.as_secs();
                run.stop(format!("The run took more than {seconds} seconds, so it was stopped."));
            }
        });
        if let Err(error) = clock {
            return refused(&no_thread(&error));
        }
        let begun = Instant::now();
        let (judged, mut why) = match self.judge(lens, plan) {
            Ok(judged) => (judged, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        drop(done);
        why = lock(&self.reins.stopped).clone().or(why);
        let fields = vec![
            ("why", why.map_or("null".into(), |why| string(&why))),
            ("score", string(&report::score(&judged))),
            ("totals", report::json_totals(&judged, begun.elapsed().as_millis())),
        ];
        told("ends", fields)
    }

    /// Runs the checks stage by stage, as `coach` in a terminal does. Returns an error if there is
    /// no server.
    fn judge(&self, lens: &Lens, plan: Plan) -> Result<Vec<Judged>, String> {
        let is_asked = |at: usize| !matches!(plan, Plan::One(stage) if stage != at + 1);
        let stages = STAGES.iter().enumerate().filter(|(at, _)| is_asked(*at));
        let stages: Vec<(usize, Vec<_>)> = stages
            .map(|(at, stage)| {
                (at, stage.checks.iter().filter(|check| run::applies(check, false)).collect())
            })
            .collect();
        let begins = stages.iter().map(|(at, checks)| {
            object(&[
                ("stage", (at + 1).to_string()),
                ("area", string(STAGES[*at].area)),
                ("title", string(STAGES[*at].title)),
                ("checks", checks.len().to_string()),
            ])
        });
        lens.tell("coach", told("begins", vec![("stages", array(begins))]));
        let needs_echo = !matches!(plan, Plan::One(..=3));
        let jobs = run::calibrate(&self.target, JOBS, needs_echo)?;
        let mut all: Vec<Judged> = Vec::new();
        for (at, checks) in stages {
            let jobs = if STAGES[at].area == "many" { 1 } else { jobs };
            // A learner fixes one thing at a time.
            let manner =
                Manner { jobs, strict: false, first_failure_only: matches!(plan, Plan::One(_)) };
            let mut heard = Vec::new();
            let judged = run::stage(&checks, at + 1, &self.target, manner, &mut |judged| {
                // Checks that were running when the run was stopped have failed because of that, so
                // don't send their verdicts.
                if !self.reins.is_stopped() {
                    heard.push((judged.check.id, judged.verdict));
                    self.tell_verdict(lens, judged);
                }
            });
            for judged in judged {
                let Some((_, verdict)) = heard.iter().find(|(id, _)| *id == judged.check.id) else {
                    continue;
                };
                // If the server died at the end of the stage, the stage's last check now fails.
                if *verdict != judged.verdict {
                    self.tell_verdict(lens, &judged);
                }
                all.push(judged);
            }
            let has_failed = report::count(&all, Verdict::Fail) > 0;
            if self.reins.is_stopped() || plan == Plan::UntilOneFails && has_failed {
                break;
            }
        }
        Ok(all)
    }

    fn tell_verdict(&self, lens: &Lens, judged: &Judged) {
        if matches!(judged.verdict, Verdict::Fail | Verdict::Warn) {
            lock(&self.failures).push((judged.check.id, in_full(judged)));
        }
        let seen: String = judged.seen.chars().take(LONGEST_SEEN).collect();
        let brief = Judged { seen, record: None, ..*judged };
        lens.tell("coach", told("verdict", vec![("judged", report::json(&brief))]));
    }
}

/// Writes a failure as JSON: what the coach prints in a terminal, and the exchange as the
/// playground draws it.
fn in_full(judged: &Judged) -> String {
    let check = judged.check;
    let seen: String = judged.seen.chars().take(LONGEST_SEEN).collect();
    let exchange = judged.record.as_ref().map(|record| {
        let record = lock(record);
        Exchange::new(&record[..record.len().min(MOST_TURNS)], check)
    });
    let exchange = exchange.unwrap_or_else(|| Exchange::new(&[], check));
    let (cause, fix) = check.cause_and_fix(&judged.seen);
    let mut room = LONGEST_EXCHANGE;
    let told = exchange.told.iter().enumerate().map(|(at, annotation)| {
        let is_looked_at = exchange.looked_at == Some(at);
        let looked = if is_looked_at { looked_at(annotation, check.id) } else { Vec::new() };
        object(&[
            ("annotation", json::annotation(annotation)),
            ("isLookedAt", is_looked_at.to_string()),
            ("looked", array(looked.iter().map(usize::to_string))),
        ])
    });
    let told = told.take_while(|one| {
        let fits = one.len() <= room;
        room = room.saturating_sub(one.len());
        fits
    });
    object(&[
        ("id", string(check.id)),
        ("sent", string(check.sends)),
        ("expected", string(check.expects)),
        ("seen", string(&seen)),
        ("rule", string(check.lesson.rule)),
        ("cause", string(cause)),
        ("fix", string(fix)),
        ("chapter", string(&chapter(judged.stage))),
        ("leftOut", exchange.left_out.to_string()),
        ("exchange", array(told)),
    ])
}

/// Returns the indexes of the spans that a check looks at.
fn looked_at(annotation: &Annotation, id: &str) -> Vec<usize> {
    let marks = report::marks(id);
    let is_meant = |text: String| marks.iter().any(|mark| text.contains(mark));
    let spans = annotation.spans.iter().enumerate();
    spans.filter(|(_, span)| is_meant(format!("{}:", span.field))).map(|(at, _)| at).collect()
}
