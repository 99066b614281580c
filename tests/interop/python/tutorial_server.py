"""A Python server as tutorials have it (the `websockets` library), with today's API: each message comes back with `Echo: `
before it. `run` lets 05_client talk to it."""

import asyncio

from websockets.asyncio.server import serve


async def handle(websocket):
    async for message in websocket:
        await websocket.send(f"Echo: {message}")


async def main():
    async with serve(handle, "127.0.0.1", 0) as server:
        print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


asyncio.run(main())
