"""Starts each peer, coaches it, and writes the chapter. Called by `run`, which installs and builds.

    python3 matrix.py [PEER...]

With names, only these are coached; the others' verdicts are those of the last run, in target/matrix/found.json. Environment:
UPDATE=1 writes the chapter (else it goes to target/matrix); AGAIN=no coaches none, and writes from the last run; JOBS is how
many peers are coached side by side.

Honesty on a busy machine: what failed because the coach waited for nothing is asked again, alone, of the peer started anew,
and the second verdict counts. What comes after a peer's crash is asked of the peer started anew, too.
"""

import collections
import concurrent.futures
import datetime
import fnmatch
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
INSTALLED = pathlib.Path(os.environ["INSTALLED"])
COACH = os.environ["COACH"]
CHAPTER = ROOT / "src/walkthrough/the_state_of_the_field.md"
# Seconds for one call of the coach (a client is started anew for each check), and for all peers.
BOUND = {"server": 180, "client": 540}
WHOLE = int(os.environ.get("WHOLE", "2400"))
BEGAN = time.monotonic()

PYTHON = str(INSTALLED / "python/bin/python")
RUST = str(INSTALLED / "rust/release/ws101-matrix")
BIN = INSTALLED / "bin"
MANY_CLIENTS = {
    "Python": [PYTHON, "peers/python/peers.py"],
    "Node": ["node", "peers/node/peers.js"],
    "Perl": ["perl", "peers/perl/peers.pl"],
}
JARS = ":".join(f"/usr/share/java/{jar}.jar" for jar in (
    "tomcat10-embed-core", "tomcat10-embed-websocket", "tomcat10-embed-el", "jakarta-annotation-api"))

Peer = collections.namedtuple("Peer", "name language command roles version")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def crate(name):
    lock = (HERE / "peers/rust/Cargo.lock").read_text()
    return re.search(rf'name = "{name}"\nversion = "([^"]*)"', lock)[1]


def wheel(name):
    return output(PYTHON, "-c", f"import importlib.metadata as m; print(m.version('{name}'))")


def module(name):
    return json.loads((INSTALLED / f"node/node_modules/{name}/package.json").read_text())["version"]


def debian(name):
    version = output("dpkg-query", "-W", "-f", "${Version}", name)
    return f"{version.split(':')[-1].split('-')[0].split('+')[0]} (Debian)"


def rust(name, package=None):
    command = lambda role, at: [RUST, role, name, at if role == "client" else f"127.0.0.1:{at}"]
    return Peer(name, "Rust", command, "server client", lambda: crate(package or name))


def python(name, roles, package=None):
    command = lambda role, at: [PYTHON, "peers/python/peers.py", role, name, at]
    return Peer(name, "Python", command, roles, lambda: wheel(package or name))


def node(name, roles, package=None):
    command = lambda role, at: ["node", "peers/node/peers.js", role, name, at]
    return Peer(name, "Node", command, roles, lambda: module(package or name))


def go(name, roles, package):
    command = lambda role, at: [str(BIN / "go"), role, name, at]
    return Peer(name, "Go", command, roles, lambda: debian(package))


def ruby(name, roles, package):
    command = lambda role, at: ["ruby", "peers/ruby/peers.rb", role, name, at]
    return Peer(name, "Ruby", command, roles, lambda: debian(package))


def by_port(name, language, package):
    """A program of its own that takes a role and a port."""
    program = str(BIN / name)
    command = lambda role, at: [program, role, at] if role == "server" else ["peers/by_port", program, at]
    return Peer(name, language, command, "server client", lambda: debian(package))


PEERS = [
    Peer(
        "ws101",
        "Rust",
        lambda role, at: [os.path.join(os.path.dirname(COACH), "testee"), f"127.0.0.1:{at}"],
        "server",
        lambda: re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1],
    ),
    rust("tungstenite"),
    rust("tokio-tungstenite"),
    rust("fastwebsockets"),
    rust("ws-tool"),
    rust("rust-websocket", "websocket"),
    python("websockets", "server client"),
    python("websockets-asyncio", "server client", "websockets"),
    python("aiohttp", "server client"),
    python("tornado", "server client"),
    python("wsproto", "server client"),
    python("autobahn", "server client"),
    python("gevent-websocket", "server"),
    python("socketify", "server"),
    python("websocket-client", "client"),
    node("ws", "server client"),
    node("ws-deflate", "server", "ws"),
    node("faye-websocket", "server client"),
    node("websocket-node", "server client", "websocket"),
    node("undici", "client"),
    go("gorilla", "server client", "golang-github-gorilla-websocket-dev"),
    go("nhooyr", "server client", "golang-nhooyr-websocket-dev"),
    go("x-net", "server", "golang-golang-x-net-dev"),
    by_port("libwebsockets", "C", "libwebsockets-dev"),
    by_port("websocketpp", "C++", "libwebsocketpp-dev"),
    by_port("beast", "C++", "libboost-dev"),
    ruby("faye-websocket-ruby", "server", "ruby-faye-websocket"),
    ruby("websocket-driver", "server client", "ruby-websocket-driver"),
    ruby("em-websocket", "server", "ruby-em-websocket"),
    Peer(
        "mojolicious",
        "Perl",
        lambda role, at: ["perl", "peers/perl/peers.pl", role, "mojolicious", at],
        "server client",
        lambda: debian("libmojolicious-perl"),
    ),
    Peer(
        "tomcat",
        "Java",
        lambda role, at: ["java", "-cp", f"{INSTALLED}/java:{JARS}", "TomcatEcho", at],
        "server",
        lambda: debian("libtomcat10-embed-java"),
    ),
    by_port("haskell", "Haskell", "libghc-websockets-dev"),
    Peer(
        "haskell-strict",
        "Haskell",
        lambda role, at: [str(BIN / "haskell"), "strict", at],
        "server",
        lambda: debian("libghc-websockets-dev"),
    ),
]

ENVIRONMENT = os.environ | {"NODE_PATH": str(INSTALLED / "node/node_modules"), "PYTHONDONTWRITEBYTECODE": "1"}
ENVIRONMENT.pop("RUST_LOG", None)


# What was started and hasn't ended: process groups, so that what a peer or the coach starts ends with it.
STARTED = set()
LOCK = threading.Lock()


def start(command, **how):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=ENVIRONMENT, cwd=HERE, start_new_session=True, **how)
    with LOCK:
        STARTED.add(process.pid)
    return process


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    with LOCK:
        STARTED.discard(process.pid)


def stop_all(*_):
    for group in list(STARTED):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(130)


def left():
    return WHOLE - (time.monotonic() - BEGAN)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def said(role, words):
    """The verdicts of one call of the coach."""
    bound = min(BOUND[role], left())
    if bound < 5:
        raise RuntimeError(f"no time was left: the whole run has {WHOLE} s")
    coach = start([COACH, "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = coach.communicate(timeout=bound)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the coach didn't come to its end within {bound:.0f} s") from None
    finally:
        stop(coach)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    if not lines or "total" not in lines[-1]:
        errors = [line for line in errors.splitlines() if not line.startswith("listening on")]
        raise RuntimeError(errors[0] if errors else "the coach said nothing")
    return lines[:-1]


def asked(peer, role, words=()):
    """Starts a peer and asks it."""
    if role == "client" and peer.language in MANY_CLIENTS:
        # The coach starts a client for each check, and these libraries take longer to load than most checks: they're loaded once.
        port = free_port()
        with open(INSTALLED / f"{peer.name}.client.log", "w") as log:
            clients = start([*MANY_CLIENTS[peer.language], "clients", peer.name, str(port)], stdout=log, stderr=log)
            try:
                for _ in range(600):
                    with socket.socket() as stream:
                        if clients.poll() is None and stream.connect_ex(("127.0.0.1", port)) == 0:
                            break
                    time.sleep(0.1)
                return said(role, [*words, "--listen", "127.0.0.1:0", "--", "peers/one_of", str(port)])
            finally:
                stop(clients)
    if role == "client":
        # The coach appends the address to the command.
        return said(role, [*words, "--listen", "127.0.0.1:0", "--", *peer.command("client", "ADDRESS")[:-1]])
    port = free_port()
    with open(INSTALLED / f"{peer.name}.server.log", "w") as log:
        server = start(peer.command("server", str(port)), stdout=log, stderr=log)
        try:
            await_echo(server, port, log.name)
            return said(role, [*words, f"ws://127.0.0.1:{port}/"])
        finally:
            stop(server)


def await_echo(server, port, log):
    """Until a first text has come back: a virtual machine takes seconds for it."""
    seen = "it doesn't listen"
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"it ended with {server.returncode}: {last_line(log)}")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as stream:
                stream.settimeout(5)
                lines = [
                    "GET / HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "", "",
                ]
                stream.sendall("\r\n".join(lines).encode())
                seen = stream.recv(4096).decode(errors="replace").split("\r\n")[0]
                stream.sendall(b"\x81\x85\0\0\0\0first")
                if b"first" in stream.recv(4096):
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"no echo came within 40 s; the last it said: {seen}")


GONE = re.compile("is gone|can't be reached")
WAITED = re.compile("silence|neither a Close|no pong in|no Close in|isn't served|still open|no client came|went on nor ended")


def coached(peer, role):
    """What the coach says of a peer in a role: the lines of --json. Raises if it couldn't be tried."""
    lines = {line["id"]: line for line in asked(peer, role)}

    def ask_again(ids, words):
        if ids:
            lines.update((line["id"], line) for line in asked(peer, role, [*words, "--only", ",".join(ids)]))

    def is_gone(id):
        return lines[id]["verdict"] in ("skip", "fail") and GONE.search(lines[id]["seen"]) is not None

    # What comes after a crash, one by one: the first to find the server gone again is the one that ends it.
    rest = [id for id in lines if is_gone(id)]
    for _ in range(12):
        if not rest:
            break
        ask_again(rest, ["--jobs", "1"])
        gone = [id for id in rest if is_gone(id)]
        if gone[:1] == rest[:1]:
            lines[gone[0]].update(verdict="fail", seen="the server's process ends, with all its connections")
            gone = gone[1:]
        rest = gone
    ask_again([id for id, line in lines.items() if line["verdict"] == "fail" and WAITED.search(line["seen"])], ["--jobs", "1"])
    return list(lines.values())


def last_line(file):
    lines = pathlib.Path(file).read_text(errors="replace").strip().splitlines()
    return lines[-1][:150] if lines else "it said nothing"


def areas():
    names = []
    for line in output(COACH, "--list").splitlines()[1:]:
        area = line.split()[1].split("/")[0]
        if area not in names:
            names.append(area)
    return names


def cell(lines, area):
    of = collections.Counter(line["verdict"] for line in lines if line["id"].startswith(f"{area}/"))
    if not of:
        return ""
    if of["skip"] == sum(of.values()):
        return "-"
    return f"**{of['fail']}**" if of["fail"] else ("w" if of["warn"] else "ok")


def failures(lines):
    return [line for line in lines if line["verdict"] == "fail"]


def table(role, found, names):
    rows = [f"| {role} | " + " | ".join(names) + " | fails |", "|---" * (len(names) + 2) + "|"]
    for (peer, its_role), lines in found.items():
        if its_role == role and isinstance(lines, list):
            cells = [cell(lines, area) for area in names] + [str(len(failures(lines)))]
            rows.append(f"| {peer.name} {peer.version()} ({peer.language}) | " + " | ".join(cells) + " |")
    return "\n".join(rows)


# Faults as a reader thinks of them: what is said of a peer, the checks that show it, and what they have to have seen.
FAULTS = {
    "server": [
        ("accepts a length that isn't written in the fewest bytes (§5.2)", "rules/length-16-* rules/length-64-*", ""),
        ("opens a WebSocket for a key that isn't base64 of 16 bytes, or for two keys (§4.2.1)", "refuse/*key*", "^101"),
        ("opens a WebSocket for a request without a Host, or with two (§4.2.1, RFC 9112 §3.2)", "refuse/no-host policy/two-hosts", "^101"),
        ("opens a WebSocket for a request in HTTP/1.0, which has no Upgrade (§4.2.1)", "refuse/http-1-0", "^101"),
        ("refuses a request without sending an HTTP answer: it drops the connection, or stays silent (§4.2.2)", "refuse/* policy/*", "no HTTP answer|without a byte"),
        ("refuses another version without saying in its answer that it supports 13 (§4.4)", "refuse/version-in-answer", "Sec-WebSocket-Version"),
        ("opens a WebSocket for another version, or for none (§4.2.1)", "refuse/new-version refuse/no-version", "^101"),
        ("opens a WebSocket for a request with two lines `Sec-WebSocket-Version` (§4.2.1, §11.3.5)", "refuse/two-versions", "^101"),
        ("opens a WebSocket for a request without the right Upgrade and Connection (§4.2.1)", "refuse/*upgrade* refuse/*connection*", "^101"),
        ("accepts frames without a mask (§5.1)", "rules/unmasked*", ""),
        ("accepts texts that aren't UTF-8 (§8.1)", "utf8/*", "went on"),
        ("doesn't trim the spaces around a header's value (RFC 9112 §5.1)", "head/spaces-* accept/key-untrimmed", ""),
        ("doesn't read a `Connection` list over two lines (RFC 9110 §5.3)", "head/connection-on-two-lines", ""),
        ("sends back a Close code that may never be sent (§7.4)", "close/bad-code-*", ""),
        ("accepts reserved bits or unknown opcodes (§5.2)", "rules/rsv* rules/opcode-*", ""),
        ("accepts an offer of compression that it should decline, or doesn't keep to its own answer (RFC 7692 §5, §7.1)", "deflate/declines-* deflate/server-window* deflate/*takeover*", ""),
        ("refuses a handshake if it can't accept the first offer of compression, and doesn't try the second (RFC 7692 §7.1)", "deflate/fallback deflate/on-two-lines", "400"),
        ("delivers or waits for compressed data that ends within a block, or fails after a final block (RFC 7692 §7.2)", "deflate/cut-short deflate/*final-block", ""),
    ],
    "client": [
        ("goes on after a 101 with a subprotocol or an extension that it didn't offer (§4.1)", "accept/unasked-*", "client went on"),
        ("accepts a length that isn't written in the fewest bytes (§5.2)", "rules/length-16-* rules/length-64-*", ""),
        ("closes the connection if the 101 has `Connection: keep-alive, Upgrade` (§4.1)", "head/keep-alive-upgrade", ""),
        ("goes on after a 101 without the right Upgrade and Connection (§4.1)", "accept/*upgrade accept/no-connection accept/*connection", "client went on"),
        ("goes on after a 101 whose accept is wrong or missing, or that has a second, wrong one (§4.1)", "accept/wrong accept/missing accept/of-another-key accept/other-letter-case accept/two-values", "client went on"),
        ("refuses a 101, and leaves the TCP connection open (§7.1.7)", "accept/*", "neither went on nor ended"),
        ("accepts masked frames (§5.1)", "rules/masked", ""),
        ("accepts texts that aren't UTF-8 (§8.1)", "utf8/*", "went on"),
        ("sends back a Close code that may never be sent (§7.4)", "close/bad-code-*", ""),
        ("accepts reserved bits or unknown opcodes (§5.2)", "rules/rsv* rules/opcode-*", ""),
        ("accepts an answer about compression that doesn't fit its offer (RFC 7692 §5)", "deflate/answer-*", ""),
        ("loses a frame that arrives in one packet with the 101", "head/frame*", ""),
    ],
}


def shows(line, ids, seen):
    return any(fnmatch.fnmatch(line["id"], id) for id in ids.split()) and re.search(seen, line["seen"]) is not None


def summary(role, found):
    """The faults, the most frequent first, with who has them."""
    of_role = {peer.name: failures(lines) for (peer, its_role), lines in found.items() if its_role == role and isinstance(lines, list)}
    rows = []
    for says, ids, seen in FAULTS[role]:
        who = [name for name, failed in of_role.items() if any(shows(line, ids, seen) for line in failed)]
        rows.append((len(who), says, who))
    rows.sort(key=lambda row: -row[0])
    lines = [f"| of {len(of_role)} {role}s | the {role} .. | which |", "|---|---|---|"]
    for count, says, who in rows:
        if count:
            rest = [name for name in of_role if name not in who]
            names = ", ".join(who) if len(who) <= len(rest) or not rest else "all but " + ", ".join(rest)
            lines.append(f"| {count} | {says} | {names} |")
    return "\n".join(lines)


def of_peer(name, role, lines):
    """What a peer fails in a role: the checks that saw the same together."""
    failed = failures(lines)
    passed = sum(line["verdict"] == "pass" for line in lines)
    if not failed:
        return f"As a {role}, {name} fails no check and passes {passed}."
    out = [f"As a {role}, {name} fails {len(failed)} checks and passes {passed}:", ""]
    out += ["| the coach saw | in these checks | section |", "|---|---|---|"]
    groups = collections.OrderedDict()
    for line in failed:
        groups.setdefault((line["id"].split("/")[0], plain(line["seen"])), []).append(line)
    for (_, seen), same in groups.items():
        ids = ", ".join(f"`{line['id']}`" for line in same)
        sections = ", ".join(dict.fromkeys(line["section"] for line in same))
        out.append(f"| {seen} | {ids} | {sections} |")
    return "\n".join(out)


def peers_one_by_one(found):
    about = {}
    for part in (HERE / "about.md").read_text().split("\n## ")[1:]:
        name, text = part.split("\n", 1)
        about[name.strip()] = text.strip()
    parts = []
    for peer in PEERS:
        roles = [(role, found[peer, role]) for role in ("server", "client") if isinstance(found.get((peer, role)), list)]
        if roles:
            parts.append(f"### {peer.name} {peer.version()} ({peer.language})")
            if peer.name in about:
                parts.append(about[peer.name])
            parts += [of_peer(peer.name, role, lines) for role, lines in roles]
    return "\n\n".join(parts)


def questions(found, lists):
    """Each check that some peer fails, with what it sends and expects."""
    asked = {}
    for (_, role), lines in found.items():
        for line in failures(lines) if isinstance(lines, list) else []:
            asked.setdefault((line["stage"], line["id"], line["section"], *lists[role, line["id"]]), set()).add(role)
    rows = [
        f"| `{id}` | {' and '.join(sorted(roles, reverse=True))} | {in_a_cell(sends)} | {in_a_cell(expects)} | {section} |"
        for (_, id, section, sends, expects), roles in sorted(asked.items())
    ]
    return "\n".join(["| check | checks a | the coach sends | the coach expects | section |", "|---|---|---|---|---|", *rows])


def in_a_cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")


def plain(seen):
    """What was seen, without what differs from run to run."""
    for before, after in (
        (r'^after the bytes \[[^\]]*\]: ', ""),
        (r'^".*?" for the key ".*?", which would be ".*?": the key was not trimmed', "the server computed the accept from the key with its surrounding spaces"),
        (r'^".*?" for the key ".*?", which would be ".*?": .*', "the server didn't compute the accept from the trimmed key"),
        (r"instead of the echo of \d+ bytes( \"(\\.|[^\"\\])*\"(\.\.\.)?)?: ", "instead of the echo: "),
        (r" \(and before it \d+ bytes .*\)$", ", after other messages"),
        (r"^a message of \d+ bytes .*, which (is|are) the last \d+ of them alone; and in place of .*$", "only the last bytes came back, as a message"),
        (r"^the offer was accepted: .*$", "the server accepted the offer"),
        (r"^the offer was accepted without (.*)$", r"the server accepted the offer without \1"),
        (r'^the answer "(.*)"$', r"\1"),
        (r"coach [0-9a-f]{8}", "coach .."),
        (r"silence for \d+ ms", "silence"),
        (r" in \d+ ms", " in time"),
        (r'"[^"]{60,}"', '".."'),
        # As a sentence of the table.
        (r"^instead of the echo: the end of the stream$", "the peer ended the stream instead of sending the echo"),
        (r"^instead of the echo: silence$", "the peer stayed silent instead of sending the echo"),
        (r"^instead of the echo: the end of the stream, (after .*)$", r"the peer ended the stream \1, instead of sending the echo"),
        (r"^instead of the echo: silence, (after .*)$", r"the peer stayed silent \1, instead of sending the echo"),
        (r"^instead of the echo: (.*)$", r"\1, instead of the echo"),
        (r"^no HTTP answer: the connection ended without a byte$", "the server ended the connection without an HTTP answer"),
        (r"^no HTTP answer: silence$", "the server stayed silent, and sent no HTTP answer"),
        (r"^no HTTP answer: (.*)$", r"\1, and no HTTP answer"),
        (r"^the connection ended without a byte$", "the server ended the connection without sending a byte"),
        (r"^101: the request was accepted$", "the server accepted the request with a 101"),
        (r"^the connection went on: a later text was echoed$", "the peer kept the connection open, and echoed a later text"),
        (r"^the client went on, and echoed a text$", "the client kept the connection open, and echoed a text"),
        (r"^a Close with (\d+): the code was sent back$", r"the peer sent the close code \1 back"),
        (r"^neither a Close nor the end of the stream in time$", "the peer neither sent a Close nor ended the stream in time"),
        (r"^a Close of more than 125 bytes came back$", "the peer sent back a Close of more than 125 bytes"),
        (r" and Sec-WebSocket-Version \[\]$", ", without Sec-WebSocket-Version"),
    ):
        seen = re.sub(before, after, seen)
    return in_a_cell(seen)[:220]


def lists():
    """What each check sends and expects, by role and id."""
    found = {}
    for page in "\n".join(output(COACH, "--show", area) for area in areas()).split("# ")[1:]:
        id = page.split()[0]
        fields = {}
        name = None
        for line in page.splitlines()[1:]:
            if line[:13].strip():
                name = line[:13].strip()
                fields[name] = line[13:].strip()
            elif name and line.strip():
                fields[name] += " " + line.strip()
        for role in ("server", "client"):
            if role in fields.get("for", ""):
                found[role, id] = (fields["sends"], fields["expects"])
    return found


def main():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop_all)
    names = sys.argv[1:]
    unknown = set(names) - {peer.name for peer in PEERS}
    if unknown:
        sys.exit(f"no such peer: {', '.join(unknown)}; there are {', '.join(peer.name for peer in PEERS)}")
    every = [(peer, role) for role in ("server", "client") for peer in PEERS if role in peer.roles.split()]
    again = os.environ.get("AGAIN") != "no"
    chosen = [(peer, role) for peer, role in every if again and (not names or peer.name in names)]
    # The slow ones begin first, so that the end isn't spent on waiting for one of them.
    chosen.sort(key=lambda job: job[1] == "server")

    def tried(peer, role):
        began = time.monotonic()
        try:
            return coached(peer, role), time.monotonic() - began
        except (RuntimeError, OSError) as error:
            return str(error), time.monotonic() - began

    last = INSTALLED / "found.json"
    kept = {}
    if last.exists() and (names or not again):
        kept = {(name, role): lines for name, role, lines in json.loads(last.read_text())}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "3"))) as pool:
        jobs = {pool.submit(tried, *job): job for job in chosen}
        for count, done in enumerate(concurrent.futures.as_completed(jobs), 1):
            (peer, role), (lines, took) = jobs[done], done.result()
            # Kept after each peer, so that a run that was stopped isn't lost.
            kept[peer.name, role] = lines
            last.write_text(json.dumps([[*job, lines] for job, lines in kept.items()]))
            begin = f"[{count}/{len(jobs)}] {role} {peer.name} {peer.version()}, {took:.0f} s"
            if isinstance(lines, str):
                print(f"{begin}: not tried: {lines}", flush=True)
                continue
            failed = failures(lines)
            print(f"{begin}: {len(lines)} checks, {len(failed)} failed: {' '.join(line['id'] for line in failed)}", flush=True)
            for line in failed if names else []:
                print(f"  {line['id']}: {line['seen'][:300]}")
    found = {job: kept[job[0].name, job[1]] for job in every if (job[0].name, job[1]) in kept}
    withdraw({(peer.name, role): lines for (peer, role), lines in found.items()})
    write({job: opened(lines) for job, lines in found.items()})
    sys.exit(0 if as_known({(peer.name, role): lines for (peer, role), lines in found.items()}) else 1)


def withdraw(found):
    """Takes back what the coach says and the RFC doesn't: the lines of withdrawn.txt."""
    for entry in (HERE / "withdrawn.txt").read_text().splitlines():
        if entry and not entry.startswith("#"):
            role, name, id, why = entry.split(" ", 3)
            lines = found.get((name, role))
            for line in failures(lines) if isinstance(lines, list) else []:
                if line["id"] == id:
                    line.update(verdict="skip", seen=why)
    for (_, role), lines in found.items():
        if role == "client" and isinstance(lines, list) and any("doesn't offer compression" in line["seen"] for line in lines):
            # It took an extension that it didn't ask for, which accept/unasked-extension tells; it's one fault, and not four.
            for line in failures(lines):
                if line["id"].startswith("deflate/answer-"):
                    line.update(verdict="skip", seen="it doesn't offer compression: see accept/unasked-extension")


def as_known(found):
    """Whether the peers of known.txt fail what it says, and nothing else."""
    known = collections.OrderedDict()
    for line in (HERE / "known.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            role, name, *ids = line.split()
            known.setdefault((name, role), set()).update(ids)
    good, held = True, 0
    for (name, role), expected in known.items():
        lines = found.get((name, role))
        if not isinstance(lines, list):
            print(f"known: {role} {name} wasn't coached")
            continue
        held += 1
        failed = {line["id"] for line in failures(lines)}
        for what, ids in (("doesn't fail", expected - failed), ("fails, though it's known to be right in it,", failed - expected)):
            if ids:
                good = False
                print(f"known: {role} {name} {what} {' '.join(sorted(ids))}")
    if good:
        print(f"known: {held} peers fail what known.txt says, and nothing else")
    return good


def opened(lines):
    """The verdicts, or why they say nothing: without a plain handshake it's rather the echo that isn't right."""
    for line in lines if isinstance(lines, list) else []:
        if line["id"] in ("head/plain", "frame/text") and line["verdict"] != "pass":
            return f"`{line['id']}` doesn't pass, which says more of the echo than of the peer: {plain(line['seen'])}"
    return lines


def write(found):
    notes = (HERE / "notes.md").read_text()
    served = sum(isinstance(lines, list) for (_, role), lines in found.items() if role == "server")
    connected = sum(isinstance(lines, list) for (_, role), lines in found.items() if role == "client")
    missing = [f"- {peer.name} as a {role}: {lines}" for (peer, role), lines in found.items() if isinstance(lines, str)]
    texts = lists()
    parts = {
        "DATE": datetime.date.today().isoformat(),
        "COUNTS": f"{served} servers and {connected} clients",
        "SERVER_SUMMARY": summary("server", found),
        "CLIENT_SUMMARY": summary("client", found),
        "SERVERS": table("server", found, areas()),
        "CLIENTS": table("client", found, [area for area in areas() if any(role == "client" and id.startswith(area + "/") for role, id in texts)]),
        "PEERS": peers_one_by_one(found),
        "QUESTIONS": questions(found, texts),
        "MISSING": "\n".join(missing),
    }
    for name, text in parts.items():
        notes = notes.replace(f"{{{{{name}}}}}", text)
    chapter = CHAPTER if os.environ.get("UPDATE") == "1" else INSTALLED / CHAPTER.name
    chapter.write_text(notes.rstrip() + "\n")
    print(f"written: {chapter.relative_to(ROOT)}" + ("" if chapter is CHAPTER else " (UPDATE=1 writes the chapter)"))


if __name__ == "__main__":
    main()
