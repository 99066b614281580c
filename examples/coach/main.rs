//! A coach for WebSocket servers and clients in any language: it checks each rule, and explains
//! each failure.
//!
//! run: cargo run --example coach [OPTIONS] ws://HOST[:PORT]/PATH
//! or a client: cargo run --example coach -- [OPTIONS] --listen ADDRESS [-- COMMAND..] or a page
//! for your browser, which talks to your server: cargo run --example coach -- --page
//! ws://HOST[:PORT]/ or a list of its checks: cargo run --example coach -- --list
//! expect: coach: 14 stages
//! next: src/lib.rs, which has the map of the library
//!
//! The peer has to echo each message. The checks are in `areas`, with a file for each stage;
//! `probe` is their connection to the peer, `wire` builds frames that the library refuses to write,
//! and `report` prints the verdicts. Exit status: 0 if each MUST held, 1 if one did not, 2 if the
//! coach could not run, or could ask nothing.

/// Like `println!`, but ends the program without a message if the output is closed, as in
/// `--list | head`.
macro_rules! say {
    ($($words:tt)*) => {
        if writeln!(io::stdout(), $($words)*).is_err() {
            std::process::exit(2);
        }
    };
}

mod areas;
mod causes;
mod check;
#[path = "../shared/ctrl_c.rs"]
mod ctrl_c;
mod echo;
mod inflate;
mod library;
mod needs;
mod page;
mod probe;
mod report;
mod run;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use std::cmp::Ordering;
use std::io::{self, IsTerminal, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use areas::{STAGES, all, chapter};
use check::Check;
use library::Address;
use probe::{Dial, PATIENCE, Target};
use run::{Judged, Manner, Verdict};

/// The options of the command line.
#[derive(Default)]
struct Options {
    url: Option<String>,
    listen: Option<String>,
    command: Vec<String>,
    stage: Option<usize>,
    only: Vec<String>,
    list: bool,
    show: Option<String>,
    json: bool,
    course: bool,
    page: bool,
    junit: Option<String>,
    markdown: Option<String>,
    strict: bool,
    timeout: Option<u64>,
    jobs: Option<usize>,
    root: Option<String>,
    insecure: bool,
}

const USAGE: &str = "\
coach [OPTIONS] ws[s]://HOST[:PORT]/PATH          checks a server, which echoes each message
coach [OPTIONS] --listen ADDRESS [-- COMMAND..]   checks a client, which echoes each message
  --stage N          runs one stage, shows its first failure in full, and says what to do next
  --only ID[,ID..]   runs only these checks: a whole area, or area/name; if a simpler check of
                     another stage fails, so that these can't run, shows that one (as --stage does)
  --course           shows which stages are done, and the next one with its chapter
  --page             serves a page for your browser, which talks to your server from stage 4 on
  --list, --show ID  lists all checks; explains one of them
  --json, --junit FILE, --markdown FILE   writes the verdicts in this format
  --strict           counts a broken SHOULD as a failure, too
  --timeout MS       waits at least this long for an answer (and longer if the peer is slow);
                     less than 100 becomes 100
  --jobs N           runs up to N checks at the same time
  --root FILE, --insecure   trusts the certificates in FILE, or any (wss://, feature `tls`)";

fn parse() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number =
            |text: String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
        match argument.as_str() {
            "--listen" => options.listen = Some(value()?),
            "--stage" => options.stage = Some(number(value()?)? as usize),
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            "--show" => options.show = Some(value()?),
            "--junit" => options.junit = Some(value()?),
            "--markdown" => options.markdown = Some(value()?),
            "--timeout" => options.timeout = Some(number(value()?)?),
            "--jobs" => options.jobs = Some(number(value()?)?.max(1) as usize),
            "--root" => options.root = Some(value()?),
            "--list" => options.list = true,
            "--json" => options.json = true,
            "--strict" => options.strict = true,
            "--course" => options.course = true,
            "--page" => options.page = true,
            "--insecure" => options.insecure = true,
            "--" => options.command = arguments.by_ref().collect(),
            "--help" | "-h" => return Err(USAGE.into()),
            url if url.contains("://") && options.url.is_none() => options.url = Some(url.into()),
            other if other.contains(':') && !other.contains("://") && !other.starts_with('-') => {
                return Err(format!("{other:?} is no address: write ws://HOST:PORT"));
            }
            other => return Err(format!("{other:?} is no option\n{USAGE}")),
        }
    }
    if !options.command.is_empty() && options.listen.is_none() {
        return Err("the command after -- starts a client, so the coach must listen: it needs --listen ADDRESS before the --".into());
    }
    if options.stage.is_some_and(|stage| stage == 0 || stage > STAGES.len()) {
        return Err(format!("stages go from 1 to {}", STAGES.len()));
    }
    for id in &options.only {
        if !all().any(|(_, check)| matches(check, id)) {
            return Err(format!("no check or area {id:?}; --list shows them"));
        }
    }
    Ok(options)
}

/// Returns the words that coach this peer in the same way, for the commands that a report suggests.
fn same_words(options: &Options) -> String {
    let mut words = Vec::new();
    let flags = [("--strict", options.strict), ("--insecure", options.insecure)];
    words.extend(flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (*name).to_owned()));
    let values = [
        ("--root", options.root.clone()),
        ("--timeout", options.timeout.map(|ms| ms.to_string())),
        ("--jobs", options.jobs.map(|jobs| jobs.to_string())),
        ("--listen", options.listen.clone()),
    ];
    for (name, value) in values {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), for_shell(&value)]));
    }
    words.extend(options.url.iter().map(|url| for_shell(url)));
    if !options.command.is_empty() {
        words.push("--".into());
        words.extend(options.command.iter().map(|word| for_shell(word)));
    }
    words.join(" ")
}

/// Quotes a word that a shell would otherwise change, such as a URL with `?` and `&`.
fn for_shell(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn matches(check: &Check, id: &str) -> bool {
    check.id == id || check.area() == id
}

fn main() -> ExitCode {
    match parse().and_then(|options| coach(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(why) if why == USAGE => {
            say!("{why}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn coach(options: &Options) -> Result<u8, String> {
    if options.list {
        say!("coach: {} stages, {} checks", STAGES.len(), all().count());
        for (stage, check) in all() {
            let peers = format!("{:?}", check.peers).to_lowercase();
            let level = check.level.name();
            say!(
                "{stage:>2} {:<34} {level:<7} {peers:<8} {:<18} {}",
                check.id,
                check.lesson.section,
                check.sends
            );
        }
        return Ok(0);
    }
    if let Some(id) = &options.show {
        let pages: Vec<String> = all()
            .filter(|(_, check)| matches(check, id))
            .map(|(stage, check)| report::page(check, stage))
            .collect();
        if pages.is_empty() {
            return Err(format!("no check {id:?}; --list shows them"));
        }
        say!("{}", pages.join("\n"));
        return Ok(0);
    }
    if options.page {
        return page::serve(options.url.as_deref().ok_or("the address of your server")?)
            .map(|()| 0);
    }
    let target = Arc::new(target(options)?);
    let peer = options
        .url
        .clone()
        .unwrap_or_else(|| format!("--listen {}", options.listen.as_deref().unwrap_or_default()));
    let is_client = target.listener.is_some();
    let chosen: Vec<Vec<&'static Check>> = STAGES
        .iter()
        .enumerate()
        .map(|(i, stage)| {
            let wanted = |check: &&Check| {
                run::applies(check, is_client)
                    && options.stage.is_none_or(|stage| stage == i + 1)
                    && (options.only.is_empty() || options.only.iter().any(|id| matches(check, id)))
            };
            stage.checks.iter().filter(wanted).collect()
        })
        .collect();
    let total = chosen.iter().map(Vec::len).sum::<usize>();
    if total == 0 {
        let role = if is_client { "client" } else { "server" };
        return Err(format!("none of the chosen checks asks a {role}; --list shows them"));
    }
    let jobs = options.jobs.unwrap_or(8).min(total);
    // The first three stages ask about handshakes alone.
    let needs_echo = chosen[3..].iter().any(|checks| !checks.is_empty());
    let jobs = run::calibrate(&target, jobs, needs_echo)?;
    let started = Instant::now();
    let mut all = Vec::new();
    let mut screen =
        Screen { quiet: options.json, live: io::stdout().is_terminal(), started, total, done: 0 };
    if !options.json {
        say!("coach: 14 stages, {total} checks for {peer}");
    }
    for (i, checks) in chosen.iter().enumerate().filter(|(_, checks)| !checks.is_empty()) {
        let jobs = if STAGES[i].area == "many" { 1 } else { jobs };
        let begun = Instant::now();
        let mut dots = String::new();
        let first_failure_only = options.course || options.stage.is_some() && !options.json;
        let manner = Manner { jobs, strict: options.strict, first_failure_only };
        let judged = run::stage(checks, i + 1, &target, manner, &mut |judged| {
            dots.push(judged.verdict.dot());
            screen.step(i, &dots);
        });
        screen.stage(i, &judged, checks.len(), begun.elapsed());
        if options.json {
            judged.iter().for_each(|judged| say!("{}", report::json(judged)));
        }
        let held = holds(&judged);
        all.extend(judged);
        // The learner's current stage has failed, so the later stages can wait.
        if options.course && !held {
            break;
        }
    }
    if !options.course {
        let causes = run::causes(&all, &target, options.strict);
        if options.json {
            causes.iter().for_each(|judged| say!("{}", report::json(judged)));
        }
        all.extend(causes);
    }
    finish(options, &all, &peer, started, &target)
}

/// Prints and writes all reports at the end, and returns the exit status.
fn finish(
    options: &Options,
    all: &[Judged],
    peer: &str,
    started: Instant,
    target: &Target,
) -> Result<u8, String> {
    let write = |file: &Option<String>, text: &dyn Fn() -> String| match file {
        Some(file) => std::fs::write(file, text()).map_err(|error| format!("{file}: {error}")),
        None => Ok(()),
    };
    let same = same_words(options);
    // A file that can't be written ends the run with 2, but only after the report is printed.
    let written = write(&options.junit, &|| report::junit(all, &same))
        .and_then(|()| write(&options.markdown, &|| report::markdown(all, peer)));
    let failed = report::count(all, Verdict::Fail);
    let status = match unasked(all, target) {
        Some(why) if failed == 0 => Err(why),
        _ => written.map(|()| u8::from(failed > 0)),
    };
    if options.json {
        say!("{}", report::json_totals(all, started.elapsed().as_millis()));
        return status;
    }
    let colour = io::stdout().is_terminal();
    say!("");
    match options.stage {
        Some(stage) => {
            if failed == 0 {
                warnings(all);
            }
            learner(stage, all, &same, colour);
        }
        None if options.course => course(all, &same, options.listen.is_some()),
        None => {
            let _ = write!(io::stdout(), "{}", report::failures(all, &same, colour));
            warnings(all);
            let _ = write!(io::stdout(), "{}", report::skips(all));
        }
    }
    say!("{}, in {:.1} s", report::score(all), started.elapsed().as_secs_f64());
    if status.is_ok() {
        say!("{}", report::badge(all));
    }
    status
}

/// Returns why a run without a failure says nothing about the peer: it went away, or each check was
/// skipped. A peer may decline compression, so the skipped checks of the last stage can be all that
/// there is to say.
fn unasked(all: &[Judged], target: &Target) -> Option<String> {
    if let Some(why) = &*target.gone.lock().unwrap() {
        return Some(format!("the run couldn't be finished: {why}"));
    }
    let is_free = |it: &Judged| it.check.area() == "deflate" && !it.seen.contains("fails already");
    let asked = all.iter().any(|it| it.verdict != Verdict::Skip || is_free(it));
    let why = all.first().map_or("", |it| &it.seen);
    (!asked).then(|| format!("no check could be asked: {why}"))
}

fn warnings(all: &[Judged]) {
    for Judged { check, seen, .. } in all.iter().filter(|judged| judged.verdict == Verdict::Warn) {
        say!("warn {} ({}): {seen}", check.id, check.lesson.section);
    }
}

fn learner(stage: usize, all: &[Judged], same: &str, colour: bool) {
    match all.iter().find(|judged| judged.verdict == Verdict::Fail) {
        Some(judged) => {
            say!("{}", report::diagnostic(judged, same, colour));
            say!(
                "next: fix this, then run again: coach --stage {stage} {same}\nread: {}\n",
                chapter(judged.stage)
            );
        }
        None if !holds(all) => {
            let skipped = all.iter().find(|judged| judged.verdict == Verdict::Skip);
            let why = skipped.map_or("", |judged| &judged.seen);
            say!("stage {stage} is open: most of it couldn't be asked. {why}");
            say!("read: {}\n", chapter(stage));
        }
        None if stage < STAGES.len() => say!(
            "stage {stage} holds. next: coach --stage {} {same}\nread: {}\n",
            stage + 1,
            chapter(stage + 1)
        ),
        None => say!("the last stage holds: all that the RFC asks is there.\n"),
    }
}

/// Whether a stage holds. A stage of which more than half was skipped doesn't: for example
/// compression that the server declined.
fn holds(stage: &[Judged]) -> bool {
    let count = |verdict| report::count(stage, verdict);
    count(Verdict::Fail) == 0 && 2 * count(Verdict::Skip) <= stage.len()
}

/// Prints which stages are done and which comes next. The last stage that ran is the first one that
/// failed, if any did. A stage without a chosen check stays open.
fn course(all: &[Judged], same: &str, is_client: bool) {
    let last = all.last().map_or(1, |judged| judged.stage);
    let is_open = !holds(&all[all.partition_point(|judged| judged.stage < last)..]);
    // Some stages have no check for clients.
    let is_without_checks =
        |stage| !areas::all().any(|(s, check)| s == stage && run::applies(check, is_client));
    let has_run = |stage| all.iter().any(|it| it.stage == stage) || is_without_checks(stage);
    for (i, stage) in STAGES.iter().enumerate() {
        let state = match last.cmp(&(i + 1)) {
            Ordering::Equal if is_open => "next",
            Ordering::Greater | Ordering::Equal if has_run(i + 1) => "done",
            _ => "open",
        };
        // A stage of advice alone is done with warnings, although its chapter may still be unread.
        let warned = all.iter().filter(|it| it.stage == i + 1 && it.verdict == Verdict::Warn);
        let warned = match warned.count() {
            0 => String::new(),
            1 => " (1 warning)".into(),
            count => format!(" ({count} warnings)"),
        };
        say!("{:>2} {:<10} {state:<5} {}{warned}", i + 1, stage.area, stage.title);
    }
    match is_open {
        true => say!("\nread: {}\nthen: coach --stage {last} {same}\n", chapter(last)),
        false if (1..=STAGES.len()).all(has_run) => say!("\nall stages are done\n"),
        false => say!("\nthe chosen checks hold, in the stages that have any\n"),
    }
}

/// Prints a line for each stage. At a terminal, the line grows with each check.
struct Screen {
    quiet: bool,
    live: bool,
    started: Instant,
    total: usize,
    done: usize,
}

impl Screen {
    fn step(&mut self, stage: usize, dots: &str) {
        self.done += 1;
        if self.live && !self.quiet {
            let left = self.started.elapsed().as_secs_f64() / self.done as f64
                * (self.total - self.done) as f64;
            let _ = write!(
                io::stdout(),
                "\r\u{1b}[K{:>2} {:<10} {dots}  {left:.0} s left",
                stage + 1,
                STAGES[stage].area
            );
            let _ = io::stdout().flush();
        }
    }

    fn stage(&self, stage: usize, judged: &[Judged], checks: usize, took: Duration) {
        if !self.quiet {
            let dots: String = judged.iter().map(|judged| judged.verdict.dot()).collect();
            let begin = if self.live { "\r\u{1b}[K" } else { "" };
            let passed = report::count(judged, Verdict::Pass);
            let asked = checks - report::count(judged, Verdict::Skip);
            say!(
                "{begin}{:>2} {:<10} {dots}  {passed}/{asked}  {:.1} s",
                stage + 1,
                STAGES[stage].area,
                took.as_secs_f64()
            );
        }
    }
}

/// Builds the description of the coached peer from the command line's options.
fn target(options: &Options) -> Result<Target, String> {
    let (address, listener, dial): (_, _, Box<Dial>) = match (&options.url, &options.listen) {
        (Some(url), None) => {
            let address = Address::parse(url).map_err(|misuse| misuse.diagnostic().to_string())?;
            let dial = dial(&address, options)?;
            (Some(address), None, dial)
        }
        (None, Some(address)) => {
            let listener =
                TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
            let bound = listener.local_addr().map_err(|error| error.to_string())?;
            listener.set_nonblocking(true).map_err(|error| error.to_string())?;
            eprintln!("listening on ws://{bound}");
            (None, Some(listener), Box::new(|_| Err(io::ErrorKind::Unsupported.into())))
        }
        _ => return Err(format!("the address of a server, or --listen\n{USAGE}")),
    };
    // A wait that is shorter than the machine's own delays would fail each check.
    let base = options.timeout.map_or(PATIENCE, |ms| Duration::from_millis(ms.max(100)));
    Ok(Target { listener, command: options.command.clone(), ..Target::new(address, dial, base) })
}

fn tcp(address: &Address) -> io::Result<TcpStream> {
    let host = address.host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::ErrorKind::NotFound.into();
    for address in (host, address.port).to_socket_addrs()? {
        match probe::connect(&address) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(feature = "tls")]
fn dial(address: &Address, options: &Options) -> Result<Box<Dial>, String> {
    if !address.secure {
        return Ok(Box::new(|address| Ok(Box::new(tcp(address)?))));
    }
    let config = tls::config(options.root.as_deref(), options.insecure)?;
    Ok(Box::new(move |address| tls::wrap(config.clone(), &address.host, tcp(address)?)))
}

#[cfg(not(feature = "tls"))]
fn dial(address: &Address, options: &Options) -> Result<Box<Dial>, String> {
    if address.secure || options.root.is_some() || options.insecure {
        return Err(
            "wss:// needs the feature `tls`: cargo run --features tls --example coach ..".into()
        );
    }
    Ok(Box::new(|address| Ok(Box::new(tcp(address)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_a_report_suggests_coach_the_same_peer_in_the_same_way() {
        let url = |url: &str| Options { url: Some(url.into()), ..Options::default() };
        let listen = Options {
            listen: Some("127.0.0.1:9001".into()),
            command: vec!["python3".into(), "my client.py".into()],
            ..Options::default()
        };
        let insecure =
            Options { strict: true, insecure: true, jobs: Some(1), ..url("wss://[::1]/?a=1&b=2") };
        for (options, words) in [
            (url("ws://127.0.0.1:9001/chat"), "ws://127.0.0.1:9001/chat"),
            (insecure, "--strict --insecure --jobs 1 'wss://[::1]/?a=1&b=2'"),
            (listen, "--listen 127.0.0.1:9001 -- python3 'my client.py'"),
        ] {
            assert_eq!(same_words(&options), words);
        }
        assert_eq!(for_shell("it's"), r"'it'\''s'");
    }
}
