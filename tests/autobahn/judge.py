"""Reads the report of one role and judges it: judge.py ROLE REPORTS EXPECTED

The suite gives every case two verdicts, one on the behavior and one on the close. Both must be OK; nothing less
(NON-STRICT, UNCLEAN, UNIMPLEMENTED ...) will do. Three cases have no right outcome, and the suite calls them
INFORMATIONAL whatever happens. Every expected case must have run, and for one agent only.
"""

import json
import re
import sys
from pathlib import Path

INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def main(role, reports, expected):
    index = json.loads(Path(reports, "index.json").read_text())
    [cases] = index.values()
    failed = {case: entry for case, entry in cases.items() if not passed(case, entry)}
    informational = len(INFORMATIONAL & cases.keys() - failed.keys())
    ok = len(cases) - len(failed) - informational

    print(f"{role}: {len(cases)} cases, {ok} OK, {informational} INFORMATIONAL, {len(failed)} failed")
    for case in sorted(failed, key=lambda case: [int(number) for number in case.split(".")]):
        explain(case, json.loads(Path(reports, failed[case]["reportfile"]).read_text()))
    if len(cases) != expected:
        print(f"  FAILED: {expected} cases were expected to run")
    print(f"  report: {reports}/index.html")
    return not failed and len(cases) == expected


def passed(case, entry):
    due = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    return entry["behavior"] == due and entry["behaviorClose"] == due


def explain(case, detail):
    print(f"  FAILED {case}: {plain(detail['description'])}")
    print(f"    behavior {detail['behavior']}: {plain(detail['result'])}")
    print(f"    close {detail['behaviorClose']}: {plain(detail['resultClose'])}")


def plain(html):
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


if __name__ == "__main__":
    role, reports, expected = sys.argv[1:]
    sys.exit(not main(role, reports, int(expected)))
