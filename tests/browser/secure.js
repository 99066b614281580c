// https and wss: `11_secure` with the certificate that it makes for itself, and with one from an authority of ours. A
// browser that trusts it opens the page and talks; one that does not gets neither.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { assert, assertEqual, check, launch, open, text } = require('./support.js');
const { example } = require('./servers.js');

/** An authority, and a certificate and key for this machine which it has signed: the names of the files. */
function authority(folder) {
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const days = ['-days', '2'];
  fs.writeFileSync(path.join(folder, 'names'),
    'subjectAltName = DNS:localhost, IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\nextendedKeyUsage = serverAuth\n');
  openssl('req', '-x509', ...key, ...days, '-subj', '/CN=an authority of our own', '-keyout', 'root_key', '-out', 'root');
  openssl('req', ...key, '-subj', '/CN=ws101', '-keyout', 'key', '-out', 'request');
  openssl('x509', '-req', '-in', 'request', '-CA', 'root', '-CAkey', 'root_key', '-CAcreateserial', ...days,
    '-extfile', 'names', '-out', 'certificate');
  return ['root', 'certificate', 'key'].map((file) => path.join(folder, file));
}

/** Does what the page says to do on the console, and waits for what then stands there. */
const asThePageSays = (page, code) => page.evaluate((code) => new Promise((resolve) => {
  console.log = (said) => resolve({ said, url: ws.url });
  (0, eval)(code);
  ws.onclose = ({ code }) => resolve({ said: `closed with ${code}` });
}), code);

module.exports = async function secure() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ws101-authority-'));
  try {
    const [root, certificate, key] = authority(folder);
    const address = await example('11_secure');
    // Where it says it has put it.
    const own = path.join(process.env.EXAMPLES, `11_secure.${address.split(':')[1]}.pem`);
    await trusted('its own certificate, as a root', address, { file: own, isOwn: true });
    await trusted('a certificate from an authority', await example('11_secure', certificate, key), { file: root });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
};

async function trusted(what, address, root) {
  const port = address.split(':')[1];
  for (const host of ['localhost', '127.0.0.1']) {
    await check(`${what}, at ${host}: page and wss`, async () => {
      const browser = await launch({ root });
      try {
        const page = await open(browser, `https://${host}:${port}`);
        const { said, url } = await asThePageSays(page, await text(page, 'pre'));
        assertEqual(said, 'hello', 'what came back');
        assertEqual(url, `wss://${host}:${port}/`, 'where from');
      } finally {
        await browser.close();
      }
    });
  }
  await check(`${what}, not trusted: neither`, async () => {
    const browser = await launch();
    try {
      const why = await open(browser, `https://localhost:${port}`).then(() => 'it opened', (error) => error.message);
      assert(/ERR_CERT_AUTHORITY_INVALID|SELF_SIGNED_CERT|UNKNOWN_ISSUER/.test(why), why);
    } finally {
      await browser.close();
    }
  });
}
