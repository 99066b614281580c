"""The exercises, for every Python peer: what is sent to ws101, and what must come back.

The plan comes on standard input, one exercise a line, written by `run`:

    text N            a text of N bytes, echoed
    binary N          N bytes, echoed
    fragments         one text in three fragments, cut inside characters, with pings between them
    ping N            a ping with N bytes, its pong compared
    close CODE WORD   a Close with this code and reason; the same must come back
    close none        a Close without a code; the same must come back
    subprotocols A,B  ask for these; ws101 chooses none, which the RFC allows (client only)
    too-big N         a message over ws101's limit: a Close with 1009 and a reason must come
    silence           send nothing until ws101 has pinged twice: it took our pong for the first
    deflate ...       many messages on certain terms of compression: deflate.py

What is said about each: `peer TAB role TAB exercise TAB verdict`, where the verdict is `ok` (or `ok: so`, where it may
end well in several ways), `FAILED: why`, or `cannot: why` where the peer has no means for it or forbids it to itself.

A peer is a module with a class `Connection` around one connection of its library:

    send(message)        str: a text message; bytes: a binary one
    send_pieces(pieces)  one text message, a fragment for each of these bytes; a ping (and its pong) after each
    receive()            the next message
    ping(payload)        the payload of the pong
    next_ping()          waits for a ping which the other side sent of itself
    close(code, reason)  code None: a Close with nothing in it; returns the (code, reason) that came back
    closed()             waits for the other side's Close; returns its (code, reason)

All are `async`; those of a blocking library simply never await. A reason which the library does not show is None.
"""

import asyncio
import os
import random
import sys
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

PATIENCE = 30  # seconds for one exercise
PATIENCE_IN_SILENCE = 60  # two pings of ws101, 20 seconds apart
PATIENCE_TO_CLOSE = 4  # less than ws101's own 5 seconds: a close must be answered, not given up


class Wrong(Exception):
    """What came is not what should have come."""


class Cannot(Exception):
    """The library has no means to do this, or has a rule of its own against it."""


def patience_for(exercise):
    return PATIENCE_IN_SILENCE if exercise == "silence" else PATIENCE


# ---- payloads ----


def text_of(size):
    """A text of exactly `size` bytes, with characters of one to four bytes where there is room."""
    unit = "Grüße, 漢字 und 🦀; ".encode()
    whole = size // len(unit)
    return (unit * whole + b"." * (size - whole * len(unit))).decode()


def binary_of(size):
    """Bytes without a period, so that nothing shifted or swapped can look right."""
    return random.Random(size).randbytes(size)


def same(came, expected, what):
    if came != expected:
        raise Wrong(f"{what}: expected {shown(expected)}, came {shown(came)}")


def shown(value):
    return repr(value)[:80]


def same_message(came, expected):
    if came == expected:
        return
    (kind, a), (kind_that_came, b) = kind_and_bytes(expected), kind_and_bytes(came)
    agreeing = len(os.path.commonprefix([a, b]))
    raise Wrong(
        f"echo: expected {kind} of {len(a)} bytes, came {kind_that_came} of {len(b)} bytes; "
        f"they agree in the first {agreeing} bytes"
    )


def kind_and_bytes(message):
    return ("text", message.encode()) if isinstance(message, str) else ("binary", bytes(message))


# ---- exercises ----


async def perform(exercise, connection):
    """One exercise, over an open connection, to its clean close. Gives the verdict, or nothing for `ok`."""
    verb, *words = exercise.split()
    match verb:
        case "text":
            await echo(connection, text_of(int(words[0])))
        case "binary":
            await echo(connection, binary_of(int(words[0])))
        case "fragments":
            await fragments(connection)
        case "ping":
            payload = binary_of(int(words[0]))
            same(await connection.ping(payload), payload, "pong")
        case "subprotocols":
            await echo(connection, "no subprotocol chosen")
        case "silence":
            await connection.next_ping()
            await connection.next_ping()
            await echo(connection, "still here")
        case "close":
            return await close(connection, None if words[0] == "none" else int(words[0]), " ".join(words[1:]))
        case "too-big":
            return await too_big(connection, int(words[0]))
        case "deflate":
            import deflate  # only here: it needs what stands in this file

            return await deflate.perform(words, connection)
        case _:
            raise Wrong(f"the plan names an exercise which nobody knows: {exercise}")
    await close(connection, 1000, "")


async def echo(connection, message):
    await connection.send(message)
    same_message(await connection.receive(), message)


async def fragments(connection):
    text = text_of(200_000)
    whole = text.encode()
    await connection.send_pieces([whole[:3], whole[3:100_003], whole[100_003:]])
    same_message(await connection.receive(), text)


async def close(connection, code, reason):
    async with asyncio.timeout(PATIENCE_TO_CLOSE):
        code_back, reason_back = await connection.close(code, reason)
    # ws101 sends back what it understood, the reason too: so this compares what both ends saw.
    same(code_back, code, "close code that came back")
    if reason_back is not None:
        same(reason_back, reason, "close reason that came back")


async def too_big(connection, size):
    with suppress(Exception):  # it may be closed while we still send
        await connection.send(bytes(size))
    code, reason = await connection.closed()
    same(code, 1009, "close code")
    if reason == "":
        raise Wrong("closed with 1009, but without a reason")


# ---- the report ----


def report(peer, role, exercise, verdict):
    line = "\t".join([peer, role, exercise, " ".join(verdict.split())[:300]])
    # In one piece: print() writes one word after another, and the threads of a blocking peer get in between.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def judged(peer, role, exercise, attempt):
    """Awaits `attempt` and reports how it went."""
    try:
        async with asyncio.timeout(patience_for(exercise)):
            verdict = await attempt or "ok"
    except Cannot as why:
        verdict = f"cannot: {why}"
    except Wrong as why:
        verdict = f"FAILED: {why}"
    except TimeoutError:
        verdict = "FAILED: what it waited for did not come in time"
    except Exception as error:
        verdict = f"FAILED: {type(error).__name__}: {error}"
    report(peer, role, exercise, verdict)


# ---- the two roles ----


async def play_client(peer, plan, play):
    """Each exercise by `play(exercise, subprotocols)`, which opens a connection for it, and calls `perform`."""
    for exercise in plan:
        verb, *words = exercise.split()
        subprotocols = words[0].split(",") if verb == "subprotocols" else None
        await judged(peer, "client", exercise, play(exercise, subprotocols))


def exercise_of(plan, target):
    """The exercise for which this target is asked, if for one."""
    url = urlsplit(target)
    return plan[int(parse_qs(url.query)["case"][0]) - 1] if url.path == "/runCase" else None


async def serve_one(peer, plan, connection, target, headers, subprotocol):
    """What a server does with one connection, by its path. True: that was the last of them."""
    match urlsplit(target).path:
        case "/getCaseCount":
            await connection.send(str(len(plan)))
            await connection.close(1000, "")
        case "/runCase":
            exercise = exercise_of(plan, target)
            await judged(peer, "server", exercise, perform(exercise, connection))
        case "/conversation":
            await judged(peer, "server", "conversation", converse(connection, headers, subprotocol))
        case "/updateReports":
            await connection.close(1000, "")
            return True
    return False


async def converse(connection, headers, subprotocol):
    """The part of the server while `run` speaks through 05_client, which then closes."""
    same(headers.get("Origin"), "http://interop.example", "Origin")
    same(headers.get("X-Interop"), "yes", "X-Interop")
    same(subprotocol, "superchat", "subprotocol")
    for _ in range(2):
        await connection.send(f"Echo: {await connection.receive()}")
    code, _ = await connection.closed()
    same(code, 1000, "close code of 05_client")


def role_plan_and_url():
    """From the command line `client URL` or `server`, and the plan from standard input."""
    role, url = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    return role, [line.strip() for line in sys.stdin if line.strip()], url
