//! Causes faults while members send, and compares after each fault what all members received.
//!
//! Rules of this file:
//! - Nine members send all the time, and recover what they missed. Three others never send their position, so
//!   the messages that they lack at the end show what recovery is for. Guests join for one fault, and only receive.
//! - A member must get `recovered: false` if the store has lost what it missed, and never otherwise.
//! - After a fault that breaks connections, recovery must have delivered entries, and the three must lack some.
//!   Otherwise the fault had no effect.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ws101::{Client, Limits};

use crate::cluster::{Cluster, Setup};
use crate::compare::{List, Verdict, compare};
use crate::member::{Heard, Member};

const TALKING: usize = 9;
const UNAIDED: usize = 3;
/// Between two messages, of all members together.
const PAUSE: Duration = Duration::from_millis(15);
/// How many messages are said before a fault, and after it.
const AROUND: u64 = 80;
/// Longer than anything may take. It only ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(40);
/// How many entries a store keeps: the server's own default.
const HISTORY: u64 = 1000;

struct Fault {
    name: &'static str,
    /// Connections break: what is said meanwhile is missed by who can't recover.
    breaks: bool,
    /// The store loses what members have not heard: all must be told to start anew.
    loses: bool,
    inject: fn(&mut Cluster, &mut Scene),
}

const FAULTS: [Fault; 17] = [
    Fault {
        name: "nothing",
        breaks: false,
        loses: false,
        inject: |_, scene| scene.await_presence(),
    },
    Fault {
        name: "a server is killed in mid-broadcast",
        breaks: true,
        loses: false,
        inject: |cluster, scene| {
            let server = scene.server_of_an_unaided();
            scene.say(20);
            scene.await_more(20);
            cluster.kill(server);
            // Who was there is forgotten there, and found on the others.
            scene.await_presence();
            cluster.start(server);
        },
    },
    Fault {
        name: "all servers are killed at once",
        breaks: true,
        loses: false,
        inject: |cluster, scene| {
            scene.say(20);
            scene.await_more(20);
            (0..3).for_each(|i| cluster.kill(i));
            (0..3).for_each(|i| cluster.start(i));
            // What is said by those who are back first is missed by the others.
            scene.say(40);
        },
    },
    Fault {
        name: "rolling restart of all three",
        breaks: true,
        loses: false,
        inject: |cluster, _| cluster.roll(),
    },
    Fault {
        name: "the balancer is killed and restarted",
        breaks: true,
        loses: false,
        inject: |cluster, scene| {
            cluster.kill_balancer();
            cluster.start_balancer();
            scene.say(40);
        },
    },
    Fault {
        name: "Redis stands still for 3 s",
        breaks: false,
        loses: false,
        inject: |cluster, _| cluster.pause_redis(Duration::from_secs(3)),
    },
    Fault {
        name: "Redis stands still for 8 s",
        breaks: false,
        loses: false,
        inject: |cluster, _| cluster.pause_redis(Duration::from_secs(8)),
    },
    Fault {
        name: "Redis is killed, comes back with its data",
        breaks: false,
        loses: false,
        inject: |cluster, _| {
            cluster.kill_redis();
            sleep(Duration::from_secs(1));
            cluster.start_redis();
        },
    },
    Fault {
        name: "a server starts before its Redis",
        breaks: false,
        loses: false,
        inject: |cluster, scene| {
            let server = scene.server_of_an_unaided();
            cluster.kill_redis();
            cluster.kill(server);
            cluster.spawn(server);
            scene.failed |= !is_turned_away(cluster.address(server));
            cluster.start_redis();
            cluster.await_ready(server);
        },
    },
    Fault {
        name: "server three and Redis are parted for 9 s",
        breaks: true,
        loses: false,
        inject: |cluster, _| {
            cluster.cut_off_server_three();
            sleep(Duration::from_secs(9));
            cluster.join_server_three();
        },
    },
    Fault {
        name: "a member comes to a server that is cut off",
        breaks: false,
        loses: false,
        inject: |cluster, scene| {
            scene.guests.push(Guest::enter_at(cluster.address(0), scene, "early", Some(false)));
            let guest = &scene.guests[0].member;
            cluster.cut_off_server_three();
            // What the guest hears now, server three doesn't know. It must not say that this is lost.
            let (heard, deadline) = (guest.heard().lines.len(), Instant::now() + PATIENCE);
            let in_time = guest.await_that(deadline, |now| now.lines.len() > heard + 50);
            guest.set_door(cluster.address(2));
            guest.set_away(true);
            let is_away = guest.await_that(deadline, |heard| heard.server.is_none());
            guest.set_away(false);
            let came = guest.await_that(deadline, |heard| heard.connections > 1);
            sleep(Duration::from_secs(2));
            cluster.join_server_three();
            scene.failed |= !(in_time && is_away && came);
        },
    },
    Fault {
        name: "a member reads nothing",
        breaks: false,
        loses: false,
        inject: |cluster, scene| {
            // Not through the balancer, whose buffers would take some megabytes more.
            scene.guests.push(Guest::enter_at(cluster.address(0), scene, "slow", None));
            scene.guests[0].member.set_asleep(true);
            // Until its server has cut it off, which the others see: because its outbox is full, or, on a slow
            // machine, because no byte went out for the time that a write may take.
            scene.set_length(8000);
            let deadline = Instant::now() + PATIENCE;
            while scene.talking[0].heard().here.iter().any(|name| name.contains("slow")) {
                scene.failed |= Instant::now() > deadline;
                if scene.failed {
                    break;
                }
                scene.say(10);
                scene.await_confirmed();
            }
            scene.set_length(0);
            scene.guests[0].member.set_asleep(false);
            // It has delayed nobody.
            scene.failed |= scene.talking.iter().any(|m| m.heard().connections > 1);
        },
    },
    Fault {
        name: "one member is away for 200, one for 1,100",
        breaks: false,
        loses: false,
        inject: |_, scene| {
            scene.guests.push(Guest::enter(scene, "long", Some(true)));
            scene.guests.push(Guest::enter(scene, "short", Some(false)));
            scene.say_while_away(0..1, HISTORY - 100);
            scene.say_while_away(0..2, 200);
            scene.guests.iter().for_each(|guest| guest.member.set_away(false));
        },
    },
    Fault {
        name: "Redis is wiped",
        breaks: false,
        loses: true,
        inject: |cluster, _| cluster.wipe(),
    },
    Fault {
        name: "Redis is wiped while one member is away",
        breaks: false,
        loses: true,
        inject: |cluster, scene| {
            // The stream is short, so that the next one soon has the offset at which the guest leaves.
            cluster.wipe();
            scene.await_anew(1);
            scene.guests.push(Guest::enter(scene, "late", Some(true)));
            scene.say_while_away(0..1, 1);
            let offset = scene.guests[0].member.heard().lines.last().map_or(0, |line| line.offset);
            cluster.wipe();
            scene.await_anew(2);
            scene.await_more(offset + AROUND);
            scene.guests[0].member.set_away(false);
        },
    },
    Fault {
        name: "Redis is killed, comes back empty",
        breaks: false,
        loses: true,
        inject: |cluster, _| cluster.lose_disk(),
    },
    Fault {
        name: "Redis comes back with an older copy",
        breaks: false,
        loses: true,
        inject: |cluster, scene| {
            cluster.back_up();
            scene.say(10);
            scene.await_confirmed();
            cluster.restore();
        },
    },
];

/// A member that comes for one fault.
struct Guest {
    member: Member,
    /// It misses more than the store keeps. `None`: it depends on how fast this machine is.
    starts_anew: Option<bool>,
}

impl Guest {
    fn enter(scene: &Scene, name: &str, starts_anew: Option<bool>) -> Guest {
        Guest::enter_at(&scene.doors[0], scene, name, starts_anew)
    }

    fn enter_at(door: &str, scene: &Scene, name: &str, starts_anew: Option<bool>) -> Guest {
        let name = format!("{}{name}", scene.prefix);
        let member = Member::start(door, name.clone(), true, &scene.confirmed);
        let is_in = |heard: &Heard| heard.here.contains(&name);
        assert!(scene.talking[0].await_that(Instant::now() + PATIENCE, is_in), "{name} is not in");
        Guest { member, starts_anew }
    }
}

/// The members of one round.
struct Scene {
    doors: Vec<String>,
    /// What the names of this round begin with, and so its messages.
    prefix: String,
    /// How many messages the store has confirmed.
    confirmed: Arc<AtomicU64>,
    talking: Vec<Member>,
    unaided: Vec<Member>,
    guests: Vec<Guest>,
    failed: bool,
}

impl Scene {
    fn enter(cluster: &Cluster, round: usize) -> Scene {
        let doors = cluster.doors.clone();
        let prefix = format!("r{round}m");
        let confirmed = Arc::<AtomicU64>::default();
        let start = |i: usize, recovers| {
            Member::start(&doors[i % doors.len()], format!("{prefix}{i}"), recovers, &confirmed)
        };
        let talking: Vec<_> = (0..TALKING).map(|i| start(i, true)).collect();
        let mut unaided: Vec<_> =
            (TALKING..TALKING + UNAIDED - 1).map(|i| start(i, false)).collect();
        // One goes straight to the last server: the balancer might send none of them there, and who cuts that server off
        // would see nothing missed. When it comes back, it comes through the balancer, as all do.
        let name = format!("{prefix}{}", TALKING + UNAIDED - 1);
        let at_last = Member::start(cluster.last_address(), name, false, &confirmed);
        assert!(is_connected(&at_last), "{} is not in", at_last.name);
        at_last.set_door(&doors[0]);
        unaided.push(at_last);
        let scene =
            Scene { doors, prefix, confirmed, talking, unaided, guests: Vec::new(), failed: false };
        assert!(scene.all().all(is_connected), "not all members are in");
        scene
    }

    fn all(&self) -> impl Iterator<Item = &Member> {
        let guests = self.guests.iter().map(|guest| &guest.member);
        self.talking.iter().chain(&self.unaided).chain(guests)
    }

    /// Each that talks says so many at once, as fast as it can.
    fn say(&self, each: u64) {
        self.talking.iter().for_each(|member| member.prompt().say(each));
    }

    fn set_length(&self, length: usize) {
        self.talking.iter().for_each(|member| member.set_length(length));
    }

    fn await_confirmed(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        self.failed |= !self.talking.iter().all(|member| member.await_confirmed(deadline));
    }

    /// Waits until so many more messages are confirmed.
    fn await_more(&mut self, count: u64) {
        let confirmed = || self.confirmed.load(SeqCst);
        let (until, deadline) = (confirmed() + count, Instant::now() + PATIENCE);
        while confirmed() < until {
            if Instant::now() > deadline {
                self.failed = true;
                return;
            }
            sleep(PAUSE);
        }
    }

    /// Waits until each that talks was told so often to start anew.
    fn await_anew(&mut self, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        let is_told = |heard: &Heard| heard.anew.len() == times;
        self.failed |= !self.talking.iter().all(|member| member.await_that(deadline, is_told));
    }

    /// Says so many while these guests are away.
    fn say_while_away(&mut self, guests: Range<usize>, count: u64) {
        for guest in &self.guests[guests] {
            guest.member.set_away(true);
            let deadline = Instant::now() + PATIENCE;
            self.failed |= !guest.member.await_that(deadline, |heard| heard.server.is_none());
        }
        self.say(count / TALKING as u64 + 1);
        self.await_confirmed();
    }

    /// Waits until each is told that all are here, each once.
    fn await_presence(&mut self) {
        let mut names: Vec<_> = self.all().map(|member| member.name.clone()).collect();
        names.sort();
        let deadline = Instant::now() + PATIENCE;
        let failed = !self.all().all(|m| m.await_that(deadline, |heard| heard.here == names));
        self.failed |= failed;
    }

    fn server_of_an_unaided(&self) -> usize {
        assert!(is_connected(&self.unaided[0]));
        Cluster::index(&self.unaided[0].heard().server.unwrap_or("one".into()))
    }
}

fn is_connected(member: &Member) -> bool {
    member.await_that(Instant::now() + PATIENCE, |heard| heard.server.is_some())
}

/// Whether a server that knows nothing says so, instead of letting a member in.
fn is_turned_away(address: &str) -> bool {
    let url = format!("ws://{address}/chat/tea?name=early&key=early");
    let limits = Limits { connect: Duration::from_secs(3), ..Limits::default() };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(mut ws) = Client::new(&url).limits(limits.clone()).connect() {
            let told = ws.recv_timeout(PATIENCE);
            return matches!(told, Ok(None))
                && ws.closed_with().is_some_and(|c| c.code == 1013.into());
        }
        sleep(PAUSE);
    }
    false
}

/// One row of the table.
pub struct Row {
    pub name: &'static str,
    said: u64,
    /// By all members who recover, together.
    heard: usize,
    /// How often they connected again.
    came_back: usize,
    recovered: usize,
    caught_up: u64,
    anew: usize,
    verdict: Verdict,
    unaided_lack: usize,
    pub seconds: f64,
    pub failed: bool,
}

pub const HEADINGS: [&str; 11] = [
    "fault",
    "said",
    "heard",
    "came back",
    "recovered",
    "entries by it",
    "started anew",
    "lost",
    "doubled",
    "out of order",
    "lost without recovery",
];

impl Row {
    pub fn cells(&self) -> Vec<String> {
        let Verdict { lost, doubled, disorder, different } = self.verdict;
        let name = if self.failed { format!("FAILED: {}", self.name) } else { self.name.into() };
        let counts = [
            self.said as usize,
            self.heard,
            self.came_back,
            self.recovered,
            self.caught_up as usize,
            self.anew,
            lost,
            doubled,
            disorder + different,
            self.unaided_lack,
        ];
        std::iter::once(name).chain(counts.map(|count| count.to_string())).collect()
    }
}

/// All faults, or those whose name contains this.
pub fn run(only: &str, mut show: impl FnMut(&Row)) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut next = |cluster: &mut Cluster, fault: &Fault| {
        rows.push(round(cluster, rows.len(), fault));
        show(&rows[rows.len() - 1]);
    };
    let mut cluster = Cluster::start_all(&Setup { servers: 3, redis: true, balancer: true });
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(only)) {
        next(&mut cluster, fault);
    }
    drop(cluster);
    let alone = Fault {
        name: "one server without Redis is killed",
        breaks: false,
        loses: true,
        inject: |cluster, _| {
            cluster.kill(0);
            cluster.start(0);
        },
    };
    if alone.name.contains(only) {
        let mut cluster = Cluster::start_all(&Setup { servers: 1, redis: false, balancer: false });
        next(&mut cluster, &alone);
    }
    rows
}

fn round(cluster: &mut Cluster, number: usize, fault: &Fault) -> Row {
    let start = Instant::now();
    let mut scene = Scene::enter(cluster, number);
    let prompts: Vec<_> = scene.talking.iter().map(Member::prompt).collect();
    let quiet = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for prompt in prompts.iter().cycle() {
                if quiet.load(SeqCst) {
                    break;
                }
                prompt.say(1);
                sleep(PAUSE);
            }
        });
        scene.await_more(AROUND);
        (fault.inject)(cluster, &mut scene);
        scene.await_more(AROUND);
        // All are back before it gets quiet, or nothing would be left to miss.
        let is_back = scene.all().all(is_connected);
        quiet.store(true, SeqCst);
        scene.failed |= !is_back;
    });
    scene.await_confirmed();
    // One more, when all is quiet: a member that has it has all before it.
    let first = &scene.talking[0];
    first.prompt().say(1);
    let last = first.text(first.wanted());
    let deadline = Instant::now() + PATIENCE;
    let has_last = |heard: &Heard| heard.lines.last().is_some_and(|line| line.text == last);
    let all_have = scene.all().all(|member| member.await_that(deadline, has_last));
    scene.await_confirmed();
    scene.failed |= !all_have;
    judge(fault, &scene, &last, start.elapsed())
}

fn judge(fault: &Fault, scene: &Scene, last: &str, took: Duration) -> Row {
    let said: Vec<String> = scene
        .talking
        .iter()
        .flat_map(|member| (1..=member.confirmed()).map(|number| member.text(number)))
        .collect();
    let talking = scene.talking.iter().map(|member| (member.heard(), Some(fault.loses)));
    let guests = scene.guests.iter().map(|guest| (guest.member.heard(), guest.starts_anew));
    let heard: Vec<(Heard, Option<bool>)> = talking.chain(guests).collect();
    let lists: Vec<List> = heard
        .iter()
        .enumerate()
        .map(|(place, (heard, _))| {
            let since = heard.anew.last().copied().unwrap_or(0);
            // A guest came later, and doesn't answer for what was said before.
            let whole = heard.anew.is_empty() && place < TALKING;
            List { lines: &heard.lines[since..], whole }
        })
        .collect();
    let verdict = compare(&said, last, &lists);
    let sum = |count: fn(&Heard) -> usize| heard.iter().map(|(heard, _)| count(heard)).sum();
    let unaided = scene.unaided.iter().map(|member| {
        let heard = member.heard();
        said.iter().filter(|text| !heard.lines.iter().any(|line| line.text == **text)).count()
    });
    let mut row = Row {
        name: fault.name,
        said: said.len() as u64,
        heard: sum(|heard| heard.lines.len()),
        came_back: sum(|heard| heard.connections - 1),
        recovered: sum(|heard| heard.recovered),
        caught_up: heard.iter().map(|(heard, _)| heard.caught_up).sum(),
        anew: sum(|heard| heard.anew.len()),
        unaided_lack: unaided.sum(),
        seconds: took.as_secs_f64(),
        failed: scene.failed,
        verdict,
    };
    let kept_promises = heard.iter().all(|(heard, _)| heard.broken == 0);
    let told_right =
        heard.iter().all(|(heard, anew)| anew.is_none_or(|anew| heard.anew.is_empty() != anew));
    let needed = !fault.breaks || (row.caught_up > 0 && row.unaided_lack > 0);
    row.failed |= !(row.verdict.is_clean() && kept_promises && told_right && needed);
    row
}
