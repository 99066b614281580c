"""The Python peers of the matrix, each an echo as its docs show one.

    python3 peers.py server NAME PORT
    python3 peers.py client NAME ws://127.0.0.1:PORT/
    python3 peers.py clients NAME PORT

The last one starts a client for each address that a connection to the port sends as a line, and ends it with the connection
(`../one_of` is such a connection): the libraries take longer to import than most checks take.
"""

import asyncio
import importlib
import os
import signal
import socket
import sys
import threading


def serve_websockets(port):
    from websockets.sync.server import serve

    def echo(ws):
        for message in ws:
            ws.send(message)

    with serve(echo, "127.0.0.1", port) as server:
        server.serve_forever()


def connect_websockets(url):
    from websockets.sync.client import connect

    with connect(url) as ws:
        for message in ws:
            ws.send(message)


def serve_websockets_asyncio(port):
    from websockets.asyncio.server import serve

    async def echo(ws):
        async for message in ws:
            await ws.send(message)

    async def main():
        async with serve(echo, "127.0.0.1", port) as server:
            await server.serve_forever()

    asyncio.run(main())


def connect_websockets_asyncio(url):
    from websockets.asyncio.client import connect

    async def main():
        async with connect(url) as ws:
            async for message in ws:
                await ws.send(message)

    asyncio.run(main())


def serve_aiohttp(port):
    from aiohttp import WSMsgType, web

    async def echo(request):
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)
        return ws

    app = web.Application()
    app.add_routes([web.get("/", echo)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def connect_aiohttp(url):
    import aiohttp

    async def main():
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            async for message in ws:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await ws.send_str(message.data)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    await ws.send_bytes(message.data)

    asyncio.run(main())


def serve_tornado(port):
    import tornado.web
    import tornado.websocket

    class Echo(tornado.websocket.WebSocketHandler):
        def on_message(self, message):
            self.write_message(message, binary=isinstance(message, bytes))

    async def main():
        tornado.web.Application([("/", Echo)]).listen(port, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def connect_tornado(url):
    import tornado.websocket

    async def main():
        ws = await tornado.websocket.websocket_connect(url)
        while (message := await ws.read_message()) is not None:
            await ws.write_message(message, binary=isinstance(message, bytes))

    asyncio.run(main())


def wsproto_events(socket, connection):
    """Feeds what comes to wsproto, and echoes; the answer to each event is what its docs say."""
    from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage

    parts = []
    while True:
        data = socket.recv(65536)
        connection.receive_data(data or None)
        for event in connection.events():
            if isinstance(event, Request):
                socket.sendall(connection.send(AcceptConnection()))
            elif isinstance(event, Ping):
                socket.sendall(connection.send(event.response()))
            elif isinstance(event, CloseConnection):
                if connection.state.name == "REMOTE_CLOSING":
                    socket.sendall(connection.send(event.response()))
                return
            elif isinstance(event, (TextMessage, BytesMessage)):
                parts.append(event.data)
                if event.message_finished:
                    kind = type(event)
                    socket.sendall(connection.send(kind(data=type(parts[0])().join(parts))))
                    parts = []
        if not data:
            return


def serve_wsproto(port):
    import socketserver

    from wsproto import ConnectionType, WSConnection
    from wsproto.utilities import LocalProtocolError, RemoteProtocolError

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            connection = WSConnection(ConnectionType.SERVER)
            try:
                wsproto_events(self.request, connection)
            except RemoteProtocolError as error:
                if error.event_hint:
                    self.request.sendall(connection.send(error.event_hint))
            except (LocalProtocolError, OSError):
                pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        request_queue_size = 128

    Server(("127.0.0.1", port), Handler).serve_forever()


def connect_wsproto(url):
    import socket
    from urllib.parse import urlsplit

    from wsproto import ConnectionType, WSConnection
    from wsproto.events import Request

    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as stream:
        connection = WSConnection(ConnectionType.CLIENT)
        stream.sendall(connection.send(Request(host=address.netloc, target="/")))
        wsproto_events(stream, connection)


def serve_gevent(port):
    from gevent import monkey

    monkey.patch_all()
    from gevent import pywsgi
    from geventwebsocket.handler import WebSocketHandler

    def application(environ, start_response):
        ws = environ.get("wsgi.websocket")
        if ws is None:
            start_response("400 Bad Request", [])
            return []
        while (message := ws.receive()) is not None:
            ws.send(message, binary=isinstance(message, (bytes, bytearray)))
        return []

    pywsgi.WSGIServer(("127.0.0.1", port), application, handler_class=WebSocketHandler, log=None).serve_forever()


def serve_autobahn(port):
    from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
    from twisted.internet import reactor

    class Echo(WebSocketServerProtocol):
        def onMessage(self, payload, isBinary):
            self.sendMessage(payload, isBinary)

    factory = WebSocketServerFactory(f"ws://127.0.0.1:{port}")
    factory.protocol = Echo
    reactor.listenTCP(port, factory, interface="127.0.0.1")
    reactor.run()


def connect_autobahn(url):
    from urllib.parse import urlsplit

    from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from twisted.internet import reactor

    class Echo(WebSocketClientProtocol):
        def onMessage(self, payload, isBinary):
            self.sendMessage(payload, isBinary)

        def onClose(self, wasClean, code, reason):
            reactor.stop()

    factory = WebSocketClientFactory(url)
    factory.protocol = Echo
    reactor.connectTCP("127.0.0.1", urlsplit(url).port, factory)
    reactor.run()


def serve_socketify(port):
    from socketify import App, AppListenOptions, CompressOptions

    app = App()
    app.ws(
        "/*",
        {
            "compression": CompressOptions.SHARED_COMPRESSOR,
            "max_payload_length": 16 * 1024 * 1024,
            "message": lambda ws, message, opcode: ws.send(message, opcode),
        },
    )
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: None)
    app.run()


def connect_websocket_client(url):
    import websocket

    ws = websocket.create_connection(url)
    while True:
        opcode, data = ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        ws.send(data, opcode)


PEERS = {
    ("server", "websockets"): serve_websockets,
    ("client", "websockets"): connect_websockets,
    ("server", "websockets-asyncio"): serve_websockets_asyncio,
    ("client", "websockets-asyncio"): connect_websockets_asyncio,
    ("server", "aiohttp"): serve_aiohttp,
    ("client", "aiohttp"): connect_aiohttp,
    ("server", "tornado"): serve_tornado,
    ("client", "tornado"): connect_tornado,
    ("server", "wsproto"): serve_wsproto,
    ("client", "wsproto"): connect_wsproto,
    ("server", "gevent-websocket"): serve_gevent,
    ("server", "autobahn"): serve_autobahn,
    ("client", "autobahn"): connect_autobahn,
    ("server", "socketify"): serve_socketify,
    ("client", "websocket-client"): connect_websocket_client,
}

# What is imported before a client is forked. Not Twisted's reactor, which can't be forked. Nor aiohttp, which seeds its random
# masks when it's imported: all clients forked after that would send the same masks.
IMPORTS = {
    "websockets": "websockets.sync.client",
    "websockets-asyncio": "websockets.asyncio.client",
    "aiohttp": "asyncio",
    "tornado": "tornado.websocket",
    "wsproto": "wsproto.events",
    "autobahn": "autobahn.twisted.websocket",
    "websocket-client": "websocket",
}


def fork_clients(name, port):
    importlib.import_module(IMPORTS[name])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        control, _ = listener.accept()
        if os.fork():
            control.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listener.close()
        try:
            url = control.makefile().readline().strip()
            # Nothing more is sent: its end is the end of this client.
            threading.Thread(target=lambda: control.recv(1) or os._exit(0), daemon=True).start()
            PEERS["client", name](url)
        finally:
            os._exit(0)


if __name__ == "__main__":
    role, name, address = sys.argv[1:]
    if role == "clients":
        fork_clients(name, int(address))
    else:
        PEERS[role, name](int(address) if role == "server" else address)
