// The page: draws strokes, loads images, sends both to a recognizer, and shows the reading. The page contains no image
// processing and no arithmetic of the network: all of it is in the recognizer.

const element = id => document.getElementById(id);
const sheet = element('sheet'), tile = element('tile');

// Words for the codes of remarks in a reading. A code with an empty text is not shown.

const REMARKS = {
  blank: 'nothing to recognize',
  no_digits: 'no digits found',
  inverted: 'light ink on a dark background',
  rotated: 'turned upright',
  off_center: 'off center',
  multiple_digits: '', // The digits themselves are visible.
  no_outlier_class: 'rejected by confidence alone',
  doubtful_mark: 'a doubtful mark is left out',
  doubtful_text: 'doubtful',
  left_out_digit_sized: 'something of a digit’s size was left out',
  more_left_out: '',
  not_a_digit: 'not a digit',
  unsure: 'confidence is too low',
  constraint_not_met: 'doesn’t have the pattern',
  among_rejected: 'most of this line is not digits',
  thickened: 'strokes thickened',
};

/** Returns the words for codes of remarks, except for codes in `omitted`. Unknown codes are shown as they are. */
const remarkTexts = (codes, omitted = []) =>
  codes.filter(code => !omitted.includes(code)).map(code => REMARKS[code] ?? code).filter(text => text);

// Recognizers. Each has the methods `drawing`, for a drawing in the JSON of the API, and `image`, for a canvas and the file
// that it was loaded from. Both return a reading in the JSON of the API. `setPattern` sets the pattern of each line.

/** Loads the WebAssembly module. Fails if the server does not have it, or if the browser can't run it. */
async function loadWasmRecognizer() {
  const [{ default: init, Recognizer }, response] = await Promise.all([import('./lenet.js'), fetch('weights.safetensors')]);
  if (!response.ok) throw new Error(`weights.safetensors: status ${response.status}`);
  const [weights] = await Promise.all([response.arrayBuffer(), init()]);
  const recognizer = new Recognizer(new Uint8Array(weights));
  const setPattern = pattern => recognizer.setOptions(JSON.stringify({ details: true, pattern: pattern || undefined }));
  setPattern('');
  return {
    location: 'in this page',
    setPattern,
    drawing: async drawing => JSON.parse(recognizer.recognizeDrawing(drawing)),
    image: async ({ canvas }) => {
      const { width, height } = canvas;
      const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
      return JSON.parse(recognizer.recognizeImage(width, height, data));
    },
  };
}

/** Returns a recognizer that uses the API of the server. */
function serverRecognizer() {
  const query = new URLSearchParams({ details: true });
  const post = async (body, type) => {
    const response = await fetch(`v1/recognize?${query}`, { method: 'POST', headers: { 'Content-Type': type }, body });
    const json = await response.json();
    if (!response.ok) throw new Error(json.error.message);
    return json;
  };
  return {
    location: 'by the server',
    setPattern: pattern => (pattern ? query.set('pattern', pattern) : query.delete('pattern')),
    drawing: drawing => post(drawing, 'application/json'),
    image: ({ file }) => post(file, 'application/octet-stream'),
  };
}

const recognizer = loadWasmRecognizer().catch(serverRecognizer);

// The content of the sheet: strokes, whose points are in thousandths of the sheet's width, or an image. A content object is
// immutable. The previous ones are kept for Undo.

const SHEET_WIDTH = 1000;
const EMPTY = { strokes: [] };
let content = EMPTY;
const undoStack = [];
let reading = null; // of `content` or, while strokes are drawn, of the content shortly before
let selected = null; // index of the digit that the user has selected

function pushContent(next) {
  undoStack.push(content);
  setContent(next);
}

function setContent(next) {
  if (next.image || content.image || next === EMPTY) reading = null;
  content = next;
  selected = null;
  paintSheet();
  render();
  recognize();
}

const clear = () => { if (content !== EMPTY) pushContent(EMPTY); };
const undo = () => { if (undoStack.length) setContent(undoStack.pop()); };

/** Returns the reading that shows an error. */
const errorReading = error => ({ text: '', alternatives: [], digits: [], marks: [], details: [], remarks: [], error, timing: '' });

let isRecognizing = false;
let isOutdated = false; // whether the content has changed since the recognition began

/** Recognizes the content, and again if the content changes meanwhile. */
async function recognize() {
  isOutdated = true;
  if (isRecognizing) return;
  isRecognizing = true;
  while (isOutdated) {
    isOutdated = false;
    const input = content;
    if (input === EMPTY) continue;
    await new Promise(requestAnimationFrame);
    const { location, drawing, image } = await recognizer, start = performance.now();
    try {
      const result = input.image ? await image(input.image) : await drawing(JSON.stringify({ strokes: input.strokes }));
      result.timing = `Recognized ${location} in ${(performance.now() - start).toFixed(1)} ms`;
      if (content.image === input.image && content !== EMPTY) reading = result;
    } catch (error) {
      if (content !== EMPTY) reading = errorReading(`recognition failed: ${error.message ?? error}`);
    }
    paintSheet();
    render();
  }
  isRecognizing = false;
}

// The sheet.

const sheetContext = sheet.getContext('2d');
const STROKE_WIDTH = 42;
let keyboardPen = { x: SHEET_WIDTH / 2, y: SHEET_WIDTH / 2, isDown: false, isVisible: false };
const cssColor = name => getComputedStyle(sheet).getPropertyValue(name);
let inkRgb = [];

const sheetHeight = () => SHEET_WIDTH * sheet.clientHeight / sheet.clientWidth;
const clamp = (value, max) => Math.min(Math.max(value, 0), max);

/** Returns the position of the image on the sheet, and the size of one of its pixels, in units of the sheet. */
function imagePlacement() {
  if (!content.image) return { left: 0, top: 0, scale: 1 };
  const { width, height } = content.image.canvas;
  const scale = Math.min(SHEET_WIDTH / width, sheetHeight() / height);
  return { left: (SHEET_WIDTH - width * scale) / 2, top: (sheetHeight() - height * scale) / 2, scale };
}

function paintSheet() {
  const devicePixels = sheet.clientWidth * devicePixelRatio;
  sheet.width = devicePixels;
  sheet.height = sheet.clientHeight * devicePixelRatio;
  sheetContext.scale(devicePixels / SHEET_WIDTH, devicePixels / SHEET_WIDTH);
  sheetContext.lineCap = sheetContext.lineJoin = 'round';
  const { left, top, scale } = imagePlacement();
  if (content.image) {
    const { canvas } = content.image;
    sheetContext.drawImage(canvas, left, top, canvas.width * scale, canvas.height * scale);
  }
  sheetContext.lineWidth = STROKE_WIDTH;
  sheetContext.strokeStyle = cssColor('--ink');
  for (const points of content.strokes) {
    sheetContext.beginPath();
    sheetContext.moveTo(...points[0]);
    for (const point of points) sheetContext.lineTo(...point);
    sheetContext.stroke();
  }
  if (reading && (content.image || reading.digits.length > 1)) {
    const cssPixel = SHEET_WIDTH / sheet.clientWidth;
    sheetContext.font = `600 ${15 * cssPixel}px system-ui, sans-serif`;
    const paintBox = (text, box, isAccepted, lineWidth, dash) => {
      const [x, y, width, height] = box.map(length => length * scale);
      const boxLeft = left + x - 4 * cssPixel, boxTop = top + y - 4 * cssPixel;
      sheetContext.lineWidth = lineWidth * cssPixel;
      sheetContext.setLineDash(dash.map(length => length * cssPixel));
      sheetContext.strokeStyle = sheetContext.fillStyle = cssColor(isAccepted ? '--accepted' : '--rejected');
      sheetContext.strokeRect(boxLeft, boxTop, width + 8 * cssPixel, height + 8 * cssPixel);
      sheetContext.fillText(text, boxLeft, Math.max(boxTop - 4 * cssPixel, 14 * cssPixel));
    };
    reading.digits.forEach(({ digit, rejected, box }, index) =>
      paintBox(rejected ? '?' : digit, box, !rejected, index === currentIndex() ? 2 : 1, []));
    for (const { mark, doubtful, box } of reading.marks) paintBox(mark, box, !doubtful, 1, [3, 3]);
    sheetContext.setLineDash([]);
  }
  if (keyboardPen.isVisible && !content.image) {
    sheetContext.lineWidth = 4;
    sheetContext.strokeStyle = cssColor('--accepted');
    sheetContext.beginPath();
    sheetContext.arc(keyboardPen.x, keyboardPen.y, keyboardPen.isDown ? 14 : 24, 0, 2 * Math.PI);
    sheetContext.stroke();
  }
}

/** Returns the position of a pointer on the sheet. */
function pointerPosition(event) {
  const { left, top, width } = sheet.getBoundingClientRect();
  const coordinate = (client, start, max) => Math.round(clamp((client - start) / width * SHEET_WIDTH, max) * 10) / 10;
  return [coordinate(event.clientX, left, SHEET_WIDTH), coordinate(event.clientY, top, sheetHeight())];
}

const beginStroke = point => pushContent({ strokes: [...content.strokes, [point]] });

const MIN_POINT_DISTANCE = 3; // Closer points would not change the drawing.

function extendStroke(points) {
  const stroke = [...content.strokes.at(-1)];
  for (const [x, y] of points) {
    const [lastX, lastY] = stroke.at(-1);
    if (Math.hypot(x - lastX, y - lastY) >= MIN_POINT_DISTANCE) stroke.push([x, y]);
  }
  content = { strokes: [...content.strokes.slice(0, -1), stroke] };
  paintSheet();
  recognize();
}

let drawingPointer = null; // ID of the pointer that draws

sheet.addEventListener('pointerdown', event => {
  if (!event.isPrimary || event.button) return;
  keyboardPen.isVisible = keyboardPen.isDown = false;
  if (content.image) return select(digitAt(event));
  drawingPointer = event.pointerId;
  sheet.setPointerCapture(drawingPointer);
  beginStroke(pointerPosition(event));
});
sheet.addEventListener('pointermove', event => {
  if (event.pointerId !== drawingPointer) return;
  const events = event.getCoalescedEvents?.() ?? [];
  extendStroke((events.length ? events : [event]).map(pointerPosition));
});
for (const type of ['pointerup', 'pointercancel']) {
  sheet.addEventListener(type, event => { if (event.pointerId === drawingPointer) drawingPointer = null; });
}

/** Returns the index of the digit at the position of a pointer, or null. */
function digitAt(event) {
  const [x, y] = pointerPosition(event), { left, top, scale } = imagePlacement();
  const contains = (start, length, value) => value >= start * scale && value <= (start + length) * scale;
  const index = reading?.digits.findIndex(({ box: [boxLeft, boxTop, width, height] }) =>
    contains(boxLeft, width, x - left) && contains(boxTop, height, y - top));
  return index >= 0 ? index : null;
}

const ARROW_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

sheet.addEventListener('keydown', event => {
  const [dx, dy] = ARROW_KEYS[event.key] ?? [0, 0];
  if ((event.key !== ' ' && !dx && !dy) || content.image || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const distance = event.shiftKey ? 10 : 40;
  keyboardPen.x = clamp(keyboardPen.x + dx * distance, SHEET_WIDTH);
  keyboardPen.y = clamp(keyboardPen.y + dy * distance, sheetHeight());
  keyboardPen.isVisible = true;
  if (event.key === ' ') {
    keyboardPen.isDown = !keyboardPen.isDown;
    if (keyboardPen.isDown) beginStroke([keyboardPen.x, keyboardPen.y]);
    announce(keyboardPen.isDown ? 'Pen down' : 'Pen up');
  } else if (keyboardPen.isDown) {
    extendStroke([[keyboardPen.x, keyboardPen.y]]);
  }
  paintSheet();
});
sheet.addEventListener('blur', () => { keyboardPen.isVisible = keyboardPen.isDown = false; paintSheet(); });

addEventListener('keydown', event => {
  if (event.key === 'Escape') clear();
  else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) undo();
  else return;
  keyboardPen.isDown = false;
  event.preventDefault();
});
element('undo').addEventListener('click', undo);
element('clear').addEventListener('click', clear);
new ResizeObserver(paintSheet).observe(sheet);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { paintSheet(); render(); });

// Images: selected, photographed, dropped or pasted.

const MAX_IMAGE_PIXELS = 16e6; // All browsers support canvases of this size.

async function loadImage(file) {
  if (!file) return;
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, Math.sqrt(MAX_IMAGE_PIXELS / (bitmap.width * bitmap.height)));
    const canvas = document.createElement('canvas');
    canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
    canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
    canvas.getContext('2d', { willReadFrequently: true }).drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    // The server must get the scaled image too, because the boxes in its response are in pixels of what it gets.
    if (scale < 1) file = await new Promise(resolve => canvas.toBlob(resolve));
    pushContent({ strokes: [], image: { canvas, file } });
  } catch {
    clear();
    reading = errorReading('not an image that this browser can open');
    render();
  }
}

for (const [button, input] of [['choose', 'file'], ['camera', 'photo']]) {
  element(button).addEventListener('click', () => element(input).click());
  element(input).addEventListener('change', event => { loadImage(event.target.files[0]); event.target.value = ''; });
}
addEventListener('paste', event => loadImage(event.clipboardData.files[0]));
addEventListener('dragover', event => { event.preventDefault(); sheet.parentElement.classList.add('dragover'); });
for (const type of ['dragleave', 'drop']) addEventListener(type, () => sheet.parentElement.classList.remove('dragover'));
addEventListener('drop', event => { event.preventDefault(); loadImage(event.dataTransfer.files[0]); });

// The reading.

/** Returns the index of the digit whose details are shown: the selected one, the first of an image, or the last drawn. */
const currentIndex = () => selected ?? (content.image ? 0 : reading.digits.length - 1);

function select(index) {
  selected = index;
  paintSheet();
  render();
}

const capitalize = text => text.charAt(0).toUpperCase() + text.slice(1);
const percent = probability =>
  (probability > 0.999 ? '>99.9%' : probability < 0.001 ? '<0.1%' : `${(100 * probability).toFixed(1)}%`);

/** Returns the headline of the reading, its CSS class, and the text below it. */
function summary() {
  if (!reading) return { headline: '', kind: '', text: '' };
  const { text, digits, remarks, error } = reading;
  if (!digits.length) {
    const reason = error ?? REMARKS[remarks.includes('blank') ? 'blank' : 'no_digits'];
    return { headline: capitalize(reason), kind: 'empty', text: '' };
  }
  if (digits.some(digit => digit.remarks.includes('constraint_not_met'))) {
    return { headline: text, kind: 'rejected', text: capitalize(REMARKS.constraint_not_met) };
  }
  if (digits.every(digit => digit.rejected)) {
    return digits.length > 1
      ? { headline: 'No digits', kind: 'rejected', text: '' }
      : { headline: 'Not a digit', kind: 'rejected', text: `Most similar digit: ${digits[0].digit}` };
  }
  const { confidence } = digits[currentIndex()] ?? digits[0];
  const texts = [`confidence ${percent(confidence)}`, ...remarkTexts(remarks)];
  return { headline: text, kind: text.length > 3 ? 'long' : '', text: texts.join(', ') };
}

function render() {
  const { headline, kind, text } = summary();
  const digits = reading?.digits ?? [], index = digits.length ? currentIndex() : -1;
  const digit = digits[index], detail = reading?.details[index];
  element('undo').disabled = !undoStack.length;
  element('clear').disabled = content === EMPTY;
  sheet.parentElement.classList.toggle('in-use', content !== EMPTY);
  sheet.parentElement.classList.toggle('has-image', Boolean(content.image));
  element('headline').textContent = headline;
  element('headline').className = `headline ${kind}`;
  element('remarks').textContent = capitalize(text);
  announce(headline && `${headline.replaceAll('\n', ', ')}. ${capitalize(text)}`);
  element('timing').textContent = reading?.timing ?? '';

  element('digits').replaceChildren(...(digits.length > 1 ? digits : []).map((each, position) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = each.rejected ? '?' : each.digit;
    button.className = each.rejected ? 'rejected' : '';
    button.ariaPressed = position === index;
    button.ariaLabel = `${each.rejected ? REMARKS.not_a_digit : each.digit}, position ${position + 1}`;
    button.addEventListener('click', () => { select(position); element('digits').children[position].focus(); });
    return button;
  }));

  element('alternatives').textContent = reading?.alternatives.length
    ? `Or ${reading.alternatives.map(({ text, probability }) => `${text.replaceAll('\n', ', ')} (${percent(probability)})`).join('; ')}`
    : '';
  document.querySelector('.result').classList.toggle('rejected', Boolean(digit?.rejected));
  probabilityRows.forEach((row, value) => {
    const probability = digit?.probabilities[value] ?? 0;
    row.className = digit && value === digit.digit ? 'best' : '';
    row.querySelector('.bar').style.setProperty('--probability', probability);
    row.lastChild.textContent = digit ? percent(probability) : '';
  });

  inkRgb = cssColor('--ink').match(/\w\w/g).map(hex => parseInt(hex, 16));
  paintGrayLevels(tile, detail?.tile ?? [], 0);
  // The reason of a rejection does not describe the network's input.
  const texts = detail ? ['centered', ...remarkTexts(digit.remarks, ['not_a_digit', 'unsure', 'constraint_not_met', 'among_rejected'])] : [];
  element('caption').textContent = ['Input of the network', texts.join(', ')].filter(part => part).join(': ');
  renderMaps(detail?.maps ?? []);
}

// The pattern.

element('pattern').addEventListener('input', async event => {
  const { setPattern } = await recognizer, input = event.target;
  let error = '';
  try {
    setPattern(input.value.trim());
  } catch ({ message }) {
    error = message;
  }
  element('pattern-error').textContent = error;
  input.ariaInvalid = Boolean(error);
  if (!error) recognize();
});

/** Announces a text to screen readers as soon as it has not changed for a while. */
function announce(text) {
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { if (element('status').textContent !== text) element('status').textContent = text; }, 600);
}

const probabilityRows = Array.from({ length: 10 }, (_, value) => {
  const row = element('probabilities').insertRow();
  const header = document.createElement('th'), bar = document.createElement('div');
  header.scope = 'row';
  header.textContent = value;
  bar.className = 'bar';
  row.append(header);
  row.insertCell().append(bar);
  row.insertCell();
  return row;
});

/** Paints one of several gray images of the canvas's size, which follow each other in `levels`: 0 is paper, 255 is ink. */
function paintGrayLevels(canvas, levels, index) {
  const { width, height } = canvas, context = canvas.getContext('2d');
  context.clearRect(0, 0, width, height);
  if (!levels.length) return;
  const image = context.createImageData(width, height);
  const [red, green, blue] = inkRgb;
  for (let i = 0; i < width * height; i++) {
    image.data.set([red, green, blue, levels[index * width * height + i]], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function renderMaps(layers) {
  const container = element('maps'), layerNames = layers.map(({ layer }) => layer).join();
  if (container.dataset.layers !== layerNames) {
    container.dataset.layers = layerNames;
    container.replaceChildren(...layers.flatMap(({ layer, shape: [channels, height, width] }) => {
      const title = document.createElement('h2'), name = document.createElement('b'), grid = document.createElement('div');
      name.textContent = layer;
      title.append(name, `${channels} feature maps of ${height} × ${width}`);
      grid.setAttribute('role', 'img');
      grid.ariaLabel = `The ${channels} feature maps of ${layer}`;
      grid.append(...Array.from({ length: channels }, () => Object.assign(document.createElement('canvas'), { width, height })));
      return [title, grid];
    }));
  }
  layers.forEach(({ levels }, index) => {
    [...container.children[2 * index + 1].children].forEach((canvas, channel) => paintGrayLevels(canvas, levels, channel));
  });
}

render();
recognizer.then(({ location }) => { if (!reading) element('timing').textContent = `Digits are recognized ${location}`; });
navigator.serviceWorker?.register('offline.js').catch(() => {});
