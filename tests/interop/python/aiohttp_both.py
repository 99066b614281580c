"""A peer of ws101: the `aiohttp` library of Python, as client (`client URL`) or `server`."""

import asyncio

import deflate
import exercises
from aiohttp import ClientSession, ClientWSTimeout, WSMsgType, web

PEER = "aiohttp"
NO_CODE = 0  # how the library says: a Close frame without a code

# `autoping` off: the library hands us pings and pongs instead of dealing with them unseen. `autoclose` off: it hands
# us the other side's Close, with its reason, before it answers.
OPTIONS = {"max_msg_size": 0, "autoping": False, "autoclose": False}


class Connection:
    def __init__(self, ws, request=None):
        self.ws = ws
        self.request = request  # of a client of ours

    async def next(self, wanted):
        """The next message of a wanted type; pings that come meanwhile are answered."""
        while True:
            message = await self.ws.receive()
            if message.type is WSMsgType.PING:
                await self.ws.pong(message.data)
            if message.type in wanted:
                return message
            if message.type not in (WSMsgType.PING, WSMsgType.PONG):
                raise exercises.Wrong(f"expected {[one.name for one in wanted]}, came {exercises.shown(message)}")

    async def send(self, message):
        await (self.ws.send_str(message) if isinstance(message, str) else self.ws.send_bytes(message))

    async def send_pieces(self, pieces):
        raise exercises.Cannot("aiohttp has no call that sends a fragment")

    async def receive(self):
        return (await self.next([WSMsgType.TEXT, WSMsgType.BINARY])).data

    async def ping(self, payload):
        await self.ws.ping(payload)
        return bytes((await self.next([WSMsgType.PONG])).data)

    async def next_ping(self):
        await self.next([WSMsgType.PING])

    async def close(self, code, reason):
        if code is None:  # close() always sends a code
            await self.ws.send_frame(b"", WSMsgType.CLOSE)
            return await self.closed()
        await self.ws.close(code=code, message=reason.encode())
        return None if self.ws.close_code == NO_CODE else self.ws.close_code, None

    async def closed(self):
        message = await self.next([WSMsgType.CLOSE])
        await self.ws.close(code=message.data or 1000)
        return None if message.data == NO_CODE else message.data, message.extra

    def handshake(self):
        header = "Sec-WebSocket-Extensions"
        if isinstance(self.ws, web.WebSocketResponse):
            return "server", self.request.headers.get(header), self.ws.headers.get(header)
        answer = self.ws._response  # the library has no other way to see it
        return "client", answer.request_info.headers.get(header), answer.headers.get(header)

    def stream(self):
        return self.ws.get_extra_info("socket")


def compression(exercise):
    """How the library says all that it can say of compression: the bits of the server's window, and 0 for none. Nothing
    where the exercise is about something else."""
    if not deflate.is_deflate(exercise):
        return {}
    terms = deflate.theirs(exercise)
    return {"compress": 0 if terms is None else terms.server_max_window_bits or deflate.MOST_BITS}


async def client(plan, url):
    async with ClientSession() as session:

        async def play(exercise, subprotocols):
            patience = ClientWSTimeout(ws_close=exercises.PATIENCE_TO_CLOSE)
            options = {"protocols": subprotocols or (), "timeout": patience} | compression(exercise)
            async with session.ws_connect(url, **options, **OPTIONS) as ws:
                exercises.same(ws.protocol, None, "subprotocol")
                return await exercises.perform(exercise, Connection(ws))

        await exercises.play_client(PEER, plan, play)


async def server(plan):
    finished = asyncio.Event()

    async def handle(request):
        if request.path == "/refused":
            return web.Response(status=403, text="not here\n")
        target = request.path_qs
        options = {"timeout": exercises.PATIENCE_TO_CLOSE} | compression(exercises.exercise_of(plan, target))
        ws = web.WebSocketResponse(protocols=["superchat"], **options, **OPTIONS)
        await ws.prepare(request)
        if await exercises.serve_one(PEER, plan, Connection(ws, request), target, request.headers, ws.ws_protocol):
            finished.set()
        return ws

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on ws://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await finished.wait()
    await runner.cleanup()


role, plan, url = exercises.role_plan_and_url()
asyncio.run(client(plan, url) if role == "client" else server(plan))
