"""Holds the coach's exit status to its contract: 0 every MUST held, 1 one did not, 2 it could not be run, and why.

    python3 exit_statuses.py ZOO COACH

Called by `run`. Each row has the member of the zoo that it starts, the coach's arguments (URL is the member's address, ZOO
the zoo's program), the status, and words that the coach must say.
"""

import concurrent.futures
import os
import subprocess
import sys

BOUND = 120  # seconds for one run

ROWS = [
    ("a good server passes", ["server"], ["--stage", "4", "URL"], 0, "stage 4 holds"),
    ("a server is asked no check of clients", ["server"], ["--only", "rules/masked", "URL"], 2, "none of the chosen checks"),
    ("a stage without the chosen area is empty", ["server"], ["--stage", "5", "--only", "head", "URL"], 2, "none of the chosen checks"),
    ("a failure outside the chosen checks counts", ["server", "--fault", "closes-after-one-message"], ["--only", "rules", "URL"], 1, "FAIL frame/ten-in-turn"),
    ("it counts in a stage, too", ["server", "--fault", "never-unmasked"], ["--stage", "7", "URL"], 1, "FAIL frame/text"),
    ("a server may decline compression", ["server", "--legal", "deflate-declined"], ["--only", "deflate/hello", "URL"], 0, "badge"),
    ("a server that dies of the first frame", ["server", "--fault", "dies-of-first-frame"], ["URL"], 2, "gone after the first message"),
    ("a report that can't be written", ["server"], ["--stage", "4", "--junit", "/nowhere/report.xml", "URL"], 2, "stage 4 holds"),
    ("a timeout of no time still waits", ["server"], ["--only", "head/plain", "--timeout", "0", "URL"], 0, "badge"),
    ("two lists of checks are both asked", ["server"], ["--only", "head/plain", "--only", "accept/status", "URL"], 0, "2 of 2 passed"),
    ("a stage without a chosen check isn't done", ["server"], ["--course", "--only", "head", "URL"], 0, "the chosen checks hold"),
    ("a client does all without a subprotocol", ["server"], ["--course", "--listen", "127.0.0.1:0", "--", "ZOO", "client"], 0, "all stages are done"),
    ("a command needs --listen", ["server"], ["URL", "--", "cat"], 2, "needs --listen"),
    ("another path is served", ["server", "--legal", "root-path-only"], ["--only", "head/plain", "URLother"], 1, "at another path"),
    ("a client that comes once", ["client"], ["--only", "head", "--listen", "127.0.0.1:0"], 2, "no client came"),
]


def ends(zoo, coach, peer, arguments):
    """The coach's exit status, and all that it said."""
    if peer[0] == "client":
        program = subprocess.Popen([coach, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        url = program.stderr.readline().strip().removeprefix("listening on ")
        other = subprocess.Popen([zoo, *peer, f"{url}/"], stderr=subprocess.DEVNULL)
    else:
        other = subprocess.Popen([zoo, *peer, "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        url = other.stdout.readline().strip().removeprefix("listening on ")
        words = [word.replace("URL", f"{url}/").replace("ZOO", zoo) for word in arguments]
        program = subprocess.Popen([coach, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said, why = program.communicate(timeout=BOUND)
        return program.returncode, said + why
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        for process in (program, other):
            process.kill()
            process.wait()


def main():
    zoo, coach = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    failed = 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda row: ends(zoo, coach, row[1], row[2]), ROWS))
    for (says, _, _, expected, words), (status, said) in zip(ROWS, ended):
        right = status == expected and words in said
        failed += not right
        print(f"status  {says:44} {'passed' if right else f'FAILED: it ends with {status}: {said[-300:]}'}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
