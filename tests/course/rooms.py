"""Runs the attacks of the museum's rooms 1 (lengths) and 2 (fragments, buffers, floods) on a server of the course.

    python3 tests/course/rooms.py COMMAND...        such as target/release/examples/course_14

`run` calls this script. Each exhibit of those rooms (src/walkthrough/museum.md) that can happen to an echo server
without the library has a function here. The function sends the bytes that another server handled wrongly. It checks the
answer, and in some cases the peak memory or the processor time of the server's process. The script prints a line for
each exhibit, and exits with 0 if all hold. `cve_2026_54463` is left out, because it needs the protocol of 2010, which
the course doesn't speak.
"""

import os
import socket
import subprocess
import sys
import time

PATIENCE = 60  # Seconds, for one answer: it only ends what would hang.
MIB = 1 << 20
LIMIT = 16 * MIB  # Of a message, in each reference.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def header(opcode, length, fin=True, wide=False):
    """Returns the header of a client's frame. Its mask is zero, so the payload follows unchanged."""
    first = bytes([(0x80 if fin else 0) | opcode])
    if length <= 125 and not wide:
        return first + bytes([0x80 | length]) + bytes(4)
    if length <= 0xFFFF and not wide:
        return first + b"\xfe" + length.to_bytes(2, "big") + bytes(4)
    return first + b"\xff" + length.to_bytes(8, "big") + bytes(4)


def frame(opcode, payload=b"", fin=True):
    return header(opcode, len(payload), fin) + payload


class Client:
    """A connection after its handshake. It ends with a reset, so that the server doesn't wait for it."""

    def __init__(self, server):
        self.socket = socket.create_connection(server.address, PATIENCE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.reader = self.socket.makefile("rb")
        lines = ["GET / HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}", "", ""]
        self.send("\r\n".join(lines).encode())
        assert b" 101 " in self.reader.readline(), "no 101"
        while self.reader.readline() != b"\r\n":
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Returns the next frame's opcode and payload."""
        first, second = self.reader.read(2)
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(self.reader.read(2 if length == 126 else 8), "big")
        return first & 0x0F, self.reader.read(length)

    def expect(self, opcode, payload):
        seen = self.receive()
        assert seen == (opcode, payload), f"{seen[0]}, {seen[1][:40]!r}"

    def expect_code(self, code):
        self.expect(CLOSE, code.to_bytes(2, "big"))

    def expect_life(self):
        self.send(frame(TEXT, b"still here"))
        self.expect(TEXT, b"still here")

    def send_unread(self, data, most):
        """Sends until the server takes no more, and reads nothing. Returns how much it took."""
        self.socket.settimeout(1)
        taken = 0
        try:
            while taken < most:
                taken += self.socket.send(data)
        except TimeoutError:
            pass
        self.socket.settimeout(PATIENCE)
        return taken


class Server:
    """The server's process. Each exhibit starts a new one, so the peak memory is that of the exhibit."""

    def __init__(self, command):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*command, "127.0.0.1:0"], stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        host, port = self.process.stdout.readline().strip().rpartition("//")[2].split(":")
        self.address = host, int(port)

    def memory(self):
        """Returns the process's peak memory, in bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def seconds(self):
        """Returns the process's processor time, in seconds."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# Room 1: lengths.


def cve_2026_27889(server):
    """a length with its top bit set ends the connection, before a payload comes"""
    for length in (1 << 63, (1 << 64) - 1, (1 << 63) + 5):
        with Client(server) as client:
            client.send(header(BINARY, length, wide=True))
            client.expect_code(1002)


def cve_2026_0716(server):
    """a length to which the header can't be added is too long"""
    for length in ((1 << 63) - 1, (1 << 63) - 14, 1 << 62):
        with Client(server) as client:
            client.send(header(BINARY, length, wide=True))
            client.expect_code(1009)


def cve_2026_55768(server):
    """4 GiB and five bytes aren't five bytes"""
    with Client(server) as client:
        client.send(header(TEXT, (1 << 32) + 5, wide=True) + b"Hello")
        client.expect_code(1009)


def cve_2020_27813(server):
    """two fragments together are compared with the limit, without an overflow"""
    for second in ((1 << 63) - 1, LIMIT):
        with Client(server) as client:
            client.send(frame(BINARY, b"x", fin=False) + header(CONTINUATION, second, wide=True))
            client.expect_code(1009)


def rustsec_2022_0035(server):
    """memory follows the bytes that came, and not the length that was announced"""
    before = server.memory()
    with Client(server) as client:
        client.send(header(BINARY, LIMIT, wide=True) + bytes(1000))
        client.socket.shutdown(socket.SHUT_WR)
        # The server ends its side of the stream once it has read the end of this side.
        client.reader.read()
    assert server.memory() - before < LIMIT / 2, f"{server.memory() - before} bytes"


def cve_2024_52532(server):
    """a bad header ends the connection, though its payload never comes"""
    for first in (0xA2, 0x92, 0x83):
        with Client(server) as client:
            client.send(bytes([first]) + header(0, LIMIT, wide=True)[1:])
            client.expect_code(1002)


# Room 2: fragments, buffers, floods.


def cve_2014_0193(server):
    """the limit holds for a message, and not for each of its fragments"""
    with Client(server) as client:
        client.send(frame(BINARY, bytes(MIB), fin=False))
        for _ in range(15):
            client.send(frame(CONTINUATION, bytes(MIB), fin=False))
        client.send(header(CONTINUATION, 1))
        client.expect_code(1009)


def cve_2026_48779(server):
    """a hundred thousand empty fragments leave nothing in memory"""
    before = server.memory()
    with Client(server) as client:
        client.send(frame(TEXT, b"begun", fin=False))
        for _ in range(100):
            client.send(1000 * frame(CONTINUATION, fin=False))
        client.send(frame(CONTINUATION, b", and ended"))
        client.expect(TEXT, b"begun, and ended")
    assert server.memory() - before < 4 * MIB, f"{server.memory() - before} bytes"


def cve_2026_65623(server):
    """a fragment isn't a reason to look at the whole message again"""
    before = server.seconds()
    piece = "40 bytes of text, with an ü among them.".encode()
    with Client(server) as client:
        client.send(frame(TEXT, piece, fin=False))
        for _ in range(100):
            client.send(1000 * frame(CONTINUATION, piece, fin=False))
        client.send(frame(CONTINUATION))
        client.expect(TEXT, 100_001 * piece)
    # Checking the whole message again for each fragment would take 200 GB of reads.
    assert server.seconds() - before < 8, f"{server.seconds() - before} s"


def cve_2026_54274(server):
    """a frame that comes byte by byte needs the memory of its bytes"""
    before = server.memory()
    with Client(server) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(BINARY, bytes(20_000)):
            client.send(bytes([byte]))
        client.expect(BINARY, bytes(20_000))
    assert server.memory() - before < 4 * MIB, f"{server.memory() - before} bytes"


def rests(server):
    busy = server.seconds()
    time.sleep(1)
    return server.seconds() - busy < 0.3


def unread(server, data):
    before = server.memory()
    with Client(server) as client:
        taken = client.send_unread(data, 256 * MIB)
        assert taken < 256 * MIB, "the server takes all, though none of its answers is read"
        # A slow server may still be at work. One in a busy loop never rests.
        assert any(rests(server) for _ in range(20)), "the server waits in a busy loop"
    assert server.memory() - before < 2 * MIB + 4 * len(data), f"{server.memory() - before} bytes"


def rustsec_2020_0043(server):
    """a peer that asks and reads no answer isn't read any further"""
    unread(server, frame(BINARY, bytes(MIB)))


def cve_2026_11586(server):
    """pongs that aren't read don't pile up, and none is tried in a busy loop"""
    unread(server, 8000 * frame(PING, bytes(125)))


def cve_2021_3690(server):
    """a pong that answers nothing leaves nothing in memory"""
    before = server.memory()
    with Client(server) as client:
        for _ in range(100):
            client.send(1000 * frame(PONG, b"unasked"))
        client.expect_life()
    assert server.memory() - before < 4 * MIB, f"{server.memory() - before} bytes"


def cve_2025_51846(server):
    """empty messages are messages, each answered in its turn"""
    with Client(server) as client:
        for _ in range(100):
            client.send(500 * frame(TEXT))
            for _ in range(500):
                client.expect(TEXT, b"")


def cve_2014_9374(server):
    """an empty frame of each kind is a frame"""
    with Client(server) as client:
        for opcode, answer in ((TEXT, TEXT), (BINARY, BINARY), (PING, PONG)):
            client.send(frame(opcode))
            client.expect(answer, b"")
        client.send(frame(PONG) + frame(TEXT, fin=False) + frame(CONTINUATION))
        client.expect(TEXT, b"")
        client.expect_life()


def cve_2015_0228(server):
    """a ping of each length is answered with its payload"""
    with Client(server) as client:
        for length in range(126):
            client.send(frame(PING, bytes(range(length))))
            client.expect(PONG, bytes(range(length)))


EXHIBITS = [thing for name, thing in globals().items() if name.startswith(("cve_", "rustsec_"))]


def main():
    failed = 0
    for exhibit in EXHIBITS:
        server = Server(sys.argv[1:])
        try:
            exhibit(server)
            assert server.process.poll() is None, "the server has ended"
            print(f"{exhibit.__name__}: {exhibit.__doc__}: holds", flush=True)
        except (AssertionError, OSError, ValueError) as error:
            failed += 1
            print(f"{exhibit.__name__}: {exhibit.__doc__}: DOES NOT HOLD: {error!r}", flush=True)
        finally:
            server.process.kill()
            server.process.communicate()
    print(f"{' '.join(sys.argv[1:])}: {len(EXHIBITS) - failed} hold, {failed} do not")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
