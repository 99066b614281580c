"""Lets wsproto hear what ../src/python.rs sends, and tells what it heard.

It prints its port, and serves one caller after another until it is stopped. A question is one byte, 1 if a server
listens and 0 if a client, then what arrives at a fresh connection. An answer is a list of items: for each the letter
of its kind, the length of what it says, and that. In front of a question, an answer and what an item says stands its
length, four bytes, high byte first.
"""

import socket
import traceback

from wsproto.connection import CLIENT, SERVER, Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage


def heard(is_server, data):
    """The items of an answer, as they are heard."""
    connection = Connection(SERVER if is_server else CLIENT)
    connection.receive_data(data)
    message = b""
    for event in connection.events():
        match event:
            case TextMessage() | BytesMessage():
                is_text = isinstance(event, TextMessage)
                message += event.data.encode() if is_text else event.data
                if event.message_finished:
                    yield b"T" if is_text else b"B", message
                    message = b""
            case Ping():
                yield b"?", event.payload
            case Pong():
                yield b"!", event.payload
            case CloseConnection():
                # The same event tells that the peer has closed and that it broke a rule: the state knows which.
                closed = connection.state is ConnectionState.REMOTE_CLOSING
                yield b"C" if closed else b"F", event.code.to_bytes(2, "big") + event.reason.encode()
            case _:
                raise ValueError(f"wsproto has a new event: {event!r}")
    # The first bytes of a character whose rest has not come: it tells them to nobody, but keeps them here.
    if decoder := connection._proto._message_decoder.decoder:
        yield b"W", decoder.getstate()[0]


def with_length(data):
    return len(data).to_bytes(4, "big") + data


def answer(question):
    items = []
    try:
        for kind, said in heard(question[0], question[1:]):
            items.append(kind + with_length(said))
    except Exception:
        items.append(b"E" + with_length(traceback.format_exc().encode()))
    return with_length(b"".join(items))


def serve(caller):
    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with caller, caller.makefile("rb") as questions:
        while length := questions.read(4):
            caller.sendall(answer(questions.read(int.from_bytes(length, "big"))))


with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        serve(listener.accept()[0])
