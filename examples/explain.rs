//! Explains the bytes that you give it. With `--code`, it also shows the source lines that decide
//! about each field.
//!
//! run: cargo run --example explain -- [OPTIONS] [BYTES | FILE | -]
//! expect: client → server, byte 0: text, 5 bytes, masked
//! next: playground, which shows the same for your browser's bytes
//!
//! ```text
//! BYTES       hexadecimal digits, '81 05 48 65 6c 6c 6f', and text in quotes,
//!             'client "GET / HTTP/1.1\r\n"'; see src/explain/saved_conversation.rs
//! FILE        a conversation that the playground has saved, or raw bytes
//! -           the same from standard input
//!
//! --from END  client or server: explain all bytes as sent by this end
//! --deflate   the frames are compressed (permessage-deflate)
//! --code      also show the lines of source that decide about each field
//! --walk      also list the steps in which the code handles each frame and head
//! --pictures  also draw the bits
//! ```
//!
//! Without bytes, it explains the RFC's example of a masked text frame.

#[path = "shared/help.rs"]
mod help;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Read, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::process::ExitCode;

use ws101::explain::annotation::{Annotation, AnnotationKind};
use ws101::explain::heads::Settings;
use ws101::explain::saved_conversation::{self, Turn};
use ws101::explain::source::anchor_lookup;
use ws101::explain::source::anchors::Anchor;
use ws101::explain::source::steps::steps;
use ws101::explain::text::{Style, annotation, wrap};
use ws101::frames::header::Role;
use ws101::handshake::deflate_params::DeflateParams;

/// The masked "Hello" that RFC 6455 §5.7 prints.
const HELLO: &str = "81 85 37 fa 21 3d 7f 9f 4d 51 58";
/// The maximum number of input bytes that the program reads. It ignores the rest.
const MOST_READ: u64 = 16 << 20;

#[derive(Default)]
struct Options {
    from: Option<Role>,
    deflate: bool,
    code: bool,
    walk: bool,
    pictures: bool,
    input: Vec<String>,
}

fn main() -> ExitCode {
    help::print_if_asked(include_str!("explain.rs"));
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => return fail(&why),
    };
    let turns = match turns(&options) {
        Ok(turns) => turns,
        Err(why) => return fail(&why),
    };
    let deflate = options.deflate.then(DeflateParams::default);
    let colour = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = Style { colour, pictures: options.pictures };
    match print_all(&turns, deflate, &options, style) {
        // A broken pipe isn't a failure: a pager or `head` may have closed the output.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(&error.to_string()),
        _ => ExitCode::SUCCESS,
    }
}

/// Prints each annotation as soon as it's made, because those of a long file don't all fit into
/// memory. Stops at the first error.
fn print_all(
    turns: &[Turn],
    deflate: Option<DeflateParams>,
    options: &Options,
    style: Style,
) -> io::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    let mut printed = Ok(());
    saved_conversation::explain_each(turns, &Settings::default(), deflate, &mut |told| {
        printed = print(&mut out, &told, options, style);
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed.and_then(|()| out.flush())
}

fn print(
    out: &mut impl Write,
    told: &Annotation,
    options: &Options,
    style: Style,
) -> io::Result<()> {
    writeln!(out, "{}", annotation(told, "", style))?;
    if options.walk {
        print_walk(out, told)?;
    }
    if options.code {
        print_code(out, told)?;
    }
    Ok(())
}

fn fail(why: &str) -> ExitCode {
    eprintln!("explain: {why} (--help says how to use it)");
    ExitCode::FAILURE
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--from" => {
                options.from = match arguments.next().as_deref() {
                    Some("client") => Some(Role::Client),
                    Some("server") => Some(Role::Server),
                    _ => return Err("after --from comes client or server".into()),
                }
            }
            "--deflate" => options.deflate = true,
            "--code" => options.code = true,
            "--walk" => options.walk = true,
            "--pictures" => options.pictures = true,
            option if option.starts_with("--") => return Err(format!("there is no {option}")),
            _ => options.input.push(argument),
        }
    }
    Ok(options)
}

/// Reads the bytes to explain from the arguments, a file or standard input. Returns them with the
/// ends that send them. Fails if there are no bytes.
fn turns(options: &Options) -> Result<Vec<Turn>, String> {
    let mut turns = match options.input.as_slice() {
        [] if stdin().is_terminal() => saved_conversation::parse(HELLO)?,
        [] => match read(stdin())? {
            bytes if bytes.is_empty() => saved_conversation::parse(HELLO)?,
            bytes => turns_of(bytes)?,
        },
        [dash] if dash == "-" => turns_of(read(stdin())?)?,
        words => match saved_conversation::parse(&words.join(" ")) {
            Ok(turns) => turns,
            Err(why) => match std::fs::File::open(&words[0]) {
                Ok(file) if words.len() == 1 => turns_of(read(file)?)?,
                _ => return Err(format!("no file of that name, and no bytes: {why}")),
            },
        },
    };
    if turns.is_empty() {
        return Err("there are no bytes to explain".into());
    }
    if let Some(from) = options.from {
        turns = vec![(from, turns.into_iter().flat_map(|turn| turn.1).collect())];
    }
    Ok(turns)
}

fn read(input: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    input.take(MOST_READ + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MOST_READ {
        bytes.truncate(MOST_READ as usize);
        eprintln!("explain: only the first {} MiB are explained", MOST_READ >> 20);
    }
    Ok(bytes)
}

/// Parses a saved conversation. Input that can't be parsed counts as raw bytes from one end if it
/// isn't UTF-8 or begins with an HTTP head. Otherwise, such input is an error.
fn turns_of(bytes: Vec<u8>) -> Result<Vec<Turn>, String> {
    match str::from_utf8(&bytes).map(saved_conversation::parse) {
        Ok(Err(why)) if !saved_conversation::begins_with_head(&bytes) => Err(why),
        Ok(Ok(turns)) => Ok(turns),
        _ => Ok(vec![(saved_conversation::guess_sender(&bytes), bytes)]),
    }
}

/// Prints the steps in which the code handles a frame or head, with the values at each step.
fn print_walk(out: &mut impl Write, told: &Annotation) -> io::Result<()> {
    for (number, step) in steps(told).iter().enumerate() {
        let mark = if step.is_wrong { '!' } else { ' ' };
        let Anchor { file, function, .. } = step.anchor;
        writeln!(out, " {mark}{:>2}  src/{file}: {function}", number + 1)?;
        for line in wrap(&step.says, 70, 70) {
            writeln!(out, "        {line}")?;
        }
    }
    writeln!(out)
}

/// Prints the source lines that decide about each field and about the verdict. Lines that decide
/// about several fields are printed once.
fn print_code(out: &mut impl Write, told: &Annotation) -> io::Result<()> {
    let mut shown: Vec<&str> = Vec::new();
    let fields =
        told.spans.iter().map(|span| (span.field.as_str(), anchor_lookup::of_span(told, span)));
    let verdict = anchor_lookup::of_verdict(told).map(|place| ("verdict", Some(place)));
    for (field, anchor) in fields.chain(verdict) {
        let Some(anchor) = anchor.filter(|anchor| !shown.contains(&anchor.id)) else { continue };
        shown.push(anchor.id);
        let passage = match anchor.passage() {
            Ok(passage) if told.what != AnnotationKind::Unread => passage,
            _ => continue,
        };
        writeln!(out, "  {field}: src/{}, {}", anchor.file, anchor.function)?;
        for line in passage.lines.iter().filter(|line| line.is_marked) {
            writeln!(out, "  {:>5} | {}", line.number, line.text)?;
        }
        writeln!(out)?;
    }
    Ok(())
}
