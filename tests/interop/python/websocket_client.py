"""A peer of ws101: the `websocket-client` library of Python, blocking, which is a client only (`client URL`)."""

import asyncio
import socket
from contextlib import closing
from time import monotonic

import exercises
from websocket import ABNF, WebSocketException, create_connection

PEER = "websocket-client"


class Connection:
    def __init__(self, ws):
        self.ws = ws

    def next(self, wanted):
        """The payload of the next wanted message; the library answers the pings that come meanwhile."""
        until = monotonic() + exercises.PATIENCE  # the library's own timeout begins anew with every ping
        while monotonic() < until:
            opcode, payload = self.ws.recv_data(control_frame=True)
            if opcode in wanted:
                return payload.decode() if opcode == ABNF.OPCODE_TEXT else payload
            if opcode not in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
                raise exercises.Wrong(f"expected opcode {wanted}, came {opcode}: {exercises.shown(payload)}")
        raise TimeoutError

    async def send(self, message):
        self.ws.send(message, ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY)

    async def send_pieces(self, pieces):
        for index, piece in enumerate(pieces):
            opcode = ABNF.OPCODE_CONT if index else ABNF.OPCODE_TEXT
            final = index == len(pieces) - 1
            self.ws.send_frame(ABNF(int(final), 0, 0, 0, opcode, 1, piece))
            if not final:
                exercises.same(await self.ping(b"between"), b"between", "pong between fragments")

    async def receive(self):
        return self.next([ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY])

    async def ping(self, payload):
        self.ws.ping(payload)
        return self.next([ABNF.OPCODE_PONG])

    async def next_ping(self):
        self.next([ABNF.OPCODE_PING])

    async def close(self, code, reason):
        # close() hides what comes back, so the two steps are taken one by one; no call sends an empty Close.
        if code is None:
            self.ws.send(b"", ABNF.OPCODE_CLOSE)
        else:
            self.ws.send_close(code, reason.encode())
        self.ws.settimeout(exercises.PATIENCE_TO_CLOSE)
        answer = split(self.ws.recv_frame().data)
        if self.ws.sock.recv(1) != b"":
            raise exercises.Wrong("something came behind the Close frame")
        self.ws.shutdown()
        return answer

    async def closed(self):
        frame = self.ws.recv_frame()
        exercises.same(frame.opcode, ABNF.OPCODE_CLOSE, "opcode")
        self.ws.shutdown()
        return split(frame.data)


def split(payload):
    """The code and the reason in the payload of a Close frame."""
    return int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode()


async def client(plan, url):
    async def play(exercise, subprotocols):
        try:
            ws = create_connection(url, timeout=exercises.PATIENCE, subprotocols=subprotocols)
        except WebSocketException as error:
            # The RFC lets a server choose none of the subprotocols; this library does not.
            if subprotocols and str(error) == "Invalid WebSocket Header":
                raise exercises.Cannot("gives up when no subprotocol is chosen")
            raise
        ws.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(ws):
            await exercises.perform(exercise, Connection(ws))

    await exercises.play_client(PEER, plan, play)


role, plan, url = exercises.role_plan_and_url()
asyncio.run(client(plan, url))
