"""Coaches each peer of the zoo, and judges what the coach says.

    python3 judge.py ZOO COACH [ID...]

Called by `run`, which builds both programs. A row of `zoo --list` names the checks that a faulty peer must fail, and what it
may fail besides: areas, or checks; `*` is anything, and `?` among those it must fail is at least one, whichever it is; after
`~` a warning is enough; `!` means that the coach can't run, and ends with 2.
A check whose level is `must` counts as found only by `fail`; `warn` is enough for the others. The coach must end with 1 if
a check failed, and with 0 if none did.
"""

import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

BOUND = 240  # seconds for one peer
# A faulty peer is waited for less: it's often silent, and what it does in time it does at once.
FAULTY_TIMEOUT = "1200"

Row = collections.namedtuple("Row", "side kind id must may says")


def rows(zoo):
    lines = subprocess.run([zoo, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in lines.splitlines():
        side, kind, id, must, may, says = line.split("\t")
        words = [() if field == "-" else tuple(field.split()) for field in (must, may)]
        yield Row(side, kind, id, *words, says)


def switch(row):
    return [] if row.kind == "good" else [f"--{row.kind}", row.id]


def coached(zoo, coach, row, patient):
    """What the coach says of a peer: its exit status, and the lines of --json."""
    words = [] if patient or row.kind != "fault" else ["--timeout", FAULTY_TIMEOUT]
    if row.side == "client":
        command = [coach, "--json", *words, "--listen", "127.0.0.1:0", "--", zoo, "client", *switch(row)]
        return said(command)
    server = subprocess.Popen(
        [zoo, "server", *switch(row), "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        url = server.stdout.readline().strip().removeprefix("listening on ")
        return said([coach, "--json", *words, f"{url}/"])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def said(command):
    status = None
    with tempfile.TemporaryFile() as out:
        try:
            status = subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, timeout=BOUND).returncode
        except subprocess.TimeoutExpired:
            pass
        out.seek(0)
        lines = [json.loads(line) for line in out.read().decode().splitlines() if line.startswith("{")]
    # Without the line of totals it was stopped in the middle.
    return status, lines[:-1] if lines and "total" in lines[-1] else []


def judged(row, status, lines):
    """Why the coach is wrong about this peer, or nothing."""
    if row.must == ("!",):
        return "" if status == 2 else f"ends with {status}, and not with 2"
    if not lines:
        return f"no verdict in {BOUND} s"
    # Two checks may share an id: one asks servers, the other clients.
    verdicts = {line["id"]: line for line in lines}
    failed = [line["id"] for line in lines if line["verdict"] == "fail"]
    if status != bool(failed):
        return f"ends with {status}, though {len(failed)} checks fail"

    def is_found(id, may_warn):
        line = verdicts.get(id, {"verdict": "no such check", "level": "must"})
        may_warn |= line["level"] != "must"
        return line["verdict"] == "fail" or may_warn and line["verdict"] == "warn"

    # A row of both sides may name checks that only one of them is asked.
    musts = [id.removesuffix("~") for id in row.must if id != "?"]
    musts = [id for id in musts if id in verdicts or len(musts) == 1]
    missed = [id for id in musts if not is_found(id, f"{id}~" in row.must)]
    if missed:
        return "not found: " + ", ".join(f"{id} ({verdicts[id]['verdict']})" if id in verdicts else id for id in missed)
    if "?" in row.must and not failed:
        return "no check fails"
    allowed = {id.split("/")[0] for id in row.must if id != "?"} | set(row.may)
    beyond = [id for id in failed if not {"*", id, id.split("/")[0]} & allowed]
    return "fails wrongly: " + " ".join(beyond) if beyond else ""


def main():
    zoo, coach, ids = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]
    chosen = [row for row in rows(zoo) if not ids or row.id in ids]
    kept = {}
    counts = {True: 0, False: 0}

    def count(side, kind, id, why):
        counts[not why] += 1
        print(f"{side:6}  {kind:5}  {id:36} {'FAILED: ' + why if why else 'passed'}", flush=True)

    # The slow ones first, so that the end isn't spent on waiting for one of them.
    order = sorted(chosen, key=lambda row: (row.kind != "legal", row.side != "client"))
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "16"))) as pool:
        for row, said_of_it in zip(order, pool.map(lambda row: coached(zoo, coach, row, False), order)):
            kept[row] = said_of_it
    for row in chosen:
        why = judged(row, *kept[row])
        if why:
            # So many at once on a busy machine may be slower than the coach's waits allow: this time alone.
            kept[row] = coached(zoo, coach, row, True)
            why = judged(row, *kept[row])
        count(row.side, row.kind, row.id, why)
    if not ids:
        with open("uncovered.txt") as file:
            excused = {tuple(line.split()[:2]) for line in file if not line.startswith("#")}
        for side in ("server", "client"):
            proved = {id.rstrip("~") for row in chosen if row.side == side and row.kind == "fault" for id in row.must}
            (good,) = [lines for row, (_, lines) in kept.items() if row.side == side and row.kind == "good"]
            for line in good:
                if line["level"] != "advice" and line["id"] not in proved and (side, line["id"]) not in excused:
                    count(side, "check", line["id"], "no faulty peer has to fail it")
    if "VERDICTS" in os.environ:
        with open(os.environ["VERDICTS"], "w") as file:
            json.dump([[row._asdict(), lines] for row, (_, lines) in kept.items()], file)
    print(f"{counts[True]} passed, {counts[False]} failed")
    sys.exit(counts[False] > 0)


if __name__ == "__main__":
    main()
