"""Prints the plan of the exercise `deflate` (see deflate.py): deflate_plan.py PEER ROLE OURS

For each of the terms that the peer can make in this role a line, with OURS, those of ws101. Where these are not the
defaults it is only the terms that say nothing of bits: they are also the ones with long messages."""

import sys
from itertools import product


def windows(side, *bits):
    return [f"{side}_max_window_bits={some}" for some in bits]


def every(server_windows, client_windows):
    """With takeover and without, in both directions, and each of the windows, or none said."""
    takeover = [["", "server_no_context_takeover"], ["", "client_no_context_takeover"]]
    for parameters in product(*takeover, ["", *server_windows], ["", *client_windows]):
        yield ";".join(filter(None, parameters)) or "default"


def terms_of(peer, role):
    yield "off"
    match peer.partition("-")[0], role:
        # zlib can not compress with a window of 8 bits: this library lets only the other side have one.
        case "websockets", "client":
            any_window = ["client_max_window_bits", *windows("client", *range(9, 16))]
            yield from every(windows("server", *range(8, 16)), any_window)
        case "websockets", "server":
            yield from every(windows("server", *range(9, 16)), windows("client", *range(8, 16)))
        # This one asks for a window of the server, and says that it would keep to one of its own.
        case "aiohttp", "client":
            for window in ["", *windows("server", *range(9, 15))]:
                yield ";".join(filter(None, ["client_max_window_bits", window]))
        case "aiohttp", "server":
            yield "default"
        case "ws", "client":
            any_window = ["client_max_window_bits", *windows("client", *range(8, 16))]
            yield from every(windows("server", *range(8, 16)), any_window)
        case "ws", "server":
            yield from every(windows("server", *range(8, 16)), windows("client", *range(8, 16)))


peer, role, ours = sys.argv[1:]
offers_window = role == "client" or ours == "off" or "client_max_window_bits" in ours
as_said = ours if offers_window else f"{ours};client_max_window_bits=15"  # ws101, as a client, always says so
for theirs in terms_of(peer, role):
    if "=" not in theirs:
        print("deflate", theirs, as_said, "long")
    elif ours == "default":
        print("deflate", theirs, as_said)
