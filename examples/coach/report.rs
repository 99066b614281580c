//! Writes the verdicts for a person, for a program (JSON), and for a CI (JUnit, Markdown).

use std::fmt::Write;

use crate::areas::{STAGES, chapter};
use crate::check::{Check, Peers};
use crate::library::{Annotation, Conversation, Role, Settings, Style, annotation};
use crate::run::{Judged, Verdict};

const COLUMNS: usize = 86;

/// Wraps a text into several lines, with the same indentation for all.
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

/// Lists all failures: the first of each rule in full, and the others of the same rule in a line
/// each.
pub fn failures(all: &[Judged], same: &str, colour: bool) -> String {
    let failed: Vec<&Judged> = all.iter().filter(|it| it.verdict == Verdict::Fail).collect();
    let firsts: Vec<&Judged> = failed
        .iter()
        .enumerate()
        .filter(|(i, it)| failed[..*i].iter().all(|other| !same_rule(other, it)))
        .map(|(_, it)| *it)
        .collect();
    let mut out = String::new();
    if failed.len() > 1 {
        let _ = writeln!(
            out,
            "{} checks failed, by {} rule{}. Fix the first, and run again: the others may have the same cause.\n",
            failed.len(),
            firsts.len(),
            if firsts.len() == 1 { "" } else { "s" }
        );
    }
    for first in firsts {
        out += &diagnostic(first, same, colour);
        let others = failed.iter().filter(|it| !std::ptr::eq(**it, first) && same_rule(it, first));
        for other in others {
            let text = format!("{}: {}", other.check.id, shortened(&other.seen));
            let _ = writeln!(out, "  as well      {}", wrapped(&text, 15));
        }
        out.push('\n');
    }
    out
}

/// Whether two failures have the same explanation or saw the same, so that the report shows only
/// one of them in full.
fn same_rule(a: &Judged, b: &Judged) -> bool {
    a.stage == b.stage && (a.check.lesson.rule == b.check.lesson.rule || a.seen == b.seen)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{} ...", &text[..at]),
        None => text.into(),
    }
}

/// Lists the skipped checks, with a line for each reason.
pub fn skips(all: &[Judged]) -> String {
    let mut reasons: Vec<(&str, Vec<&Judged>)> = Vec::new();
    for judged in all.iter().filter(|judged| judged.verdict == Verdict::Skip) {
        // Drop the details: the check that the reason names shows what it saw.
        let reason = match judged.seen.split_once(", see ") {
            Some((_, rest)) => {
                &judged.seen
                    [..judged.seen.len() - rest.len() + rest.find(':').unwrap_or(rest.len())]
            }
            None => &judged.seen,
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, those)) => those.push(judged),
            None => reasons.push((reason, vec![judged])),
        }
    }
    let mut out = String::new();
    for (reason, those) in reasons {
        let mut areas: Vec<&str> = those.iter().map(|judged| judged.check.area()).collect();
        areas.dedup();
        let who = match those[..] {
            [one] => one.check.id.to_owned(),
            _ => format!("{} of {}", those.len(), areas.join(", ")),
        };
        let _ = writeln!(out, "skip {}", wrapped(&format!("{who}: {}", shortened(reason)), 5));
    }
    out
}

/// Writes a failure or warning in full: what was sent, expected and seen, the rule, the cause and
/// the fix. `same` are the words that coach this peer in the same way.
pub fn diagnostic(judged: &Judged, same: &str, colour: bool) -> String {
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
    let again = format!("coach --only {} {same}", check.id);
    let (causes, fix) = check.cause_and_fix(&judged.seen);
    let lines = [
        ("sent", check.sends),
        ("expected", check.expects),
        ("seen", &judged.seen),
        ("rule", check.lesson.rule),
        ("usual cause", causes),
        ("fix", fix),
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

/// The beginning and the end of what passed on a connection, as the explainer describes it.
pub struct Exchange {
    pub told: Vec<Annotation>,
    /// How many annotations were left out after the second one.
    pub left_out: usize,
    /// The index in `told` of the peer's last annotation, in which the check looks at its `marks`.
    pub looked_at: Option<usize>,
    /// Whether the coached peer is the client or the server.
    pub peer: Role,
}

impl Exchange {
    pub fn new(record: &[(Role, Vec<u8>)], check: &Check) -> Exchange {
        const FIRST: usize = 2;
        const LAST: usize = 5;
        let asked = record.first().map_or(Role::Client, |(first, _)| *first);
        let peer = if check.peers == Peers::Clients { Role::Client } else { asked.other() };
        let is_of_peer = |it: &Annotation| it.from == peer && !it.title.starts_with("bytes after");
        let mut conversation = Conversation::new(Settings::default());
        let (mut told, mut left_out, mut is_peer_left_out) = (Vec::new(), 0, false);
        // There may be millions, so drop those in the middle at once.
        let mut tell = |annotation| {
            told.push(annotation);
            if told.len() > FIRST + LAST {
                is_peer_left_out |= is_of_peer(&told.remove(FIRST));
                left_out += 1;
            }
        };
        for (from, bytes) in record {
            conversation.push(*from, bytes, &mut tell);
        }
        for from in [Role::Client, Role::Server] {
            conversation.end(from, &mut tell);
        }
        let last = told.iter().rposition(is_of_peer);
        let looked_at = last.filter(|place| *place >= FIRST || !is_peer_left_out);
        Exchange { told, left_out, looked_at, peer }
    }
}

/// Writes what passed on the connection, as the explainer describes it. `!` marks what breaks a
/// rule, and the field or bit that this check looks at, in the last thing that the peer sent. `>`
/// marks what this check sends differently from others.
fn exchange(record: &[(Role, Vec<u8>)], judged: &Judged, colour: bool) -> String {
    if record.is_empty() {
        return String::new();
    }
    let Exchange { told, left_out, looked_at, peer } = Exchange::new(record, judged.check);
    let about_heads =
        matches!(judged.check.area(), "head" | "accept" | "refuse" | "policy" | "deflate");
    let first_of_us = told.iter().position(|it| it.from != peer);
    let (marks, varied) = (marks(judged.check.id), varied(judged.check.id));
    let mut out = String::from("  the exchange, byte by byte:\n");
    for (i, it) in told.iter().enumerate() {
        if i == 2 && left_out > 0 {
            let _ = writeln!(out, "    ... {left_out} more ...");
        }
        let text = annotation(it, "", Style { colour, pictures: false });
        // From stage 4 on, the heads are valid, so leave them out.
        let is_head = i < 2 && text.contains("end of head:");
        let lines = if is_head && !about_heads { 1 } else { 24 };
        for line in text.lines().filter(own_words()).take(lines) {
            let is_told = line.trim_start().starts_with('!');
            let has = |names: &[&str]| !is_told && names.iter().any(|name| line.contains(name));
            let sign = match () {
                () if Some(i) == looked_at && has(marks) => paint(colour, "1;31", "!"),
                () if (is_head && Some(i) == first_of_us || !is_head && it.from != peer)
                    && has(varied) =>
                {
                    paint(colour, "1;33", ">")
                }
                () => " ".into(),
            };
            out += &format!("  {sign} {line}\n");
        }
    }
    let end = format!("! {}", wrapped(&shortened(&judged.seen), 4));
    let _ = writeln!(out, "  {}", paint(colour, "1;31", &end));
    out
}

/// Drops the explainer's advice on a violation, which is for users of a WebSocket. The check has
/// its own, for those who write one.
fn own_words() -> impl FnMut(&&str) -> bool {
    let mut is_advice = false;
    move |line| {
        let words = line.trim_start();
        match words.strip_prefix("! ") {
            Some(rest) if rest.starts_with("  ") => {
                is_advice =
                    ["usual cause:", "fix:"].iter().any(|w| rest.trim_start().starts_with(w));
            }
            Some(_) if is_advice => {}
            _ => is_advice = false,
        }
        !is_advice
    }
}

/// Returns the explainer's names for the fields or bits that a check looks at.
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
        _ if id.starts_with("refuse/") || id.starts_with("head/") => &["status line:"],
        _ if id.starts_with("policy/subprotocol") => &["Sec-WebSocket-Protocol:"],
        _ if id.starts_with("lengths/fewest") => &["length:"],
        _ if id.starts_with("ping/") => &["length:", "payload"],
        _ if id.starts_with("close/") => &["code    ", "reason    "],
        _ => &[],
    }
}

/// Returns what a check varies in what it sends: fields of the request or of a frame.
fn varied(id: &str) -> &'static [&'static str] {
    let (area, name) = id.split_once('/').unwrap_or((id, ""));
    let has = |word: &str| name.contains(word);
    match area {
        "head" | "refuse"
            if has("connection") || matches!(name, "keep-alive-upgrade" | "as-firefox") =>
        {
            &["Connection:"]
        }
        "head" | "refuse" if has("upgrade") => &["Upgrade:"],
        "head" | "refuse" | "accept" if has("key") => &["Sec-WebSocket-Key:"],
        "head" if name == "unknown-headers" => &["X-Coach:", "Cookie:", "X-Empty:"],
        "head" if name == "long-header" => &["Cookie:"],
        "head" if name == "absolute-target" => &["request line:"],
        "refuse" if has("version") => &["Sec-WebSocket-Version:"],
        "refuse" if matches!(name, "post" | "http-1-0") => &["request line:"],
        "policy" if has("subprotocol") => &["Sec-WebSocket-Protocol:"],
        "policy" if has("origin") => &["Origin:"],
        "policy" if has("host") => &["Host:"],
        "deflate" => &["Sec-WebSocket-Extensions:"],
        "lengths" => &["length:", "long length"],
        "frame" if has("mask") => &["mask key"],
        "close" if has("code") => &["code "],
        "close" if has("reason") => &["reason "],
        _ => &[],
    }
}

/// Writes the page of one check, as `--show` prints it.
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
    let (causes, fix) = check.cause_and_fix("");
    for (name, text) in [
        ("stage", format!("{stage}, {}: {}", check.area(), STAGES[stage - 1].title).as_str()),
        ("level", check.level.name()),
        ("scored", scored),
        ("for", peers),
        ("section", check.lesson.section),
        ("sends", check.sends),
        ("expects", check.expects),
        ("rule", check.lesson.rule),
        ("usual cause", causes),
        ("fix", fix),
        ("chapter", &chapter),
    ] {
        let _ = writeln!(out, "{name:<12} {}", wrapped(text, 13));
    }
    out
}

pub fn count(all: &[Judged], verdict: Verdict) -> usize {
    all.iter().filter(|judged| judged.verdict == verdict).count()
}

/// Writes how many checks passed, of those that ran. Skipped checks didn't run.
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
    format!("badge: {}", badge_address(all))
}

fn badge_address(all: &[Judged]) -> String {
    let failed = count(all, Verdict::Fail);
    let asked = all.len() - count(all, Verdict::Skip);
    let colour = match failed {
        0 if asked == 0 => "lightgrey",
        0 => "brightgreen",
        _ => "red",
    };
    let held = count(all, Verdict::Pass);
    format!("https://img.shields.io/badge/WebSocket_coach-{held}%2F{asked}-{colour}")
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

/// Escapes a text for XML, which has no form for most control characters, U+FFFE and U+FFFF.
fn xml(text: &str) -> String {
    let is_allowed =
        |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let text: String = text.chars().map(|c| if is_allowed(c) { c } else { ' ' }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub fn junit(all: &[Judged], same: &str) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"coach\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n",
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
                xml(&diagnostic(judged, same, false))
            ),
        };
    }
    out + "</testsuite>\n</testsuites>\n"
}

pub fn markdown(all: &[Judged], peer: &str) -> String {
    let mut out = format!(
        "# WebSocket coach: {peer}\n\n![score]({})\n\n{}\n\n| stage | area | pass | fail | warn | skip |\n|---|---|---|---|---|---|\n",
        badge_address(all),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_has_no_character_that_xml_forbids() {
        assert_eq!(
            xml("a\u{fffe}b\u{ffff}c\u{1}d\n<&\"\u{1ffff}"),
            "a b c d\n&lt;&amp;&quot;\u{1ffff}"
        );
    }
}
