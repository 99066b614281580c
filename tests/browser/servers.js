// Servers that the browsers talk to: examples of ws101, pages of another origin, and a proxy that records what passes.

const { spawn } = require('node:child_process');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');

const started = [];

/** Starts an example on a free port; its address, as host and port. */
async function example(name, ...words) {
  const stdio = ['ignore', 'pipe', 'inherit'];
  const child = spawn(path.join(process.env.EXAMPLES, name), ['127.0.0.1:0', ...words], { stdio });
  started.push(() => child.kill());
  for await (const line of readline.createInterface({ input: child.stdout })) {
    child.stdout.resume();
    return line.replace(/listening on wss?:\/\//, '');
  }
  throw new Error(`${name} does not say where it listens`);
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

module.exports = { example, recorder, pageServer, stopAll };
