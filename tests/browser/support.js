// What the checks of one browser need: the browser, its pages, and a line of the report for each check.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const puppeteer = require('puppeteer-core');

const name = process.argv[2];
const PATIENCE = 60_000; // Longer than anything may take; it only ends a check that would hang.
const START = 90_000; // As long as a browser may need to start, on a machine that does much else.
const STARTS = 3;
const profiles = [];
let failed = 0;

/** One line of the report. */
async function check(what, doIt) {
  let said = 'ok';
  try {
    what += (await doIt()) ?? '';
  } catch (error) {
    failed += 1;
    said = `FAILED: ${String(error.message).replaceAll('\n', ' ').slice(0, 300)}`;
  }
  console.log(`${name.padEnd(9)} ${what.padEnd(58)} ${said}`);
}

function assert(holds, why) {
  if (!holds) throw new Error(why);
}

function assertEqual(seen, expected, what) {
  assert(seen === expected, `${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(expected)}`);
}

/**
 * A browser with a profile of its own; `root` is the file of a certificate that it trusts, and how: see `trust`. On a
 * busy machine Firefox now and then hangs up on its driver before its first page ("socket hang up"). That says
 * nothing about a page, so such a browser is started anew.
 */
async function launch(wishes = {}) {
  for (let start = 1; ; start += 1) {
    let browser;
    try {
      browser = await launchOnce(wishes);
      await (await browser.newPage()).close();
      return browser;
    } catch (error) {
      await browser?.close().catch(() => {});
      if (start === STARTS) throw new Error(`the browser doesn't start: ${error.message}`);
      console.error(`${name} is started anew: ${error.message}`);
    }
  }
}

async function launchOnce({ dark = false, root }) {
  const userDataDir = fs.mkdtempSync(path.join(os.tmpdir(), 'ws101-browser-'));
  profiles.push(userDataDir);
  if (root) trust(userDataDir, root);
  // Nobody but the pages under test shall be talked to.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
  return puppeteer.launch(name === 'firefox'
    ? { browser: 'firefox', executablePath: '/usr/bin/firefox-esr', userDataDir, timeout: START, extraPrefsFirefox: {
      'layout.css.prefers-color-scheme.content-override': dark ? 0 : 1, 'browser.shell.checkDefaultBrowser': false,
      'app.normandy.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false, 'toolkit.telemetry.enabled': false,
      'services.settings.server': 'http://127.0.0.1:9/', 'network.captive-portal-service.enabled': false,
      'network.connectivity-service.enabled': false, 'browser.safebrowsing.update.enabled': false } }
    // Chromium looks for what one trusts below the home directory.
    : { executablePath: '/usr/bin/chromium', args, userDataDir, timeout: START, env: { ...process.env, HOME: userDataDir } });
}

/** Puts a certificate among those that a profile trusts: as one's own machine has them, in the form of NSS. */
function trust(profile, { file, isOwn }) {
  const folder = name === 'firefox' ? profile : path.join(profile, '.pki', 'nssdb');
  fs.mkdirSync(folder, { recursive: true });
  // C: an authority. P: a server itself, which is how Chromium takes a certificate that may sign no other.
  const how = isOwn && name === 'chromium' ? 'P,,' : 'C,,';
  execFileSync('certutil', ['-d', `sql:${folder}`, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', `sql:${folder}`, '-A', '-n', 'ws101', '-t', how, '-i', file]);
}

/** A page, and all that it complains of. */
async function open(browser, url, dark = false) {
  const page = await browser.newPage();
  page.complaints = [];
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => page.complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') page.complaints.push(message.text());
  });
  if (name === 'chromium') await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  await page.goto(url);
  return page;
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);
const waitFor = (page, selector, expected) => page.waitForFunction(
  (selector, expected) => document.querySelector(selector)?.textContent.includes(expected), { polling: 100 }, selector, expected)
  .catch(async (error) => {
    const seen = await page.$eval(selector, (element) => element.textContent).catch(() => 'nothing');
    throw new Error(`${selector} does not say "${expected}", but "${seen.slice(0, 120)}" (${error.message})`);
  });
const click = (page, selector) => page.$eval(selector, (element) => element.click());
const fill = (page, selector, value) => page.$eval(selector, (element, value) => {
  element.value = value;
  element.dispatchEvent(new Event('input', { bubbles: true }));
}, value);

/** The bytes that a head's place on the page says it was made of. */
const headBytes = (page, id) => page.$eval(id, (element) => element.dataset.bytes);

const headOf = (bytes) => bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4);

/** The last line of the report. True if nothing failed. */
function end() {
  profiles.forEach((profile) => fs.rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }));
  console.log(`${name.padEnd(9)} ${failed === 0 ? 'none failed' : `${failed} failed`}`);
  return failed === 0;
}

module.exports = {
  name, assert, assertEqual, check, click, end, fill, headBytes, headOf, launch, open, text, waitFor,
};
