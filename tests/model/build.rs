//! Copies the library's source so that it is compiled as a part of this crate: with the model's
//! threads, locks and clocks in place of those of `std`, and otherwise unchanged.
//!
//! If the environment variable `WITHOUT` names one of the [`GUARDS`], the copy lacks that guard,
//! and the model must then find a fault.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What holds the rules up: a name, a scenario that finds a fault without it, its file, the code, and what stands there
/// without it.
const GUARDS: [(&str, &str, &str, &str, &str); 16] = [
    (
        "settling after a write",
        "sends and pings",
        "connection/write_half.rs",
        "        drop(encoder);\n        self.flush_pending_control()?;\n        encoded?;\n        written",
        "        drop(encoder);\n        encoded?;\n        written",
    ),
    (
        "settling after something was fed",
        "a close beside a feed",
        "connection/write_half.rs",
        "            self.write(&mut encoder, after_batch)?;\n        }\n        drop(encoder);\n        self.flush_pending_control()?;\n",
        "            self.write(&mut encoder, after_batch)?;\n        }\n        drop(encoder);\n",
    ),
    (
        "writing the batch after a look at the lock",
        "a look beside a flush",
        "connection/write_half.rs",
        "        let _ = self.write(&mut encoder, &[]);\n        drop(encoder);\n        let _ = self.flush_pending_control();\n",
        "        drop(encoder);\n        let _ = self.flush_pending_control();\n",
    ),
    (
        "looking again after the lock is let go",
        "sends and pings",
        "connection/write_half.rs",
        "while self.pending.is_pending() {",
        "if false {",
    ),
    (
        "asking for a Close before trying the lock",
        "a close from elsewhere",
        "connection/write_half.rs",
        "        self.handle_event(ClosingEvent::CloseRequested(request));\n        self.advance_close()\n",
        "        let settled = self.advance_close();\n        self.handle_event(ClosingEvent::CloseRequested(request));\n        settled\n",
    ),
    (
        "nothing behind a Close",
        "a close from elsewhere",
        "frames/encoder.rs",
        "if self.closed { Err(Misuse::AfterClose) } else { Ok(()) }",
        "Ok(())",
    ),
    (
        "the lock from a header to its payload",
        "a cut while nothing is taken",
        "connection/write_half.rs",
        "        let mut encoder = self.lock_for_new_message()?;\n        let encoded = encode(&mut encoder);",
        "        let encoded = encode(&mut *self.lock_for_new_message()?);\n        let mut encoder = self.lock();",
    ),
    (
        "waking the thread of a queue that is closed",
        "a drop with a full outbox",
        "connection/outbox/queue.rs",
        "lock(&self.state).closed = true;\n        self.changed.notify_all();",
        "lock(&self.state).closed = true;",
    ),
    (
        "looking whether our Close is due when a queue is sent",
        "a drop with a full outbox",
        "connection/outbox/outbox.rs",
        "    let _ = write_half.advance_close();\n}",
        "}",
    ),
    (
        "looking whether our Close is due before the handler waits",
        "the server stops",
        "connection/write_half.rs",
        "        if waits {\n",
        "        if false {\n",
    ),
    (
        "letting a message end before our Close",
        "a close within a long message",
        "connection/write_half.rs",
        "if !waits_for_message && self.outboxes.are_all_sent() {",
        "if self.outboxes.are_all_sent() {",
    ),
    (
        "closing the queues before looking into them",
        "a close beside an outbox",
        "connection/write_half.rs",
        "        // check below stays true.\n        self.outboxes.close();\n",
        "",
    ),
    (
        "looking whether our Close is due when a message has ended",
        "a close within a long message",
        "connection/message_writer.rs",
        "        let _ = catch_unwind(AssertUnwindSafe(|| self.write_half.advance_close()));\n",
        "",
    ),
    (
        "waking who waits for our Close",
        "a pong within a long message",
        "connection/closing_state.rs",
        "        if self.waiting.load(SeqCst) > 0 {\n            self.changed.notify_all();\n        }\n",
        "",
    ),
    (
        "telling who came while the server stops",
        "the server stops",
        "server/registry/registry.rs",
        "            write_half.request_close_briefly(CloseRequest::of_stopping_server(close, urgency));\n",
        "",
    ),
    (
        "keeping the grace locked until the server stops",
        "a drain beside a stop",
        "server/shutdown.rs",
        "        let is_first = self.advance_to(Phase::Stopping);\n        drop(current);\n",
        "        drop(current);\n        let is_first = self.advance_to(Phase::Stopping);\n",
    ),
];

fn main() {
    let source = Path::new("../../src");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says where"));
    println!("cargo:rerun-if-changed=../../src");
    println!("cargo:rerun-if-env-changed=WITHOUT");
    let without = env::var("WITHOUT").ok().filter(|name| !name.is_empty());
    let guard = without.map(|name| {
        let known = GUARDS.iter().find(|guard| guard.0 == name);
        *known.unwrap_or_else(|| panic!("no guard is called {name:?}"))
    });
    for (name, _, file, code, _) in GUARDS {
        let text = fs::read_to_string(source.join(file)).expect("the file of a guard");
        assert_eq!(
            text.matches(code).count(),
            1,
            "tests/model/build.rs, guard {name:?}: src/{file} no longer says this once:\n{code}\nWrite there what it \
             says instead, and change what follows in the same way; the place of the lines doesn't matter"
        );
    }
    for module in [
        "client",
        "connection",
        "counters.rs",
        "diagnostic",
        "error.rs",
        "explain",
        "frames",
        "handshake",
        "http",
        "limits.rs",
        "server",
        "transport",
        // The explainer shows the chapters.
        "walkthrough",
    ] {
        // What an earlier build has copied may have another name today.
        let _ = fs::remove_dir_all(out.join(module));
        copy(source, Path::new(module), &out, guard).expect("the source can be copied");
    }

    // The map is for readers; what it declares is compiled here.
    let library = fs::read_to_string(source.join("lib.rs")).expect("there is a library");
    let declared: String = library
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .map(|line| match line.strip_suffix(';').and_then(|line| line.rsplit_once("mod ")) {
            Some((before, name @ ("counters" | "error" | "limits"))) => {
                declare(before, &out.join(format!("{name}.rs")))
            }
            Some((before, module)) => declare(before, &out.join(module).join("mod.rs")),
            None => format!("{line}\n"),
        })
        .collect();
    fs::write(out.join("library.rs"), declared).expect("the copy can be written");
    // `run` reads a guard and its scenario from each line.
    let lines: String = GUARDS.iter().map(|guard| format!("{}\t{}\n", guard.0, guard.1)).collect();
    fs::write(out.join("guards"), lines).expect("the copy can be written");
}

fn declare(before: &str, file: &Path) -> String {
    let module = file.with_extension("");
    let name = match module.ends_with("mod") {
        true => module.parent().and_then(Path::file_name),
        false => module.file_name(),
    };
    let name = name.expect("a module has a name").display();
    format!("#[allow(dead_code, unused)]\n#[path = {file:?}]\n{before}mod {name};\n")
}

type Guard = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn copy(from: &Path, path: &Path, to: &Path, guard: Option<Guard>) -> io::Result<()> {
    if from.join(path).is_dir() {
        fs::create_dir_all(to.join(path))?;
        for entry in fs::read_dir(from.join(path))? {
            copy(from, &path.join(entry?.file_name()), to, guard)?;
        }
        return Ok(());
    }
    let mut text = fs::read_to_string(from.join(path))?;
    if let Some((_, _, file, code, instead)) = guard
        && path == Path::new(file)
    {
        text = text.replace(code, instead);
    }
    for module in ["sync", "thread", "time"] {
        text = text.replace(&format!("std::{module}"), &format!("crate::model::{module}"));
    }
    fs::write(to.join(path), text)
}
