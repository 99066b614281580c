"""A peer of ws101: the `websockets` library of Python, its asyncio side, as client (`client URL`) or `server`."""

import asyncio

import exercises
import websockets_terms
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Opcode

PEER = "websockets-asyncio"
NO_CODE = 1005  # how the library says: a Close frame without a code

# The library's own limit on messages and its own pings are switched off: the exercises bring both.
OPTIONS = {"max_size": None, "ping_interval": None}


class CountsPings:
    """The library answers pings by itself and shows them to nobody; this lets the exercise see them pass."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.pings = asyncio.Semaphore(0)

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
        await self.ws.send(message)

    async def send_pieces(self, pieces):
        async def with_pings():
            for piece in pieces:
                yield piece
                exercises.same(await self.ping(b"between"), b"between", "pong between fragments")

        await self.ws.send(with_pings(), text=True)

    async def receive(self):
        return await self.ws.recv()

    async def ping(self, payload):
        await (await self.ws.ping(payload))  # the library waits for a pong with this very payload
        return payload

    async def next_ping(self):
        await self.ws.pings.acquire()

    async def close(self, code, reason):
        await self.ws.close(code, reason)
        return await self.closed()

    async def closed(self):
        await self.ws.wait_closed()
        code = self.ws.close_code
        return None if code == NO_CODE else code, self.ws.close_reason

    def handshake(self):
        return websockets_terms.handshake(self.ws)

    def stream(self):
        return self.ws.transport.get_extra_info("socket")


async def client(plan, url):
    async def play(exercise, subprotocols):
        options = {"subprotocols": subprotocols, "create_connection": Client, "proxy": None}
        options |= websockets_terms.options_of_client(exercise)
        # Not `async with`: at its end it closes once more, and after the other side's Close in the midst of our sending
        # the library (17.4, on Python 3.11) then fails inside itself.
        ws = await connect(url, **options, **OPTIONS)
        exercises.same(ws.subprotocol, None, "subprotocol")
        return await exercises.perform(exercise, Connection(ws))

    await exercises.play_client(PEER, plan, play)


async def server(plan):
    finished = asyncio.Event()

    async def handle(ws):
        request = ws.request
        if await exercises.serve_one(PEER, plan, Connection(ws), request.path, request.headers, ws.subprotocol):
            finished.set()

    def refuse(ws, request):
        websockets_terms.set_up_server(ws, exercises.exercise_of(plan, request.path))
        return ws.respond(403, "not here\n") if request.path == "/refused" else None

    def choose(_, asked):
        return "superchat" if "superchat" in asked else None

    options = {"process_request": refuse, "select_subprotocol": choose, "create_connection": Server}
    async with serve(handle, "127.0.0.1", 0, **options, **OPTIONS) as listening:
        print(f"listening on ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
        await finished.wait()


role, plan, url = exercises.role_plan_and_url()
asyncio.run(client(plan, url) if role == "client" else server(plan))
