//! Runs checks, stage by stage, several at a time, and turns what they return into verdicts.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::areas;
use crate::check::{Check, Level, Peers, Stop};
use crate::needs::needs;
use crate::probe::{Probe, Record, Target};

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

/// What became of a check.
pub struct Judged {
    pub check: &'static Check,
    pub stage: usize,
    pub verdict: Verdict,
    pub seen: String,
    pub took: Duration,
    pub record: Option<Record>,
}

/// Whether a check is for this kind of peer.
pub fn applies(check: &Check, is_client: bool) -> bool {
    match check.peers {
        Peers::Both => true,
        Peers::Servers => !is_client,
        Peers::Clients => is_client,
    }
}

/// Learns the peer's pace. Says whether it serves two at once; `Err`: there is no peer.
pub fn calibrate(target: &Arc<Target>) -> Result<bool, String> {
    let mut probe = Probe::new(target.clone());
    if probe.is_client() {
        return match probe.arrives() {
            Ok((head, mut line)) => {
                line.send(&crate::probe::answer(&head).bytes());
                line.pause();
                if line.alive().is_err() {
                    let _ = probe.open().and_then(|mut line| line.alive());
                }
                Ok(false)
            }
            Err(Stop::Skips(why)) => Err(why),
            Err(_) => Ok(false),
        };
    }
    let mut first = match probe.open() {
        Ok(line) => line,
        Err(Stop::Fails(why)) if target.gone.lock().unwrap().is_some() => {
            return Err(why);
        }
        Err(_) => {
            target.opens.store(false, Relaxed);
            return Ok(true);
        }
    };
    let mut echoes = first.alive().is_ok();
    if !echoes {
        // It may need longer for its very first answer.
        std::thread::sleep(target.pace.moment());
        echoes = probe.open().and_then(|mut line| line.alive()).is_ok();
    }
    // Beside the first: is a second one served? If it isn't soon, checks go one after another.
    let request = probe.request().bytes();
    let Ok(mut second) = probe.connect() else { return Ok(false) };
    second.send(&request);
    let wait = target.pace.moment() * 2;
    if second.pending(wait).is_empty() {
        return Ok(false);
    }
    if !echoes {
        return Ok(true);
    }
    // A server that mixes up its clients is asked one thing at a time; stage 12 tells of it. It may greet.
    let _ = second.head();
    let moment = target.pace.moment() / 4;
    let _ = second.message(moment);
    let alive = first.alive().is_ok();
    Ok(alive && second.message(moment).is_err())
}

pub fn one(check: &'static Check, stage: usize, target: &Arc<Target>, strict: bool) -> Judged {
    let started = Instant::now();
    let was_gone = target.gone.lock().unwrap().clone();
    let mut probe = Probe::new(target.clone());
    let outcome = match &was_gone {
        Some(why) => Err(Stop::Skips(why.clone())),
        // Without a handshake the first two stages alone can say why.
        None if stage > 2 && !target.opens.load(Relaxed) => {
            Err(Stop::Skips("the plain handshake isn't accepted: see head/plain".into()))
        }
        // Only frames that come back can show what the later stages ask for.
        None if matches!(stage, 5..=12 | 14) && !target.echoes.load(Relaxed) => {
            Err(Stop::Skips("no message has come back yet: see frame/text".into()))
        }
        None => catch_unwind(AssertUnwindSafe(|| (check.run)(&mut probe)))
            .unwrap_or_else(|_| Err(Stop::Skips("the coach itself went wrong here".into()))),
    };
    let outcome = match outcome {
        Err(Stop::Fails(seen)) if target.gone.lock().unwrap().is_none() => {
            Err(blamed(check, target, &seen).map_or(Stop::Fails(seen), Stop::Skips))
        }
        other => other,
    };
    let is_gone = was_gone.is_none() && target.gone.lock().unwrap().is_some();
    let counts = check.level == Level::Must || (strict && check.level == Level::Should);
    let (verdict, seen) = match outcome {
        Ok(()) => (Verdict::Pass, String::new()),
        Err(Stop::Fails(seen)) if counts || is_gone => (Verdict::Fail, seen),
        Err(Stop::Warns(seen)) if strict && check.level == Level::Should => (Verdict::Fail, seen),
        Err(Stop::Fails(seen) | Stop::Warns(seen)) => (Verdict::Warn, seen),
        Err(Stop::Skips(why)) => (Verdict::Skip, why),
    };
    let record = (verdict == Verdict::Fail).then(|| probe.records.last().cloned()).flatten();
    Judged { check, stage, verdict, seen, took: started.elapsed(), record }
}

/// Asks a failed check again after each of these pauses in milliseconds, while it fails in such a way.
fn again(
    judged: &mut Judged,
    pauses: &[u64],
    target: &Arc<Target>,
    strict: bool,
    is_such: fn(&str) -> bool,
) {
    for &pause in pauses {
        let gone = target.gone.lock().unwrap().is_some();
        if judged.verdict == Verdict::Fail && is_such(&judged.seen) && !gone {
            std::thread::sleep(Duration::from_millis(pause));
            *judged = one(judged.check, judged.stage, target, strict);
        }
    }
}

/// Why this failure is another check's matter, if it is.
fn blamed(check: &Check, target: &Arc<Target>, seen: &str) -> Option<String> {
    let mut needs = needs(check.id);
    if check.id == "policy/two-hosts" && !seen.starts_with("101") {
        needs.push("refuse/no-key");
    }
    let is_client = target.listener.is_some();
    needs.into_iter().find_map(|need| {
        let known = target.held.lock().unwrap().get(need).cloned();
        let seen = known.unwrap_or_else(|| {
            let (_, needed) = areas::all().find(|(_, c)| c.id == need && applies(c, is_client))?;
            let seen = match (needed.run)(&mut Probe::new(target.clone())) {
                Err(Stop::Fails(seen)) => Some(seen),
                _ => None,
            };
            target.held.lock().unwrap().insert(need, seen.clone());
            seen
        })?;
        Some(format!("what it builds on fails already, see {need}: {seen}"))
    })
}

/// How a stage is run.
#[derive(Clone, Copy)]
pub struct Manner {
    /// How many checks at a time.
    pub jobs: usize,
    pub strict: bool,
    /// A learner mends one thing at a time, and doesn't wait for the rest.
    pub first_failure_only: bool,
}

/// Runs checks of one stage; tells each as it ends, and returns those that were run, in their order.
pub fn stage(
    checks: &[&'static Check],
    stage: usize,
    target: &Arc<Target>,
    manner: Manner,
    tell: &mut dyn FnMut(&Judged),
) -> Vec<Judged> {
    let (alone, together): (Vec<_>, Vec<_>) =
        checks.iter().copied().enumerate().partition(|(_, check)| check.alone && manner.jobs > 1);
    let mut all = side_by_side(together, stage, target, manner, tell);
    if manner.jobs > 1 {
        for (_, judged) in &mut all {
            // A server may end connections for what another one did, or have room for few.
            again(judged, &[40, 160], target, manner.strict, |seen| {
                seen.contains("the end") || seen.contains("ended")
            });
        }
    }
    if !manner.first_failure_only || all.iter().all(|(_, it)| it.verdict != Verdict::Fail) {
        all.extend(side_by_side(alone, stage, target, Manner { jobs: 1, ..manner }, tell));
    }
    // A server that died at the stage's end is this stage's matter, and not the next one's.
    let mut probe = Probe::new(target.clone());
    let was_there = !probe.is_client() && target.gone.lock().unwrap().is_none();
    if was_there
        && target.opens.load(Relaxed)
        && probe.open().is_err()
        && target.gone.lock().unwrap().is_some()
        && let Some((_, last)) = all.last_mut()
    {
        last.verdict = Verdict::Fail;
        last.seen = "after this check, or one that ran beside it, the server is gone".into();
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, judged)| judged).collect()
}

/// Runs checks, as many at a time as the manner allows. Each comes back with its place.
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
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                loop {
                    let Some((place, check)) = queue.lock().unwrap().pop_front() else { break };
                    let mut judged = one(check, stage, target, strict);
                    // A server may have room for few: what found none is asked again.
                    again(&mut judged, &[40, 160], target, strict, |seen| {
                        seen.contains("without a byte")
                    });
                    if first_failure_only && judged.verdict == Verdict::Fail {
                        queue.lock().unwrap().clear();
                    }
                    let _ = sender.send((place, judged));
                }
            });
        }
        drop(sender);
        for (place, judged) in receiver {
            tell(&judged);
            all.push((place, judged));
        }
    });
    all
}
