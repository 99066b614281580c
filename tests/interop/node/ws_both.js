// A peer of ws101: the `ws` library of Node, as client (`client URL`) or `server`.

const { once } = require('node:events');
const { createServer } = require('node:http');
const WebSocket = require('ws');
const { isDeflate, theirs } = require('./deflate.js');
const { Cannot, Mailbox, NO_CODE, exerciseOf, playClient, rolePlanAndUrl, same, serveOne } = require('./exercises.js');

const PEER = 'ws';

const HEADER = 'sec-websocket-extensions';

class Connection {
  constructor(ws) {
    this.ws = ws;
    this.closing = new Promise((resolve) => {
      ws.on('close', (code, reason) => resolve([code === NO_CODE ? null : code, reason.toString()]));
    });
    this.messages = new Mailbox(this.closing);
    this.pings = new Mailbox(this.closing);
    this.pongs = new Mailbox(this.closing);
    ws.on('message', (data, isBinary) => this.messages.put(isBinary ? data : data.toString()));
    ws.on('ping', (payload) => this.pings.put(payload));
    ws.on('pong', (payload) => this.pongs.put(payload));
    ws.on('error', () => {}); // what went wrong shows in the code that `close` brings
  }

  send(message) {
    this.ws.send(message, () => {}); // a connection lost meanwhile shows in `close` too
  }

  async sendPieces(pieces) {
    for (const [index, piece] of pieces.entries()) {
      this.ws.send(piece, { binary: false, fin: index === pieces.length - 1 });
      same((await this.ping(Buffer.from('between'))).toString(), 'between', 'pong between fragments');
    }
  }

  receive() {
    return this.messages.take();
  }

  ping(payload) {
    this.ws.ping(payload);
    return this.pongs.take();
  }

  nextPing() {
    return this.pings.take();
  }

  close(code, reason) {
    if (code === null) this.ws.close();
    else this.ws.close(code, reason);
    return this.closing;
  }

  closed() {
    return this.closing;
  }
}

async function open(url, subprotocols, exercise) {
  let offer;
  const finishRequest = (request) => {
    offer = request.getHeader(HEADER);
    request.end();
  };
  const compression = isDeflate(exercise) ? { perMessageDeflate: theirs(exercise, 'client') } : {};
  const ws = new WebSocket(url, subprotocols, { finishRequest, ...compression });
  const connection = new Connection(ws); // it listens before the first message can come
  ws.on('upgrade', (answer) => {
    connection.handshake = ['client', offer, answer.headers[HEADER]];
    connection.stream = answer.socket;
  });
  try {
    await once(ws, 'open');
  } catch (error) {
    // The RFC lets a server choose none of the subprotocols; ws, like the browsers' standard, does not.
    if (error.message === 'Server sent no subprotocol') throw new Cannot('gives up when no subprotocol is chosen');
    throw error;
  }
  return connection;
}

function serve(plan) {
  const listening = createServer();
  listening.on('upgrade', (request, socket, head) => {
    const exercise = exerciseOf(plan, request.url);
    const server = new WebSocket.WebSocketServer({
      noServer: true, // one for each connection, since each may have other terms of compression
      perMessageDeflate: isDeflate(exercise) && theirs(exercise, 'server'),
      verifyClient: ({ req }, decide) => decide(req.url !== '/refused', 403, 'not here'),
      handleProtocols: (asked) => asked.has('superchat') && 'superchat',
    });
    let answer;
    server.on('headers', (lines) => {
      answer = lines.find((line) => line.toLowerCase().startsWith(HEADER))?.replace(/^.*?: */, '');
    });
    server.handleUpgrade(request, socket, head, async (ws) => {
      const connection = new Connection(ws);
      connection.handshake = ['server', request.headers[HEADER], answer];
      connection.stream = socket;
      if (await serveOne(PEER, plan, connection, request, ws.protocol)) listening.close();
      ws.terminate(); // where the exercise failed, it may still be open
    });
  });
  listening.listen(0, '127.0.0.1', () => console.log(`listening on ws://127.0.0.1:${listening.address().port}`));
}

const [role, plan, url] = rolePlanAndUrl();
if (role === 'client') playClient(PEER, plan, (subprotocols, exercise) => open(url, subprotocols, exercise));
else serve(plan);
