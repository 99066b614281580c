"""Says hello to a server over wss, with the given certificate as root (or none), and hears it back: talk.py URL [ROOT]

In one thread: where two use a socket of Python's ssl at the same time, one reading a ticket and one writing, what is
written may get lost.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import connect


async def talk(url, root):
    context = ssl.create_default_context(cafile=root)
    async with connect(url, ssl=context, max_size=None) as ws:
        for message in "hello", b"\x00" * 1_000_000, "w\u00f6rld" * 10_000:
            await ws.send(message)
            assert await asyncio.wait_for(ws.recv(), 20) == message
        await ws.close(4000, "bye")
    assert ws.close_code == 4000, ws.close_code


asyncio.run(talk(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
print("heard it all")
