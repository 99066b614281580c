//! What was found, told to a person, to a program, to a CI.

use std::fmt::Write;

use crate::areas::{STAGES, chapter};
use crate::check::{Check, Peers};
use crate::library::{Annotation, Conversation, Role, Settings, Style, annotation};
use crate::run::{Judged, Verdict};

const COLUMNS: usize = 86;

/// Text over several lines, each below the first.
fn wrapped(text: &str, indent: usize) -> String {
    let (mut out, mut column) = (String::new(), indent);
    for word in text.split(' ') {
        if column + word.chars().count() > COLUMNS && column > indent {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += word.chars().count();
    }
    out
}

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
}

/// A failure or warning, whole.
pub fn diagnostic(judged: &Judged, peer: &str, colour: bool) -> String {
    let check = judged.check;
    let (sign, code) =
        if judged.verdict == Verdict::Fail { ("FAIL", "1;31") } else { ("warn", "1;33") };
    let mut out = format!(
        "{} {}  (stage {}, {}, {})\n",
        paint(colour, code, sign),
        paint(colour, "1", check.id),
        judged.stage,
        check.level.name(),
        check.lesson.section
    );
    let chapter = chapter(judged.stage);
    let again = format!("coach --only {} {peer}", check.id);
    let lines = [
        ("sent", check.sends),
        ("expected", check.expects),
        ("seen", &judged.seen),
        ("rule", check.lesson.rule),
        ("usual cause", check.lesson.causes),
        ("fix", check.lesson.fix),
        ("chapter", &chapter),
        ("again", &again),
    ];
    for (name, text) in lines {
        let _ = writeln!(out, "  {name:<12} {}", wrapped(text, 15));
    }
    if let Some(record) = &judged.record {
        out += &exchange(&record.lock().unwrap(), judged, colour);
    }
    out
}

/// What passed on a connection, as the explainer tells it: its beginning and its end.
pub struct Exchange {
    pub told: Vec<Annotation>,
    /// How many were left out after the second.
    pub left_out: usize,
    /// Where in `told` the peer's last words are: there the check looks at its `marks`.
    pub looked_at: Option<usize>,
}

impl Exchange {
    pub fn new(record: &[(Role, Vec<u8>)], check: &Check) -> Exchange {
        const FIRST: usize = 2;
        const LAST: usize = 5;
        let asked = record.first().map_or(Role::Client, |(first, _)| *first);
        let peer = if check.peers == Peers::Clients { Role::Client } else { asked.other() };
        let mut conversation = Conversation::new(Settings::default());
        let mut told = Vec::new();
        for (from, bytes) in record {
            conversation.push(*from, bytes, &mut |annotation| told.push(annotation));
        }
        for from in [Role::Client, Role::Server] {
            conversation.end(from, &mut |annotation| told.push(annotation));
        }
        let last_of_peer =
            |it: &Annotation| it.from == peer && !it.title.starts_with("bytes behind");
        let looked_at = told.iter().rposition(last_of_peer);
        let left_out = told.len().saturating_sub(FIRST + LAST);
        told.drain(FIRST.min(told.len())..(FIRST + left_out).min(told.len()));
        let is_shown = |place: usize| match place {
            ..FIRST => Some(place),
            _ => place.checked_sub(left_out).filter(|place| *place >= FIRST),
        };
        Exchange { told, left_out, looked_at: looked_at.and_then(is_shown) }
    }
}

/// What passed on the connection. What breaks a rule has a line with `!`; so has the field or bit that this check looks at.
fn exchange(record: &[(Role, Vec<u8>)], judged: &Judged, colour: bool) -> String {
    if record.is_empty() {
        return String::new();
    }
    let Exchange { told, left_out, looked_at } = Exchange::new(record, judged.check);
    let about_heads =
        matches!(judged.check.area(), "head" | "accept" | "refuse" | "policy" | "deflate");
    let marks = marks(judged.check.id);
    let mut out = String::from("  the exchange, byte by byte:\n");
    for (i, it) in told.iter().enumerate() {
        if i == 2 && left_out > 0 {
            let _ = writeln!(out, "    ... {left_out} more ...");
        }
        let text = annotation(it, "", Style { colour, pictures: false });
        // From the fourth stage on the heads are good, and only in the way.
        let is_head = i < 2 && text.contains("end of head:");
        let lines = if is_head && !about_heads { 1 } else { 24 };
        for line in text.lines().take(lines) {
            let wrong = Some(i) == looked_at && marks.iter().any(|mark| line.contains(mark));
            match wrong {
                true => out += &format!("  {} {line}\n", paint(colour, "1;31", "!")),
                false => out += &format!("    {line}\n"),
            }
        }
    }
    let end = format!("! {}", wrapped(&judged.seen, 4));
    let _ = writeln!(out, "  {}", paint(colour, "1;31", &end));
    out
}

/// How the explainer names the field or bit that a check looks at.
pub fn marks(id: &str) -> &'static [&'static str] {
    match id {
        "accept/status" | "accept/version" | "head/plain" => &["status line:"],
        "accept/upgrade" => &["Upgrade:"],
        "accept/connection" => &["Connection:"],
        "accept/no-body-headers" => &["Content-Length:", "Transfer-Encoding:"],
        "accept/no-unasked-subprotocol" => &["Sec-WebSocket-Protocol:"],
        "accept/no-unasked-extension" => &["Sec-WebSocket-Extensions:"],
        "refuse/version-in-answer" => &["status line:", "Sec-WebSocket-Version:"],
        "frame/unmasked" | "frame/masked" | "ping/pong-frame" => &["MASK:", "mask"],
        "frame/no-reserved-bits" | "deflate/rsv1-first-only" => &["RSV1:", "RSV2-3:"],
        "frame/complete" | "close/answer-frame" => &["FIN:"],
        "frame/kind-text" | "frame/kind-binary" => &["opcode:"],
        "head/request-line" => &["request line:"],
        "head/host" => &["Host:"],
        "head/version" => &["Sec-WebSocket-Version:"],
        "accept/key-of-16-bytes" | "accept/key-fresh" | "head/no-repeats" => {
            &["Sec-WebSocket-Key:"]
        }
        _ if id.starts_with("accept/") => &["Sec-WebSocket-Accept:"],
        _ if id.starts_with("refuse/") => &["status line:"],
        _ if id.starts_with("policy/subprotocol") => &["Sec-WebSocket-Protocol:"],
        _ if id.starts_with("lengths/fewest") => &["length:"],
        _ if id.starts_with("ping/") => &["length:", "payload"],
        _ if id.starts_with("close/") => &["code", "reason"],
        _ => &[],
    }
}

/// A check as a page.
pub fn page(check: &Check, stage: usize) -> String {
    let peers = match check.peers {
        Peers::Servers => "servers",
        Peers::Clients => "clients",
        Peers::Both => "servers and clients",
    };
    let mut out = format!("# {}\n\n", check.id);
    let scored = match check.level.name() {
        "must" => "fail, if it does not hold",
        _ => "warn, if it does not hold",
    };
    let chapter = chapter(stage);
    for (name, text) in [
        ("stage", format!("{stage}, {}: {}", check.area(), STAGES[stage - 1].title).as_str()),
        ("level", check.level.name()),
        ("scored", scored),
        ("for", peers),
        ("section", check.lesson.section),
        ("sends", check.sends),
        ("expects", check.expects),
        ("rule", check.lesson.rule),
        ("usual cause", check.lesson.causes),
        ("fix", check.lesson.fix),
        ("chapter", &chapter),
    ] {
        let _ = writeln!(out, "{name:<12} {}", wrapped(text, 13));
    }
    out
}

pub fn count(all: &[Judged], verdict: Verdict) -> usize {
    all.iter().filter(|judged| judged.verdict == verdict).count()
}

/// `passed of asked`: what was skipped was not asked.
pub fn score(all: &[Judged]) -> String {
    let asked = all.len() - count(all, Verdict::Skip);
    format!(
        "{} of {asked} passed, {} failed, {} warnings, {} skipped",
        count(all, Verdict::Pass),
        count(all, Verdict::Fail),
        count(all, Verdict::Warn),
        count(all, Verdict::Skip)
    )
}

pub fn badge(all: &[Judged]) -> String {
    let failed = count(all, Verdict::Fail);
    let asked = all.len() - count(all, Verdict::Skip);
    let colour = if failed == 0 { "brightgreen" } else { "red" };
    let held = count(all, Verdict::Pass);
    format!("badge: https://img.shields.io/badge/WebSocket_coach-{held}%2F{asked}-{colour}")
}

fn json_string(text: &str) -> String {
    ws101::explain::json::string(text)
}

pub fn json(judged: &Judged) -> String {
    format!(
        "{{\"id\":{},\"stage\":{},\"level\":{},\"section\":{},\"verdict\":{},\"seen\":{},\"ms\":{}}}",
        json_string(judged.check.id),
        judged.stage,
        json_string(judged.check.level.name()),
        json_string(judged.check.lesson.section),
        json_string(judged.verdict.name()),
        json_string(&judged.seen),
        judged.took.as_millis()
    )
}

pub fn json_totals(all: &[Judged], ms: u128) -> String {
    format!(
        "{{\"total\":{},\"pass\":{},\"fail\":{},\"warn\":{},\"skip\":{},\"ms\":{ms}}}",
        all.len(),
        count(all, Verdict::Pass),
        count(all, Verdict::Fail),
        count(all, Verdict::Warn),
        count(all, Verdict::Skip)
    )
}

fn xml(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub fn junit(all: &[Judged], peer: &str) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"coach\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
        all.len(),
        count(all, Verdict::Fail),
        count(all, Verdict::Skip)
    );
    for judged in all {
        let seconds = judged.took.as_secs_f64();
        let _ = write!(
            out,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\"",
            judged.check.area(),
            judged.check.id
        );
        let _ = match judged.verdict {
            Verdict::Pass => writeln!(out, "/>"),
            Verdict::Skip => {
                writeln!(out, "><skipped message=\"{}\"/></testcase>", xml(&judged.seen))
            }
            Verdict::Warn => {
                writeln!(out, "><system-out>warn: {}</system-out></testcase>", xml(&judged.seen))
            }
            Verdict::Fail => writeln!(
                out,
                "><failure message=\"{}\">{}</failure></testcase>",
                xml(&judged.seen),
                xml(&diagnostic(judged, peer, false))
            ),
        };
    }
    out + "</testsuite>\n</testsuites>\n"
}

pub fn markdown(all: &[Judged], peer: &str) -> String {
    let mut out = format!(
        "# WebSocket coach: {peer}\n\n{}\n\n| stage | area | pass | fail | warn | skip |\n|---|---|---|---|---|---|\n",
        score(all)
    );
    for (i, stage) in STAGES.iter().enumerate() {
        let of = |verdict| all.iter().filter(|j| j.stage == i + 1 && j.verdict == verdict).count();
        if all.iter().any(|judged| judged.stage == i + 1) {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                i + 1,
                stage.area,
                of(Verdict::Pass),
                of(Verdict::Fail),
                of(Verdict::Warn),
                of(Verdict::Skip)
            );
        }
    }
    for (verdict, title) in [(Verdict::Fail, "Failures"), (Verdict::Warn, "Warnings")] {
        if count(all, verdict) > 0 {
            let _ = write!(out, "\n## {title}\n\n");
        }
        for judged in all.iter().filter(|judged| judged.verdict == verdict) {
            let _ = writeln!(
                out,
                "- `{}` ({}): {}",
                judged.check.id,
                judged.check.lesson.section,
                judged.seen.replace('|', "\\|")
            );
        }
    }
    out
}
