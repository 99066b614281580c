"""The exercise `deflate`, for every Python peer: many messages over one connection, on one of the terms of compression
(permessage-deflate, RFC 7692) that the peer can make. In the plan:

    deflate THEIRS OURS [long]

THEIRS are the terms of the peer, OURS those of ws101: parameters by their names in the RFC, with `;` between them, or
`default` where none is said, or `off` where nothing is said of compression at all. `long`: with messages of 1 MiB, too.

What is agreed on must be what the RFC makes of the two. Whether it is then done, the wire tells: its bytes are counted
for each message, in both directions. For this, a peer's `Connection` has besides the rest:

    handshake()   the role of the peer, and the header Sec-WebSocket-Extensions of the request and of the answer
    stream()      the socket
"""

import json
import socket
import struct
from contextlib import suppress
from typing import NamedTuple

import exercises
from exercises import Cannot, Wrong, same

MOST_BITS = 15

# ---- terms ----


class Terms(NamedTuple):
    """The parameters; None: it says nothing of this window."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None


def parse(text):
    """Terms, from a plan or from a header. None: no compression."""
    if text in (None, "off"):
        return None
    said = {}
    for parameter in text.split(";"):
        name, _, bits = parameter.strip().partition("=")
        if name not in ("permessage-deflate", "default"):
            # Only a client's own window may be named without its bits.
            said[name] = int(bits or MOST_BITS) if name.endswith("bits") else True
    return Terms(**said)


def theirs(exercise):
    """The terms that the peer shall speak of."""
    return parse(exercise.split()[1])


def is_deflate(exercise):
    return exercise is not None and exercise.startswith("deflate ")


def both(one, other):
    """What keeps to both: takeover where neither is against it, and the smaller windows."""
    (s, c, server_bits, client_bits), (s_too, c_too, server_bits_too, client_bits_too) = one, other
    smaller = lambda *bits: min(some or MOST_BITS for some in bits)
    return Terms(s or s_too, c or c_too, smaller(server_bits, server_bits_too), smaller(client_bits, client_bits_too))


def due(offer, settings):
    """What must be agreed on when a client offers this to a server that is set up so."""
    # With a window of 8 bits no server here can compress, so it declines.
    if offer is None or settings is None or offer.server_max_window_bits == 8:
        return None
    if offer.client_max_window_bits is None:  # what the client does not offer, no server may ask for
        settings = settings._replace(client_max_window_bits=None)
    return both(offer, settings)


def agreed(offer, answer):
    """What was agreed on, by the headers. Of itself a client keeps what it said, repeated or not; of the server holds
    only what the answer says."""
    if answer is None:
        return None
    return both(answer, offer._replace(server_no_context_takeover=False, server_max_window_bits=None))


# ---- messages ----

NOISE = exercises.binary_of(100)  # nobody can make it smaller, unless it came before: 9 bits reach back that far
STATIONS = [{"id": number, "name": f"station {number}", "step_free": number % 3 == 0} for number in range(400)]
PAGE = json.dumps(STATIONS)


def at_all_distances():
    """A piece that comes again and again, each time twice as far away: who finds it outside of the window that was
    agreed on refers to what the other side has forgotten."""
    return exercises.binary_of(64).join(exercises.binary_of(1 << bits) for bits in range(7, 17))


MESSAGES = ["", b"", "Hello", "Hello", PAGE, PAGE.encode(), exercises.text_of(70_000), at_all_distances(), "", PAGE]
LONG = [exercises.text_of(1 << 20), exercises.binary_of(1 << 20)]


def on_the_wire(stream):
    """How many bytes this end of a connection has sent (and the other has confirmed), and how many it has received.
    Linux counts them; the places of the two in `struct tcp_info` are fixed."""
    return struct.unpack_from("QQ", stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136), 120)


async def echo(connection, message):
    """How many bytes a message took on its way there, and on its way back."""
    before = on_the_wire(connection.stream())
    await exercises.echo(connection, message)
    return [after - before for before, after in zip(before, on_the_wire(connection.stream()))]


def shrunk(count, size, small, what):
    """On the wire it must have been less than half of its size; or, if not `small`, all of it."""
    if small and count > size // 2 or not small and count < size:
        raise Wrong(f"{what}: {size} bytes were {count}, though {'' if small else 'not '}to be compressed")


async def perform(words, connection):
    """The exercise; what came of it: compressed or plain."""
    role, *headers = connection.handshake()
    offer, answer = map(parse, headers)
    own, ours = map(parse, words[:2])
    offered, settings = (own, ours) if role == "client" else (ours, own)
    same(offer, offered, "offer")
    terms = agreed(offer, answer)
    same(terms, due(offer, settings), "terms")

    # Who compresses, on the way there and on the way back; and who may repeat what came before.
    sides = ("client", "server") if role == "client" else ("server", "client")
    bits = [getattr(terms, f"{side}_max_window_bits", None) for side in sides]
    # ws101 sends everything as it is where it may only have a window of 8 bits.
    compressed = [bits[0] is not None, bits[1] is not None and bits[1] > 8]
    no_takeover = [getattr(terms, f"{side}_no_context_takeover", True) for side in sides]

    await echo(connection, NOISE)
    for side, count, small, afresh in zip(sides, await echo(connection, NOISE), compressed, no_takeover):
        shrunk(count, len(NOISE), small and not afresh, f"noise again, from the {side}")
    for message in MESSAGES + (LONG if "long" in words else []):
        for side, count, small in zip(sides, await echo(connection, message), compressed):
            if message == PAGE:
                shrunk(count, len(PAGE), small, f"a page, from the {side}")
    with suppress(Cannot):
        await exercises.fragments(connection)
    await exercises.close(connection, 1000, "")
    return "ok: compressed" if terms else "ok: plain"
