//! Faults in the chat on three servers; after each, what all members heard is compared.

mod cluster;
mod member;

use std::collections::{BTreeMap, HashSet};
use std::process::exit;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster::Cluster;
use member::{Heard, Member};

const MEMBERS: usize = 9;
/// Messages of all members together, a second.
const RATE: usize = 100;

fn main() {
    type Fault = (&'static str, bool, fn(&mut Cluster));
    // The second: whether the store loses what it had, so that members must be told to start anew.
    let faults: [Fault; 8] = [
        ("nothing", false, |_| {}),
        ("a server is killed", false, |c| {
            c.kill(0);
            sleep(Duration::from_secs(1));
            c.start(0);
        }),
        ("Redis is paused for 3 s", false, |c| {
            c.signal("redis", "STOP");
            sleep(Duration::from_secs(3));
            c.signal("redis", "CONT");
        }),
        ("Redis is killed, starts with its data", false, |c| {
            c.kill_redis();
            sleep(Duration::from_secs(1));
            c.start_redis();
        }),
        ("the balancer is killed", false, |c| c.restart_haproxy()),
        ("server three is cut off from Redis for 9 s", false, |c| {
            c.signal("proxy", "STOP");
            sleep(Duration::from_secs(9));
            c.signal("proxy", "CONT");
        }),
        ("rolling restart of all three", false, |c| c.roll()),
        ("Redis is wiped", true, |c| c.wipe()),
    ];
    let mut cluster = Cluster::start_all();
    let mut failed = 0;
    println!(
        "{:<44} {:>9} {:>9} {:>5} {:>5} {:>7} {:>7} {:>9}",
        "fault", "messages", "recovered", "anew", "lost", "doubled", "disorder", "unaided"
    );
    for (round, (name, wiped, fault)) in faults.into_iter().enumerate() {
        let start =
            |i: usize, helped| Member::start(cluster.chat.clone(), format!("r{round}m{i}"), helped);
        let members: Vec<Member> = (0..MEMBERS).map(|i| start(i, true)).collect();
        let unaided: Vec<Member> = (MEMBERS..MEMBERS + 3).map(|i| start(i, false)).collect();
        sleep(Duration::from_millis(500));
        let (stop, all) = (std::sync::atomic::AtomicBool::new(false), &members);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in (0..MEMBERS).cycle() {
                    if stop.load(SeqCst) {
                        break;
                    }
                    all[i].wanted.fetch_add(1, SeqCst);
                    sleep(Duration::from_millis(1000 / RATE as u64));
                }
            });
            sleep(Duration::from_secs(1));
            fault(&mut cluster);
            sleep(Duration::from_secs(1));
            stop.store(true, SeqCst);
        });
        let deadline = Instant::now() + Duration::from_secs(15);
        let mut bad = members.iter().filter(|m| !m.await_confirmed(deadline)).count();
        // One more, when all is quiet: a member that has it has all before it.
        members[0].wanted.fetch_add(1, SeqCst);
        bad += usize::from(!members[0].await_confirmed(deadline));
        let last = format!("r{round}m0says{}", members[0].wanted.load(SeqCst));
        let has_last =
            |m: &Member| m.heard.lock().unwrap().list.last().is_some_and(|l| l.2 == last);
        while !members.iter().all(has_last) && Instant::now() < deadline {
            sleep(Duration::from_millis(20));
        }
        let heard: Vec<Heard> = members.iter().map(|m| m.heard.lock().unwrap().clone()).collect();
        let said: u64 = members.iter().map(|m| m.confirmed.load(SeqCst)).sum();
        let prefix = format!("r{round}m");
        let (lost, doubled) = compare(&heard, said, &prefix, wiped);
        let disorder: usize = heard.iter().map(|h| h.out_of_order).sum();
        let recovered: usize = heard.iter().map(|h| h.recovered).sum();
        let anew: usize = heard.iter().map(|h| h.anew.len()).sum();
        let missed: u64 = unaided
            .iter()
            .map(|m| {
                let heard = m.heard.lock().unwrap();
                let own: HashSet<_> =
                    heard.list.iter().filter(|l| l.2.starts_with(&prefix)).map(|l| &l.2).collect();
                said.saturating_sub(own.len() as u64)
            })
            .sum();
        bad += lost + doubled + disorder;
        // `recovered: false` must be said when the store was wiped, and only then.
        bad += usize::from(if wiped { anew < MEMBERS } else { anew > 0 });
        println!(
            "{name:<44} {said:>9} {recovered:>9} {anew:>5} {lost:>5} {doubled:>7} {disorder:>7} {missed:>9}{}",
            if bad > 0 { "  FAILED" } else { "" }
        );
        failed += usize::from(bad > 0);
    }
    drop(cluster);
    println!("{failed} failed");
    exit(i32::from(failed > 0));
}

/// How many messages members lack, and how many they have twice. `said`: how many the store has confirmed.
fn compare(heard: &[Heard], said: u64, prefix: &str, wiped: bool) -> (usize, usize) {
    let mut at: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    let (mut lost, mut doubled) = (0, 0);
    for (epoch, offset, text) in heard.iter().flat_map(|h| &h.list) {
        // Two members with different texts at the same offset have not heard the same.
        lost += usize::from(*at.entry((epoch, *offset)).or_insert(text) != text);
    }
    for h in heard {
        let own: Vec<&String> =
            h.list.iter().map(|l| &l.2).filter(|t| t.starts_with(prefix)).collect();
        let different: HashSet<_> = own.iter().collect();
        doubled += if wiped { 0 } else { own.len() - different.len() };
        if h.anew.is_empty() {
            lost += (said as usize).saturating_sub(different.len());
        }
        // Those who were told to start anew: nothing is missing since.
        let since = h.anew.last().map_or(0, |at| (*at).min(h.list.len()));
        let span = &h.list[since..];
        if let (Some(first), Some(last)) = (span.first(), span.last()) {
            lost +=
                (last.1 - first.1 + 1) as usize - span.len().min((last.1 - first.1 + 1) as usize);
        }
    }
    (lost, doubled)
}
