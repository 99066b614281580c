"""Runs the coach on the course's references, the servers of its stages: does each pass its own stage, but not the next?

    python3 tests/course/stages.py COACH [rust|python] [STAGE...]

`run` calls this script, and builds the programs first. A reference holds if it fails no MUST of its own stage or an
earlier one. On the next stage, the first check that it doesn't pass must be the one that the next chapter begins with.

The script also compares the coach's output with the blocks that follow these marks in the chapters, ignoring times,
ports and random words. UPDATE=1 rewrites those blocks:

    <!-- coach: before -->    what the coach says of the stage while the learner's server is that of the stage before
    <!-- coach: after -->     what it says when the stage holds
"""

import functools
import json
import os
import re
import subprocess
import sys

LAST = {"rust": 14, "python": 11}
AREAS = "head accept refuse frame lengths stream ping close fragments utf8 rules many policy deflate".split()
# What the coach prints first if a stage begins with the server of the stage before.
FIRST = {
    2: "FAIL accept/present-once",
    3: "FAIL refuse/no-key",
    4: "FAIL frame/text",
    5: "FAIL lengths/text-126",
    6: "FAIL stream/cut-after-first-byte",
    7: "FAIL ping/answered",
    8: "FAIL close/answered",
    9: "FAIL fragments/two",
    10: "FAIL utf8/lone-continuation",
    11: "FAIL rules/unmasked",
    12: "FAIL many/two-at-once",
    # The RFC leaves these two stages open, so the coach only warns, or finds nothing to check.
    13: "warn policy/malformed-host",
    14: "stage 14 is open",
}
COACH_SECONDS = 120


def chapter(stage):
    return f"src/walkthrough/course/{stage:02}_{AREAS[stage - 1]}.md"


class Server:
    """The process of a stage's reference server (for stage 0, the starter). The end of a `with` block kills it."""

    def __init__(self, language, stage):
        if stage == 0:
            command = [sys.executable, "examples/course/starters/starter.py"]
        elif language == "rust":
            command = [f"target/release/examples/course_{stage:02}"]
        else:
            command = [sys.executable, f"examples/course/python/course_{stage:02}.py"]
        self.process = subprocess.Popen(
            [*command, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.url = self.process.stdout.readline().strip().removeprefix("listening on ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def coach(program, *arguments):
    done = subprocess.run(
        [program, *arguments], stdout=subprocess.PIPE, timeout=COACH_SECONDS, text=True
    )
    if done.returncode not in (0, 1):
        print(f"stages.py: the coach ended with {done.returncode} on {arguments}", file=sys.stderr)
        sys.exit(2)
    return done.stdout


def faults(program, language, stage):
    """Returns what a reference gets wrong, one line for each fault. An empty list means that it holds."""
    with Server(language, stage) as server:
        if not server.url.startswith("ws://"):
            return ["it doesn't listen"]
        output = coach(program, "--json", "--only", ",".join(AREAS[:stage]), server.url)
        checks = [json.loads(line) for line in output.splitlines() if line.startswith('{"id"')]
        found = []
        for earlier in range(1, stage + 1):
            own = [check for check in checks if check["stage"] == earlier]
            if not any(check["verdict"] == "pass" for check in own):
                found.append(f"stage {earlier}: no check passes")
            for check in own:
                if check["verdict"] == "fail":
                    found.append(f"{check['id']} fails: {check['seen']}")
        if server.process.poll() is not None:
            found.append(f"the server ended with {server.process.returncode}")
    if stage < 14:
        first = before(program, language, stage + 1).splitlines()[0]
        if FIRST[stage + 1] not in first:
            found.append(f"stage {stage + 1} begins with {first!r}, and not with {FIRST[stage + 1]!r}")
    return found


@functools.cache
def before(program, language, stage):
    """Returns what a learner who begins this stage sees first: the diagnostic, without the exchanged bytes."""
    with Server(language, stage - 1) as server:
        # The chapters show the Rust servers with the usual timeout. For Python, a shorter one saves time.
        hurry = [] if language == "rust" else ["--timeout", "1000"]
        output = coach(program, *hurry, "--stage", str(stage), server.url)
    lines = output.replace(server.url, "ws://127.0.0.1:9001").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(("FAIL", "warn", "stage")))
    ends = (i for i, line in enumerate(lines) if i > begin and (not line or "the exchange" in line))
    return "".join(f"{line}\n" for line in lines[begin : next(ends)])


def after(program, stage):
    with Server("rust", stage) as server:
        output = coach(program, "--stage", str(stage), server.url)
    output = output.replace(server.url, "ws://127.0.0.1:9001")
    return "".join(f"{line}\n" for line in output.splitlines() if not line.startswith("badge:"))


def same(text):
    """Returns the text without what differs from run to run."""
    changing = r'[0-9]+\.[0-9] s|coach [0-9a-f]{8}|"[a-z]{40,}\.\.\."|[0-9]+ ms|127\.0\.0\.1:[0-9]+'
    return re.sub(changing, "..", text)


def chapter_faults(program, stage):
    """Returns a line for each block of a chapter that differs from what the coach prints."""
    path, found = chapter(stage), []
    if not os.path.exists(path):
        return [f"there's no {path}"]
    text = open(path, encoding="utf-8").read()
    for name in ("before", "after"):
        block = re.compile(rf"(<!-- coach: {name} -->\n```text\n)(.*?)(```\n)", re.S)
        shown = block.findall(text)
        if len(shown) != 1:
            found.append(f"{path} shows `coach: {name}` {len(shown)} times")
            continue
        right = before(program, "rust", stage) if name == "before" else after(program, stage)
        if same(shown[0][1]) == same(right):
            continue
        if os.environ.get("UPDATE"):
            text = block.sub(lambda match: match[1] + right + match[3], text)
            open(path, "w", encoding="utf-8").write(text)
        else:
            found.append(f"{path} shows another `coach: {name}`; right is\n{right}UPDATE=1 tests/course/run mends it")
    return found


def main():
    program, words = sys.argv[1], sys.argv[2:]
    languages = [word for word in words if word in LAST] or list(LAST)
    stages = [int(word) for word in words if word.isdecimal()]
    if len(words) != len(stages) + len([word for word in words if word in LAST]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    is_bad = False
    for language in languages:
        for stage in range(1, LAST[language] + 1):
            if stages and stage not in stages:
                continue
            found = faults(program, language, stage)
            if language == "rust":
                found += chapter_faults(program, stage)
            print(f"{language} {stage:2}: {'holds' if not found else 'does not hold'}", flush=True)
            for fault in found:
                print(f"    {fault}", flush=True)
            is_bad |= bool(found)
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
