// Servers that the browsers talk to: examples of ws101, pages of another origin, and a proxy that records what passes.

const { spawn } = require('node:child_process');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');

const started = [];

/** Starts an example on a free port; its address, as host and port. */
const example = async (name, ...words) => (await program(name, ...words)).address;

/** The same, for one that is to be stopped early. What it says instead of its address is part of the error. */
async function program(name, ...words) {
  const stdio = ['ignore', 'pipe', 'pipe'];
  const child = spawn(path.join(process.env.EXAMPLES, name), ['127.0.0.1:0', ...words], { stdio });
  const stop = () => child.kill();
  started.push(stop);
  let complaint = '';
  child.stderr.on('data', (bytes) => { complaint = (complaint + bytes).slice(-500); });
  const ended = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    // After `close`, all that it said has been read.
    child.on('close', (code, signal) => resolve(`it ended with ${signal ?? code}`));
  });
  const lines = readline.createInterface({ input: child.stdout });
  const listens = new Promise((resolve) => {
    lines.once('line', (line) => resolve(/listening on wss?:\/\/(\S+)/.exec(line)?.[1]));
  });
  const address = await Promise.race([listens, ended.then(() => undefined)]);
  // What it says later on isn't kept, and must not fill the pipe.
  child.stdout.resume();
  if (address) return { address, stop };
  throw new Error(`${name} ${words.join(' ')} does not say where it listens: ${await Promise.race([ended, 'it runs'])} ${complaint}`);
}

/**
 * Stands before a server and keeps each connection's bytes: the address, and a list of { sent, answered }. Its `target`
 * may be changed: the next connection goes there.
 */
async function recorder(target) {
  const records = [];
  const recording = { target, records };
  const server = net.createServer((client) => {
    const [host, port] = recording.target.split(':');
    const upstream = net.connect(Number(port), host);
    const record = { sent: Buffer.alloc(0), answered: Buffer.alloc(0) };
    records.push(record);
    client.on('data', (bytes) => { record.sent = Buffer.concat([record.sent, bytes]); });
    upstream.on('data', (bytes) => { record.answered = Buffer.concat([record.answered, bytes]); });
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  recording.address = await listen(server);
  return recording;
}

/** What no server may answer, with markup in it: the right status, and neither accept nor names that fit. */
async function liar() {
  return listen(net.createServer((client) => {
    client.on('error', () => {});
    client.once('data', () => client.end('HTTP/1.1 101 <img src=x onerror=alert(1)>\r\nUpgrade: websocket\r\n'
      + 'Connection: Upgrade\r\nSec-WebSocket-Accept: <b>HSmrc0sMlYUkAGmm5OPpG2HaGWk=</b>\r\n\r\n'));
  }));
}

/** Takes connections, and says nothing. */
const silent = () => listen(net.createServer((client) => client.on('error', () => {}).resume()));

/** Serves one page. */
async function pageServer(html) {
  return listen(http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end(html)));
}

function listen(server) {
  started.push(() => server.close());
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`));
  });
}

function stopAll() {
  started.splice(0).forEach((stop) => stop());
}

module.exports = { example, liar, program, recorder, pageServer, silent, stopAll };
