// The exercise `deflate`, for the Node peers: ../python/deflate.py says what it is. A `Connection` has for it
//
//     handshake   the role of the peer, and the header Sec-WebSocket-Extensions of the request and of the answer
//     stream      the socket

const { randomBytes } = require('node:crypto');
const { Wrong, close, echo, fragments, same, textOf } = require('./exercises.js');

const MOST_BITS = 15;

// ---- terms ----

// Terms, from a plan or from a header; a window of which nothing is said is undefined. None: null.
function parse(text) {
  if (text === undefined || text === 'off') return null;
  const said = {};
  for (const parameter of text.split(';')) {
    const [name, bits] = parameter.trim().split('=');
    if (name === 'permessage-deflate' || name === 'default') continue;
    // Only a client's own window may be named without its bits.
    said[name] = name.endsWith('bits') ? Number(bits ?? MOST_BITS) : true;
  }
  return said;
}

// The terms that the peer shall speak of, as `ws` has them.
function theirs(exercise, role) {
  const [, text] = exercise.split(' ');
  const terms = parse(text);
  if (terms === null) return false;
  const bare = text.split(';').includes('client_max_window_bits');
  return {
    serverNoContextTakeover: terms.server_no_context_takeover,
    clientNoContextTakeover: terms.client_no_context_takeover,
    serverMaxWindowBits: terms.server_max_window_bits,
    // A client of this library offers it, unless told not to.
    clientMaxWindowBits: bare ? true : terms.client_max_window_bits ?? (role === 'client' ? false : undefined),
    threshold: 0, // however small the message
  };
}

function isDeflate(exercise) {
  return exercise !== undefined && exercise.startsWith('deflate ');
}

// What keeps to both: takeover where neither is against it, and the smaller windows.
function both(one, other) {
  const takeover = (name) => Boolean(one[name] || other[name]);
  const window = (name) => Math.min(one[name] ?? MOST_BITS, other[name] ?? MOST_BITS);
  return {
    server_no_context_takeover: takeover('server_no_context_takeover'),
    client_no_context_takeover: takeover('client_no_context_takeover'),
    server_max_window_bits: window('server_max_window_bits'),
    client_max_window_bits: window('client_max_window_bits'),
  };
}

// What must be agreed on when a client offers this to a server that is set up so.
function due(offer, settings) {
  // With a window of 8 bits no server here can compress, so it declines.
  if (offer === null || settings === null || offer.server_max_window_bits === 8) return null;
  // What the client does not offer, no server may ask for.
  return both(offer, 'client_max_window_bits' in offer ? settings : { ...settings, client_max_window_bits: undefined });
}

// What was agreed on, by the headers. Of itself a client keeps what it said, repeated or not; of the server holds only
// what the answer says.
function agreed(offer, answer) {
  if (answer === null) return null;
  return both(answer, { ...offer, server_no_context_takeover: false, server_max_window_bits: undefined });
}

// ---- messages ----

const NOISE = randomBytes(100); // nobody can make it smaller, unless it came before: 9 bits reach back that far
const STATIONS = [...Array(400).keys()].map((id) => ({ id, name: `station ${id}`, step_free: id % 3 === 0 }));
const PAGE = JSON.stringify(STATIONS);

// A piece that comes again and again, each time twice as far away: who finds it outside of the window that was agreed
// on refers to what the other side has forgotten.
function atAllDistances() {
  const again = randomBytes(64);
  return Buffer.concat([7, 8, 9, 10, 11, 12, 13, 14, 15, 16].flatMap((bits) => [randomBytes(1 << bits), again]));
}

const SHORT = ['', Buffer.alloc(0), 'Hello', 'Hello'];
const MESSAGES = [...SHORT, PAGE, Buffer.from(PAGE), textOf(70_000), atAllDistances(), '', PAGE];
const LONG = [textOf(1 << 20), randomBytes(1 << 20)];

// How many bytes a message took on its way there, and on its way back.
async function counted(connection, message) {
  const { bytesWritten, bytesRead } = connection.stream;
  await echo(connection, message);
  return [connection.stream.bytesWritten - bytesWritten, connection.stream.bytesRead - bytesRead];
}

// On the wire it must have been less than half of its size; or, if not `small`, all of it.
function shrunk(count, size, small, what) {
  if (small ? count > size / 2 : count < size) {
    throw new Wrong(`${what}: ${size} bytes were ${count}, though ${small ? '' : 'not '}to be compressed`);
  }
}

// The exercise; what came of it: compressed or plain.
async function perform(words, connection) {
  const [role, ...headers] = connection.handshake;
  const [offer, answer] = headers.map(parse);
  const [own, ours] = words.slice(0, 2).map(parse);
  const [offered, settings] = role === 'client' ? [own, ours] : [ours, own];
  same(offer, offered, 'offer');
  const terms = agreed(offer, answer);
  same(terms, due(offer, settings), 'terms');

  // Who compresses, on the way there and on the way back; and who may repeat what came before.
  const sides = role === 'client' ? ['client', 'server'] : ['server', 'client'];
  const bits = sides.map((side) => terms?.[`${side}_max_window_bits`] ?? 0);
  // ws101 sends everything as it is where it may only have a window of 8 bits.
  const compressed = [bits[0] > 0, bits[1] > 8];

  await counted(connection, NOISE);
  const again = await counted(connection, NOISE);
  for (const [index, side] of sides.entries()) {
    const small = compressed[index] && !terms[`${side}_no_context_takeover`];
    shrunk(again[index], NOISE.length, small, `noise again, from the ${side}`);
  }
  for (const message of words.includes('long') ? [...MESSAGES, ...LONG] : MESSAGES) {
    const bytes = await counted(connection, message);
    if (message !== PAGE) continue;
    for (const [index, side] of sides.entries()) {
      shrunk(bytes[index], PAGE.length, compressed[index], `a page, from the ${side}`);
    }
  }
  await fragments(connection);
  await close(connection, 1000, '');
  return terms ? 'ok: compressed' : 'ok: plain';
}

module.exports = { isDeflate, perform, theirs };
