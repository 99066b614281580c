// The page of the playground. It draws what the server's `explain` says, and decides nothing itself.
// Everything that came over a connection is shown as text and never becomes part of the page.
'use strict';

const $ = id => document.getElementById(id);
const address = path => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`;

/** An element: its class, and what is in it. Strings become text. */
function make(tag, className = '', ...inside) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

const pairs = hex => hex.match(/../g) ?? [];
const spaced = hex => pairs(hex).join(' ');

// ---- the lens: the server's events, and the page's questions ----

let lens, wire, me, asked = '', keySteps;
let pings = new Map(), broken = null;

function openLens() {
  lens = new WebSocket(address('/lens'), 'lens.ws101');
  lens.onmessage = event => {
    const told = JSON.parse(event.data);
    ({ you, wire: onWire, key: drawSteps, decision: drawDecision, verdict: drawVerdict, tabs: drawTabs,
       note: told => note(told.text), code: gotCode, saved: download, opened: drawOpened,
       contended: drawContended, coach: onCoach, failure: drawFailure })[told.about]?.(told);
  };
  lens.onclose = () => note();
}

/** Without its lens, the page hears of no byte. Even a server that has been started again doesn't know this page. */
const isGone = () => lens.readyState > WebSocket.OPEN;

function ask(question, body = '') {
  if (lens.readyState === WebSocket.OPEN) lens.send(`${question}\n${body}`);
  else if (isGone()) note();
}

function you(told) {
  me = told;
  $('breaks').replaceChildren(...told.breaks.map(card));
  const ideas = [['a good one', 'client', '818537fa213d7f9f4d5158'], ['no mask', 'client', '810548656c6c6f'],
    ['half a frame', 'client', '818537fa213d7f9f'], ...(told.compresses ? [['compressed', 'server', 'c107f248cdc9c90700']] : []), ...told.breaks.map(b => [b.name, 'server', b.bytes])];
  $('frame-ideas').replaceChildren(...ideas.map(([name, from, bytes]) => button(name, () => {
    $('frame-from').value = from;
    $('frame-bytes').value = spaced(bytes);
    askVerdict();
  })));
  $('uncompressed').hidden = told.compresses;
  if (!told.coaches) noCoach();
  if (!openLink()) askVerdict();
  openWire(true);
}

function button(name, onclick) {
  const it = make('button', '', ...(name ? [name] : []));
  it.type = 'button';
  it.onclick = onclick;
  return it;
}

let hiding;
function note(text) {
  clearTimeout(hiding);
  $('note').textContent = isGone() ? 'The server has ended, or has dropped this page. Reload to connect again.' : text;
  $('note').hidden = false;
  if (!isGone()) hiding = setTimeout(() => { $('note').hidden = true; }, 8000);
}

// ---- the wire: the connection that the page shows ----

function openWire(first = false) {
  if (isGone()) return note();
  if (!me) return;
  wire?.close();
  const opened = wire = new WebSocket(address(`/wire?ticket=${me.ticket}`));
  opened.binaryType = 'arraybuffer';
  state('connecting', '');
  opened.onopen = () => {
    state('open', 'open');
    script(`onopen${opened.extensions && `, with ${opened.extensions}`}`);
    $('compressed').hidden = !opened.extensions;
    if (first) opened.send($('say-text').value);
  };
  opened.onmessage = event => {
    const text = typeof event.data === 'string';
    script(`onmessage: ${text ? `"${event.data.slice(0, 60)}"` : `${event.data.byteLength} bytes`}`);
  };
  opened.onerror = () => script('onerror, without a reason');
  opened.onclose = event => {
    script(`onclose: code ${event.code}${event.reason && ` "${event.reason}"`}, ${event.wasClean ? 'clean' : 'not clean'}`);
    if (opened === wire) state(`closed with ${event.code}`, 'closed');
    if (broken && opened === broken.wire) outcome(event);
  };
}

function state(text, className) {
  $('state').textContent = text;
  $('state').className = `state ${className}`;
}

function isOpen() {
  if (wire?.readyState === WebSocket.OPEN) return true;
  note('This connection is closed. "Open a new wire" opens another.');
  return false;
}

function send(data) {
  if (isOpen()) wire.send(data);
}

function onWire({ at, annotation }) {
  if (annotation.what === 'request') drawRequest(annotation);
  else if (annotation.what === 'response') drawResponse(annotation);
  else if (annotation.what === 'frame') onFrame(at, annotation);
  add(listed(annotation, milliseconds(at)));
}

/** A line of a timeline, which opens. What isn't open isn't drawn. */
function listed(annotation, time) {
  const details = make('details'), summary = make('summary');
  const arrow = annotation.from === 'client' ? make('b', 'up', '↑') : make('b', 'down', '↓');
  arrow.setAttribute('role', 'img');
  arrow.setAttribute('aria-label', annotation.from === 'client' ? 'from the client' : 'from the server');
  const line = make('span', annotation.verdict.kind === 'fine' ? '' : 'wrong', annotation.title, ' ', make('q', '', preview(annotation)));
  summary.append(arrow, make('time', '', time), line);
  details.append(summary);
  details.ontoggle = () => {
    if (details.open && details.children.length === 1) details.append(make('div', 'inside', ...drawing(annotation)));
  };
  return make('li', '', details);
}

const milliseconds = at => `${(at / 1000).toFixed(1)} ms`;

function preview(annotation) {
  const payload = annotation.spans.findLast(span => /^(payload|reason|code)$/.test(span.field) && span.to - span.from >= 8);
  return payload && annotation.what === 'frame' ? `${payload.value.slice(0, 48)}` : '';
}

/** What the script of this page sees: all that a page ever sees of a WebSocket. */
function script(text) {
  add(make('li', '', make('div', 'plain', make('b', 'here', '●'), make('time', '', 'script'), make('span', '', text))));
}

function add(item) {
  const timeline = $('timeline');
  timeline.prepend(item);
  if (timeline.children.length > 100) timeline.lastChild.remove();
}

function onFrame(at, annotation) {
  const opcode = annotation.spans.find(span => span.field === 'opcode')?.meaning.split(':')[0];
  if (annotation.from === 'client' && opcode !== 'pong') $('xray').replaceChildren(...drawing(annotation));
  if (annotation.from === 'server' && opcode === 'ping') pings.set(annotation.payload, at);
  if (annotation.from === 'client' && opcode === 'pong' && pings.has(annotation.payload)) {
    drawTrip((at - pings.get(annotation.payload)) / 1000);
    pings.delete(annotation.payload);
  }
  if (broken && annotation.from === 'client' && opcode === 'close') broken.answered = annotation;
  if (broken && annotation.from === 'server' && annotation.verdict.kind === 'broken') broken.annotation = annotation;
}

// ---- drawing an annotation ----

const hue = field => ({ FIN: 'fin', RSV1: 'rsv', 'RSV2-3': 'rsv', opcode: 'opcode', MASK: 'mask', length: 'length',
  'long length': 'length', 'mask key': 'key', codes: 'block', table: 'block', padding: 'block', unknown: 'block', BTYPE: 'block',
  BFINAL: 'block', 'bad byte': 'bad', incomplete: 'bad', unread: 'rsv' })[field] ?? 'payload';

function drawing(annotation) {
  const parts = [];
  if (annotation.verdict.kind !== 'fine') parts.push(lesson(annotation.verdict));
  if (annotation.what !== 'frame') return [...parts, ...walkButton(annotation), headLines(annotation)];
  const who = annotation.from === 'client' ? 'The client sent' : 'The server sent';
  const below = annotation.payload && annotation.spans.some(span => span.field === 'mask key')
    ? [make('p', 'quiet', 'The bytes as they were sent; under each byte of the payload, its unmasked value.')] : [];
  return [make('p', 'said', `${who} `, make('b', '', annotation.title)), strip(annotation), ...below, ...squeezed(annotation), ...parts, ...walkButton(annotation), values(annotation)];
}

/** What compression did: two bars, and what came out. */
function squeezed({ inflated, length, spans }) {
  if (!inflated) return [];
  const header = spans.findLast(span => /^(length|long length|mask key)$/.test(span.field));
  const sent = length - header.to / 8;
  const most = Math.max(sent, inflated.length, 1);
  const bar = (name, count) => {
    const it = make('i');
    it.style.width = `${Math.max(1, count / most * 100)}%`;
    return make('p', '', make('span', '', `${name}: ${count} bytes`), it);
  };
  return [make('div', 'squeezed', bar('As sent', sent), bar('Inflated', inflated.length))];
}

/** The header bit by bit, then the bytes as they were sent, and below them unmasked. */
function strip(annotation) {
  const bytes = pairs(annotation.bytes), payload = pairs(annotation.payload), row = make('div', 'strip');
  const first = annotation.spans.filter(span => span.to - span.from < 8);
  row.setAttribute('role', 'img');
  row.setAttribute('aria-label', `Bytes: ${bytes.slice(0, 64).join(' ')}`);
  for (let byte = 0; byte < Math.min(2, bytes.length); byte++) {
    const group = make('span', 'bits');
    for (let bit = 0; bit < 8; bit++) {
      const at = byte * 8 + bit, span = first.find(span => span.from <= at && at < span.to);
      const cell = make('i', `f-${hue(span?.field)}`, String(parseInt(bytes[byte], 16) >> (7 - bit) & 1), make('small', '', initial(span, at)));
      cell.dataset.bit = at;
      group.append(cell);
    }
    row.append(group);
  }
  const start = bytes.length - payload.length, shown = 64;
  bytes.slice(0, shown).forEach((byte, index) => {
    if (index < 2 && first.length) return;
    const span = annotation.spans.findIndex(span => span.from <= index * 8 && index * 8 < span.to);
    const cell = make('span', `cell f-${hue(annotation.spans[span]?.field)}`, byte);
    const plain = payload[index - start];
    if (index >= start) cell.append(make('small', '', !annotation.inflated ? character(plain) : plain === byte ? '\u00a0' : plain));
    else cell.append(make('small', '', hue(annotation.spans[span]?.field)));
    cell.dataset.bit = index * 8;
    row.append(cell);
  });
  if (annotation.length > shown) row.append(make('span', 'cell', '…', make('small', '', `${annotation.length} in all`)));
  return row;
}

const initial = (span, at) => span && span.from === at
  ? ({ FIN: 'F', RSV1: 'R', 'RSV2-3': 'R', opcode: 'op', MASK: 'M', length: 'len' })[span.field] : '\u00a0';

function character(byte) {
  const code = parseInt(byte, 16);
  return code > 0x20 && code < 0x7f ? String.fromCharCode(code) : code === 0x20 ? '␣' : byte;
}

function values(annotation) {
  const list = make('ul', 'values');
  annotation.spans.forEach((span, at) => {
    const looked = annotation.looked?.includes(at) ? [make('b', 'looked', 'The check looks here. ')] : [];
    const item = make('li', span.value.length > 60 ? 'long' : '', codeButton(span.field, `name f-${hue(span.field)}`, span.code), make('span', 'value', span.value),
      make('span', 'meaning', ...looked, span.meaning), make('span', 'section', span.section));
    const isOf = ({ dataset: { bit } }) => span.from < +bit + (bit < 16 ? 1 : 8) && +bit < span.to;
    const cells = () => [...item.closest('.xray, .inside, .frame')?.querySelectorAll('[data-bit]') ?? []].filter(isOf);
    const light = on => () => cells().forEach(cell => cell.classList.toggle('lit', on));
    // While its code is shown, a field and its bits stay marked.
    item.choose = () => [item, ...cells()].forEach(one => one.classList.add('chosen'));
    item.onmouseenter = light(true);
    item.addEventListener('focusin', light(true));
    item.addEventListener('focusout', light(false));
    item.onmouseleave = light(false);
    list.append(item);
  });
  return list;
}

function lesson(verdict) {
  const box = make('div', 'lesson');
  if (verdict.kind === 'missing') box.append(make('p', '', make('b', '', 'Incomplete. '), `Missing: ${verdict.missing}.`));
  else {
    const title = { refused: 'Refused', rejected: 'Not accepted', broken: 'Broken' }[verdict.kind];
    box.append(make('p', '', make('b', '', `${title}${verdict.code ? ` with ${verdict.code}` : ''}. `), verdict.rule));
    const parts = [['seen', verdict.seen], ['usual cause', verdict.cause], ['fix', verdict.fix]].filter(part => part[1]);
    box.append(make('dl', '', ...parts.flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)])));
    if (verdict.place) box.append(codeButton('The lines that decided this', 'decided', verdict.place));
  }
  return box;
}

function headLines(annotation) {
  const box = make('div', 'head');
  for (const [at, span] of annotation.spans.entries()) {
    const looked = annotation.looked?.includes(at) ? [make('b', 'looked', 'The check looks here. ')] : [];
    const plain = ['request line', 'status line', 'first line', 'end of head', 'body', 'unread', 'incomplete', 'no header', 'empty line'].includes(span.field);
    const line = make('p');
    const mark = { extension: ', ', parameter: '; ' }[span.field];
    if (mark) line.className = 'part';
    line.append(...(plain ? [make('b', '', span.value)] : [make('b', '', mark ?? `${span.field}: `), span.value]));
    line.append(make('span', '', ...looked, `${span.meaning} `, codeButton(span.section, 'section', span.code, `The code behind ${span.field}`)));
    box.append(line);
  }
  return box;
}

// ---- 1: the handshake ----

const text = hex => new TextDecoder().decode(Uint8Array.from(pairs(hex), byte => parseInt(byte, 16)));

function drawHead(where, annotation) {
  where.replaceChildren(...(annotation.verdict.kind === 'fine' ? [] : [lesson(annotation.verdict)]), ...headLines(annotation).children);
  where.dataset.bytes = annotation.bytes;
}

/** The text of a request. A long one's bytes are cut, so its text is made of its fields, whose values may be cut. */
function requestText({ bytes, length, spans }) {
  if (bytes.length === 2 * length) return text(bytes).replaceAll('\r\n', '\n');
  const before = { 'request line': '', extension: ', ', parameter: '; ' };
  return spans.map(({ field, value }) => field === 'end of head' ? '\n\n' : `${before[field] ?? `\n${field}: `}${value}`).join('');
}

function drawRequest(annotation) {
  drawHead($('request'), annotation);
  const first = !asked;
  asked = requestText(annotation);
  $('key').value = /^sec-websocket-key: *(.*)$/im.exec(asked)?.[1] ?? '';
  ask('key', $('key').value);
  if (first) {
    $('request-text').value = asked;
    askDecision();
  }
}

/** The steps of the key are drawn again, because the answer about the key may have come before this head. */
function drawResponse(annotation) {
  drawHead($('response'), annotation);
  if (keySteps) drawSteps(keySteps);
}

$('key').oninput = () => ask('key', $('key').value);

function drawSteps(told) {
  keySteps = told;
  const sent = /sec-websocket-accept: *(\S+)/i.exec(text($('response').dataset.bytes ?? ''))?.[1];
  const step = (value, says, className = '') => make('li', className, value, make('span', '', says));
  const items = [
    told.bytes ? step(spaced(told.bytes), 'the key, decoded from base64: 16 random bytes, so that no cache has the answer')
      : step(told.key || '(empty)', `this isn't a key, but ${told.wrong}. A server refuses it. The other steps are shown for comparison.`, 'bad'),
    step(`${told.key}${told.guid}`, 'the key as sent, and after it a text that only WebSocket servers append'),
    step(spaced(told.hash), 'SHA-1 of that: 20 bytes'),
    step(told.accept, told.accept === sent ? 'in base64: what the server answered above' : 'in base64: the accept for this key', told.accept === sent ? 'good' : ''),
    step(told.wrongAccept, `with a typo in the GUID (${told.wrongGuid}): the browser would close the connection and report only "1006" to the page`, 'bad'),
  ];
  $('steps').replaceChildren(...items);
}

// ---- 2: frames ----

$('say').onsubmit = event => {
  event.preventDefault();
  send($('say-text').value);
};

const actions = {
  text: () => send('Grüße, 🦀'),
  binary: () => send(new Uint8Array([0, 1, 2, 3, 253, 254, 255])),
  empty: () => send(''),
  long: () => send('0123456789'.repeat(30)),
  json: () => send(JSON.stringify(stations)),
  ping: () => ask('ping', `are you there? ${++pingCount}`),
  fragments: () => ask('fragments', 'one message, in three fragments'),
};
for (const it of document.querySelectorAll('[data-do]')) it.onclick = actions[it.dataset.do];
let pingCount = 0;
const stations = ['Abbey Road', 'Bank', 'Canary Wharf', 'Deptford Bridge', 'East India', 'Gallions Reach']
  .map((name, i) => ({ id: 9400 + i * 37, name, latitude: 51.5 + i / 100, longitude: -0.02 - i / 89, stepFree: i % 3 === 0, line: 'docklands' }));

$('close').onsubmit = event => {
  event.preventDefault();
  const code = Number($('code').value), reason = $('reason').value;
  if (!isOpen()) return;
  if (event.submitter?.value === 'server') return ask(`close ${code}`, reason);
  try {
    wire.close(code, reason);
  } catch (error) {
    const rule = error.name === 'SyntaxError' ? 'a reason has at most 123 bytes' : 'a page may close only with 1000 or 3000 to 4999';
    script(`close(${code}) threw ${error.name}: ${rule}`);
  }
};
$('reopen').onclick = () => openWire();

// ---- 3: break it ----

const edit = (pattern, to) => () => asked.replace(pattern, to);
const ideas = {
  'as it was': () => asked,
  'no key': edit(/^sec-websocket-key:.*\n/im, ''),
  'a short key': edit(/^(sec-websocket-key:).*$/im, '$1 c2hvcnQ='),
  'version 8': edit(/^(sec-websocket-version:).*$/im, '$1 8'),
  'POST': edit(/^GET/, 'POST'),
  'HTTP/1.0': edit(/HTTP\/1\.1/, 'HTTP/1.0'),
  'a foreign page': edit(/^(origin:).*$/im, '$1 https://evil.example'),
  'no Upgrade': edit(/^upgrade:.*\n/im, ''),
  'a proxy changed Connection': edit(/^(connection:).*$/im, '$1 close'),
  'no Host': edit(/^host:.*\n/im, ''),
  'another path': edit(/ \/wire\S*/, ' /nowhere'),
  'the draft of 2010': edit(/^sec-websocket-(key|version):.*\n/gim, (all, name) => name.toLowerCase() === 'key' ? 'Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\n' : ''),
  'a space before the colon': edit(/^host:/im, 'Host :'),
};
$('request-ideas').replaceChildren(...Object.entries(ideas).map(([name, idea]) => button(name, () => {
  $('request-text').value = idea();
  askDecision();
})));
$('request-text').oninput = askDecision;

function askDecision() {
  ask('decide', $('request-text').value.replaceAll('\n', '\r\n'));
}

function drawDecision(told) {
  const [request] = told.annotations;
  if (!request) return $('decision').replaceChildren(make('p', 'quiet', 'An empty request: the server would wait, at most 10 seconds.'));
  const parts = [];
  if (request.verdict.kind === 'fine') {
    const line = told.answer[0]?.spans[0]?.value ?? '';
    const becomes = line.includes(' 101 ') ? 'It becomes a WebSocket. ' : line.includes(' 200 ') ? 'A page. ' : 'No WebSocket. ';
    const good = make('div', 'lesson good', make('p', '', make('b', '', becomes),
      line.includes(' 101 ') ? 'It keeps every rule.' : 'It asks for no upgrade, so the server answers with plain HTTP.'));
    parts.push(good);
  } else parts.push(lesson(request.verdict));
  if (told.answer[0]) {
    const details = make('details', '', make('summary', '', `The response would be: ${told.answer[0].spans[0].value}`), headLines(told.answer[0]));
    parts.push(details);
  }
  parts.push(make('details', '', make('summary', '', 'The request, line by line'), headLines(request)), ...walkButton(request));
  $('decision').replaceChildren(...parts);
}

$('frame-bytes').oninput = askVerdict;
$('frame-from').onchange = askVerdict;

/** Who sends these bytes, as their mask bit says it. */
const senderOf = digits => parseInt(digits.slice(2, 4), 16) & 0x80 ? 'client' : 'server';
const withoutSpaces = digits => digits.replace(/[\s+:]/g, '');

function askVerdict() {
  const from = $('frame-from').value, bytes = $('frame-bytes').value;
  ask(`frames ${from}`, bytes);
  const shown = bytes.trim().replace(/\s+/g, ' ').toLowerCase(), digits = withoutSpaces(shown);
  $('frame-linked').hidden = !/^([0-9a-f]{2})+$/.test(digits);
  $('frame-link').href = `#${from === senderOf(digits) ? '' : `${from} `}${shown}`;
}

/** A link to a frame: `#81 85 37 ..`. It names the sender only if the mask bit doesn't say who that is: `#client 81 05 ..`. */
function openLink() {
  let link = '';
  try {
    link = withoutSpaces(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return false;
  }
  const [, from, digits] = /^(client|server)?((?:[0-9a-f]{2})+)$/i.exec(link) ?? [];
  if (!digits) return false;
  $('frame-bytes').value = spaced(digits);
  $('frame-from').value = from ?? senderOf(digits);
  askVerdict();
  $('frame').scrollIntoView();
  return true;
}
addEventListener('hashchange', openLink);

function drawVerdict(told) {
  if (told.wrong) return $('frame-verdict').replaceChildren(make('p', 'quiet', told.wrong));
  const good = () => make('div', 'lesson good', make('p', '', make('b', '', 'Fine. '), 'It breaks no rule.'));
  $('frame-verdict').replaceChildren(...told.annotations.map(annotation => make('div', 'inside',
    make('p', 'said', make('b', '', annotation.title)), strip(annotation),
    annotation.verdict.kind !== 'fine' ? lesson(annotation.verdict) : annotation.what === 'frame' ? good() : '',
    ...walkButton(annotation), values(annotation))));
}

function card({ name, story, bytes }) {
  const digits = spaced(bytes);
  const it = button('', () => {
    // On a new connection: after an error, the browser reads nothing more.
    openWire();
    if (isGone()) return;
    wire.addEventListener('open', () => {
      const of = broken = { name, wire, answered: null, annotation: null };
      $('outcome').replaceChildren(make('p', 'quiet', 'Sent. Waiting for your browser.'));
      ask(`break ${name}`);
      setTimeout(() => { if (broken === of) outcome(null); }, 1500);
    }, { once: true });
  });
  it.append(make('b', '', name), make('span', '', story), make('code', '', digits.length > 33 ? `${digits.slice(0, 33)}…` : digits));
  return it;
}

/** The script hears of the end at once; what the lens reports may come a moment later. */
function outcome(event, of = broken, patience = 20) {
  setTimeout(() => {
    if (!of.annotation && patience > 0) return outcome(event, of, patience - 1);
    if (broken !== of) return;
    broken = null;
    const said = of.answered
      ? `a Close frame with ${of.answered.spans.find(span => span.field === 'code')?.value ?? 'no code'}`
      : 'nothing: it ended the connection';
    const told = event ? `code ${event.code}${event.reason && ` "${event.reason}"`}, ${event.wasClean ? 'clean' : 'not clean'}`
      : 'nothing: it accepted the frame, although the rule says that the connection fails';
    const rows = [['The server sent', of.name], ['Your browser put on the wire', event || of.answered ? said : 'nothing'],
      ['Your browser told this page', told]];
    const parts = [make('dl', '', ...rows.flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)]))];
    if (of.annotation) parts.push(make('p', 'quiet', 'The rule, as ws101 puts it:'), lesson(of.annotation.verdict));
    $('outcome').replaceChildren(...parts);
    $('outcome').dataset.code = event?.code ?? 'none';
    $('outcome').dataset.name = of.name;
  }, 150);
}

// ---- 4: watch it ----

function drawTabs(told) {
  $('tabs').replaceChildren(...told.tabs.map(tab => make('li', `${tab.number === me?.number ? 'me' : ''} ${tab.open ? '' : 'off'}`,
    `tab ${tab.number}${tab.number === me?.number ? ', this one' : ''}${tab.pause ? ', slow' : ''}${tab.open ? '' : ', wire closed'}`)));
}

$('all').onsubmit = event => {
  event.preventDefault();
  ask('say 1', $('all-text').value);
};
$('burst').onclick = () => ask('say 100', $('all-text').value);
$('slow').onchange = () => ask(`pace ${$('slow').checked ? 1000 : 0}`);
$('ping-ten').onclick = () => {
  for (let count = 0; count < 10; count++) setTimeout(actions.ping, count * 60);
};

function drawTrip(time) {
  const bar = make('i');
  const item = make('li', '', time.toFixed(1), bar);
  item.dataset.time = time;
  $('trips').append(item);
  while ($('trips').children.length > 10) $('trips').firstChild.remove();
  const most = Math.max(...[...$('trips').children].map(item => Number(item.dataset.time)));
  for (const item of $('trips').children) item.lastChild.style.height = `${Math.max(2, Number(item.dataset.time) / most * 80)}px`;
  $('trip').textContent = `${time.toFixed(2)} ms for the round trip`;
}

$('contend').onclick = () => ask('contend');

function drawContended({ told }) {
  $('contended').hidden = false;
  $('contended').replaceChildren(...told.map(({ annotation, by, witnessed }) => listed({ ...annotation, witnessed }, by)));
}

// ---- the code behind each byte ----

const known = new Map();
let wanted = null, opener = null, walking = null;

/** Something that opens the code of a place; plain text where there is none. */
function codeButton(text, className, id, label) {
  if (!id) return make('span', className, text);
  const it = make('button', `${className} to-code`, text);
  it.type = 'button';
  it.setAttribute('aria-label', label ?? (className === 'decided' ? text : `${text}: show the code`));
  it.dataset.code = id;
  it.onclick = () => {
    walking = null;
    openCode(id, it);
    it.closest('.values li')?.choose();
  };
  return it;
}

/**
 * The stations of a walk. Where the bytes alone leave open which way was taken, a walk says both; what the server has
 * witnessed of this very frame says which.
 */
function walkButton(annotation) {
  if (!annotation.walk?.length) return [];
  const says = annotation.witnessed ?? {};
  const steps = annotation.walk.map(step => ({ ...step, says: says[step.code] ?? step.says }));
  const it = make('button', 'to-walk', `Walk it through the code: ${annotation.walk.length} stations`);
  it.type = 'button';
  it.onclick = () => {
    walking = { steps, at: 0 };
    openCode(steps[0].code, it);
  };
  const answers = steps.find(step => step.code === 'close' || step.code === 'ping');
  return [it, ...(answers ? [codeButton('The lines that answer it', 'decided', answers.code)] : [])];
}

function unchoose() {
  document.querySelectorAll('.chosen').forEach(one => one.classList.remove('chosen'));
}

function openCode(id, from) {
  if (from) opener = from;
  unchoose();
  wanted = id;
  if (known.has(id)) drawCode();
  else ask(`code ${id}`);
}

function gotCode({ id, passage }) {
  if (passage) known.set(id, passage);
  if (passage && id === wanted) drawCode();
}

function drawCode() {
  const passage = known.get(wanted), panel = $('code-panel'), opens = panel.hidden;
  panel.hidden = false;
  $('code-title').textContent = walking ? 'A walk through the code' : 'The code';
  $('code-where').replaceChildren(make('code', '', `src/${passage.file}`), ' ', make('b', '', passage.function),
    ...(passage.section ? [' keeps ', make('span', 'section', /^§/.test(passage.section) ? `RFC 6455 ${passage.section}` : passage.section)] : []));
  const source = $('code-lines');
  source.replaceChildren(...passage.lines.map(line => {
    const row = make('div', line.marked ? 'line marked' : 'line', make('i', '', String(line.number)), coloured(line.text));
    if (line.marked) row.setAttribute('aria-current', 'true');
    return row;
  }));
  const first = source.querySelector('.marked');
  source.scrollTop = first ? Math.max(0, first.offsetTop - source.offsetTop - 40) : 0;
  $('code-chapter').replaceChildren(make('p', 'quiet', make('b', '', passage.title), ` (src/walkthrough/${passage.chapter})`), make('blockquote', '', passage.text));
  drawWalk();
  if (!opens) return;
  $('code-title').focus();
  // The panel narrows the page. Scroll so that the chosen field stays visible.
  if (matchMedia('(min-width: 60rem)').matches) opener?.scrollIntoView({ block: 'nearest', behavior: 'instant' });
}

function drawWalk() {
  $('walk').hidden = $('walk-list').hidden = !walking;
  if (!walking) return;
  const { steps, at } = walking, step = steps[at];
  $('walk-says').replaceChildren(make('b', '', `${at + 1} of ${steps.length}. `), step.says);
  $('walk-says').className = step.wrong ? 'wrong' : '';
  $('walk-back').disabled = at === 0;
  $('walk-next').disabled = at === steps.length - 1;
  $('walk-list').replaceChildren(...steps.map((step, index) => {
    const it = button('', () => walkTo(index));
    it.append(make('b', '', step.function), make('span', '', step.says));
    if (index === at) it.setAttribute('aria-current', 'step');
    return make('li', step.wrong ? 'wrong' : '', it);
  }));
}

function walkTo(at) {
  if (!walking || at < 0 || at >= walking.steps.length) return;
  walking.at = at;
  openCode(walking.steps[at].code);
}

function closeCode() {
  $('code-panel').hidden = true;
  walking = wanted = null;
  unchoose();
  // The next answer may take a while, and must not be mistaken for this one.
  for (const id of ['code-where', 'code-lines', 'code-chapter', 'walk-says', 'walk-list']) $(id).replaceChildren();
  if (opener?.isConnected) opener.focus();
}

$('walk-next').onclick = () => walkTo(walking.at + 1);
$('walk-back').onclick = () => walkTo(walking.at - 1);
$('code-close').onclick = closeCode;
$('code-panel').onkeydown = event => {
  if (event.key === 'Escape') closeCode();
  else if (walking && event.key === 'ArrowRight') walkTo(walking.at + 1);
  else if (walking && event.key === 'ArrowLeft') walkTo(walking.at - 1);
};

/** Quiet colours for Rust: comments, texts, numbers, words of the language. */
function coloured(line) {
  const out = make('code');
  const word = /(\/\/.*)|(b?"(?:[^"\\]|\\.)*"|b?'(?:[^'\\]|\\.)[^']*')|\b(\d[\w]*)\b|\b(as|break|const|else|enum|fn|for|if|impl|in|let|loop|match|mod|mut|pub|ref|return|self|Self|static|struct|true|false|use|where|while)\b/g;
  let at = 0;
  for (const found of line.matchAll(word)) {
    out.append(line.slice(at, found.index));
    const kind = ['comment', 'text', 'number', 'word'].find((_, index) => found[index + 1] !== undefined);
    out.append(make('span', `c-${kind}`, found[0]));
    at = found.index + found[0].length;
  }
  out.append(line.slice(at));
  return out;
}

// ---- 5: the coach ----

let stages = new Map(), verdicts = new Map(), begun = 0, coached = '';

$('coach-stage').append(...Array.from({ length: 14 }, (_, at) => {
  const option = make('option', '', `stage ${at + 1}`);
  option.value = at + 1;
  return option;
}));
$('coach-form').onsubmit = event => {
  event.preventDefault();
  const typed = $('coach-address').value.trim();
  coached = typed.includes('://') ? typed : `ws://${typed}`;
  ask(`coach ${me?.ticket} ${$('coach-stage').value}`, typed);
};
$('coach-stop').onclick = () => ask('stop');

function noCoach() {
  for (const it of $('coach-form').elements) it.disabled = true;
  $('coach-says').textContent = 'The coach is for pages on the machine where this playground runs.';
}

function coaching(isRunning) {
  // A button that becomes disabled must not keep the focus.
  const had = document.activeElement;
  $('coach-start').disabled = isRunning;
  $('coach-stop').disabled = !isRunning;
  if (had === $('coach-start') || had === $('coach-stop')) $(isRunning ? 'coach-stop' : 'coach-start').focus();
}

function onCoach(told) {
  ({ begins: coachBegins, verdict: coachVerdict, ends: coachEnds, refused: coachRefused })[told.state]?.(told);
}

function coachRefused({ why }) {
  $('coach-says').replaceChildren(make('b', 'wrong', 'Not coached. '), why);
}

function coachBegins(told) {
  coaching(true);
  begun = performance.now();
  verdicts = new Map();
  stages = new Map(told.stages.map(stage => [stage.stage, { ...stage, item: make('li'), seen: [] }]));
  $('coach-says').textContent = 'The coach measures how fast your server answers.';
  $('coach-stages').replaceChildren(...[...stages.values()].map(stage => stage.item));
  $('coach-failures').replaceChildren();
  $('coach-failures').hidden = $('coach-failures-title').hidden = true;
  stages.forEach(drawStage);
}

/** A line for a stage, with a dot for each check: its letter says what became of it, and its colour too. */
function drawStage(stage) {
  const count = kind => stage.seen.filter(judged => judged.verdict === kind).length;
  const asked = stage.checks - count('skip'), failed = count('fail'), isWhole = stage.seen.length === stage.checks;
  const state = failed ? 'failed' : !isWhole ? stage.seen.length ? 'running' : 'open' : count('pass') > count('skip') ? 'held' : 'skipped';
  const dots = stage.seen.map(judged => make('i', `v-${judged.verdict}`, ({ pass: '●', fail: 'F', warn: 'w', skip: '-' })[judged.verdict]));
  const bar = make('span', 'dots', ...dots, ...Array.from({ length: stage.checks - dots.length }, () => make('i', '', '·')));
  bar.setAttribute('aria-hidden', 'true');
  const says = [...(!isWhole && !failed ? [`${stage.checks} checks`] : asked ? [`${count('pass')} of ${asked} hold`] : []), ...(failed ? [`${failed} failed`] : []),
    ...(count('warn') ? [`${count('warn')} warned`] : []), ...(count('skip') ? [`${count('skip')} skipped`] : [])].join(', ');
  stage.item.dataset.state = state;
  stage.item.replaceChildren(make('b', '', `${stage.stage} ${stage.area}`), make('span', 'title', stage.title), bar, make('span', 'count', says));
  return state;
}

function coachVerdict({ judged }) {
  const stage = stages.get(judged.stage);
  if (!stage) return;
  stage.seen = [...stage.seen.filter(one => one.id !== judged.id), judged];
  verdicts.set(judged.id, judged);
  const all = [...stages.values()].reduce((sum, one) => sum + one.checks, 0);
  const left = (performance.now() - begun) / verdicts.size * (all - verdicts.size) / 1000;
  $('coach-left').textContent = `${verdicts.size} of ${all} checks, about ${Math.ceil(left)} s left`;
  drawStage(stage);
  // A screen reader hears of each stage, not of each check.
  if (stage.seen.length === stage.checks) $('coach-says').textContent = `Stage ${stage.stage}, ${stage.area}: ${stage.item.querySelector('.count').textContent}.`;
  if (judged.verdict === 'fail' || judged.verdict === 'warn') addFailure(judged);
}

/** A failure, which opens as the coach tells it. The first one is open. */
function addFailure(judged) {
  const list = $('coach-failures'), old = [...list.children].find(item => item.dataset.id === judged.id);
  const details = make('details'), isFailed = judged.verdict === 'fail';
  details.append(make('summary', '', make('b', isFailed ? 'wrong' : 'here', isFailed ? 'F' : 'w'), make('code', '', judged.id),
    make('span', '', make('span', 'section', `${judged.level}, ${judged.section}`), ` ${judged.seen}`)));
  details.ontoggle = () => {
    if (details.open && details.children.length === 1) ask(`failure ${judged.id}`);
  };
  const item = make('li', '', details);
  item.dataset.id = judged.id;
  list.hidden = $('coach-failures-title').hidden = false;
  // Failures come before warnings.
  const after = isFailed ? [...list.children].find(one => one.querySelector('summary b.here')) ?? null : null;
  if (old) old.replaceWith(item);
  else list.insertBefore(item, after);
  if (isFailed && !list.querySelector('details[open]')) details.open = true;
}

function drawFailure({ failure }) {
  if (!failure) return;
  const details = [...$('coach-failures').children].find(item => item.dataset.id === failure.id)?.firstChild;
  if (!details || details.children.length > 1) return;
  const rows = [['sent', failure.sent], ['expected', failure.expected], ['seen', failure.seen], ['rule', failure.rule],
    ['usual cause', failure.cause], ['fix', failure.fix], ['chapter', failure.chapter],
    ['again', `cargo run --example coach -- --only ${failure.id} '${coached.replaceAll("'", "'\\''")}'`]];
  const inside = make('div', 'inside', make('div', 'lesson', make('dl', '', ...rows.flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)]))));
  if (failure.exchange.length) {
    inside.append(make('p', 'quiet', 'What passed on the connection, byte by byte. The code is from ws101, which follows the rule.'));
    const list = make('ol', 'timeline');
    failure.exchange.forEach(({ annotation, looked, isLookedAt }, at) => {
      if (at === 2 && failure.leftOut) list.append(make('li', '', make('div', 'plain', make('span'), make('span'), `${failure.leftOut} more`)));
      annotation.looked = looked;
      const item = listed(annotation, `byte ${annotation.start}`);
      if (isLookedAt) item.firstChild.open = true;
      list.append(item);
    });
    inside.append(list);
  }
  details.append(inside);
}

function coachEnds({ why, score }) {
  coaching(false);
  $('coach-left').textContent = why || !verdicts.size ? '' : `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  const isGood = !why && ![...verdicts.values()].some(one => one.verdict === 'fail');
  const name = isGood ? 'Each MUST holds. ' : verdicts.size ? 'Done. ' : 'Not coached. ';
  $('coach-says').replaceChildren(make('b', isGood ? 'good' : 'wrong', why && verdicts.size ? 'Stopped. ' : name), ...(why ? [`${why} `] : []), ...(verdicts.size ? [`${score}.`] : []));
}

// ---- 6: keep it ----

$('save').onclick = () => ask('save');

function download({ text }) {
  const link = make('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  link.download = 'conversation.txt';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  $('opened').replaceChildren(make('p', 'quiet', `Saved as conversation.txt, ${text.length} characters.`));
}

$('open').onchange = async () => {
  const [file] = $('open').files;
  if (!file) return;
  $('open').value = '';
  if (file.size > 200_000) return note('This file is too large: a saved conversation has at most 200,000 bytes.');
  const text = await file.text();
  // Each byte that isn't UTF-8 has become three bytes. The server would refuse so long a question, and close the lens.
  if (text.includes('\ufffd')) return note('This file is not text, as a saved conversation is.');
  ask('open', text);
};

function drawOpened(told) {
  const list = $('opened-list');
  list.hidden = !told.annotations;
  if (!told.annotations) return $('opened').replaceChildren(make('p', 'wrong', told.wrong));
  const hasMore = told.count > told.annotations.length;
  $('opened').replaceChildren(make('p', 'quiet', `${told.annotations.length} heads and frames${hasMore ? ", and more that aren't shown" : ''}.`));
  list.replaceChildren(...told.annotations.map(annotation => listed(annotation, `byte ${annotation.start}`)));
}

openLens();
