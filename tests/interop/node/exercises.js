// The exercises, for the Node peers: what is sent to ws101, and what must come back.
//
// The plan comes on standard input, one exercise a line; ../python/exercises.py says what each line means, what a
// report looks like and what a peer's `Connection` must be able to do. Here it is the same in JavaScript:
//
//     send(message)       string: a text message; Buffer: a binary one
//     sendPieces(pieces)  one text message, a fragment for each of these Buffers; a ping (and its pong) after each
//     receive()           the next message
//     ping(payload)       the payload of the pong
//     nextPing()          waits for a ping which the other side sent of itself
//     close(code, reason) code null: a Close with nothing in it; gives the [code, reason] that came back
//     closed()            waits for the other side's Close; gives its [code, reason]

const { randomBytes } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { inspect, isDeepStrictEqual } = require('node:util');

const PATIENCE = 30_000; // milliseconds for one exercise
const PATIENCE_IN_SILENCE = 60_000; // two pings of ws101, 20 seconds apart
const PATIENCE_TO_CLOSE = 4_000; // less than ws101's own 5 seconds: a close must be answered, not given up

const NO_CODE = 1005; // how both libraries say: a Close frame without a code

class Wrong extends Error {} // what came is not what should have come
class Cannot extends Error {} // the library has no means to do this, or has a rule of its own against it

// Where events wait until somebody asks for them: put() one, or await take(), which fails once the connection whose
// end is `closing`, a promise of [code, reason], is closed.
class Mailbox {
  #events = [];
  #takers = [];
  #closing;

  constructor(closing) {
    this.#closing = closing.then(([code, reason]) => {
      throw new Wrong(`it closed with ${code ?? 'no code'} ${reason}`);
    });
    this.#closing.catch(() => {}); // it matters to those only who wait
  }

  put(event) {
    const taker = this.#takers.shift();
    if (taker) taker(event);
    else this.#events.push(event);
  }

  take() {
    if (this.#events.length > 0) return Promise.resolve(this.#events.shift());
    return Promise.race([this.#closing, new Promise((taker) => this.#takers.push(taker))]);
  }
}

// ---- payloads ----

// A text of exactly `size` bytes, with characters of one to four bytes where there is room.
function textOf(size) {
  const unit = 'Grüße, 漢字 und 🦀; ';
  const whole = Math.floor(size / Buffer.byteLength(unit));
  return unit.repeat(whole) + '.'.repeat(size - whole * Buffer.byteLength(unit));
}

function same(came, expected, what) {
  if (!isDeepStrictEqual(came, expected)) {
    throw new Wrong(`${what}: expected ${shown(expected)}, came ${shown(came)}`);
  }
}

function shown(value) {
  return inspect(value).slice(0, 80);
}

function sameMessage(came, expected) {
  if (isDeepStrictEqual(came, expected)) return;
  const [a, b] = [Buffer.from(expected), Buffer.from(came)];
  const difference = a.findIndex((byte, index) => byte !== b[index]);
  const agreeing = difference < 0 ? a.length : difference;
  const kind = (message) => (typeof message === 'string' ? 'text' : 'binary');
  throw new Wrong(`echo: expected ${kind(expected)} of ${a.length} bytes, came ${kind(came)} of ${b.length} bytes; ` +
    `they agree in the first ${agreeing} bytes`);
}

// ---- exercises ----

// One exercise, over an open connection, to its clean close. Gives the verdict, or nothing for `ok`.
async function perform(exercise, connection) {
  const [verb, first, ...rest] = exercise.split(' ');
  switch (verb) {
    case 'text':
      await echo(connection, textOf(Number(first)));
      break;
    case 'binary':
      await echo(connection, randomBytes(Number(first)));
      break;
    case 'fragments':
      await fragments(connection);
      break;
    case 'ping': {
      const payload = randomBytes(Number(first));
      same(await connection.ping(payload), payload, 'pong');
      break;
    }
    case 'subprotocols':
      await echo(connection, 'no subprotocol chosen');
      break;
    case 'silence':
      await connection.nextPing();
      await connection.nextPing();
      await echo(connection, 'still here');
      break;
    case 'close':
      return close(connection, first === 'none' ? null : Number(first), rest.join(' '));
    case 'too-big':
      return tooBig(connection, Number(first));
    case 'deflate':
      // Only here: it needs what stands in this file.
      return require('./deflate.js').perform([first, ...rest], connection);
    default:
      throw new Wrong(`the plan names an exercise which nobody knows: ${exercise}`);
  }
  await close(connection, 1000, '');
}

async function echo(connection, message) {
  connection.send(message);
  sameMessage(await connection.receive(), message);
}

async function fragments(connection) {
  const text = textOf(200_000);
  const whole = Buffer.from(text);
  await connection.sendPieces([whole.subarray(0, 3), whole.subarray(3, 100_003), whole.subarray(100_003)]);
  sameMessage(await connection.receive(), text);
}

async function close(connection, code, reason) {
  const [codeBack, reasonBack] = await within(PATIENCE_TO_CLOSE, connection.close(code, reason));
  // ws101 sends back what it understood, the reason too: so this compares what both ends saw.
  same(codeBack, code, 'close code that came back');
  same(reasonBack, reason, 'close reason that came back');
}

async function tooBig(connection, size) {
  connection.send(Buffer.alloc(size));
  const [code, reason] = await connection.closed();
  same(code, 1009, 'close code');
  if (reason === '') throw new Wrong('closed with 1009, but without a reason');
}

// ---- the report ----

function within(milliseconds, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Wrong(`nothing within ${milliseconds / 1000} s`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function report(peer, role, exercise, verdict) {
  console.log([peer, role, exercise, verdict.replace(/\s+/g, ' ').slice(0, 300)].join('\t'));
}

// Runs `attempt` and reports how it went.
async function judged(peer, role, exercise, attempt) {
  try {
    const verdict = await within(exercise === 'silence' ? PATIENCE_IN_SILENCE : PATIENCE, attempt());
    report(peer, role, exercise, verdict ?? 'ok');
  } catch (error) {
    report(peer, role, exercise, `${error instanceof Cannot ? 'cannot' : 'FAILED'}: ${error.message}`);
  }
}

// ---- the two roles ----

// Each exercise over a connection of its own; `connect(subprotocols, exercise)` opens it. Ends the program, whatever a failed
// exercise left open.
async function playClient(peer, plan, connect) {
  for (const exercise of plan) {
    const [verb, first] = exercise.split(' ');
    const subprotocols = verb === 'subprotocols' ? first.split(',') : [];
    await judged(peer, 'client', exercise, async () => perform(exercise, await connect(subprotocols, exercise)));
  }
  process.exit();
}

// The exercise for which this target is asked, if for one.
function exerciseOf(plan, target) {
  const url = new URL(target, 'ws://here');
  return url.pathname === '/runCase' ? plan[Number(url.searchParams.get('case')) - 1] : undefined;
}

// What a server does with one connection, by its path. True: that was the last of them.
async function serveOne(peer, plan, connection, request, subprotocol) {
  switch (new URL(request.url, 'ws://here').pathname) {
    case '/getCaseCount':
      connection.send(String(plan.length));
      await connection.close(1000, '');
      break;
    case '/runCase': {
      const exercise = exerciseOf(plan, request.url);
      await judged(peer, 'server', exercise, () => perform(exercise, connection));
      break;
    }
    case '/conversation':
      await judged(peer, 'server', 'conversation', () => converse(connection, request.headers, subprotocol));
      break;
    case '/updateReports':
      await connection.close(1000, '');
      return true;
  }
  return false;
}

// The part of the server while `run` speaks through 05_client, which then closes.
async function converse(connection, headers, subprotocol) {
  same(headers.origin, 'http://interop.example', 'Origin');
  same(headers['x-interop'], 'yes', 'X-Interop');
  same(subprotocol, 'superchat', 'subprotocol');
  for (let line = 0; line < 2; line += 1) connection.send(`Echo: ${await connection.receive()}`);
  const [code] = await connection.closed();
  same(code, 1000, 'close code of 05_client');
}

// From the command line `client URL` or `server`, and the plan from standard input.
function rolePlanAndUrl() {
  const plan = readFileSync(0, 'utf8').split('\n').filter((line) => line.trim() !== '');
  return [process.argv[2], plan, process.argv[3]];
}

module.exports = {
  Cannot, Mailbox, NO_CODE, Wrong, close, echo, exerciseOf, fragments, playClient, report, rolePlanAndUrl, same, serveOne,
  textOf,
};
