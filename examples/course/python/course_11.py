"""Stage 11, the rules: an invalid frame ends the connection, and the server uses nothing of it.

The server sends 1002 if a frame has a reserved bit or an unknown opcode, or lacks a mask, if a
control frame is too long or fragmented, or if a length isn't in its shortest form. It checks the
header before it reads the payload. RFC 6455 sections 5.1, 5.2 and 5.5.

Still missing, each with a stage in Rust: more than one client at a time, and timeouts (stage 12);
who may connect (13); compression (14).

run: python3 course_11.py [ADDRESS]
"""

import base64
import codecs
import hashlib
import re
import socket
import sys
import time
from collections import namedtuple

# The maximum size of a head, in bytes. The server stores no more, and rejects a longer head.
MAX_HEAD = 16 * 1024


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9001"
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        host, port = listener.getsockname()
        print(f"listening on ws://{host}:{port}", flush=True)
        while True:
            stream, _ = listener.accept()
            # One buffer for the whole connection: it may already hold bytes after the head.
            with stream, stream.makefile("rb") as reader:
                try:
                    serve(stream, reader)
                except (OSError, EOFError) as error:
                    # An error ends this connection, but not the server.
                    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def serve(stream, reader):
    """Serves one connection, from its first byte to its end."""
    # Send short messages at once, even if the peer hasn't acknowledged earlier bytes.
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        response = decide(parse_head(read_head(reader)))
        stream.sendall(response.encode())
        try:
            code = converse(stream, reader)
        except Violation as violation:
            code = violation.code
        write_frame(stream, CLOSE, b"" if code is None else code.to_bytes(2, "big"))
    except Refusal as refusal:
        refuse(stream, refusal)
    hang_up(stream)


def read_head(reader):
    """Reads the head. It lacks its empty line if the stream ends early or the head is too long."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        line = reader.readline(MAX_HEAD - len(text))
        if not line:
            break
        text += line
    # Headers that the server doesn't use may contain other bytes than ASCII, which latin-1 accepts.
    return text.decode("latin-1")


class Head:
    """The head of a request: everything before its empty line."""

    def __init__(self, method, target, version, headers):
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers

    def values(self, name):
        """Returns the values of all headers with this name, or an empty list."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def lists(self, name, token):
        """Whether the header's list contains this token, ignoring case.

        A list may span several lines.
        """
        items = ",".join(self.values(name)).split(",")
        return token.lower() in [item.strip(" \t").lower() for item in items]


def parse_head(text):
    if not text.endswith("\r\n\r\n"):
        raise Refusal(BAD_REQUEST)
    request_line, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    words = request_line.split(" ")
    if len(words) != 3:
        raise Refusal(BAD_REQUEST)
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        is_header = name and colon and " " not in name and "\t" not in name
        if not is_header or any(byte in line for byte in "\r\n\0"):
            raise Refusal(BAD_REQUEST)
        headers.append((name, value.strip(" \t")))
    return Head(*words, headers)


class Refusal(Exception):
    """A status line's code and reason, with the headers that belong to this status."""


BAD_REQUEST = "400 Bad Request"
UPGRADE_REQUIRED = (
    "426 Upgrade Required\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13"
)


def decide(head):
    """Returns the 101, or raises a Refusal."""
    key = ", ".join(head.values("Sec-WebSocket-Key"))
    rules = [
        (head.method == "GET", "405 Method Not Allowed\r\nAllow: GET"),
        (head.target != "", BAD_REQUEST),
        (len(head.values("Host")) == 1, BAD_REQUEST),
        # The bytes after the head must be frames, so the request must not have a body.
        (all(length == "0" for length in head.values("Content-Length")), BAD_REQUEST),
        (not head.values("Transfer-Encoding"), BAD_REQUEST),
        # HTTP/1.0 has no Upgrade.
        (head.version == "HTTP/1.1", UPGRADE_REQUIRED),
        (head.lists("Upgrade", "websocket"), UPGRADE_REQUIRED),
        (head.lists("Connection", "Upgrade"), UPGRADE_REQUIRED),
        (head.values("Sec-WebSocket-Version") == ["13"], UPGRADE_REQUIRED),
        # The base64 of 16 bytes has 22 digits and two padding signs. Two joined keys don't match.
        (re.fullmatch("[A-Za-z0-9+/]{22}==", key), BAD_REQUEST),
    ]
    for holds, refusal in rules:
        if not holds:
            raise Refusal(refusal)
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
    )


# The fixed text that every server appends to the client's key (RFC 6455 section 1.3).
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key):
    """Computes the Sec-WebSocket-Accept value for a client's key (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1((key + GUID).encode()).digest()
    return base64.b64encode(digest).decode()


def refuse(stream, refusal):
    """Sends the refusal."""
    response = f"HTTP/1.1 {refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    stream.sendall(response.encode())


# How many seconds the server waits for the peer to read the server's last bytes and close.
LINGER = 1


def hang_up(stream):
    """Shuts down the server's side of the stream, and reads until the peer shuts down its own.

    If the server closed the socket with unread bytes, TCP would send a reset, which might overtake
    the server's last bytes.
    """
    stream.shutdown(socket.SHUT_WR)
    stream.settimeout(LINGER)
    deadline = time.monotonic() + LINGER
    while time.monotonic() < deadline and stream.recv(4096):
        pass


CONTINUATION = 0
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10

PROTOCOL_ERROR = 1002
INVALID_PAYLOAD = 1007
MESSAGE_TOO_BIG = 1009

# In bytes.
MAX_MESSAGE = 16 * 1024 * 1024


class Violation(Exception):
    """A mistake of the peer. The close code tells the peer what was wrong."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Message:
    """A control frame, or a message as far as it has arrived."""

    def __init__(self, opcode):
        self.opcode = opcode
        self.payload = bytearray()
        # The decoder keeps the bytes of an incomplete character for the next piece.
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def check_text(self, piece, is_last):
        """Checks a text's new bytes. Fails if it can't become valid UTF-8, whatever follows."""
        try:
            self.decoder.decode(piece, is_last)
        except UnicodeDecodeError:
            raise Violation(INVALID_PAYLOAD) from None


def converse(stream, reader):
    """Echoes each message until the peer closes. Returns the code of its Close."""
    unfinished = None
    while True:
        header = read_header(reader)
        if header.opcode in (CONTINUATION, TEXT, BINARY):
            if (header.opcode == CONTINUATION) != (unfinished is not None):
                raise Violation(PROTOCOL_ERROR)
            message = unfinished or Message(header.opcode)
            read_payload(reader, header, message)
            unfinished = None if header.fin else message
            if header.fin and message.opcode == TEXT:
                message.check_text(b"", True)
            if header.fin:
                write_frame(stream, message.opcode, message.payload)
            continue
        message = Message(header.opcode)
        read_payload(reader, header, message)
        if message.opcode == PING:
            write_frame(stream, PONG, message.payload)
        elif message.opcode == CLOSE:
            return close_code(message.payload)


def close_code(payload):
    """Returns the code that answers a Close; None if the Close is empty."""
    if not payload:
        return None
    code = int.from_bytes(payload[:2], "big")
    # 1005, 1006 and 1015 mean "no code" inside programs and are never sent; 1004 is reserved.
    may_be_sent = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    if len(payload) == 1 or not may_be_sent:
        raise Violation(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Violation(INVALID_PAYLOAD) from None
    return code


#  7 6 5 4 3 2 1 0   7 6 5 4 3 2 1 0
# +-+-+-+-+-------+ +-+-------------+-----------------+----------------+---------+
# |F|R|R|R| opcode| |M| length:     | the length, if  | mask, 4 bytes, | payload |
# |I|S|S|S|       | |A| up to 125,  | 126: 2 bytes,   | if MASK is set |         |
# |N|V|V|V|       | |S| 126 or 127  | 127: 8 bytes    |                |         |
# | |1|2|3|       | |K|             |                 |                |         |
# +-+-+-+-+-------+ +-+-------------+-----------------+----------------+---------+
Header = namedtuple("Header", "fin opcode length mask")


def read_header(reader):
    first, second = next_bytes(reader, 2)
    fin, reserved, opcode = bool(first & 0x80), first & 0x70, first & 0x0F
    masked, length = second & 0x80, second & 0x7F
    is_data = opcode in (CONTINUATION, TEXT, BINARY)
    is_control = opcode in (CLOSE, PING, PONG) and fin and length <= 125
    if not (is_data or is_control) or reserved or not masked:
        raise Violation(PROTOCOL_ERROR)
    shortest = 0
    if length == 126:
        length, shortest = int.from_bytes(next_bytes(reader, 2), "big"), 126
    elif length == 127:
        length, shortest = int.from_bytes(next_bytes(reader, 8), "big"), 0x10000
    # A length has the shortest form, and the top bit of a 64-bit length is 0.
    if length < shortest or length >> 63:
        raise Violation(PROTOCOL_ERROR)
    return Header(fin, opcode, length, next_bytes(reader, 4))


def next_bytes(reader, count):
    """Returns the next bytes of the stream, and reads until it has them all."""
    data = reader.read(count)
    if len(data) < count:
        raise EOFError("the stream ends inside a frame")
    return data


def read_payload(reader, header, message):
    """Unmasks the payload and appends it to the message, piece by piece as it arrives."""
    if header.length > MAX_MESSAGE - len(message.payload):
        raise Violation(MESSAGE_TOO_BIG)
    rest, mask = header.length, header.mask
    while rest:
        piece = reader.read1(min(rest, 0x10000))
        if not piece:
            raise EOFError("the stream ends inside a frame")
        rest -= len(piece)
        piece = unmask(piece, mask)
        message.payload += piece
        # The mask's index continues in the next piece.
        turn = len(piece) % 4
        mask = mask[turn:] + mask[:turn]
        if message.opcode == TEXT:
            message.check_text(piece, False)


def unmask(payload, mask):
    """XORs the bytes with the repeated mask, as two long numbers: a loop takes far longer."""
    mask = (mask * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")
    return number.to_bytes(len(payload), "big")


def write_frame(stream, opcode, payload):
    """Sends a whole message as one frame, in one write. A server's frames have no mask."""
    length = len(payload)
    if length <= 125:
        header = bytes([0x80 | opcode, length])
    elif length <= 0xFFFF:
        header = bytes([0x80 | opcode, 126]) + length.to_bytes(2, "big")
    else:
        header = bytes([0x80 | opcode, 127]) + length.to_bytes(8, "big")
    stream.sendall(header + payload)


if __name__ == "__main__":
    main()
