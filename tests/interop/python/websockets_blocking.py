"""A peer of ws101: the `websockets` library of Python, its blocking side (`websockets.sync`), a thread a connection,
as client (`client URL`) or `server`."""

import asyncio
import threading

import exercises
import websockets_terms
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

PEER = "websockets-sync"
NO_CODE = 1005  # how the library says: a Close frame without a code

# The library's own limit on messages and its own pings are switched off: the exercises bring both.
OPTIONS = {"max_size": None, "ping_interval": None, "close_timeout": exercises.PATIENCE_TO_CLOSE}


class CountsPings:
    """The library answers pings by itself and shows them to nobody; this lets the exercise see them pass."""

    def __init__(self, *args, **options):
        self.pings = threading.Semaphore(0)  # first: the parent starts the thread that reads
        super().__init__(*args, **options)

    def process_event(self, event):
        if getattr(event, "opcode", None) is Opcode.PING:
            self.pings.release()
        super().process_event(event)


class Client(CountsPings, ClientConnection):
    pass


class Server(CountsPings, ServerConnection):
    pass


class Connection:
    def __init__(self, ws):
        self.ws = ws

    async def send(self, message):
        self.ws.send(message)

    async def send_pieces(self, pieces):
        def with_pings():
            for piece in pieces:
                yield piece
                self.await_pong(b"between")

        self.ws.send(with_pings(), text=True)

    async def receive(self):
        return self.ws.recv(timeout=exercises.PATIENCE)

    async def ping(self, payload):
        self.await_pong(payload)
        return payload

    def await_pong(self, payload):
        # The library waits for a pong with this very payload.
        if not self.ws.ping(payload).wait(exercises.PATIENCE):
            raise exercises.Wrong(f"no pong for {exercises.shown(payload)}")

    async def next_ping(self):
        if not self.ws.pings.acquire(timeout=exercises.PATIENCE):
            raise exercises.Wrong("no ping came")

    async def close(self, code, reason):
        self.ws.close(code, reason)
        return await self.closed()

    async def closed(self):
        if not self.ws.wait_closed(exercises.PATIENCE):
            raise exercises.Wrong("not closed")
        code = self.ws.close_code
        return None if code == NO_CODE else code, self.ws.close_reason

    def handshake(self):
        return websockets_terms.handshake(self.ws)

    def stream(self):
        return self.ws.socket


async def client(plan, url):
    async def play(exercise, subprotocols):
        options = {"subprotocols": subprotocols, "create_connection": Client, "proxy": None}
        options |= websockets_terms.options_of_client(exercise)
        with connect(url, **options, **OPTIONS) as ws:
            exercises.same(ws.subprotocol, None, "subprotocol")
            return await exercises.perform(exercise, Connection(ws))

    await exercises.play_client(PEER, plan, play)


def server(plan):
    def handle(ws):
        request = ws.request
        serving = exercises.serve_one(PEER, plan, Connection(ws), request.path, request.headers, ws.subprotocol)
        if asyncio.run(serving):
            threading.Thread(target=listening.shutdown).start()  # shutdown waits for this very handler

    def refuse(ws, request):
        websockets_terms.set_up_server(ws, exercises.exercise_of(plan, request.path))
        return ws.respond(403, "not here\n") if request.path == "/refused" else None

    def choose(_, asked):
        return "superchat" if "superchat" in asked else None

    options = {"process_request": refuse, "select_subprotocol": choose, "create_connection": Server}
    with serve(handle, "127.0.0.1", 0, **options, **OPTIONS) as listening:
        print(f"listening on ws://127.0.0.1:{listening.socket.getsockname()[1]}", flush=True)
        listening.serve_forever()


role, plan, url = exercises.role_plan_and_url()
if role == "client":
    asyncio.run(client(plan, url))
else:
    server(plan)
