"""Terms of compression for both sides of the `websockets` library: see deflate.py."""

import deflate
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.protocol import Side

HEADER = "Sec-WebSocket-Extensions"


def options_of_client(exercise):
    """For `connect`; nothing where the exercise is about something else: it then offers as it always does."""
    if not deflate.is_deflate(exercise):
        return {}
    return {"compression": None, "extensions": factories(ClientPerMessageDeflateFactory, exercise)}


def set_up_server(ws, exercise):
    """For one connection, before the request is answered."""
    if deflate.is_deflate(exercise):
        ws.protocol.available_extensions = factories(ServerPerMessageDeflateFactory, exercise)


def factories(factory, exercise):
    terms = deflate.theirs(exercise)
    return None if terms is None else [factory(*terms)]


def handshake(ws):
    role = "client" if ws.protocol.side is Side.CLIENT else "server"
    return role, ws.request.headers.get(HEADER), ws.response.headers.get(HEADER)
