"""Stage 1, the head: the server reads a request, however its bytes arrive, and understands it.

It answers 101 to a request for a WebSocket and hangs up on any other. It reads up to the empty
line, and never more than MAX_HEAD; it compares names and tokens in any letter case; it finds a
token in a list on one line or on several. RFC 6455 section 4.2.1; RFC 9112 sections 2 and 5.

Still missing: the answer to the key, without which no client believes the 101 (stage 2), and all
that follows. The server serves one peer at a time.

run: python3 course_01.py [ADDRESS]
"""

import socket
import sys

# In bytes. What a peer sends is bounded before it is kept.
MAX_HEAD = 16 * 1024


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9001"
    host, _, port = address.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        host, port = listener.getsockname()
        print(f"listening on ws://{host}:{port}", flush=True)
        while True:
            stream, _ = listener.accept()
            # One buffer for the whole connection: it may already hold what follows the head.
            with stream, stream.makefile("rb") as reader:
                try:
                    serve(stream, reader)
                except (OSError, EOFError) as error:
                    # An error ends this connection, and not the server.
                    print(f"{type(error).__name__}: {error}", file=sys.stderr)


def serve(stream, reader):
    """Serves one peer, from its first byte to its last."""
    head = parse_head(read_head(reader))
    response = head and decide(head)
    if response:
        stream.sendall(response.encode())


def read_head(reader):
    """The bytes up to the empty line; fewer if the peer leaves early or sends too many."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        line = reader.readline(MAX_HEAD - len(text))
        if not line:
            break
        text += line
    # A header that the server doesn't read may hold bytes that aren't ASCII.
    return text.decode("latin-1")


class Head:
    """What a request says before its empty line."""

    def __init__(self, headers):
        self.headers = headers

    def values(self, name):
        """The header's values, one for each of its lines."""
        return [value for known, value in self.headers if known.lower() == name.lower()]

    def lists(self, name, token):
        """Whether the header's list has this token, in any letter case.

        A list may go on over several lines.
        """
        items = ",".join(self.values(name)).split(",")
        return token.lower() in [item.strip(" \t").lower() for item in items]


def parse_head(text):
    """None if the text isn't a head."""
    if not text.endswith("\r\n\r\n"):
        return None
    _request_line, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        is_header = name and colon and " " not in name and "\t" not in name
        if not is_header or any(byte in line for byte in "\r\n\0"):
            return None
        headers.append((name, value.strip(" \t")))
    return Head(headers)


def decide(head):
    """The answer to a request for a WebSocket; None to any other."""
    if not (head.lists("Upgrade", "websocket") and head.lists("Connection", "Upgrade")):
        return None
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "\r\n"
    )


if __name__ == "__main__":
    main()
