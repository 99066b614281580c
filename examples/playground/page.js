// The page of the playground. It draws what the server's `explain` says, and decides nothing itself.
// Whatever came over a wire is shown as text: nothing of it becomes part of this page.
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

// ---- the lens: what the server tells, and what it is asked ----

let lens, wire, me, asked = '';
let pings = new Map(), broken = null;

function openLens() {
  lens = new WebSocket(address('/lens'), 'lens.ws101');
  lens.onmessage = event => {
    const told = JSON.parse(event.data);
    ({ you, wire: onWire, key: drawSteps, decision: drawDecision, verdict: drawVerdict, tabs: drawTabs,
       note: told => note(told.text) })[told.about]?.(told);
  };
  lens.onclose = () => note('The server has gone, or let this page go. Reload to come back.', true);
}

function ask(question, body = '') {
  if (lens.readyState === WebSocket.OPEN) lens.send(`${question}\n${body}`);
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
  askVerdict();
  openWire(true);
}

function button(name, onclick) {
  const it = make('button', '', ...(name ? [name] : []));
  it.type = 'button';
  it.onclick = onclick;
  return it;
}

let hiding;
function note(text, stays = false) {
  clearTimeout(hiding);
  $('note').textContent = text;
  $('note').hidden = false;
  if (!stays) hiding = setTimeout(() => { $('note').hidden = true; }, 8000);
}

// ---- the wire: the connection that is looked at ----

function openWire(first = false) {
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
  opened.onerror = () => script('onerror, without a word about why');
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

function send(data) {
  if (wire?.readyState === WebSocket.OPEN) return wire.send(data);
  note('This wire is closed. "Open a new wire" opens another.');
}

function onWire({ at, annotation }) {
  if (annotation.what === 'request') drawRequest(annotation);
  else if (annotation.what === 'response') drawHead($('response'), annotation);
  else if (annotation.what === 'frame') onFrame(at, annotation);
  const item = make('li');
  const details = make('details'), summary = make('summary');
  const arrow = annotation.from === 'client' ? make('b', 'up', '↑') : make('b', 'down', '↓');
  arrow.setAttribute('aria-label', annotation.from === 'client' ? 'from your browser' : 'from the server');
  const line = make('span', annotation.verdict.kind === 'fine' ? '' : 'wrong', annotation.title, ' ', make('q', '', preview(annotation)));
  summary.append(arrow, make('time', '', milliseconds(at)), line);
  details.append(summary);
  // What is not open is not drawn.
  details.ontoggle = () => {
    if (details.open && details.children.length === 1) details.append(make('div', 'inside', ...drawing(annotation)));
  };
  item.append(details);
  add(item);
}

const milliseconds = at => `${(at / 1000).toFixed(1)} ms`;

function preview(annotation) {
  const payload = annotation.spans.findLast(span => /^(payload|reason|code)$/.test(span.field) && span.to - span.from >= 8);
  return payload && annotation.what === 'frame' ? `${payload.value.slice(0, 48)}` : '';
}

/** What the script of this page was told: all that a page ever sees of a WebSocket. */
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
  BFINAL: 'block', 'bad byte': 'bad', 'cut short': 'bad', unread: 'rsv' })[field] ?? 'payload';

function drawing(annotation) {
  const parts = [];
  if (annotation.verdict.kind !== 'fine') parts.push(lesson(annotation.verdict));
  if (annotation.what !== 'frame') return [...parts, headLines(annotation)];
  const who = annotation.from === 'client' ? 'Your browser sent' : 'The server sent';
  const below = annotation.payload && annotation.spans.some(span => span.field === 'mask key')
    ? [make('p', 'quiet', 'Above, the bytes as they travelled; under each of the payload, what it is once the mask is off.')] : [];
  return [make('p', 'said', `${who} `, make('b', '', annotation.title)), strip(annotation), ...below, ...squeezed(annotation), ...parts, values(annotation)];
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
  return [make('div', 'squeezed', bar('As it travelled', sent), bar('Inflated', inflated.length))];
}

/** The header bit by bit, then bytes: as they travelled, and below it without the mask. */
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
  annotation.spans.forEach(span => {
    const item = make('li', span.value.length > 60 ? 'long' : '', make('span', `name f-${hue(span.field)}`, span.field), make('span', 'value', span.value),
      make('span', 'meaning', span.meaning), make('span', 'section', span.section));
    const isOf = ({ dataset: { bit } }) => span.from < +bit + (bit < 16 ? 1 : 8) && +bit < span.to;
    const light = on => () => [...item.closest('.xray, .inside, .frame')?.querySelectorAll('[data-bit]') ?? []].filter(isOf)
      .forEach(cell => cell.classList.toggle('lit', on));
    item.onmouseenter = light(true);
    item.onmouseleave = light(false);
    list.append(item);
  });
  return list;
}

function lesson(verdict) {
  const box = make('div', 'lesson');
  if (verdict.kind === 'missing') box.append(make('p', '', make('b', '', 'Cut. '), `Missing: ${verdict.missing}.`));
  else {
    const title = { refused: 'Refused', rejected: 'Not taken', broken: 'Broken' }[verdict.kind];
    box.append(make('p', '', make('b', '', `${title}${verdict.code ? ` with ${verdict.code}` : ''}. `), verdict.rule));
    const parts = [['seen', verdict.seen], ['usual cause', verdict.cause], ['fix', verdict.fix]].filter(part => part[1]);
    box.append(make('dl', '', ...parts.flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)])));
  }
  return box;
}

function headLines(annotation) {
  const box = make('div', 'head');
  for (const span of annotation.spans) {
    const plain = ['request line', 'status line', 'first line', 'end of head', 'body', 'unread', 'cut', 'no header'].includes(span.field);
    const line = make('p');
    const mark = { extension: ', ', parameter: '; ' }[span.field];
    if (mark) line.className = 'part';
    line.append(...(plain ? [make('b', '', span.value)] : [make('b', '', mark ?? `${span.field}: `), span.value]));
    line.append(make('span', '', `${span.meaning} `, make('span', 'section', span.section)));
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

function drawRequest(annotation) {
  drawHead($('request'), annotation);
  const first = !asked;
  asked = text(annotation.bytes).replaceAll('\r\n', '\n');
  $('key').value = /^sec-websocket-key: *(.*)$/im.exec(asked)?.[1] ?? '';
  ask('key', $('key').value);
  if (first) {
    $('request-text').value = asked;
    askDecision();
  }
}

$('key').oninput = () => ask('key', $('key').value);

function drawSteps(told) {
  const sent = /sec-websocket-accept: *(\S+)/i.exec(text($('response').dataset.bytes ?? ''))?.[1];
  const step = (value, says, className = '') => make('li', className, value, make('span', '', says));
  const steps = [
    told.bytes ? step(spaced(told.bytes), 'the key, decoded from base64: 16 random bytes, so that no cache can have the answer')
      : step(told.key || '(empty)', `this is no key: it is ${told.wrong}. A server refuses it; the steps go on for comparison.`, 'bad'),
    step(`${told.key}${told.guid}`, 'the key as it was sent, and behind it a text that only WebSocket servers append'),
    step(spaced(told.hash), 'SHA-1 of that: 20 bytes'),
    step(told.accept, told.accept === sent ? 'in base64: exactly what the server answered above' : 'in base64: the answer to this key', told.accept === sent ? 'good' : ''),
    step(told.wrongAccept, `with a GUID copied wrong (${told.wrongGuid}): a browser would have closed the connection, with no more than "1006" to its page`, 'bad'),
  ];
  $('steps').replaceChildren(...steps);
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
  if (event.submitter?.value === 'server') return ask(`close ${code}`, reason);
  try {
    wire.close(code, reason);
  } catch (error) {
    script(`close(${code}) threw ${error.name}: a page may only close with 1000 or 3000 to 4999`);
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
  'a proxy ate Connection': edit(/^(connection:).*$/im, '$1 close'),
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
  if (!request) return $('decision').replaceChildren(make('p', 'quiet', 'An empty request: the server would wait, 10 seconds at most.'));
  const parts = [];
  if (request.verdict.kind === 'fine') {
    const line = told.answer[0]?.spans[0]?.value ?? '';
    const good = make('div', 'lesson good', make('p', '', make('b', '', line.includes(' 101 ') ? 'It becomes a WebSocket. ' : 'A page. '),
      line.includes(' 101 ') ? 'Every rule is kept.' : 'It asks for no upgrade, so it is answered with plain HTTP.'));
    parts.push(good);
  } else parts.push(lesson(request.verdict));
  if (told.answer[0]) {
    const details = make('details', '', make('summary', '', `The answer that would go out: ${told.answer[0].spans[0].value}`), headLines(told.answer[0]));
    parts.push(details);
  }
  parts.push(make('details', '', make('summary', '', 'The request, line by line'), headLines(request)));
  $('decision').replaceChildren(...parts);
}

$('frame-bytes').oninput = askVerdict;
$('frame-from').onchange = askVerdict;

function askVerdict() {
  ask(`frames ${$('frame-from').value}`, $('frame-bytes').value);
}

function drawVerdict(told) {
  if (told.wrong) return $('frame-verdict').replaceChildren(make('p', 'quiet', told.wrong));
  const good = () => make('div', 'lesson good', make('p', '', make('b', '', 'Fine. '), 'It may be sent.'));
  $('frame-verdict').replaceChildren(...told.annotations.map(annotation => make('div', 'inside',
    make('p', 'said', make('b', '', annotation.title)), strip(annotation),
    annotation.what === 'frame' ? (annotation.verdict.kind === 'fine' ? good() : lesson(annotation.verdict)) : '', values(annotation))));
}

function card({ name, story, bytes }) {
  const digits = spaced(bytes);
  const it = button('', () => {
    // On a fresh wire: nobody reads what comes behind an error.
    openWire();
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

/** The script hears of the end at once; what the lens tells may come a moment later. */
function outcome(event, of = broken, patience = 20) {
  setTimeout(() => {
    if (!of.annotation && patience > 0) return outcome(event, of, patience - 1);
    if (broken !== of) return;
    broken = null;
    const said = of.answered
      ? `a Close frame with ${of.answered.spans.find(span => span.field === 'code')?.value ?? 'no code'}`
      : 'nothing: it hung up';
    const told = event ? `code ${event.code}${event.reason && ` "${event.reason}"`}, ${event.wasClean ? 'clean' : 'not clean'}`
      : 'nothing at all: it let it pass, though the rule says that the connection fails';
    const rows = [['The server sent', of.name], ['Your browser put on the wire', event || of.answered ? said : 'nothing'],
      ['Your browser told this page', told]];
    const parts = [make('dl', '', ...rows.flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)]))];
    if (of.annotation) parts.push(make('p', 'quiet', 'The rule, as ws101 would have said it:'), lesson(of.annotation.verdict));
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
  $('trip').textContent = `${time.toFixed(2)} ms there and back`;
}

openLens();
