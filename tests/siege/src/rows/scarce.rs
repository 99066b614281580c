//! A machine that has run out: of descriptors, of threads, of memory maps. The server tells who comes, rests, and
//! takes the next one as soon as there is something to give.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::many;
use crate::peer::{BINARY, FIN, Peer, dial};
use crate::process::{Process, wait_until};
use crate::verdict::Verdict;
use crate::{Result, Siege};

const A_SECOND: Duration = Duration::from_secs(1);
/// How long there is nothing to give, while ten a second ask.
const SCARCITY: Duration = Duration::from_secs(5);
/// Of that time the server may be on a core for so much: a twentieth. One that spins is for all of it.
const NEAR_IDLE: Duration = Duration::from_millis(250);

/// No descriptors: the process may have a hundred.
pub fn descriptors(_: &Siege) -> Result<Verdict> {
    let server = Process::with(&["prlimit", "--nofile=100:100"], &[])?;
    scarce(server, 50, 100)
}

/// No threads: the process may have a hundred. That binds no root, so it runs as a user who has nothing
/// else to do, in a copy of this program that this user may read.
pub fn threads(_: &Siege) -> Result<Verdict> {
    let copy = Copy::make()?;
    let confined = ["prlimit", "--nproc=100:100", "setpriv"];
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let behind: Vec<&str> = confined.into_iter().chain(nobody).collect();
    let server = Process::run(&behind, &copy.program.to_string_lossy(), &[])?;
    scarce(server, 50, 100)
}

/// So many threads the server may still start, before the maps are at an end: each takes four.
const FREE: usize = 2_700;
/// More maps than this would be too many to take away.
const MOST_MAPS: usize = 100_000;

/// No memory maps: a thread takes four, and one that gets only two of them ends the process. Each who comes to
/// the news has two threads.
pub fn maps(_: &Siege) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let all: usize = fs::read_to_string("/proc/sys/vm/max_map_count")?.trim().parse()?;
    if all > MOST_MAPS {
        verdict.note(format!("vm.max_map_count is {all} here, too much to be taken away"));
        return Ok(verdict);
    }
    let parked = (all / 4).saturating_sub(FREE);
    let mut server = Process::with(&[], &["--parked", &parked.to_string()])?;
    let to = server.address;
    // 1. More than there can be threads for. Whoever is refused leaves.
    let count = FREE * 2 / 3;
    let (answers, failures) = many(count, |_| {
        let mut peer = Peer::dial(to)?;
        Ok(match peer.ask(to, "/news", "")? {
            101 => (101, Some(peer)),
            other => (other, None),
        })
    });
    verdict.none("failures", &failures);
    let told = answers.iter().filter(|(status, _)| *status == 503).count();
    let mut inside: Vec<Peer> = answers.into_iter().filter_map(|(_, peer)| peer).collect();
    verdict.at_least("inside", inside.len() as u64, 100);
    verdict.at_least("told 503", told as u64, 1);
    verdict.exactly("answered", (inside.len() + told) as u64, count as u64);
    verdict.is("the server has ended", server.has_ended()?, false);
    // 2. Those inside are served by their outboxes; once some have left, another gets in.
    let all_are_readers =
        wait_until(A_SECOND, || Ok(server.counters()?.of("readers") == inside.len() as u64))?;
    verdict.within("with their outboxes after", all_are_readers, A_SECOND);
    server.ask("publish 1 100 0")?;
    let served = inside.iter_mut().filter_map(|peer| peer.next().ok());
    let served = served.filter(|news| news.first == FIN | BINARY).count();
    verdict.exactly("served", served as u64, inside.len() as u64);
    for peer in inside.split_off(inside.len() - 5) {
        peer.close()?;
    }
    let recovered = wait_until(2 * A_SECOND, || Ok(Peer::open(to, "/news").is_ok()))?;
    verdict.within("room again after", recovered, A_SECOND);
    Ok(verdict)
}

fn scarce(mut server: Process, at_least: u64, at_most: u64) -> Result<Verdict> {
    let to = server.address;
    let mut verdict = Verdict::default();
    // 1. Until there is no more.
    let mut inside = Vec::new();
    let mut answer = 101;
    while answer == 101 && inside.len() < 200 {
        let mut peer = Peer::dial(to)?;
        answer = peer.ask(to, "/echo", "")?;
        if answer == 101 {
            inside.push(peer);
        }
    }
    verdict.at_least("inside", inside.len() as u64, at_least);
    verdict.at_most("inside", inside.len() as u64, at_most);
    verdict.is("the next told", answer, 503);
    // 2. Ten a second ask, and as many say nothing.
    let (start, time) = (Instant::now(), server.time()?);
    let (mut asked, mut told, mut silent) = (0, 0, Vec::new());
    while start.elapsed() < SCARCITY {
        asked += 1;
        told += u64::from(Peer::dial(to)?.ask(to, "/echo", "")? == 503);
        silent.push(dial(to, false)?);
        thread::sleep(Duration::from_millis(100));
    }
    verdict.exactly("told 503", told, asked);
    let spent = server.time()?.saturating_sub(time);
    verdict.at_most(&format!("on a core in {SCARCITY:?}"), spent, NEAR_IDLE);
    // 3. Those inside are served; once one of them has left, another gets in.
    let served = inside.iter_mut().filter_map(|peer| peer.echo("served?").ok()).count();
    verdict.exactly("served", served as u64, inside.len() as u64);
    drop(silent);
    for peer in inside.split_off(inside.len() - 5) {
        peer.close()?;
    }
    let recovered = wait_until(2 * A_SECOND, || {
        Ok(Peer::open(to, "/echo").and_then(|mut peer| peer.echo("room?")).is_ok())
    })?;
    verdict.within("room again after", recovered, A_SECOND);
    verdict.at_least("still open", server.counters()?.of("open"), inside.len() as u64);
    Ok(verdict)
}

/// A copy of this program where everybody may read it, for as long as it is needed.
struct Copy {
    folder: PathBuf,
    program: PathBuf,
}

impl Copy {
    fn make() -> Result<Copy> {
        let folder = std::env::temp_dir().join(format!("siege-{}", std::process::id()));
        let program = folder.join("siege");
        let copy = Copy { folder, program };
        fs::create_dir(&copy.folder)?;
        fs::set_permissions(&copy.folder, fs::Permissions::from_mode(0o755))?;
        fs::copy(std::env::current_exe()?, &copy.program)?;
        fs::set_permissions(&copy.program, fs::Permissions::from_mode(0o755))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
