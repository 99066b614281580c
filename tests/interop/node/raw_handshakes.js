// Handshakes by hand against ws101's server (`raw_handshakes.js client URL`): no library, a socket and some text.
//
// Two are those of a kata: its key is 17 bytes long where the RFC wants 16, and its GUID is not the
// RFC's, so a server that follows the RFC answers 400 to the first and gives another accept than the kata's to a
// good key. One is of the draft of 2010, which had two keys, eight bytes behind the head, and no version.

const { createHash } = require('node:crypto');
const { connect } = require('node:net');
const { Wrong, report, same } = require('./exercises.js');

const GUID_OF_THE_RFC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const GUID_OF_THE_KATA = '258EAFA5-E914-47DA-95CA-5AB0DC85B711';
const PATIENCE = 10_000;

const { host, hostname, port } = new URL(process.argv[3]);

// Sends these lines as a head, and what comes behind them; gives the answer: status, header lookup, body.
function ask(lines, behind = '') {
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname, () => socket.write(`${lines.join('\r\n')}\r\n\r\n${behind}`));
    let answer = '';
    const done = () => {
      socket.destroy();
      const [head, body] = answer.split(/\r\n\r\n(.*)/s);
      const header = (name) => head.match(new RegExp(`^${name}: *(.*?)\\r?$`, 'im'))?.[1];
      resolve({ status: Number(head.split(' ')[1]), header, body });
    };
    socket.on('data', (bytes) => {
      answer += bytes;
      if (/^HTTP\/1.1 101 [^]*\r\n\r\n/.test(answer)) done(); // the connection stays open
    });
    socket.on('end', done); // a refusal ends with the connection
    socket.on('error', reject);
    socket.setTimeout(PATIENCE, () => reject(new Wrong(`no whole answer within 10 s, only ${JSON.stringify(answer)}`)));
  });
}

function upgradeWithKey(key) {
  return ['GET / HTTP/1.1', `Host: ${host}`, 'Upgrade: websocket', 'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'];
}

function acceptFor(key, guid) {
  return createHash('sha1').update(key + guid).digest('base64');
}

function says(body, pattern, what) {
  if (!pattern.test(body)) throw new Wrong(`${what}: nothing like ${pattern} in ${JSON.stringify(body)}`);
}

const exercises = {
  async 'kata: a key of 17 bytes'() {
    const answer = await ask(upgradeWithKey(Buffer.from('my-websocket-key!').toString('base64')));
    same(answer.status, 400, 'status');
    says(answer.body, /\b16\b/, 'the reason names the length a key must have');
  },

  async 'kata: a key of 16 bytes'() {
    const key = Buffer.from('my-websocket-key').toString('base64');
    const answer = await ask(upgradeWithKey(key));
    const accept = answer.header('Sec-WebSocket-Accept');
    same(answer.status, 101, 'status');
    same(accept, acceptFor(key, GUID_OF_THE_RFC), 'accept');
    if (accept === acceptFor(key, GUID_OF_THE_KATA)) throw new Wrong("the accept is that of the kata's wrong GUID");
  },

  async 'draft of 2010'() {
    const answer = await ask([
      'GET / HTTP/1.1', `Host: ${host}`, 'Upgrade: WebSocket', 'Connection: Upgrade', `Origin: http://${host}`,
      'Sec-WebSocket-Key1: 1 8x2 5!7 0 4q6 3', 'Sec-WebSocket-Key2: 9w4 1 ~7 6 2  0 8',
    ], '8 bytes!');
    same(answer.status, 426, 'status');
    same(answer.header('Sec-WebSocket-Version'), '13', 'Sec-WebSocket-Version');
    says(answer.body, /\b2010\b/, 'the body names the draft');
  },
};

async function main() {
  for (const [what, attempt] of Object.entries(exercises)) {
    await attempt().then(
      () => report('raw socket', 'client', what, 'ok'),
      (error) => report('raw socket', 'client', what, `FAILED: ${error.message}`),
    );
  }
}

main();
