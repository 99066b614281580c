"""Stage 1, the head: the server reads a complete request, and recognizes a WebSocket handshake.

It answers a WebSocket request with 101, and doesn't answer any other request. In both cases, it
then closes the connection. It reads up to the empty line, but no more than MAX_HEAD bytes. It
ignores letter case in names and tokens, and finds a token in a list that spans several lines. RFC
6455 section 4.2.1; RFC 9112 sections 2 and 5.

Still missing: the accept value, without which no client accepts the 101 (stage 2), and all later
stages. The server serves one client at a time.

run: python3 course_01.py [ADDRESS]
"""

import socket
import sys

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
    head = parse_head(read_head(reader))
    response = head and decide(head)
    if response:
        stream.sendall(response.encode())


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

    def __init__(self, headers):
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
    """Parses the head. Returns None if it is malformed."""
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
    """Returns the 101 for a WebSocket request, and None for any other request."""
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
