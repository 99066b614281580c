"""A client in bytes: every kind of frame, masked as a client must, to a server that echoes. `run` records it."""

import itertools
import os
import socket
import struct
import sys

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode, payload=b"", fin=True):
    key = os.urandom(4)
    length = len(payload)
    if length < 126:
        long, second = b"", length
    elif length < 65536:
        long, second = struct.pack(">H", length), 126
    else:
        long, second = struct.pack(">Q", length), 127
    masked = bytes(byte ^ mask for byte, mask in zip(payload, itertools.cycle(key)))
    return bytes([fin << 7 | opcode, 0x80 | second]) + long + key + masked


def main():
    host, port = sys.argv[1].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as stream:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        stream.sendall(
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += stream.recv(1)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer, answer
        for length in (0, 1, 125, 126, 127, 65535, 65536, 100_000):
            stream.sendall(frame(TEXT, b"a" * length))
            stream.sendall(frame(BINARY, os.urandom(length)))
        stream.sendall(frame(TEXT, b"one ", fin=False))
        stream.sendall(frame(PING, b"in between"))
        stream.sendall(frame(CONTINUATION, b"mess", fin=False))
        stream.sendall(frame(PONG, b"unasked"))
        stream.sendall(frame(CONTINUATION, b"age"))
        stream.sendall(frame(CLOSE, struct.pack(">H", 4000) + "genug, danke \u2603".encode()))
        while stream.recv(65536):  # The echoes, the pong and the Close, until the server ends.
            pass


main()
