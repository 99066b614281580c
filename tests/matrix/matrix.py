"""Starts each peer, coaches it, and writes the chapter. Called by `run`, which installs and builds.

    python3 matrix.py [PEER...]

With names, only these are coached anew; the others' verdicts are those of the last run, in target/matrix/found.json. With
AGAIN=no in the environment, none is, and the chapter is written from that file.
"""

import collections
import concurrent.futures
import datetime
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
INSTALLED = pathlib.Path(os.environ["INSTALLED"])
COACH = os.environ["COACH"]
CHAPTER = ROOT / "src/walkthrough/the_state_of_the_field.md"
BOUND = 900  # seconds for one peer; a client is started anew for each check

PYTHON = str(INSTALLED / "python/bin/python")
RUST = str(INSTALLED / "rust/release/ws101-matrix")
BIN = INSTALLED / "bin"
JARS = ":".join(f"/usr/share/java/tomcat10-embed-{part}.jar" for part in ("core", "websocket", "el"))

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
    command = lambda role, at: [program, role, at.rstrip("/").rsplit(":", 1)[-1]]
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
]

ENVIRONMENT = os.environ | {"NODE_PATH": str(INSTALLED / "node/node_modules"), "PYTHONDONTWRITEBYTECODE": "1"}
ENVIRONMENT.pop("RUST_LOG", None)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def said(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=BOUND, env=ENVIRONMENT, cwd=HERE)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines or "total" not in lines[-1]:
        raise RuntimeError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "the coach said nothing")
    return lines[:-1]


def coached(peer, role):
    """What the coach says of a peer in a role: the lines of --json. Raises if it couldn't be tried."""
    if role == "client":
        # The coach appends the address to the command.
        command = peer.command("client", "ADDRESS")
        if command[-1] == "ADDRESS":
            return said([COACH, "--json", "--listen", "127.0.0.1:0", "--", *command[:-1]])
        raise RuntimeError("it doesn't take an address")
    port = free_port()
    log = open(INSTALLED / f"{peer.name}.server.log", "w")
    server = subprocess.Popen(peer.command("server", str(port)), stdout=log, stderr=log, env=ENVIRONMENT, cwd=HERE)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"it ended with {server.returncode}: {last_line(log.name)}")
                time.sleep(0.1)
        else:
            raise RuntimeError("it doesn't listen")
        return said([COACH, "--json", f"ws://127.0.0.1:{port}/"])
    finally:
        server.kill()
        server.wait()
        log.close()


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


def table(role, found, names):
    rows = [f"| {role} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for (peer, its_role), lines in found.items():
        if its_role == role and isinstance(lines, list):
            rows.append(f"| {peer.name} {peer.version()} ({peer.language}) | " + " | ".join(cell(lines, area) for area in names) + " |")
    return "\n".join(rows)


def findings(role, found, lists):
    """For each failed check, what was sent and expected, and which peers fail it with what was seen."""
    failed = collections.OrderedDict()
    for (peer, its_role), lines in found.items():
        if its_role == role and isinstance(lines, list):
            for line in lines:
                if line["verdict"] == "fail":
                    failed.setdefault(line["id"], []).append((peer.name, line))
    out = []
    for id in sorted(failed, key=lambda id: (failed[id][0][1]["stage"], id)):
        first = failed[id][0][1]
        sends, expects = lists[role, id]
        out.append(f"- `{id}` ({first['section']}). The coach sends {sends} and expects {expects}.")
        groups = collections.OrderedDict()
        for name, line in failed[id]:
            groups.setdefault(plain(line["seen"]), []).append(name)
        for seen, names in groups.items():
            out.append(f"  - {', '.join(names)}: {seen}")
    return "\n".join(out)


def plain(seen):
    """What was seen, without what differs from run to run."""
    seen = re.sub(r"coach [0-9a-f]{8}", "coach ..", seen)
    seen = re.sub(r"silence for \d+ ms", "silence", seen)
    seen = re.sub(r"in \d+ ms", "in time", seen)
    seen = re.sub(r'"[^"]{44,}"', '".."', seen)
    return seen.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")[:220]


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
    names = sys.argv[1:]
    unknown = set(names) - {peer.name for peer in PEERS}
    if unknown:
        sys.exit(f"no such peer: {', '.join(unknown)}; there are {', '.join(peer.name for peer in PEERS)}")
    jobs = [(peer, role) for role in ("server", "client") for peer in PEERS if role in peer.roles.split() and (not names or peer.name in names)]

    def tried(job):
        try:
            return coached(*job)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            return str(error)

    last = INSTALLED / "found.json"
    kept = {}
    if last.exists() and (names or os.environ.get("AGAIN") == "no"):
        kept = {(name, role): lines for name, role, lines in json.loads(last.read_text())}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        asked = [] if os.environ.get("AGAIN") == "no" else jobs
        for (peer, role), lines in zip(asked, pool.map(tried, asked)):
            # Kept after each peer, so that a run that was stopped isn't lost.
            kept[peer.name, role] = lines
            last.write_text(json.dumps([[*job, lines] for job, lines in kept.items()]))
            if isinstance(lines, str):
                print(f"{role} {peer.name}: not tried: {lines}", flush=True)
                continue
            failed = [line["id"] for line in lines if line["verdict"] == "fail"]
            print(f"{role} {peer.name} {peer.version()}: {len(lines)} checks, {len(failed)} failed: {' '.join(failed)}", flush=True)
            for line in lines if names else []:
                if line["verdict"] == "fail":
                    print(f"  {line['id']}: {line['seen'][:300]}")
    every = [(peer, role) for role in ("server", "client") for peer in PEERS if role in peer.roles.split()]
    write({job: kept[job[0].name, job[1]] for job in every if (job[0].name, job[1]) in kept})


def opened(lines):
    """The verdicts, or why they say nothing: without a plain handshake it's rather the echo that isn't right."""
    for line in lines if isinstance(lines, list) else []:
        if line["id"] == "head/plain" and line["verdict"] != "pass":
            return f"its plain handshake doesn't succeed, which says more of the echo than of the peer: {plain(line['seen'])}"
    return lines


def write(found):
    found = {job: opened(lines) for job, lines in found.items()}
    notes = (HERE / "notes.md").read_text()
    served = sum(isinstance(lines, list) for (_, role), lines in found.items() if role == "server")
    connected = sum(isinstance(lines, list) for (_, role), lines in found.items() if role == "client")
    missing = [f"- {peer.name} as a {role}: {lines}" for (peer, role), lines in found.items() if isinstance(lines, str)]
    texts = lists()
    parts = {
        "DATE": datetime.date.today().isoformat(),
        "COUNTS": f"{served} servers and {connected} clients",
        "SERVERS": table("server", found, areas()),
        "CLIENTS": table("client", found, [area for area in areas() if any(role == "client" and id.startswith(area + "/") for role, id in texts)]),
        "SERVER_FINDINGS": findings("server", found, texts),
        "CLIENT_FINDINGS": findings("client", found, texts),
        "MISSING": "\n".join(missing),
    }
    for name, text in parts.items():
        notes = notes.replace(f"{{{{{name}}}}}", text)
    CHAPTER.write_text(notes)
    print(f"written: {CHAPTER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
