// The page of the chat on three servers, in two windows of a browser: what one says, both hear in the same order; a
// server is killed, all are restarted, and neither window misses anything; the store is wiped, and both say so.
//
// It starts `examples/many_machines/run` as a reader would, and uses its commands. Each check is one line.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const puppeteer = require('puppeteer-core');

const RUN = path.join(__dirname, '../../examples/many_machines/run');
const PATIENCE = 60_000; // Longer than any step on a page may take; it only ends a check that would hang.
const START = 90_000; // As long as a browser may need to start, on a machine that does much else.
let failed = 0;
let passed = 0;

async function check(what, doIt) {
  try {
    const seen = (await doIt()) ?? '';
    passed += 1;
    console.log(`${what}${seen}: ok`);
  } catch (error) {
    failed += 1;
    console.log(`${what}: FAILED: ${String(error.message).replaceAll('\n', ' ').slice(0, 400)}`);
  }
}

function assert(holds, why) {
  if (!holds) throw new Error(why);
}

/** Five ports in a row that nothing listens on, below those that the system gives to outgoing connections. */
async function freePort() {
  const isFree = (port) => new Promise((resolve) => {
    const server = net.createServer().once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  for (let tries = 0; tries < 100; tries += 1) {
    const first = 10_000 + Math.floor(Math.random() * 20_000);
    const all = await Promise.all([0, 1, 2, 3, 4].map((one) => isFree(first + one)));
    if (all.every(Boolean)) return first;
  }
  throw new Error('no free ports');
}

/** Starts the three servers and all that they need. */
async function startCluster(env) {
  const child = spawn(RUN, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of readline.createInterface({ input: child.stdout })) {
    if (line.startsWith('open http://')) {
      child.stdout.resume();
      return child;
    }
  }
  throw new Error(`${RUN} does not say what to open`);
}

async function open(browser, url) {
  // A window of its own, as another person's.
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.complaints = [];
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => page.complaints.push(error.message));
  await page.goto(url);
  return page;
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const waitFor = (page, selector, expected) => page.waitForFunction(
  (selector, expected) => document.querySelector(selector)?.textContent.includes(expected), { polling: 50 }, selector, expected)
  .catch(async (error) => {
    const seen = await text(page, selector).catch(() => 'nothing');
    throw new Error(`${selector} does not say "${expected}", but "${seen.slice(-200)}" (${error.message})`);
  });
const serverOf = async (page) => {
  await waitFor(page, '#state', 'on server');
  return (await text(page, '#state')).split(' ').at(-1);
};
/** What was said, without what the page noted itself; and the notes. */
const said = (page) => page.$$eval('#said li:not(.note)', (lines) => lines.map((line) => line.textContent));
const notes = (page) => page.$$eval('#said li.note', (lines) => lines.map((line) => line.textContent));
const say = (page, words) => page.$eval('form', (form, words) => {
  form.text.value = words;
  form.requestSubmit();
}, words);

/** Both have the same list, which ends with these words; each of those expected stands in it once. */
async function assertSame(ann, bob, last, expected) {
  await waitFor(ann, '#said', last);
  await waitFor(bob, '#said', last);
  const [one, two] = [await said(ann), await said(bob)];
  assert(JSON.stringify(one) === JSON.stringify(two), `${one.join()} is not ${two.join()}`);
  for (const words of expected) {
    const count = one.filter((line) => line.endsWith(`: ${words}`)).length;
    assert(count === 1, `"${words}" stands there ${count} times`);
  }
}

/** One says a number of things while something happens. */
async function sayDuring(page, prefix, happens) {
  const words = [];
  let over = false;
  const happening = happens().finally(() => { over = true; });
  // It's awaited below; until then its failure isn't an unhandled one, which would end this program.
  happening.catch(() => {});
  while (!over || words.length < 40) {
    words.push(`${prefix} ${words.length}.`);
    await say(page, words.at(-1));
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  await happening;
  return words;
}

async function main() {
  const port = await freePort();
  const env = { ...process.env, CHAT: `127.0.0.1:${port}` };
  const command = (...words) => new Promise((resolve, reject) => {
    spawn(RUN, words, { env, stdio: ['ignore', 'ignore', 'inherit'] }).on('exit', (code) => {
      if (code === 0) resolve(); else reject(new Error(`run ${words.join(' ')} ended with ${code}`));
    });
  });
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'many-machines-'));
  let cluster;
  let browser;
  try {
    cluster = await startCluster(env);
    browser = await puppeteer.launch({
      executablePath: '/usr/bin/chromium', userDataDir: profile, timeout: START, env: { ...process.env, HOME: profile },
      args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync'],
    });
    const url = `http://127.0.0.1:${port}`;
    const ann = await open(browser, url);
    const first = await serverOf(ann);
    let bob = await open(browser, url);
    await check('two windows are on two servers', async () => {
      for (let tries = 0; await serverOf(bob) === first && tries < 10; tries += 1) {
        await bob.close();
        bob = await open(browser, url);
      }
      const second = await serverOf(bob);
      assert(first !== second, `both are on server ${first}`);
      return `, ${first} and ${second}`;
    });
    await check('what one says, both hear, in the same order', async () => {
      await Promise.all([0, 1, 2, 3, 4].flatMap((i) => [say(ann, `ann ${i}.`), say(bob, `bob ${i}.`)]));
      await say(ann, 'that was all.');
      const words = [0, 1, 2, 3, 4].flatMap((i) => [`ann ${i}.`, `bob ${i}.`]);
      await assertSame(ann, bob, 'that was all.', words);
    });
    await check('each is told who is here, on all servers', async () => {
      await waitFor(ann, '#here', 'here, on all servers: 2');
      await waitFor(bob, '#here', 'here, on all servers: 2');
    });
    await check('a window whose name is refused does not say that it comes back', async () => {
      const eve = await open(browser, `${url}/?name=${'e'.repeat(17)}`);
      await waitFor(eve, '#state', 'closed with 1008');
      const state = await text(eve, '#state');
      await eve.close();
      assert(!state.includes('coming back'), state);
    });
    await check('the server of one is killed: it comes back elsewhere and catches up', async () => {
      const killed = await serverOf(ann);
      // She comes back when she has missed something, however long that takes on a busy machine.
      await ann.evaluate(() => {
        const { connect } = window;
        window.connect = () => {
          window.comeBack = () => {
            window.connect = connect;
            connect();
          };
        };
      });
      const words = await sayDuring(bob, 'meanwhile', async () => {
        await command('kill', killed);
        await ann.waitForFunction(() => window.comeBack, { polling: 50 });
        const [missed, heard] = [5, (await said(bob)).length];
        await bob.waitForFunction((count) => document.querySelectorAll('#said li').length >= count, { polling: 50 },
          heard + missed);
        await ann.evaluate(() => window.comeBack());
        await waitFor(ann, '#said', 'nothing is missing');
      });
      await say(bob, 'ann is back.');
      await assertSame(ann, bob, 'ann is back.', words);
      const note = (await notes(ann)).find((one) => one.includes('nothing is missing'));
      assert(Number(/(\d+) caught up/.exec(note)[1]) >= 5, `it missed less than was said: ${note}`);
      assert((await notes(bob)).length === 0, 'the other one was disturbed');
      return `: ${note}`;
    });
    await check('all three are restarted, while both talk: neither misses a word', async () => {
      const [words, others] = await Promise.all([
        sayDuring(bob, 'rolling', () => command('roll')),
        sayDuring(ann, 'on', () => new Promise((resolve) => { setTimeout(resolve, 5000); })),
      ]);
      await waitFor(ann, '#state', 'on server');
      await waitFor(bob, '#state', 'on server');
      await say(ann, 'all are new.');
      await assertSame(ann, bob, 'all are new.', [...words, ...others]);
      const lost = [...await notes(ann), ...await notes(bob)].filter((note) => note.includes('lost'));
      assert(lost.length === 0, lost.join());
      return `, ${words.length + others.length} of them`;
    });
    await check('the store is wiped: both are told, and go on', async () => {
      execFileSync('redis-cli', ['-p', String(port + 4), 'FLUSHALL']);
      await waitFor(ann, '#said', 'what was said in between may be lost');
      await waitFor(bob, '#said', 'what was said in between may be lost');
      await say(bob, 'a new start.');
      await waitFor(ann, '#said', 'a new start.');
    });
    await check('what a member says is no part of the page', async () => {
      await say(ann, '<img src=x onerror=alert(1)>');
      await waitFor(bob, '#said', '<img src=x');
      assert(await bob.$$eval('img', (found) => found.length) === 0, 'an image');
      const complaints = [...ann.complaints, ...bob.complaints];
      assert(complaints.length === 0, complaints.join());
    });
    for (const width of [360, 1100]) {
      await check(`it fits ${width} pixels`, async () => {
        await ann.setViewport({ width, height: 700 });
        const fits = await ann.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
        await ann.screenshot({ path: path.join(process.env.SCREENSHOTS, `chat-${width}.png`) });
        assert(fits, 'something is wider than the screen');
      });
    }
  } catch (error) {
    await check('the whole plan', () => { throw error; });
  }
  await browser?.close();
  if (cluster) {
    const ended = new Promise((resolve) => { cluster.on('exit', resolve); });
    cluster.kill();
    await ended;
  }
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

main();
