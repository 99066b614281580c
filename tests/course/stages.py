"""Runs the coach on the course's references, and says whether each stage is enough and needed.

    python3 tests/course/stages.py COACH [rust|python] [STAGE...]

Called by `run`, which builds what this starts.
"""

import json
import subprocess
import sys

LAST = {"rust": 14, "python": 11}
COACH_SECONDS = 120


def command(language, stage):
    if language == "rust":
        return [f"target/release/examples/course_{stage:02}"]
    return [sys.executable, f"examples/course/python/course_{stage:02}.py"]


def verdicts(coach, url, stage):
    """What the coach says of each check of a stage, in its order."""
    done = subprocess.run(
        [coach, "--json", "--stage", str(stage), url],
        stdout=subprocess.PIPE,
        timeout=COACH_SECONDS,
        text=True,
    )
    if done.returncode not in (0, 1):
        print(f"stages.py: the coach ended with {done.returncode} on stage {stage}", file=sys.stderr)
        sys.exit(2)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [line for line in lines if "id" in line and line.get("stage") == stage]


def faults(coach, language, stage):
    """What doesn't hold of a reference, a line each."""
    server = subprocess.Popen(
        [*command(language, stage), "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        url = server.stdout.readline().strip().removeprefix("listening on ")
        if not url.startswith("ws://"):
            return ["it doesn't listen"]
        found = []
        for earlier in range(1, stage + 1):
            checks = verdicts(coach, url, earlier)
            if not any(check["verdict"] == "pass" for check in checks):
                found.append(f"stage {earlier}: no check passes")
            for check in checks:
                if check["verdict"] == "fail" and check["level"] == "must":
                    found.append(f"{check['id']} fails: {check['seen']}")
        if stage < 14:
            first = next(iter(verdicts(coach, url, stage + 1)), None)
            if first is None:
                found.append(f"the coach has no check of stage {stage + 1}")
            # Compression may be declined, so a skip is what its lack looks like.
            elif first["verdict"] != "fail" and (stage, first["verdict"]) != (13, "skip"):
                found.append(f"{first['id']}, which is stage {stage + 1}'s: {first['verdict']}")
        if server.poll() is not None:
            found.append(f"the server ended with {server.returncode}")
        return found
    finally:
        server.kill()
        server.wait()


def main():
    coach, words = sys.argv[1], sys.argv[2:]
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
            found = faults(coach, language, stage)
            print(f"{language} {stage:2}: {'holds' if not found else 'does not hold'}", flush=True)
            for fault in found:
                print(f"    {fault}", flush=True)
            is_bad |= bool(found)
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
