"""Says hello to a server over wss, with the given certificate as root (or none), and hears it back: talk.py URL [ROOT]"""

import ssl
import sys

from websockets.sync.client import connect

url, root = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
context = ssl.create_default_context(cafile=root)
with connect(url, ssl=context, max_size=None) as ws:
    for message in "hello", b"\x00" * 1_000_000, "w\u00f6rld" * 10_000:
        ws.send(message)
        assert ws.recv(timeout=20) == message
    ws.close(4000, "bye")
assert ws.protocol.close_rcvd.code == 4000, ws.protocol.close_rcvd
print("heard it all")
