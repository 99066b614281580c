//! Runs checks, stage by stage, several at a time, and turns what they return into verdicts.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::areas;
use crate::check::{Check, Level, Peers, Stop};
use crate::needs::needs;
use crate::probe::{Line, NO_EXCHANGE, NOT_OPEN, Probe, Record, Target, UNREACHABLE, is_busy};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Pass,
    Fail,
    Warn,
    Skip,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Warn => "warn",
            Verdict::Skip => "skip",
        }
    }

    pub fn dot(self) -> char {
        match self {
            Verdict::Pass => '.',
            Verdict::Fail => 'F',
            Verdict::Warn => 'w',
            Verdict::Skip => '-',
        }
    }
}

/// A check that was run or skipped, with its verdict.
pub struct Judged {
    pub check: &'static Check,
    pub stage: usize,
    pub verdict: Verdict,
    pub seen: String,
    pub took: Duration,
    pub record: Option<Record>,
    /// The check that fails already, because of which this one was skipped.
    pub blamed: Option<&'static str>,
}

/// Whether a check is for this kind of peer.
pub fn applies(check: &Check, is_client: bool) -> bool {
    match check.peers {
        Peers::Both => true,
        Peers::Servers => !is_client,
        Peers::Clients => is_client,
    }
}

/// Learns how fast the peer answers, and how many connections it serves at once. Returns how many
/// checks may run at the same time, at most `jobs`, or an error if there is no peer. Unless
/// `needs_echo`, it doesn't wait a second time for an echo.
pub fn calibrate(target: &Arc<Target>, jobs: usize, needs_echo: bool) -> Result<usize, String> {
    let mut probe = Probe::new(target.clone());
    if probe.is_client() {
        return match probe.arrives() {
            Ok((head, mut line)) => {
                line.send(&crate::probe::answer(&head).bytes());
                line.pause();
                if line.alive().is_err()
                    && needs_echo
                    && let Ok(mut line) = probe.open()
                {
                    echoes_late(&mut line, target);
                }
                Ok(1)
            }
            Err(Stop::Skips(why)) => Err(why),
            Err(_) => Ok(1),
        };
    }
    let mut first = match first_open(&mut probe) {
        Ok(line) => line,
        Err(Stop::Fails(why)) if target.gone.lock().unwrap().is_some() => {
            if why.contains("certificate") {
                return Err(format!(
                    "{why}: if you trust this certificate, pass --root FILE; --insecure accepts any certificate"
                ));
            }
            if why.contains("TLS") {
                return Err(format!("{why}: if the server speaks no TLS, coach it as ws://"));
            }
            let at = target.address.as_ref().map(|to| format!("{}:{}", to.host, to.port));
            return Err(format!(
                "{why}: is it running, and does it listen on {}?",
                at.unwrap_or_default()
            ));
        }
        Err(_) => {
            target.opens.store(false, Relaxed);
            return Ok(jobs);
        }
    };
    let mut echoes = first.alive().is_ok();
    if !echoes {
        // The first answer after a start may take longer, so pause before measuring. End the first
        // connection, because the server may serve only one.
        drop(first);
        std::thread::sleep(target.pace.moment());
        let again = probe.open();
        if target.gone.lock().unwrap().is_some() {
            return Err("the server answered the first handshake, but was gone after the first \
                message or at the end of that connection: a server has to accept the next \
                connection then"
                .into());
        }
        let Ok(line) = again else { return Ok(1) };
        first = line;
        echoes = needs_echo && echoes_late(&mut first, target);
    }
    // Does the server serve a second connection beside the first? If it doesn't answer soon, checks
    // run one at a time.
    let Some(mut second) = open_another(&mut probe, false) else { return Ok(1) };
    if echoes {
        // If the server mixes up its clients, checks run one at a time, and stage 12 reports it. The
        // server may send a greeting.
        let moment = target.pace.moment() / 4;
        let _ = second.message(moment);
        if first.alive().is_err() || second.message(moment).is_ok() {
            return Ok(1);
        }
    }
    // Counting the places of a slow server would take too long.
    if target.pace.is_slow() {
        return Ok(jobs);
    }
    // Each check needs two places: its last connection may still count when it opens the next.
    let more = (2..jobs.saturating_mul(2)).map_while(|_| open_another(&mut probe, echoes));
    let more: Vec<Line> = more.collect();
    Ok((1 + more.len() / 2).min(jobs))
}

/// Whether an echo comes if the coach waits twice as long for it. The peer may be slow with each
/// message, though it was quick with the handshake.
fn echoes_late(line: &mut Line, target: &Target) -> bool {
    target.pace.wait_twice_as_long();
    let echoes = line.alive().is_ok();
    target.pace.forget_silences();
    echoes
}

/// Opens another WebSocket, if the server answers soon, and echoes on it if it should.
fn open_another(probe: &mut Probe, echoes: bool) -> Option<Line> {
    let mut line = probe.reach().ok()?;
    line.send(&probe.request().bytes());
    let wait = line.pace().moment() * 2;
    let is_served = !line.pending(wait).is_empty()
        && line.head().is_ok_and(|head| head.status() == Some(101))
        && (!echoes || line.alive().is_ok());
    is_served.then_some(line)
}

/// How long the coach waits for the answer to its first request. A server may need a while after
/// its start.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// Opens the first WebSocket. While the server accepts connections but says nothing, it asks again,
/// and waits twice as long each time, because the server may be slow with each answer.
fn first_open(probe: &mut Probe) -> Result<Line, Stop> {
    let started = Instant::now();
    let pace = &probe.target.clone().pace;
    loop {
        let opened = probe.open();
        let is_silent = matches!(&opened, Err(Stop::Skips(why)) if why.contains("silence for"));
        if !is_silent || started.elapsed() > FIRST_ANSWER {
            pace.forget_silences();
            return opened;
        }
        pace.wait_twice_as_long();
    }
}

/// Whether the server still can't be reached now that the check which noticed it has closed its own
/// connections. A server that accepts no connection while it serves another one isn't gone.
fn is_still_gone(target: &Arc<Target>) -> bool {
    let seems_gone =
        || target.gone.lock().unwrap().as_ref().is_some_and(|why| why.starts_with(UNREACHABLE));
    if seems_gone() && Probe::new(target.clone()).reach().is_ok() {
        target.gone.lock().unwrap().take_if(|why| why.starts_with(UNREACHABLE));
    }
    target.gone.lock().unwrap().is_some()
}

pub fn one(check: &'static Check, stage: usize, target: &Arc<Target>, strict: bool) -> Judged {
    let started = Instant::now();
    let was_gone = target.gone.lock().unwrap().clone();
    let mut probe = Probe::new(target.clone());
    let mut blame = None;
    let outcome = match &was_gone {
        Some(why) => Err(Stop::Skips(why.clone())),
        // Without a handshake, only the first two stages can say why.
        None if stage > 2 && !target.opens.load(Relaxed) => {
            blame = Some("head/plain");
            Err(Stop::Skips("the plain handshake isn't accepted: see head/plain".into()))
        }
        // The later stages can check only a peer that echoes.
        None if matches!(stage, 5..=12 | 14) && !target.echoes.load(Relaxed) => {
            blame = Some("frame/text");
            Err(Stop::Skips("no message has come back yet: see frame/text".into()))
        }
        None => catch_unwind(AssertUnwindSafe(|| (check.run)(&mut probe)))
            .unwrap_or_else(|_| Err(Stop::Skips("the coach itself went wrong here".into()))),
    };
    let is_gone = was_gone.is_none() && is_still_gone(target);
    let outcome = match outcome {
        Err(Stop::Fails(seen)) if target.gone.lock().unwrap().is_none() => {
            match blamed(check, target, &seen) {
                Some((need, why)) => {
                    blame = Some(need);
                    Err(Stop::Skips(why))
                }
                None => Err(Stop::Fails(seen)),
            }
        }
        // The check didn't come to its own question, so a simpler one fails.
        Err(Stop::Skips(why)) if why.starts_with(NO_EXCHANGE) || why.starts_with(NOT_OPEN) => {
            blame = match blamed(check, target, &why) {
                Some((need, _)) => Some(need),
                None if why.starts_with(NOT_OPEN) => Some("head/plain"),
                None => None,
            };
            Err(Stop::Skips(why))
        }
        other => other,
    };
    let counts = check.level == Level::Must || (strict && check.level == Level::Should);
    let (verdict, seen) = match outcome {
        Ok(()) => (Verdict::Pass, String::new()),
        Err(Stop::Fails(seen)) if counts || is_gone => (Verdict::Fail, seen),
        Err(Stop::Warns(seen)) if strict && check.level == Level::Should => (Verdict::Fail, seen),
        Err(Stop::Fails(seen) | Stop::Warns(seen)) => (Verdict::Warn, seen),
        Err(Stop::Skips(why)) => (Verdict::Skip, why),
    };
    let record = (verdict == Verdict::Fail).then(|| probe.records.last().cloned()).flatten();
    let blamed = blame.filter(|_| verdict == Verdict::Skip);
    Judged { check, stage, verdict, seen, took: started.elapsed(), record, blamed }
}

/// Repeats a check after each of these pauses, in milliseconds, while its verdict is of the given
/// kind.
fn again(
    judged: &mut Judged,
    pauses: &[u64],
    target: &Arc<Target>,
    strict: bool,
    is_such: fn(&Judged) -> bool,
) {
    for &pause in pauses {
        let gone = target.gone.lock().unwrap().is_some();
        if is_such(judged) && !gone {
            std::thread::sleep(Duration::from_millis(pause));
            *judged = one(judged.check, judged.stage, target, strict);
        }
    }
}

/// Asks the checks that skipped checks were blamed on, and returns those that fail. A run of chosen
/// checks must not end as if each MUST held, if it saw that one doesn't.
pub fn causes(all: &[Judged], target: &Arc<Target>, strict: bool) -> Vec<Judged> {
    let is_client = target.listener.is_some();
    let mut known: HashSet<&str> = all.iter().map(|judged| judged.check.id).collect();
    let mut blamed: Vec<&str> = all.iter().filter_map(|judged| judged.blamed).collect();
    let mut failed = Vec::new();
    while let Some(id) = blamed.pop() {
        let mut asked = areas::all().filter(|(_, c)| c.id == id && applies(c, is_client));
        if known.insert(id)
            && let Some((stage, check)) = asked.next()
        {
            let judged = one(check, stage, target, strict);
            blamed.extend(judged.blamed);
            failed.extend(Some(judged).filter(|judged| judged.verdict == Verdict::Fail));
        }
    }
    failed
}

/// If a check that this one builds on fails, too, returns its id, and the reason to skip this one.
/// A check that found the server full or gone, or was skipped, says nothing, and may be asked again
/// later.
fn blamed(check: &Check, target: &Arc<Target>, seen: &str) -> Option<(&'static str, String)> {
    let mut needs = needs(check.id);
    if check.id == "policy/two-hosts" && !seen.starts_with("101") {
        needs.push("refuse/no-key");
    }
    let is_client = target.listener.is_some();
    needs.into_iter().find_map(|need| {
        let known = target.held.lock().unwrap().get(need).cloned();
        let seen = known.unwrap_or_else(|| {
            let (_, needed) = areas::all().find(|(_, c)| c.id == need && applies(c, is_client))?;
            let outcome = (needed.run)(&mut Probe::new(target.clone()));
            let is_gone = target.gone.lock().unwrap().is_some();
            let seen = match outcome {
                Err(Stop::Skips(_)) => return None,
                Err(Stop::Fails(seen)) if is_gone || is_busy(&seen) => return None,
                Err(Stop::Fails(seen)) => Some(seen),
                _ => None,
            };
            // Not if it saw an end: a server may close a connection because of what another check
            // did on its own.
            if !seen.as_deref().is_some_and(is_end) {
                target.held.lock().unwrap().insert(need, seen.clone());
            }
            seen
        })?;
        Some((need, format!("what it builds on fails already, see {need}: {seen}")))
    })
}

/// Whether a check saw the end of a connection.
fn is_end(seen: &str) -> bool {
    seen.contains("the end") || seen.contains("ended")
}

/// How the checks of a stage are run.
#[derive(Clone, Copy)]
pub struct Manner {
    /// How many checks run at the same time.
    pub jobs: usize,
    pub strict: bool,
    /// Whether to stop at the first failure. A learner fixes one thing at a time, and needn't wait
    /// for the rest.
    pub first_failure_only: bool,
}

/// Runs the checks of one stage, passes each verdict on as it comes, and returns those of the
/// checks that ran, in order.
pub fn stage(
    checks: &[&'static Check],
    stage: usize,
    target: &Arc<Target>,
    manner: Manner,
    tell: &mut dyn FnMut(&Judged),
) -> Vec<Judged> {
    let was_there = target.listener.is_none() && target.gone.lock().unwrap().is_none();
    let (alone, together): (Vec<_>, Vec<_>) =
        checks.iter().copied().enumerate().partition(|(_, check)| check.alone && manner.jobs > 1);
    let mut all = side_by_side(together, stage, target, manner, tell);
    if manner.jobs > 1 {
        for (_, judged) in &mut all {
            // A server may close a connection because of what another one did, or because it has
            // too many. Each check that saw an end is asked again, without another one beside it.
            again(judged, &[0], target, manner.strict, |it| {
                it.verdict == Verdict::Skip && is_end(&it.seen)
            });
            again(judged, &[40, 160], target, manner.strict, |it| {
                it.verdict == Verdict::Fail && is_end(&it.seen)
            });
        }
    }
    if !manner.first_failure_only || all.iter().all(|(_, it)| it.verdict != Verdict::Fail) {
        all.extend(side_by_side(alone, stage, target, Manner { jobs: 1, ..manner }, tell));
    }
    // If the server died during this stage, the stage reports it, and not the next one. A check that
    // finds the server gone at its first step is only skipped, so another one has to fail.
    if was_there && target.opens.load(Relaxed) {
        let _ = Probe::new(target.clone()).open();
    }
    let is_gone = target.gone.lock().unwrap().is_some();
    if was_there && is_gone && all.iter().all(|(_, it)| it.verdict != Verdict::Fail) {
        let last_asked = all.iter().rposition(|(_, it)| it.verdict != Verdict::Skip);
        let last = last_asked.or(all.len().checked_sub(1)).map(|index| &mut all[index].1);
        if let Some(last) = last {
            last.verdict = Verdict::Fail;
            last.seen = "after this check, or one that ran beside it, the server is gone".into();
        }
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, judged)| judged).collect()
}

/// Runs checks, as many at a time as the manner allows. Returns each verdict with the index of its
/// check.
fn side_by_side(
    checks: Vec<(usize, &'static Check)>,
    stage: usize,
    target: &Arc<Target>,
    Manner { jobs, strict, first_failure_only }: Manner,
    tell: &mut dyn FnMut(&Judged),
) -> Vec<(usize, Judged)> {
    let jobs = jobs.min(checks.len());
    let queue: Mutex<VecDeque<(usize, &'static Check)>> = Mutex::new(checks.into());
    let (sender, receiver) = mpsc::channel();
    let mut all = Vec::new();
    let judge = |sender: mpsc::Sender<_>| {
        loop {
            let Some((place, check)) = queue.lock().unwrap().pop_front() else { break };
            let mut judged = one(check, stage, target, strict);
            // The server may allow only few connections, so repeat a check that got none.
            again(&mut judged, &[40, 160], target, strict, |it| {
                is_busy(&it.seen) || it.seen.contains("without a byte")
            });
            if first_failure_only && judged.verdict == Verdict::Fail {
                queue.lock().unwrap().clear();
            }
            let _ = sender.send((place, judged));
        }
    };
    std::thread::scope(|scope| {
        // (`scope.spawn` would panic if no thread is free.)
        let starts = |_: &usize| {
            let (judge, sender) = (&judge, sender.clone());
            std::thread::Builder::new().spawn_scoped(scope, move || judge(sender)).is_ok()
        };
        // The threads that could be started do the work of those that couldn't.
        if (0..jobs).take_while(starts).count() == 0 {
            judge(sender.clone());
        }
        drop(sender);
        for (place, judged) in receiver {
            tell(&judged);
            all.push((place, judged));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::library::Address;
    use crate::probe::Socket;
    use crate::wire::{self, BINARY, frame};

    const ANSWER_101: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const ANSWER_503: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\r\n";

    /// A server on which `answer` gets each connection, with its number, after a read of its head;
    /// and what the coach knows about it.
    fn target(
        patience: Duration,
        time_to_connect: Duration,
        answer: impl Fn(TcpStream, usize) + Copy + Send + 'static,
    ) -> Arc<Target> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (i, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
                std::thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1024]);
                    answer(stream, i);
                });
            }
        });
        let address = Address::parse(&format!("ws://{at}/")).unwrap();
        let dial = move |_: &Address| {
            std::thread::sleep(time_to_connect);
            TcpStream::connect(at).map(|stream| Box::new(stream) as Box<dyn Socket>)
        };
        Arc::new(Target::new(Some(address), Box::new(dial), patience))
    }

    fn check(id: &str) -> (usize, &'static Check) {
        areas::all().find(|(_, check)| check.id == id).unwrap()
    }

    #[test]
    fn coach_waits_longer_for_a_server_that_is_slow_with_each_handshake() {
        let patience = Duration::from_millis(100);
        let target = target(patience, Duration::ZERO, move |mut stream, _| {
            std::thread::sleep(patience * 3);
            let _ = stream.write_all(ANSWER_101);
        });
        assert_eq!(calibrate(&target, 3, true), Ok(3));
        assert!(target.opens.load(Relaxed));
        assert!(target.pace.answer() > patience * 3);
        let head = Probe::new(target.clone()).accepted(&Probe::new(target).request().bytes());
        assert!(head.is_ok(), "{:?}", head.err());
    }

    #[test]
    fn neither_time_to_connect_nor_silence_before_first_answer_counts_as_pace() {
        let patience = Duration::from_millis(600);
        let target = target(patience, patience, |mut stream, i| {
            if i >= 3 {
                let _ = stream.write_all(ANSWER_101);
            }
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(calibrate(&target, 1, false), Ok(1));
        assert!(target.opens.load(Relaxed));
        assert!(target.pace.slowest() < patience, "{:?}", target.pace.slowest());
    }

    #[test]
    fn each_wait_for_a_long_echo_is_derived_from_the_echo_before() {
        let patience = Duration::from_millis(1000);
        let target = target(patience, Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(ANSWER_101);
            let (mut input, mut bytes) = (Vec::new(), [0; 4096]);
            let mut unmasking = Duration::from_millis(600);
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                input.extend(&bytes[..read]);
                if let Ok(Some((came, count))) = wire::parse(&input) {
                    input.drain(..count);
                    std::thread::sleep(unmasking);
                    unmasking *= 2;
                    let _ = stream.write_all(&frame(BINARY, came.payload).bytes(None));
                }
            }
        });
        let mut line = Probe::new(target).open().unwrap();
        for _ in 0..2 {
            let echo = line.echo(BINARY, &[7; 1 << 16]);
            assert!(echo.is_ok(), "{:?}", echo.err());
        }
    }

    #[test]
    fn wait_for_a_message_in_fragments_allows_the_peer_its_time_for_each_frame() {
        let target = target(Duration::from_millis(200), Duration::ZERO, move |mut stream, _| {
            let _ = stream.write_all(ANSWER_101);
            let (mut input, mut bytes, mut message) = (Vec::new(), [0; 4096], Vec::new());
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                input.extend(&bytes[..read]);
                while let Ok(Some((came, count))) = wire::parse(&input) {
                    input.drain(..count);
                    std::thread::sleep(Duration::from_millis(50));
                    message.extend(&came.payload);
                    if came.fin() {
                        let whole = std::mem::take(&mut message);
                        let _ = stream.write_all(&frame(wire::TEXT, whole).bytes(None));
                    }
                }
            }
        });
        assert!(Probe::new(target.clone()).open().unwrap().alive().is_ok());
        let (stage, check) = check("fragments/of-one-byte");
        let judged = one(check, stage, &target, false);
        assert!(judged.verdict == Verdict::Pass, "{}", judged.seen);
    }

    #[test]
    fn peer_on_a_slow_line_has_time_to_receive_a_long_message() {
        let patience = Duration::from_millis(500);
        let target = target(patience, Duration::ZERO, move |mut stream, _| {
            let _ = stream.write_all(ANSWER_101);
            let (mut input, mut bytes) = (Vec::new(), vec![0; 1 << 17]);
            while let Ok(read @ 1..) = stream.read(&mut bytes) {
                input.extend(&bytes[..read]);
                if let Ok(Some((came, count))) = wire::parse(&input) {
                    input.drain(..count);
                    // As if 1 MiB took a second and a half.
                    std::thread::sleep(patience * 3 * (came.payload.len() >> 20) as u32);
                    let _ = stream.write_all(&frame(BINARY, came.payload).bytes(None));
                }
            }
        });
        let echo = Probe::new(target).open().unwrap().echo(BINARY, &[7; 1 << 20]);
        assert!(echo.is_ok(), "{:?}", echo.err());
    }

    #[test]
    fn what_the_coach_keeps_of_a_peer_that_sends_without_an_end_is_bounded() {
        let target = target(Duration::from_millis(2000), Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(ANSWER_101);
            let message = frame(BINARY, vec![b'x'; 1 << 20]).bytes(None);
            while stream.write_all(&message).is_ok() {}
        });
        let mut probe = Probe::new(target);
        let mut line = probe.open().unwrap();
        assert!(line.alive().is_err());
        let kept: usize = line.unasked.iter().map(|message| message.payload.len()).sum();
        assert!(kept as u64 <= wire::LARGEST + (1 << 20), "{kept} bytes of messages");
        let record = probe.records[0].lock().unwrap();
        let recorded: usize = record.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(recorded < 5 << 20, "{recorded} bytes recorded");
    }

    #[test]
    fn message_of_fragments_without_an_end_is_waited_for_in_bounded_time() {
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(ANSWER_101);
            let _ = stream.write_all(&frame(wire::TEXT, "x").more().bytes(None));
            let fragments = frame(wire::CONTINUATION, "x").more().bytes(None).repeat(1000);
            while stream.write_all(&fragments).is_ok() {}
        });
        let mut line = Probe::new(target).open().unwrap();
        let started = Instant::now();
        assert!(line.alive().is_err());
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    }

    #[test]
    fn interim_answers_without_an_end_are_no_answer() {
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            while stream.write_all(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100)).is_ok() {}
        });
        let Err(Stop::Skips(seen)) = Probe::new(target).open() else { panic!("it's open") };
        assert!(seen.contains("again and again"), "{seen}");
    }

    #[test]
    fn usual_cause_fits_what_the_check_saw() {
        let text_without_fin: &[u8] = b"\x01\x02Hi";
        let low_byte_first: &[u8] = b"\x81\x7e\x7e\x00Hi";
        let close_1002: &[u8] = b"\x88\x02\x03\xea";
        let compressed_without_rsv1: &[u8] = b"\x81\x07\xf2\x48\xcd\xc9\xc9\x07\x00";
        let deflates = String::from_utf8_lossy(ANSWER_101)
            .replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        for (id, frame, seen, cause) in [
            ("frame/text", text_without_fin, "after 2 bytes in frames without FIN", "sets FIN"),
            ("lengths/text-126", low_byte_first, "a frame that announces 32256 bytes", "low byte"),
            ("deflate/hello", close_1002, "a Close with code 1002", "still refuses RSV1"),
            ("deflate/hello", compressed_without_rsv1, "a message of 7 bytes", "doesn't set RSV1"),
        ] {
            let head = if id.starts_with("deflate") { deflates.as_bytes() } else { ANSWER_101 };
            let answer: &'static [u8] = [head, frame].concat().leak();
            let target =
                target(Duration::from_millis(500), Duration::ZERO, move |mut stream, _| {
                    let _ = stream.write_all(answer);
                    let _ = stream.read_to_end(&mut Vec::new());
                });
            let (_, check) = check(id);
            let Err(Stop::Fails(came)) = (check.run)(&mut Probe::new(target)) else {
                panic!("{id} doesn't fail")
            };
            assert!(came.contains(seen), "{id}: {came}");
            let own = check.cause_and_fix("").0;
            let fits = check.cause_and_fix(&came).0;
            assert!(fits.contains(cause) && fits != own, "{id}: {fits}");
        }
        let (_, lone) = check("utf8/lone-continuation");
        let fits =
            lone.cause_and_fix("after the bytes [80]: a Close with 1005, which may not be sent");
        assert!(fits.0.contains("finds the fault"), "{fits:?}");
        let fits = check("fragments/ping-between").1.cause_and_fix("text came back as binary");
        assert!(fits.0.contains("kind from the wrong frame"), "{fits:?}");
    }

    #[test]
    fn peer_that_refuses_u_0000_is_not_said_to_unmask_wrongly() {
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(&[ANSWER_101, b"\x88\x02\x03\xef"].concat());
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let came = Probe::new(target).open().unwrap().comes_back(b"a\0b");
        let Err(Stop::Fails(seen)) = came else { panic!("an echo") };
        assert!(seen.contains("code 1007") && !seen.contains("unmasked"), "{seen}");
    }

    #[test]
    fn server_with_room_for_three_is_not_said_to_serve_only_one() {
        static OPEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            if OPEN.fetch_add(1, Relaxed) < 3 {
                let _ = stream.write_all(ANSWER_101);
                let _ = stream.read_to_end(&mut Vec::new());
            }
            OPEN.fetch_sub(1, Relaxed);
        });
        target.together.store(true, Relaxed);
        let Err(Stop::Fails(seen)) = (check("many/crowd").1.run)(&mut Probe::new(target)) else {
            panic!("it doesn't fail")
        };
        assert!(seen.starts_with("beside 3 connections, another isn't served"), "{seen}");
    }

    #[test]
    fn check_that_a_full_server_refuses_is_blamed_on_the_plain_handshake() {
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(ANSWER_503);
        });
        let (stage, check) = check("frame/text");
        let judged = one(check, stage, &target, false);
        assert_eq!((judged.verdict, judged.blamed), (Verdict::Skip, Some("head/plain")));
        let failed = causes(&[judged], &target, false);
        assert_eq!(failed.iter().map(|it| it.check.id).collect::<Vec<_>>(), ["head/plain"]);
    }

    #[test]
    fn check_that_found_the_server_full_or_was_skipped_is_asked_again_later() {
        let target = target(Duration::from_millis(500), Duration::ZERO, |mut stream, _| {
            let _ = stream.write_all(ANSWER_503);
        });
        // The first builds on a check that fails then, the second on checks that are skipped.
        for id in ["frame/text", "ping/payload"] {
            assert_eq!(blamed(check(id).1, &target, ""), None);
        }
        assert!(target.held.lock().unwrap().is_empty());
    }
}
