"""A server with Python's websockets. Its arguments are what to do (echo, broadcast, deflate or tls), and for TLS a
certificate and its key. It prints its port."""

import asyncio
import logging
import ssl
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

MODE, CERTIFICATE, KEY = sys.argv[1:]
members = set()


async def echo(websocket):
    try:
        async for message in websocket:
            await websocket.send(message)
    except ConnectionClosed:
        pass


async def join(websocket):
    try:
        first = await websocket.recv()
        members.add(websocket)
        await websocket.send(first)
        async for message in websocket:
            broadcast(members, message)
    except ConnectionClosed:
        pass
    finally:
        members.discard(websocket)


async def main():
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    context = None
    if MODE == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
    async with serve(
        join if MODE == "broadcast" else echo,
        "127.0.0.1",
        0,
        ssl=context,
        compression="deflate" if MODE == "deflate" else None,
        max_size=16 << 20,
        ping_interval=None,
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
