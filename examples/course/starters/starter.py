"""Listens and prints what each peer sends. Your WebSocket server begins here.

run: python3 starter.py [ADDRESS]
"""

import socket
import sys

address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9001"
host, _, port = address.rpartition(":")
listener = socket.create_server((host, int(port)))
host, port = listener.getsockname()
print(f"listening on ws://{host}:{port}", flush=True)
while True:
    stream, _ = listener.accept()
    with stream:
        # A read returns what has arrived so far, which may be less than a request, or more.
        while data := stream.recv(4096):
            print(data.decode("latin-1"), end="", flush=True)
            # Next: stop at the empty line, then answer with stream.sendall(b"HTTP/1.1 ...").
