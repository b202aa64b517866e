// The page: strokes and pictures in, what an engine reads in them out. All that computes is the engine's.

const element = id => document.getElementById(id);
const sheet = element('sheet'), tile = element('tile');

// Engines. Each reads a drawing (JSON, as the API takes it) or a picture (a canvas, and the file it is from), and
// answers with the API's JSON.

/** The library in this page, where it is beside it and the browser can run it. */
async function local() {
  const [{ default: load, Reader }, network] = await Promise.all([import('./lenet.js'), fetch('network.safetensors')]);
  if (!network.ok) throw new Error('no network');
  const [bytes] = await Promise.all([network.arrayBuffer(), load()]);
  const reader = new Reader(new Uint8Array(bytes));
  return {
    place: 'in this page',
    drawing: async drawing => JSON.parse(reader.drawing(drawing)),
    picture: async ({ canvas }) => {
      const { width, height } = canvas;
      return JSON.parse(reader.picture(width, height, canvas.getContext('2d').getImageData(0, 0, width, height).data));
    },
  };
}

/** The server that sent the page. */
function remote() {
  const ask = async (body, type) => {
    const response = await fetch('v1/recognize?explain=true', { method: 'POST', headers: { 'Content-Type': type }, body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error.message);
    return answer;
  };
  return {
    place: 'by the server',
    drawing: drawing => ask(drawing, 'application/json'),
    picture: ({ file }) => ask(file, 'application/octet-stream'),
  };
}

const engine = local().catch(remote);

// What is on the sheet: strokes of points in thousandths of its width, or a picture. A state never changes; the ones
// before it are kept to go back to.

const WHOLE = 1000;
const EMPTY = { strokes: [] };
let state = EMPTY;
const past = [];
let reading = null; // of `state`, or of one shortly before it
let chosen = null; // the digit that is looked at, if one was chosen

function change(next) {
  past.push(state);
  show(next);
}

function show(next) {
  if (next.picture || state.picture || next === EMPTY) reading = null;
  state = next;
  chosen = null;
  paint();
  render();
  read();
}

const clear = () => { if (state !== EMPTY) change(EMPTY); };
const undo = () => { if (past.length) show(past.pop()); };

let reader = null; // the reading under way
let stale = false; // whether the sheet has changed since it began

/** The reading of what can't be read. */
const nothing = reason => ({ text: '', digits: [], details: [], remarks: [reason], note: '' });

/** Reads what is on the sheet, and again if that changes meanwhile. */
async function read() {
  stale = true;
  if (reader) return;
  reader = (async () => {
    while (stale) {
      stale = false;
      const now = state;
      if (now === EMPTY) continue;
      await new Promise(requestAnimationFrame);
      const use = await engine, start = performance.now();
      try {
        const found = now.picture ? await use.picture(now.picture) : await use.drawing(JSON.stringify({ strokes: now.strokes }));
        found.note = `Read ${use.place} in ${(performance.now() - start).toFixed(1)} ms`;
        if (state.picture === now.picture && state !== EMPTY) reading = found;
      } catch (error) {
        if (state !== EMPTY) reading = nothing(`not read: ${error.message ?? error}`);
      }
      paint();
      render();
    }
  })();
  await reader;
  reader = null;
}

// The sheet.

const context = sheet.getContext('2d');
let pen = { x: WHOLE / 2, y: WHOLE / 2, down: false, shown: false }; // the keyboard's
const colour = name => getComputedStyle(sheet).getPropertyValue(name);
let ink = []; // red, green, blue

/** Where a picture is on the sheet: its left and top edge, and the width of its pixels, in thousandths of the width. */
function frame() {
  if (!state.picture) return { left: 0, top: 0, scale: 1 };
  const { width, height } = state.picture.canvas, across = WHOLE, down = WHOLE * sheet.clientHeight / sheet.clientWidth;
  const scale = Math.min(across / width, down / height);
  return { left: (across - width * scale) / 2, top: (down - height * scale) / 2, scale };
}

function paint() {
  const pixels = sheet.clientWidth * devicePixelRatio;
  sheet.width = pixels;
  sheet.height = sheet.clientHeight * devicePixelRatio;
  context.scale(pixels / WHOLE, pixels / WHOLE);
  context.lineCap = context.lineJoin = 'round';
  const { left, top, scale } = frame();
  if (state.picture) {
    const { canvas } = state.picture;
    context.drawImage(canvas, left, top, canvas.width * scale, canvas.height * scale);
  }
  context.lineWidth = 42;
  context.strokeStyle = colour('--ink');
  for (const points of state.strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (const point of points) context.lineTo(...point);
    context.stroke();
  }
  if (reading && (state.picture || reading.digits.length > 1)) {
    const thin = WHOLE / sheet.clientWidth;
    context.font = `600 ${15 * thin}px system-ui, sans-serif`;
    reading.digits.forEach((digit, index) => {
      const [x, y, width, height] = digit.box.map(length => length * scale);
      context.lineWidth = (index === current() ? 2 : 1) * thin;
      context.strokeStyle = context.fillStyle = colour(digit.rejected ? '--wrong' : '--right');
      context.strokeRect(left + x - 4 * thin, top + y - 4 * thin, width + 8 * thin, height + 8 * thin);
      context.fillText(digit.rejected ? '?' : digit.digit, left + x - 4 * thin, Math.max(top + y - 8 * thin, 14 * thin));
    });
  }
  if (pen.shown && !state.picture) {
    context.lineWidth = 4;
    context.strokeStyle = colour('--right');
    context.beginPath();
    context.arc(pen.x, pen.y, pen.down ? 14 : 24, 0, 7);
    context.stroke();
  }
}

const height = () => WHOLE * sheet.clientHeight / sheet.clientWidth;
const within = (value, most) => Math.min(Math.max(value, 0), most);

/** The point of the sheet under a pointer. */
function point(event) {
  const { left, top, width } = sheet.getBoundingClientRect();
  const along = (position, start, most) => Math.round(within((position - start) / width * WHOLE, most) * 10) / 10;
  return [along(event.clientX, left, WHOLE), along(event.clientY, top, height())];
}

const begin = point => change({ strokes: [...state.strokes, [point]] });

const NEAR = 3; // a point less far from the last one adds nothing

function extend(points) {
  const stroke = [...state.strokes.at(-1)];
  for (const [x, y] of points) {
    const [lastX, lastY] = stroke.at(-1);
    if (Math.hypot(x - lastX, y - lastY) >= NEAR) stroke.push([x, y]);
  }
  state = { strokes: [...state.strokes.slice(0, -1), stroke] };
  paint();
  read();
}

let drawing = null; // the pointer that draws

sheet.addEventListener('pointerdown', event => {
  if (!event.isPrimary || event.button) return;
  pen.shown = pen.down = false;
  if (state.picture) return choose(digitAt(event));
  drawing = event.pointerId;
  sheet.setPointerCapture(drawing);
  begin(point(event));
});
sheet.addEventListener('pointermove', event => {
  if (event.pointerId !== drawing) return;
  const events = event.getCoalescedEvents?.() ?? [];
  extend((events.length ? events : [event]).map(point));
});
for (const end of ['pointerup', 'pointercancel']) {
  sheet.addEventListener(end, event => { if (event.pointerId === drawing) drawing = null; });
}

/** The place among the digits of the one under a pointer. */
function digitAt(event) {
  const [x, y] = point(event), { left, top, scale } = frame();
  const inside = (value, start, length) => value >= start * scale && value <= (start + length) * scale;
  const found = reading?.digits.findIndex(({ box: [a, b, c, d] }) => inside(x - left, a, c) && inside(y - top, b, d));
  return found >= 0 ? found : null;
}

sheet.addEventListener('keydown', event => {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  if ((event.key !== ' ' && !dx && !dy) || state.picture || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const step = event.shiftKey ? 10 : 40;
  pen = { ...pen, x: within(pen.x + dx * step, WHOLE), y: within(pen.y + dy * step, height()), shown: true };
  if (event.key === ' ') {
    pen.down = !pen.down;
    if (pen.down) begin([pen.x, pen.y]);
    tell(pen.down ? 'Pen down' : 'Pen up');
  } else if (pen.down) {
    extend([[pen.x, pen.y]]);
  }
  paint();
});
sheet.addEventListener('blur', () => { pen.shown = pen.down = false; paint(); });

addEventListener('keydown', event => {
  if (event.key === 'Escape') clear();
  else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) undo();
  else return;
  pen.down = false;
  event.preventDefault();
});
element('undo').addEventListener('click', undo);
element('clear').addEventListener('click', clear);
new ResizeObserver(paint).observe(sheet);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { paint(); render(); });

// Pictures: chosen, photographed, dropped or pasted.

const LARGEST = 16e6; // pixels that every browser has room for

async function take(file) {
  if (!file) return;
  try {
    const bitmap = await createImageBitmap(file);
    const part = Math.min(1, Math.sqrt(LARGEST / (bitmap.width * bitmap.height)));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.floor(bitmap.width * part));
    canvas.height = Math.max(1, Math.floor(bitmap.height * part));
    canvas.getContext('2d', { willReadFrequently: true }).drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    // The server reads what is shown, too.
    if (part < 1) file = await new Promise(done => canvas.toBlob(done));
    change({ strokes: [], picture: { canvas, file } });
  } catch {
    clear();
    reading = nothing('not a picture that this browser can open');
    render();
  }
}

for (const [button, input] of [['choose', 'file'], ['camera', 'photo']]) {
  element(button).addEventListener('click', () => element(input).click());
  element(input).addEventListener('change', event => { take(event.target.files[0]); event.target.value = ''; });
}
addEventListener('paste', event => take(event.clipboardData.files[0]));
addEventListener('dragover', event => { event.preventDefault(); sheet.parentElement.classList.add('over'); });
for (const end of ['dragleave', 'drop']) addEventListener(end, () => sheet.parentElement.classList.remove('over'));
addEventListener('drop', event => { event.preventDefault(); take(event.dataTransfer.files[0]); });

// What was read.

/** The place of the digit that is looked at: the one that was chosen, else the first of a picture, the last drawn. */
const current = () => chosen ?? (state.picture ? 0 : reading.digits.length - 1);

function choose(index) {
  chosen = index;
  paint();
  render();
}

const sentence = words => words.charAt(0).toUpperCase() + words.slice(1);
const percent = part => (part > 0.999 ? '>99.9%' : part < 0.001 ? '<0.1%' : `${(100 * part).toFixed(1)}%`);

/** What the reading says: as a headline, its kind, and the rest. */
function said() {
  if (!reading) return { text: '', kind: '', rest: '' };
  const { text, digits, remarks } = reading;
  if (!digits.length) return { text: sentence(remarks[0]), kind: 'none', rest: '' };
  if (digits.every(digit => digit.rejected)) {
    const several = digits.length > 1;
    return { text: several ? 'No digits' : 'Not a digit', kind: 'no', rest: several ? '' : `If it were one, a ${digits[0].digit}` };
  }
  const { confidence } = digits[current()] ?? digits[0];
  const others = remarks.filter(remark => !remark.endsWith(' digits'));
  const rest = [`${percent(confidence)} sure`, ...others].join(', ');
  return { text, kind: text.length > 3 ? 'long' : '', rest };
}

function render() {
  const { text, kind, rest } = said();
  const digits = reading?.digits ?? [], place = digits.length ? current() : -1;
  const digit = digits[place], detail = reading?.details[place];
  element('undo').disabled = !past.length;
  element('clear').disabled = state === EMPTY;
  sheet.parentElement.classList.toggle('used', state !== EMPTY);
  sheet.parentElement.classList.toggle('picture', Boolean(state.picture));
  element('answer').textContent = text;
  element('answer').className = `answer ${kind}`;
  element('remark').textContent = sentence(rest);
  tell(text && `${text.replaceAll('\n', ', ')}. ${rest}`);
  element('engine').textContent = reading?.note ?? '';

  element('digits').replaceChildren(...(digits.length > 1 ? digits : []).map((each, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = each.rejected ? '?' : each.digit;
    button.className = each.rejected ? 'refused' : '';
    button.ariaPressed = index === place;
    button.ariaLabel = `${each.rejected ? 'not a digit' : each.digit}, place ${index + 1}`;
    button.addEventListener('click', () => { choose(index); element('digits').children[index].focus(); });
    return button;
  }));

  document.querySelector('.reading').classList.toggle('refused', Boolean(digit?.rejected));
  bars.forEach((row, value) => {
    const part = digit?.probabilities[value] ?? 0;
    row.className = digit && value === digit.digit ? 'best' : '';
    row.querySelector('.bar').style.setProperty('--part', part);
    row.lastChild.textContent = digit ? percent(part) : '';
  });

  ink = colour('--ink').match(/\w\w/g).map(hex => parseInt(hex, 16));
  levels(tile, detail?.tile ?? [], 0);
  // Of a refused digit the first remark is why.
  const mended = detail ? ['centred', ...digit.remarks.slice(digit.rejected ? 1 : 0)] : [];
  element('mended').textContent = detail ? `As the network sees it: ${mended.join(', ')}` : 'As the network sees it';
  maps(detail?.maps ?? []);
}

/** Tells those who don't see the page, when it has been the same for a while. */
function tell(words) {
  clearTimeout(tell.later);
  tell.later = setTimeout(() => { if (element('status').textContent !== words) element('status').textContent = words; }, 600);
}

const bars = Array.from({ length: 10 }, (_, value) => {
  const row = element('bars').insertRow();
  const name = document.createElement('th'), bar = document.createElement('div');
  name.scope = 'row';
  name.textContent = value;
  bar.className = 'bar';
  row.append(name);
  row.insertCell().append(bar);
  row.insertCell();
  return row;
});

/** Paints one of several images of 256 levels, one after the other in `values`, as ink. */
function levels(canvas, values, index) {
  const { width, height } = canvas, context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  if (!values.length) return;
  const image = context.createImageData(width, height);
  const [red, green, blue] = ink;
  for (let i = 0; i < width * height; i++) {
    image.data.set([red, green, blue, values[index * width * height + i]], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function maps(layers) {
  const box = element('maps');
  if (box.dataset.layers !== layers.map(({ layer }) => layer).join()) {
    box.dataset.layers = layers.map(({ layer }) => layer).join();
    box.replaceChildren(...layers.flatMap(({ layer, shape: [channels, height, width] }) => {
      const title = document.createElement('h2'), name = document.createElement('b'), grid = document.createElement('div');
      name.textContent = layer;
      title.append(name, `${channels} maps of ${height} × ${width}`);
      grid.setAttribute('role', 'img');
      grid.ariaLabel = `The ${channels} feature maps of ${layer}`;
      grid.append(...Array.from({ length: channels }, () => Object.assign(document.createElement('canvas'), { width, height })));
      return [title, grid];
    }));
  }
  layers.forEach(({ levels: values }, layer) => {
    [...box.children[2 * layer + 1].children].forEach((canvas, channel) => levels(canvas, values, channel));
  });
}

render();
engine.then(({ place }) => { if (!reading) element('engine').textContent = `Digits are read ${place}`; });
navigator.serviceWorker?.register('offline.js').catch(() => {});
