// One browser uses the playground, the echo and the chat, a server over TLS and one that compresses. `run` says what for.

const path = require('node:path');
const { name, assert, assertEqual, check, click, end, fill, headBytes, headOf, launch, open, text, waitFor } = require('./checks.js');
const compressed = require('./compressed.js');
const secure = require('./secure.js');
const { example, recorder, pageServer, stopAll } = require('./servers.js');

async function playground() {
  const address = await example('playground');
  const { address: recorded, records } = await recorder(address);
  const browser = await launch();
  const page = await open(browser, `http://${recorded}`);

  await check('it opens a wire and sends its first message', async () => {
    await waitFor(page, '#state', 'open');
    await waitFor(page, '#xray', 'text, 5 bytes, masked');
    await waitFor(page, '#steps', 'exactly what the server answered');
  });
  await check('the handshake on the page is the one on the wire', async () => {
    const record = records.find((one) => one.sent.includes('GET /wire'));
    assertEqual(await headBytes(page, '#request'), headOf(record.sent).toString('hex'), 'request');
    assertEqual(await headBytes(page, '#response'), headOf(record.answered).toString('hex'), 'response');
    const frame = await page.$$eval('#xray .cell', (cells) => cells.map((cell) => cell.firstChild.textContent).join(''));
    const behind = record.sent.subarray(headOf(record.sent).length).toString('hex');
    assert(behind.startsWith('8185') && behind.startsWith(`8185${frame}`), `${behind} is not ${frame}`);
  });
  await check('each key gives its accept, a wrong GUID another', async () => {
    await fill(page, '#key', 'dGhlIHNhbXBsZSBub25jZQ==');
    await waitFor(page, '#steps', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    await waitFor(page, '#steps', 'pJ85ywcJwvY/PgeG6blONiWuQUY=');
    await fill(page, '#key', 'bXktd2Vic29ja2V0LWtleSE=');
    await waitFor(page, '#steps', 'base64 of 17 bytes');
  });
  await check('text, bytes, pings and fragments stand on the timeline', async () => {
    for (const [what, seen] of [['text', 'text, 13 bytes, masked'], ['binary', 'binary, 7 bytes, masked'], ['empty', 'text, 0 bytes'],
      ['long', 'text, 300 bytes, masked'], ['ping', 'pong, 16 bytes, masked'], ['fragments', 'of a text message']]) {
      await click(page, `[data-do=${what}]`);
      await waitFor(page, '#timeline', seen);
    }
    await waitFor(page, '#timeline', 'onmessage: "one message, in three fragments"');
  });
  await check('a frame of the timeline opens with its bits', async () => {
    await click(page, '#timeline details summary');
    await waitFor(page, '#timeline .inside', 'opcode');
  });
  await check('what a peer says is never a part of the page', async () => {
    await fill(page, '#say-text', '<img src=x onerror=alert(1)>');
    await click(page, '#say button');
    await waitFor(page, '#timeline', '<img src=x');
    assertEqual(await page.$$eval('img', (found) => found.length), 0, 'images');
  });
  for (const [idea, seen] of [['no key', '400'], ['version 8', '426'], ['POST', '405'], ['HTTP/1.0', '505'],
    ['a foreign page', '403'], ['another path', '404'], ['the draft of 2010', '426'], ['no Upgrade', 'A page.'],
    ['as it was', 'It becomes a WebSocket.']]) {
    await check(`a request, ${idea}: ${seen}`, async () => {
      await page.$$eval('#request-ideas button', (all, idea) => all.find((one) => one.textContent === idea).click(), idea);
      await waitFor(page, '#decision', seen);
    });
  }
  await check('the bytes of a frame are judged as they are edited', async () => {
    await fill(page, '#frame-bytes', '81 05 48 65');
    await waitFor(page, '#frame-verdict', 'Broken with 1002');
    await fill(page, '#frame-bytes', '8g');
    await waitFor(page, '#frame-verdict', 'pairs of digits');
    await fill(page, '#frame-bytes', '88 82 00 00 00 00 03 e8');
    await waitFor(page, '#frame-verdict', 'It may be sent');
  });
  for (const broken of await page.$$eval('#breaks button b', (all) => all.map((one) => one.textContent))) {
    await check(`the server sends: ${broken}`, async () => {
      await page.$eval('#outcome', (element) => { delete element.dataset.name; });
      await page.$$eval('#breaks button', (all, broken) => all.find((one) => one.querySelector('b').textContent === broken).click(), broken);
      await page.waitForFunction((broken) => document.getElementById('outcome').dataset.name === broken, {}, broken);
      const code = await page.$eval('#outcome', (element) => element.dataset.code);
      assert((await text(page, '#outcome')).includes('Broken with 100'), 'the rule is not shown');
      // What a browser makes of it is its own affair: it is told, and only a normal end would be wrong.
      assert(code !== '1000', 'the browser says 1000');
      return `, the page hears ${code}`;
    });
  }
  await check('closing, by either end, tells both code and reason', async () => {
    for (const [by, seen] of [['browser', 'onclose: code 4321 "enough", clean'], ['server', 'onclose: code 4322 "enough", clean']]) {
      await click(page, '#reopen');
      await waitFor(page, '#state', 'open');
      await fill(page, '#code', /\d+/.exec(seen)[0]);
      await click(page, `#close [value=${by}]`);
      await waitFor(page, '#timeline', seen);
    }
  });
  await check('two tabs see each other, a slow one is dropped alone', async () => {
    await click(page, '#reopen');
    await waitFor(page, '#state', 'open');
    const other = await open(browser, `http://${recorded}`);
    await waitFor(other, '#state', 'open');
    await waitFor(page, '#tabs', 'tab 2');
    await fill(page, '#all-text', 'is anybody here?');
    await click(page, '#all button');
    await waitFor(other, '#timeline', 'onmessage: "is anybody here?"');
    await click(other, '#slow');
    await waitFor(page, '#tabs', 'tab 2, slow');
    await click(page, '#burst');
    await waitFor(page, '#note', 'Tab 2 reads too slowly');
    await waitFor(other, '#state', 'closed');
    await waitFor(page, '#state', 'open');
    await other.close();
    await page.bringToFront();
  });
  await check('ten pings show ten round trips', async () => {
    await click(page, '#ping-ten');
    await page.waitForFunction(() => document.querySelectorAll('#trips li').length >= 10);
  });
  await check('it can be used with the keyboard alone', async () => {
    await page.evaluate(() => { document.activeElement?.blur(); window.scrollTo(0, 0); });
    const reached = new Set();
    for (let step = 0; step < 250 && !reached.has('request-text'); step += 1) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
    }
    for (const one of ['say-text', 'Send it', 'key', 'Binary', 'code', 'reopen', 'request-text']) assert(reached.has(one), `${one} is not reached`);
    const nameless = await page.$$eval('button, input, select, textarea, a', (all) => all.filter((one) => !(one.textContent.trim()
      || one.getAttribute('aria-label') || one.labels?.length)).map((one) => one.outerHTML));
    assertEqual(nameless.join(), '', 'controls without a name');
  });
  await check('it takes nothing from elsewhere, and does not complain', async () => {
    const foreign = await page.evaluate(() => performance.getEntriesByType('resource').map((one) => one.name)
      .filter((url) => !url.startsWith(location.origin)));
    assertEqual(foreign.filter((url) => url !== 'data:,').join(), '', 'foreign resources');
    // A broken frame is reported on the console by the browser itself.
    assertEqual(page.complaints.filter((one) => !/WebSocket|websocket|connection to ws:/.test(one)).join(), '', 'complaints');
  });
  await browser.close();
  await shots(address);
}

/** Screenshots, in both widths and both colours; nothing may be wider than the screen. */
async function shots(address) {
  for (const dark of [false, true]) {
    const browser = await launch({ dark });
    for (const width of [360, 1440]) {
      await check(`it fits ${width} pixels, ${dark ? 'dark' : 'light'}`, async () => {
        const page = await open(browser, `http://${address}`, dark);
        await page.setViewport({ width, height: width === 360 ? 740 : 900 });
        await waitFor(page, '#xray', 'text, 5 bytes, masked');
        await waitFor(page, '#timeline', 'onmessage');
        await page.$$eval('#breaks button', (all) => all[0].click());
        await waitFor(page, '#outcome', 'Your browser told this page');
        await page.$$eval('#request-ideas button', (all) => all[2].click());
        await waitFor(page, '#decision', '400');
        await click(page, '#reopen');
        await waitFor(page, '#state', 'open');
        await click(page, '#say button');
        await click(page, '[data-do=long]');
        await waitFor(page, '#xray', 'text, 300 bytes');
        assert(await fits(page), 'something is wider than the screen');
        await click(page, '#say button');
        await waitFor(page, '#xray', 'text, 5 bytes');
        assert(await fits(page), 'something is wider than the screen');
        const file = path.join(process.env.SCREENSHOTS, `${name}-${width}-${dark ? 'dark' : 'light'}`);
        await page.screenshot({ path: `${file}.png`, fullPage: true });
        await page.evaluate(() => window.scrollTo(0, 0));
        await page.screenshot({ path: `${file}-first.png` });
        if (process.env.PICTURE && width === 1440 && !dark && name === 'chromium') await picture(page);
        await page.close();
      });
    }
    await browser.close();
  }
}

const fits = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const outside = [...document.querySelectorAll('main *, nav *')].filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1);
  return root.scrollWidth <= root.clientWidth && outside.length === 0;
});

/** The picture of the README. */
async function picture(page) {
  await page.setViewport({ width: 1100, height: 860 });
  await page.screenshot({ path: process.env.PICTURE });
}

/** The playground where browser and server compress. */
async function compressedPlayground() {
  const browser = await launch();
  const page = await open(browser, `http://${await example('playground_deflate')}`);
  const lengths = async () => (await text(page, '#xray .said')).match(/\d+(?= bytes)/g).map(Number);
  await check('an offer to compress is explained, and taken', async () => {
    await waitFor(page, '#request', 'permessage-deflate');
    await waitFor(page, '#request', 'which this server accepts');
    await waitFor(page, '#response', 'the offer is accepted');
    await waitFor(page, '#timeline', 'onopen, with permessage-deflate');
  });
  await check('what is said again takes a few bytes', async () => {
    await click(page, '[data-do=json]');
    await waitFor(page, '#xray', 'Abbey Road');
    const [sent, inflated] = await lengths();
    assert(sent < inflated, `${sent} bytes for ${inflated}`);
    await page.$eval('#xray', (element) => element.replaceChildren());
    await click(page, '[data-do=json]');
    await waitFor(page, '#xray', 'of earlier messages');
    const [again] = await lengths();
    assert(again < sent / 10, `${again} bytes after ${sent}`);
    return `: ${inflated}, ${sent}, ${again}`;
  });
  await check('what says it is compressed, and is not, ends the wire', async () => {
    await page.$$eval('#breaks button', (all) => all.find((one) => one.textContent.startsWith('not compressed')).click());
    await waitFor(page, '#outcome', 'Broken with 1007');
    assert(await page.$eval('#outcome', (element) => element.dataset.code) !== '1000', 'the browser says 1000');
  });
  await check('what is compressed fits 360 and 1440 pixels', async () => {
    await click(page, '#reopen');
    await waitFor(page, '#state', 'open');
    await click(page, '[data-do=json]');
    await waitFor(page, '#xray', 'bytes inflated');
    for (const width of [360, 1440]) {
      await page.setViewport({ width, height: 900 });
      assert(await fits(page), `something is wider than ${width}`);
      await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}-${width}-compressed.png`), fullPage: true });
    }
  });
  await browser.close();
}

/** A page as tutorials have it: a subprotocol, hello when it opens, and what comes is shown. */
const tutorialPage = (url) => `<!doctype html><meta charset=utf-8><title>a tutorial</title><ul id=log></ul><script>
  const say = (line) => { const li = document.createElement('li'); li.textContent = line; log.append(li); };
  const socket = new WebSocket('${url}');
  socket.onopen = () => { say('opened'); socket.send('Hello, Server!'); };
  socket.onmessage = (event) => { say('got ' + event.data); socket.close(1000, 'done'); };
  socket.onerror = () => say('failed');
  socket.onclose = (event) => say('closed ' + event.code + ' ' + event.wasClean);
</script>`;

async function echoAndChat() {
  const echo = await example('04_echo');
  const { address: recorded, records } = await recorder(echo);
  const browser = await launch();
  await check('a tutorial: a page of the echo itself is answered', async () => {
    const page = await open(browser, `http://${echo}`);
    await page.evaluate((html) => { const frame = document.createElement('iframe'); frame.srcdoc = html; document.body.append(frame); },
      tutorialPage(`ws://${echo}`));
    const frame = await page.waitForFrame((one) => one !== page.mainFrame());
    await frame.waitForFunction(() => document.body?.textContent.includes('closed 1000 true'));
    assertEqual(await frame.$eval('#log', (log) => log.textContent), 'openedgot Hello, Server!closed 1000 true', 'the log');
    await page.close();
  });
  await check('a page of a foreign origin is refused with 403', async () => {
    const page = await open(browser, `http://${await pageServer(tutorialPage(`ws://${recorded}`))}`);
    await waitFor(page, '#log', 'closed 1006 false');
    const answer = headOf(records[0].answered).toString();
    assert(answer.startsWith('HTTP/1.1 403 '), answer);
    await page.close();
  });
  await browser.close();

  const chat = await example('06_chat');
  const [one, two] = [await launch(), await launch()];
  await check('two browsers chat, and nothing said becomes markup', async () => {
    const [anna, bert] = [await open(one, `http://${chat}`), await open(two, `http://${chat}`)];
    await waitFor(anna, '#state', 'open');
    await waitFor(bert, '#state', 'open');
    await waitFor(anna, '#said', 'guest 2 comes in').catch(() => waitFor(anna, '#said', 'comes in'));
    await anna.type('input', '<b>Hello</b>');
    await anna.keyboard.press('Enter');
    await waitFor(bert, '#said', ': <b>Hello</b>');
    assertEqual(await bert.$$eval('#said b', (found) => found.length), 0, 'markup');
    await anna.close();
    await waitFor(bert, '#said', 'leaves');
  });
  await Promise.all([one.close(), two.close()]);
}

(async () => {
  try {
    await playground();
    await compressedPlayground();
    await echoAndChat();
    await secure();
    await compressed();
  } catch (error) {
    await check('the whole plan', () => { throw error; });
  }
  stopAll();
  process.exit(end() ? 0 : 1);
})();
