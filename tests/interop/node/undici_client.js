// A peer of ws101: the `undici` library, Node's own HTTP client, whose WebSocket is the browsers' (`client URL`).

const diagnostics = require('node:diagnostics_channel');
const { once } = require('node:events');
const { WebSocket, ping } = require('undici');
const { Cannot, Mailbox, NO_CODE, Wrong, playClient, rolePlanAndUrl } = require('./exercises.js');

const PEER = 'undici';

class Connection {
  constructor(ws) {
    this.ws = ws;
    this.closing = new Promise((resolve) => {
      ws.addEventListener('close', ({ code, reason }) => resolve([code === NO_CODE ? null : code, reason]));
    });
    this.messages = new Mailbox(this.closing);
    ws.binaryType = 'arraybuffer';
    ws.addEventListener('message', ({ data }) => {
      this.messages.put(typeof data === 'string' ? data : Buffer.from(data));
    });
    // The browsers' API shows neither pings nor pongs; undici tells of them to whoever subscribes.
    this.pings = this.#passing('undici:websocket:ping');
    this.pongs = this.#passing('undici:websocket:pong');
  }

  #passing(channel) {
    const passed = new Mailbox(this.closing);
    diagnostics.subscribe(channel, ({ payload, websocket }) => {
      if (websocket === this.ws) passed.put(payload);
    });
    return passed;
  }

  send(message) {
    this.ws.send(message);
  }

  async sendPieces() {
    throw new Cannot("the browsers' API has no call that sends a fragment");
  }

  receive() {
    return this.messages.take();
  }

  ping(payload) {
    ping(this.ws, payload);
    return this.pongs.take();
  }

  nextPing() {
    return this.pings.take();
  }

  async close(code, reason) {
    if (code === 1001) throw new Cannot("the browsers' API lets a page close with 1000 or 3000 to 4999");
    if (code === null) this.ws.close();
    else this.ws.close(code, reason);
    return this.closing;
  }

  closed() {
    return this.closing;
  }
}

// The browsers' API does not say why a handshake failed; undici tells those who subscribe what the answer was. One
// connection is opened at a time, so it is the answer to that one.
let status = 'unknown';
diagnostics.subscribe('undici:request:headers', ({ response }) => {
  status = response.statusCode;
});

async function open(url, subprotocols) {
  const ws = new WebSocket(url, subprotocols);
  const connection = new Connection(ws); // it listens before the first message can come
  const failure = once(ws, 'error').then(() => {
    // The RFC lets a server choose none of the subprotocols; the browsers' standard, which this is, does not.
    if (status === 101 && subprotocols.length > 0) throw new Cannot('gives up when no subprotocol is chosen');
    throw new Wrong(`the handshake failed, status ${status}`);
  });
  failure.catch(() => {}); // after the handshake, what went wrong shows in `close`
  await Promise.race([once(ws, 'open'), failure]);
  return connection;
}

const [, plan, url] = rolePlanAndUrl();
playClient(PEER, plan, (subprotocols) => open(url, subprotocols));
