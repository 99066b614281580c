// Both browsers offer compression (permessage-deflate) with every WebSocket. A server of ws101 takes the offer: on each of
// the terms that it can be set to, and not at all. A recorder between them sees what is agreed on, and what is sent.

const { randomBytes } = require('node:crypto');
const { isDeepStrictEqual } = require('node:util');
const { assert, assertEqual, check, headOf, launch, open } = require('./support.js');
const { example, program, recorder } = require('./servers.js');

const MOST_BITS = 15;
const BITS = [9, 10, 11, 12, 13, 14, MOST_BITS];

/** Digits, of which a message gets smaller by a half at most; unless they came before. */
const NOISE = randomBytes(100).toString('hex');
const STATIONS = [...Array(300).keys()].map((id) => ({ id, name: `Grüße, Station ${id} 🦀`, stepFree: id % 3 === 0 }));

/** The terms as `testee` takes them, which is what they are in the header, too. */
function terms({ serverAfresh, clientAfresh, serverBits, clientBits }) {
  return [
    ...(serverAfresh ? ['server_no_context_takeover'] : []),
    ...(clientAfresh ? ['client_no_context_takeover'] : []),
    ...(serverBits < MOST_BITS ? [`server_max_window_bits=${serverBits}`] : []),
    ...(clientBits < MOST_BITS ? [`client_max_window_bits=${clientBits}`] : []),
  ];
}

function everySetting() {
  return [false, true].flatMap((serverAfresh) => [false, true].flatMap((clientAfresh) =>
    BITS.flatMap((serverBits) => BITS.map((clientBits) => ({ serverAfresh, clientAfresh, serverBits, clientBits })))));
}

/** On the page: each message is sent once the one before has come back. */
const converse = (page, url, messages) => page.evaluate((url, messages) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  const echoes = [];
  socket.onopen = () => socket.send(messages[0]);
  socket.onmessage = ({ data }) => {
    echoes.push(data);
    if (echoes.length < messages.length) socket.send(messages[echoes.length]);
    else socket.close(1000);
  };
  socket.onclose = ({ code }) => resolve({ extensions: socket.extensions, echoes, code });
}), url, messages);

/** The frames of messages behind a head: are they compressed, and how long are they? */
function messageFrames(bytes) {
  const frames = [];
  for (let rest = bytes.subarray(headOf(bytes).length); rest.length > 0;) {
    const mask = rest[1] & 0x80 ? 4 : 0;
    let [length, start] = [rest[1] & 0x7f, 2];
    if (length === 126) [length, start] = [rest.readUInt16BE(2), 4];
    else if (length === 127) [length, start] = [Number(rest.readBigUInt64BE(2)), 10];
    if ((rest[0] & 0x0f) < 8) frames.push({ compressed: (rest[0] & 0x40) !== 0, length });
    rest = rest.subarray(start + mask + length);
  }
  return frames;
}

/** The extensions in the head that these bytes begin with. */
const extensions = (bytes) => /^sec-websocket-extensions: *(.*?)\r$/im.exec(headOf(bytes).toString())?.[1] ?? '';

/** One conversation over the recorder; `setting` is that of the server, or null for no compression. */
async function agreeAndTalk(page, recording, setting) {
  const json = JSON.stringify(STATIONS);
  recording.records.length = 0;
  const { extensions: said, echoes, code } = await converse(page, `ws://${recording.address}`, [NOISE, NOISE, json]);
  // A browser asks for other things as well, when it likes: for an icon.
  const { sent, answered } = recording.records.find((one) => /^upgrade: *websocket/im.test(headOf(one.sent).toString()));

  assert(/^permessage-deflate\b/.test(extensions(sent)), `the browser offers ${extensions(sent)}`);
  // Only who says that it can keep to a smaller window is asked to.
  const offersWindow = extensions(sent).includes('client_max_window_bits');
  const agreed = setting && { ...setting, clientBits: offersWindow ? setting.clientBits : MOST_BITS };
  assertEqual(extensions(answered), agreed ? ['permessage-deflate', ...terms(agreed)].join('; ') : '', 'the answer');
  assertEqual(said.split(';')[0], agreed ? 'permessage-deflate' : '', 'ws.extensions');

  assertEqual(code, 1000, 'code');
  assert(echoes[0] === NOISE && echoes[1] === NOISE, 'noise came back changed');
  assert(isDeepStrictEqual(JSON.parse(echoes[2]), STATIONS), 'JSON came back changed');

  for (const [side, bytes, afresh] of [['client', sent, agreed?.clientAfresh], ['server', answered, agreed?.serverAfresh]]) {
    const [, again, page, ...more] = messageFrames(bytes);
    assertEqual(more.length, 0, `more frames of the ${side}`);
    assertEqual(page.compressed, Boolean(agreed), `the ${side} compresses`);
    if (agreed) assert(page.length < json.length / 2, `the ${side} takes ${page.length} bytes for a page of ${json.length}`);
    const repeats = again.length < NOISE.length / 4;
    assertEqual(repeats, Boolean(agreed) && !afresh, `the ${side} repeats what came before, in ${again.length} bytes`);
  }
}

module.exports = async function compressed() {
  const plain = await example('testee');
  const recording = await recorder(plain);
  const browser = await launch();
  const page = await open(browser, `http://${recording.address}`); // for its origin: it says that a WebSocket is here
  await check('a server without compression: all is as it is', () => agreeAndTalk(page, recording, null));
  const settings = everySetting();
  await check(`compressed, on the ${settings.length} terms that a server can have`, async () => {
    for (const setting of settings) {
      const words = terms(setting);
      // One at a time: so many servers at once are more than a small machine has room for.
      const testee = await program('testee', '--deflate', ...(words.length ? ['--terms', words.join('; ')] : []));
      recording.target = testee.address;
      await agreeAndTalk(page, recording, setting).catch((error) => {
        throw new Error(`${words.join('; ') || 'defaults'}: ${error.message}`);
      });
      testee.stop();
    }
  });
  await browser.close();
};
