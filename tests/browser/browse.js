// One browser uses the playground, the echo and the chat, a server over TLS and one that compresses. `run` says what for.

const fs = require('node:fs');
const path = require('node:path');
const { name, assert, assertEqual, check, click, end, fill, headBytes, headOf, launch, open, text, waitFor } = require('./support.js');
const compressed = require('./compressed.js');
const secure = require('./secure.js');
const { example, liar, program, recorder, pageServer, silent, stopAll } = require('./servers.js');

async function playground() {
  const address = await example('playground');
  const { address: recorded, records } = await recorder(address);
  const browser = await launch();
  const page = await open(browser, `http://${recorded}`);

  await check('it opens a wire and sends its first message', async () => {
    await waitFor(page, '#state', 'open');
    await waitFor(page, '#xray', 'text, 5 bytes, masked');
    await waitFor(page, '#steps', 'what the server answered above');
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
    ['a foreign page', '403'], ['another path', '404'], ['the draft of 2010', '426'], ['no Upgrade', '426 Upgrade Required'],
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
    await waitFor(page, '#frame-verdict', 'pairs of hexadecimal digits');
    await fill(page, '#frame-bytes', '88 82 00 00 00 00 03 e8');
    await waitFor(page, '#frame-verdict', 'It breaks no rule');
    await fill(page, '#frame-bytes', '"GET / HTTP/1.1\\r\\n\\r\\n"');
    await waitFor(page, '#frame-verdict', 'Refused with 400');
  });
  await code(page, browser, recorded);
  await coach(page);
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
    await waitFor(page, '#tabs', 'tab 5');
    await fill(page, '#all-text', 'is anybody here?');
    await click(page, '#all button');
    await waitFor(other, '#timeline', 'onmessage: "is anybody here?"');
    await click(other, '#slow');
    await waitFor(page, '#tabs', 'tab 5, slow');
    await click(page, '#burst');
    await waitFor(page, '#note', 'Tab 5 reads too slowly');
    await waitFor(other, '#state', 'closed');
    await waitFor(page, '#state', 'open');
    await other.close();
    await page.bringToFront();
  });
  await check('a request of more than 4 KiB is decided about whole', async () => {
    const other = await open(browser, `http://${recorded}`);
    await other.evaluate(() => { for (const name of 'ab') document.cookie = `${name}=${'x'.repeat(2500)}`; });
    await other.reload();
    await waitFor(other, '#steps', 'what the server answered above');
    await waitFor(other, '#decision', 'It becomes a WebSocket.');
    await other.evaluate(() => { for (const name of 'ab') document.cookie = `${name}=; max-age=0`; });
    await other.close();
    await page.bringToFront();
  });
  await check('a connection that is closed says so when it is closed again', async () => {
    await click(page, '#close [value=browser]');
    await waitFor(page, '#state', 'closed');
    await click(page, '#close [value=browser]');
    await waitFor(page, '#note', 'This connection is closed.');
    await click(page, '#reopen');
    await waitFor(page, '#state', 'open');
  });
  await check('ten pings show ten round trips', async () => {
    await click(page, '#ping-ten');
    await page.waitForFunction(() => document.querySelectorAll('#trips li').length >= 10);
  });
  await check('it can be used with the keyboard alone', async () => {
    await page.evaluate(() => { window.scrollTo(0, 0); document.querySelector('a.skip').focus(); });
    const reached = new Set();
    for (let step = 0; step < 800 && !reached.has('save'); step += 1) {
      await page.keyboard.press('Tab');
      reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim()));
    }
    for (const one of ['say-text', 'Send it', 'key', 'Binary', 'code', 'reopen', 'request-text', 'coach-address', 'coach-stage', 'coach-start', 'save']) assert(reached.has(one), `${one} is not reached`);
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
  await check('a page that the browser goes back to isn\'t slow', async () => {
    const other = await open(browser, `http://${recorded}`);
    await waitFor(other, '#state', 'open');
    await click(other, '#slow');
    await waitFor(other, '#tabs', 'this one, slow');
    await other.goto('about:blank');
    await other.goBack();
    await waitFor(other, '#state', 'open');
    await other.waitForFunction(() => /this one(?!, slow)/.test(document.getElementById('tabs').textContent));
    assert(!await other.$eval('#slow', (one) => one.checked), 'it says that it is slow');
    await other.close();
  });
  await check('a page that outlives its server says so, and claims nothing more', async () => {
    const { address: last, stop } = await program('playground');
    const other = await open(browser, `http://${last}`);
    await waitFor(other, '#state', 'open');
    stop();
    for (const act of ['#say button', '#reopen', '#breaks button', '#save']) {
      await waitFor(other, '#note', 'Reload to connect again.');
      await click(other, act);
    }
    await waitFor(other, '#note', 'Reload to connect again.');
    assertEqual(await text(other, '#outcome'), '', 'outcome');
    await other.close();
  });
  await browser.close();
  await shots(address);
}

/** Screenshots, in both widths and both colours; nothing may be wider than the screen. */
async function shots(address) {
  for (const dark of [false, true]) {
    const browser = await launch({ dark });
    for (const width of [360, 768, 1440]) {
      await check(`it fits ${width} pixels, ${dark ? 'dark' : 'light'}`, async () => {
        const page = await open(browser, `http://${address}`, dark);
        await page.setViewport({ width, height: width === 360 ? 740 : width === 768 ? 1024 : 900 });
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
        await assertFits(page);
        await click(page, '#say button');
        await waitFor(page, '#xray', 'text, 5 bytes');
        await assertFits(page);
        const file = path.join(process.env.SCREENSHOTS, `${name}-${width}-${dark ? 'dark' : 'light'}`);
        await page.screenshot({ path: `${file}.png`, fullPage: true });
        await page.evaluate(() => window.scrollTo(0, 0));
        await page.screenshot({ path: `${file}-first.png` });
        await click(page, '#xray .to-walk');
        await waitFor(page, '#walk-list', 'becomes');
        await page.$$eval('#walk-list button', (all) => all.find((one) => one.textContent.startsWith('apply')).click());
        await waitFor(page, '#code-where', 'mask.rs');
        await assertFits(page);
        await page.screenshot({ path: `${file}-walk.png` });
        await click(page, '#code-close');
        await fill(page, '#coach-address', await liar());
        await click(page, '#coach-start');
        await page.waitForSelector('#coach-failures .timeline details[open] .head');
        await assertFits(page);
        await page.$eval('#coach', (element) => element.scrollIntoView({ behavior: 'instant' }));
        await page.screenshot({ path: `${file}-coach.png` });
        if (process.env.PICTURE && width === 1440 && !dark && name === 'chromium') await picture(page);
        await page.close();
      });
    }
    await browser.close();
  }
}

/** What is wider than the screen; nothing, if all fits. */
const tooWide = (page) => page.evaluate(() => {
  const root = document.documentElement;
  const all = [...document.querySelectorAll('main *, nav *, .code-panel, .code-panel > *, .code-top *, .walk *')];
  const outside = all.filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1);
  if (outside.length === 0 && root.scrollWidth > root.clientWidth) return 'the page';
  return outside.slice(0, 3).map((one) => one.outerHTML.slice(0, 120)).join(' ');
});
const assertFits = async (page) => assertEqual(await tooWide(page), '', 'wider than the screen');

/** The picture of the README: a byte and its code, side by side. */
async function picture(page) {
  await page.setViewport({ width: 1400, height: 1000 });
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.$eval('#xray [data-code="masked"]', (element) => element.click());
  await waitFor(page, '#code-lines', 'Violation::NotMasked');
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
      await assertFits(page);
      await page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name}-${width}-compressed.png`), fullPage: true });
    }
  });
  await browser.close();
}

/** The code behind each byte: panels, walks, a link to a frame, a conversation that is saved and opened again. */
async function code(page, browser, address) {
  const openCode = (where, id) => page.$eval(`${where} [data-code="${id}"]`, (element) => { element.focus(); element.click(); });
  const verdictOf = async (bytes, from, seen) => {
    await page.bringToFront();
    // Another sender is a verdict of its own, about the bytes that are there: it has to come first.
    if (await page.$eval('#frame-from', (element) => element.value) !== from) {
      await page.$eval('#frame-verdict', (element) => element.replaceChildren());
      await page.select('#frame-from', from);
      await page.waitForFunction(() => document.querySelector('#frame-verdict').childElementCount > 0);
    }
    await page.$eval('#frame-verdict', (element) => element.replaceChildren());
    await fill(page, '#frame-bytes', bytes);
    await waitFor(page, '#frame-verdict', seen);
  };
  for (const [what, bytes, from, seen, id, file, line] of [
    ['takes off the mask', '81 85 37 fa 21 3d 7f 9f 4d 51 58', 'client', '"Hello"', 'mask', 'src/frames/mask.rs', 'let turned = '],
    ['asks for a mask', '81 05 48 65 6c 6c 6f', 'client', 'Broken with 1002', 'masked', 'src/frames/header.rs', 'Violation::NotMasked'],
    ['refuses a length', '81 7e 00 05', 'server', 'Broken with 1002', 'length.least', 'src/frames/header.rs', 'if length < least'],
    ['refuses a code', '88 02 03 ed', 'server', 'Broken with 1002', 'close.code', 'src/frames/close.rs', 'may_be_sent()'],
    ['refuses a byte', '81 02 c3 28', 'server', 'Broken with 1007', 'text.message', 'src/frames/assembler.rs', 'Violation::TextNotUtf8'],
  ]) {
    await check(`the code that ${what}`, async () => {
      await verdictOf(bytes, from, seen);
      await openCode('#frame-verdict', id);
      await waitFor(page, '#code-where', file);
      const marked = await page.$$eval('#code-lines .marked', (lines) => lines.map((one) => one.textContent).join('\n'));
      assert(marked.includes(line), `${marked} does not have ${line}`);
      assert((await text(page, '#code-chapter')).length > 60, 'no chapter');
      assertEqual(await page.evaluate(() => document.activeElement.id), 'code-title', 'focus');
      await page.keyboard.press('Escape');
      assert(await page.$eval('#code-panel', (panel) => panel.hidden), 'Escape does not close it');
      assert(await page.evaluate((id) => document.activeElement.dataset.code === id, id), 'focus does not return');
    });
  }
  await check('the lines that answer a Close are one step away from it, and what is shown stays marked', async () => {
    await verdictOf('88 82 00 00 00 00 03 e8', 'client', '1000');
    await openCode('#frame-verdict', 'close');
    await waitFor(page, '#code-lines', 'answer_close(close.clone())');
    await openCode('#frame-verdict', 'close.code');
    await waitFor(page, '#code-where', 'src/frames/close.rs');
    assertEqual(await page.$$eval('#frame-verdict [data-bit].chosen', (all) => all.length), 2, 'marked bytes');
    await click(page, '#code-close');
    assertEqual(await page.$$eval('.chosen', (all) => all.length), 0, 'marked bytes of a closed panel');
  });
  await check('each field and each line of the handshake has its code', async () => {
    const without = await page.$$eval('#request p, #response p, #xray .values li', (all) => all.filter((one) => !one.querySelector('[data-code]'))
      .map((one) => one.textContent));
    assertEqual(without.join(), '', 'without code');
  });
  for (const [what, bytes, last] of [
    ['a text', '81 85 37 fa 21 3d 7f 9f 4d 51 58', 'recv returns the message'],
    ['a Close', '88 82 00 00 00 00 03 e8', 'recv returns None'],
    ['a ping', '89 82 00 00 00 00 68 69', 'it waits here for the thread'],
    ['a fragment', '01 82 00 00 00 00 68 69', 'no message yet'],
    ['a broken frame', '83 80 00 00 00 00', 'nothing more is read'],
  ]) {
    await check(`${what} is walked through the code`, async () => {
      await verdictOf(bytes, 'client', bytes.startsWith('83') ? 'Broken' : 'MASK');
      await click(page, '#frame-verdict .to-walk');
      const count = Number((await (await page.waitForFunction(() => document.getElementById('walk-says').textContent.match(/^1 of (\d+)/)?.[1])).jsonValue()));
      for (let at = 2; at <= count; at += 1) {
        if (at % 2) await page.keyboard.press('ArrowRight'); else await click(page, '#walk-next');
        await waitFor(page, '#walk-says', `${at} of ${count}.`);
        await page.waitForFunction(() => document.querySelector('#code-lines .marked'));
      }
      await waitFor(page, '#walk-says', last);
      assert(await page.$eval('#walk-next', (one) => one.disabled), 'it goes on');
      await click(page, '#code-close');
      return `, ${count} stations`;
    });
  }
  await check('a ping that finds the lock taken says so on its walk', async () => {
    await click(page, '#contend');
    await waitFor(page, '#contended', 'pong, 8 bytes');
    await page.$$eval('#contended summary', (all) => all.find((one) => one.textContent.includes('ping, 8 bytes')).click());
    await page.waitForSelector('#contended .to-walk');
    await click(page, '#contended .to-walk');
    await waitFor(page, '#walk-list', 'the writing thread had the lock');
    await waitFor(page, '#walk-list', 'the pong waited here');
    await click(page, '#code-close');
  });
  await check('a request is walked to its 101', async () => {
    await page.$$eval('#request-ideas button', (all) => all[0].click());
    await waitFor(page, '#decision', 'It becomes a WebSocket.');
    await click(page, '#decision .to-walk');
    await waitFor(page, '#walk-list', 'Agreement::response');
    await click(page, '#code-close');
  });
  await check('a link to a frame opens it', async () => {
    const other = await open(browser, `http://${address}/#81%2005%2048%2065%206c%206c%206f`);
    await waitFor(other, '#frame-verdict', '"Hello"');
    assertEqual(await other.$eval('#frame-from', (one) => one.value), 'server', 'sender');
    await fill(other, '#frame-bytes', '8a 00');
    await click(other, '#frame-link');
    await waitFor(other, '#frame-verdict', 'pong');
    assertEqual(await other.evaluate(() => decodeURIComponent(location.hash)), '#8a 00', 'hash');
    // A mask bit that breaks the rule doesn't say who sends the frame.
    await other.select('#frame-from', 'client');
    await waitFor(other, '#frame-verdict', 'Broken with 1002');
    await other.$eval('#frame-verdict', (element) => element.replaceChildren());
    await click(other, '#frame-link');
    await waitFor(other, '#frame-verdict', 'Broken with 1002');
    assertEqual(await other.$eval('#frame-from', (one) => one.value), 'client', 'sender');
    // A link opens the same bytes, however many they are; text that isn't digits has none.
    await fill(other, '#frame-bytes', `81 fe 03 e8 00 00 00 00${' 41'.repeat(1000)}`);
    const long = await open(browser, await other.$eval('#frame-link', (one) => one.href));
    await waitFor(long, '#frame-verdict', 'It breaks no rule');
    await long.close();
    await fill(other, '#frame-bytes', '"Hello"');
    assert(await other.$eval('#frame-linked', (one) => one.hidden), 'a link to a text');
    await other.close();
    const colons = await open(browser, `http://${address}/#81:02:6f:6b`);
    await waitFor(colons, '#frame-verdict', '"ok"');
    await colons.close();
    await page.bringToFront();
  });
  await check('a conversation is saved, and opened again', async () => {
    await page.evaluate(() => {
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => { blob.text().then((all) => { window.saved = all; }); return make.call(URL, blob); };
    });
    await click(page, '#save');
    const saved = await (await page.waitForFunction(() => window.saved)).jsonValue();
    assert(saved.includes('client "GET /wire?ticket='), saved);
    await page.$eval('#open', (input, saved) => {
      const files = new DataTransfer();
      files.items.add(new File([saved], 'conversation.txt', { type: 'text/plain' }));
      input.files = files.files;
      input.dispatchEvent(new Event('change'));
    }, saved);
    await waitFor(page, '#opened-list', 'a request for a WebSocket');
    await waitFor(page, '#opened-list', 'text, 5 bytes, masked');
    await page.$$eval('#opened-list summary', (all) => all[2].click());
    await waitFor(page, '#opened-list .inside', 'opcode');
    // A file that isn't text doesn't cost the page its lens.
    await page.$eval('#open', (input) => {
      const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(150_000).fill(0xff)], 'image.png'));
      input.files = files.files;
      input.dispatchEvent(new Event('change'));
    });
    await waitFor(page, '#note', 'not text');
  });
}

/** The coach in the page: a good server, one that lies, one that isn't on this machine. */
async function coach(page) {
  const run = async (address, plan) => {
    await fill(page, '#coach-address', address);
    await page.select('#coach-stage', plan);
    await page.$eval('#coach-says', (element) => element.replaceChildren());
    await page.$eval('#coach-start', (button) => { button.focus(); button.click(); });
  };
  const ends = () => page.waitForFunction(() => /passed|Not coached/.test(document.getElementById('coach-says').textContent), { timeout: 120_000, polling: 100 });
  const states = () => page.$$eval('#coach-stages li', (all) => all.map((one) => one.dataset.state));
  await check('the coach finds no fault in the echo, stage by stage', async () => {
    await run(`ws://${await example('04_echo')}`, 'all');
    await page.waitForSelector('#coach-stages [data-state=held]');
    await ends();
    const [says, seen] = [await text(page, '#coach-says'), await states()];
    assert(says.startsWith('Each MUST holds.') && says.includes(', 0 failed'), `${says} ${await text(page, '#coach-failures')}`);
    assert(seen.length === 14 && seen.every((state) => state === 'held' || state === 'skipped'), seen.join());
    assert(seen.filter((state) => state === 'held').length >= 13, seen.join());
    assert(await page.$eval('#coach-failures', (list) => list.hidden), 'there are failures');
    assertEqual(await page.evaluate(() => document.activeElement.id), 'coach-start', 'focus');
  });
  await check('a failure opens as the coach tells it, with its bytes and their code', async () => {
    await run(await liar(), 'all');
    await ends();
    assert((await states()).includes('failed'), 'no stage has failed');
    const first = '#coach-failures li:first-child > details[open]';
    await page.waitForSelector(`${first} .lesson`);
    const told = await text(page, `${first} .lesson`);
    for (const part of ['sent', 'expected', 'seen', 'rule', 'usual cause', 'fix', 'course/', "'ws://127.0.0.1:"]) assert(told.includes(part), `no ${part} in ${told}`);
    // Each failure's bytes open their code, like those of the wire.
    await page.waitForSelector(`${first} .timeline details[open] [data-code]`);
    await page.$eval(`${first} .timeline details[open] [data-code]`, (button) => button.click());
    await page.waitForFunction(() => document.querySelector('#code-lines .marked'));
    await click(page, '#code-close');
    assertEqual(await page.$$eval('img, #coach b > b, #coach script', (found) => found.length), 0, 'markup of the server');
    return `, ${(await page.$$('#coach-failures > li')).length} of them`;
  });
  await check('each failure of the coach opens, and marks what it looked at', async () => {
    await page.$$eval('#coach-failures > li > details', (all) => all.forEach((one) => { one.open = true; }));
    await page.waitForFunction(() => [...document.querySelectorAll('#coach-failures > li')].every((one) => one.querySelector('.lesson')));
    await page.waitForSelector('#coach-failures .looked');
  });
  await check('the coach leaves other machines alone', async () => {
    await run('ws://192.0.2.1/', 'all');
    await waitFor(page, '#coach-says', "isn't a loopback address");
    await run('wss://127.0.0.1/', 'all');
    await waitFor(page, '#coach-says', 'coaches ws:// only');
  });
  await check('a run is stopped', async () => {
    await run(await silent(), 'all');
    await waitFor(page, '#coach-says', 'measures how fast');
    await click(page, '#coach-stop');
    await waitFor(page, '#coach-says', 'You stopped the run.');
    assert(await page.$eval('#coach-stop', (button) => button.disabled), 'it can be stopped twice');
  });
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
  await check("the course's page says what isn't an address, and claims no Close that it didn't send", async () => {
    const html = fs.readFileSync(path.join(__dirname, '../../examples/course/page.html'), 'utf8');
    const page = await open(one, `http://${await pageServer(html)}/?url=ws://${await pageServer('')}`);
    await waitFor(page, '#log', 'closed: 1006');
    await fill(page, '[name=url]', 'localhost:9001');
    await click(page, '#dial button');
    await waitFor(page, '#log', 'is no address');
    await click(page, '[data-try=close]');
    await waitFor(page, '#log', 'not connected');
    assert(!(await text(page, '#log')).includes('sent: Close'), 'a Close is claimed');
    await page.close();
  });
  await check('a chat whose server has ended keeps what is typed', async () => {
    const { address, stop } = await program('06_chat');
    const page = await open(one, `http://${address}`);
    await waitFor(page, '#state', 'open');
    stop();
    await waitFor(page, '#state', 'closed');
    await page.type('input', 'not said yet');
    await page.keyboard.press('Enter');
    assertEqual(await page.$eval('input', (input) => input.value), 'not said yet', 'the typed text');
    await page.close();
  });
  await check('rooms whose server has forgotten a visitor say how to log in', async () => {
    const page = await open(one, `http://${await example('08_rooms')}`);
    await page.type('input', 'ann');
    await page.keyboard.press('Enter');
    await waitFor(page, '#said', 'ann: hello');
    await page.deleteCookie({ name: 'visitor' });
    await click(page, '[data-room=garden]');
    await waitFor(page, '#state', 'reload to log in again');
    await page.reload();
    await waitFor(page, 'h1', 'Who are you?');
    await page.close();
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
