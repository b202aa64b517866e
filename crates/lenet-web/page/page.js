// The page for drawing: shows how the content of the sheet is read. The page contains no image processing and no arithmetic of the
// network: all of it is in the recognizer.

import { announce, element } from './element.js';
import { cssColor, paintGrayLevels, renderMaps } from './gray-levels.js';
import { keepDigit, startHand } from './hand.js';
import { decodeImage, listenForFiles } from './image-file.js';
import { capitalize, errorReading, percent, REMARKS, remarkTexts } from './reading.js';
import { fetchWeights, serverRecognizer, wasmRecognizer } from './recognizers.js';
import { EMPTY, Sheet } from './sheet.js';
import { coalesced } from './worker-client.js';

/** @typedef {import('./reading.js').Reading} Reading */

/** @type {Promise<import('./recognizers.js').PageRecognizer>} */
let recognizer = fetchWeights()
  .then(weights => wasmRecognizer(weights))
  .catch(serverRecognizer);
let pattern = '';

/** @type {Reading | null} of the sheet's content or, while strokes are drawn, of the content shortly before */
let reading = null;
/** @type {import('./sheet.js').SheetImage | undefined} the image that `reading` is of */
let readImage;
/** @type {number | null} index of the digit that the user has selected */
let selected = null;

const frame = /** @type {HTMLElement} */ (element('sheet').parentElement);
const sheet = new Sheet(element('sheet'), {
  onChange(isExtended) {
    if (!isExtended) {
      if (sheet.content.image || readImage || sheet.content === EMPTY) reading = null;
      selected = null;
      render();
    }
    recognize();
  },
  onPress: point => select(digitAt(point)),
  paintOverlay,
  announce,
});

/** Recognizes the content of the sheet. */
const recognize = coalesced(async () => {
  const input = sheet.content;
  if (input === EMPTY) return;
  await new Promise(requestAnimationFrame);
  const { location, drawing, image } = await recognizer;
  const start = performance.now();
  try {
    const result = await (input.image ? image(input.image) : drawing(JSON.stringify({ strokes: input.strokes })));
    result.timing = `Recognized ${location} in ${(performance.now() - start).toFixed(1)} ms`;
    if (sheet.content.image === input.image && sheet.content !== EMPTY) [reading, readImage] = [result, input.image];
  } catch (error) {
    if (sheet.content !== EMPTY) reading = errorReading(`recognition failed: ${/** @type {Error} */ (error).message ?? error}`);
  }
  sheet.paint();
  render();
});

/**
 * Paints the boxes of digits and marks.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} cssPixel
 */
function paintOverlay(context, cssPixel) {
  if (!reading || (!sheet.content.image && reading.digits.length < 2)) return;
  const { left, top, scale } = sheet.imagePlacement;
  context.font = `600 ${15 * cssPixel}px system-ui, sans-serif`;
  /**
   * @param {string} text
   * @param {number[]} box
   * @param {boolean} isAccepted
   * @param {number} lineWidth
   * @param {number[]} dash
   */
  const paintBox = (text, box, isAccepted, lineWidth, dash) => {
    const [x, y, width, height] = box.map(length => length * scale);
    const boxLeft = left + x - 4 * cssPixel;
    const boxTop = top + y - 4 * cssPixel;
    context.lineWidth = lineWidth * cssPixel;
    context.setLineDash(dash.map(length => length * cssPixel));
    context.strokeStyle = context.fillStyle = cssColor(isAccepted ? '--accepted' : '--rejected');
    context.strokeRect(boxLeft, boxTop, width + 8 * cssPixel, height + 8 * cssPixel);
    context.fillText(text, boxLeft, Math.max(boxTop - 4 * cssPixel, 14 * cssPixel));
  };
  const current = currentIndex();
  reading.digits.forEach(({ digit, rejected, box }, index) => {
    paintBox(rejected ? '?' : `${digit}`, box, !rejected, index === current ? 2 : 1, []);
  });
  for (const { mark, doubtful, box } of reading.marks) paintBox(mark, box, !doubtful, 1, [3, 3]);
  context.setLineDash([]);
}

/**
 * @param {import('./sheet.js').Point} point
 * @returns {number | null} the index of the digit at a point
 */
function digitAt([x, y]) {
  const { left, top, scale } = sheet.imagePlacement;
  /**
   * @param {number} start
   * @param {number} length
   * @param {number} value
   */
  const contains = (start, length, value) => value >= start * scale && value <= (start + length) * scale;
  const index = (reading?.digits ?? []).findIndex(
    ({ box: [boxLeft, boxTop, width, height] }) => contains(boxLeft, width, x - left) && contains(boxTop, height, y - top),
  );
  return index >= 0 ? index : null;
}

element('undo').addEventListener('click', () => sheet.undo());
element('clear').addEventListener('click', () => sheet.clear());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', render);

/** @param {Blob | undefined} file */
async function loadImage(file) {
  if (!file) return;
  try {
    sheet.push({ strokes: [], image: await decodeImage(file) });
  } catch {
    sheet.clear();
    reading = errorReading('not an image that this browser can open');
    render();
  }
}

for (const [button, input] of [
  ['choose', 'file'],
  ['camera', 'photo'],
]) {
  const chooser = /** @type {HTMLInputElement} */ (element(input));
  element(button).addEventListener('click', () => chooser.click());
  chooser.addEventListener('change', () => {
    loadImage(chooser.files?.[0]);
    chooser.value = '';
  });
}
listenForFiles(frame, loadImage);

/** @returns {number} the index of the digit whose details are shown: the selected one, the first of an image, or the last drawn */
const currentIndex = () => selected ?? (sheet.content.image ? 0 : (reading?.digits.length ?? 0) - 1);

/** @param {number | null} index */
function select(index) {
  selected = index;
  sheet.paint();
  render();
}

/** @returns {{ headline: string, kind: string, text: string }} the headline of the reading, its CSS class, and the text below it */
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
  const digits = reading?.digits ?? [];
  const index = digits.length ? currentIndex() : -1;
  const digit = digits[index];
  const detail = reading?.details[index];
  element('undo').toggleAttribute('disabled', !sheet.canUndo);
  element('clear').toggleAttribute('disabled', sheet.content === EMPTY);
  frame.classList.toggle('in-use', sheet.content !== EMPTY);
  frame.classList.toggle('has-image', Boolean(sheet.content.image));
  element('headline').textContent = headline;
  element('headline').className = `headline ${kind}`;
  element('remarks').textContent = capitalize(text);
  announce(headline && `${headline.replaceAll('\n', ', ')}. ${capitalize(text)}`);
  element('timing').textContent = reading?.timing ?? '';

  element('digits').replaceChildren(
    ...(digits.length > 1 ? digits : []).map((each, position) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = each.rejected ? '?' : `${each.digit}`;
      button.className = each.rejected ? 'rejected' : '';
      button.ariaPressed = `${position === index}`;
      button.ariaLabel = `${each.rejected ? REMARKS.not_a_digit : each.digit}, position ${position + 1}`;
      button.addEventListener('click', () => {
        select(position);
        /** @type {HTMLElement} */ (element('digits').children[position]).focus();
      });
      return button;
    }),
  );

  const isInPage = !element('hand').hidden;
  element('correction').hidden = !digit || !isInPage;
  correctionButtons.forEach((button, value) => {
    button.ariaPressed = `${Boolean(digit && !digit.rejected && digit.digit === value)}`;
  });

  element('alternatives').textContent = reading?.alternatives.length
    ? `Or ${reading.alternatives.map(({ text, probability }) => `${text.replaceAll('\n', ', ')} (${percent(probability)})`).join('; ')}`
    : '';
  document.querySelector('.result')?.classList.toggle('rejected', Boolean(digit?.rejected));
  probabilityRows.forEach((row, value) => {
    const probability = digit?.probabilities[value] ?? 0;
    row.className = digit && value === digit.digit ? 'best' : '';
    /** @type {HTMLElement} */ (row.querySelector('.bar')).style.setProperty('--probability', `${probability}`);
    row.cells[2].textContent = digit ? percent(probability) : '';
  });

  paintGrayLevels(element('tile'), detail?.tile ?? [], 0);
  // The reason of a rejection does not describe the network's input.
  const reasons = ['not_a_digit', 'unsure', 'constraint_not_met', 'among_rejected'];
  const texts = detail ? ['centered', ...remarkTexts(digit.remarks, reasons)] : [];
  element('caption').textContent = ['Input of the network', texts.join(', ')].filter(part => part).join(': ');
  renderMaps(element('maps'), detail?.maps ?? [], 'feature maps', 'h2');
}

element('pattern').addEventListener('input', async event => {
  const { setPattern } = await recognizer;
  const input = /** @type {HTMLInputElement} */ (event.target);
  let error = '';
  try {
    await setPattern(input.value.trim());
    pattern = input.value.trim();
  } catch (reason) {
    error = /** @type {Error} */ (reason).message;
  }
  element('pattern-error').textContent = error;
  input.ariaInvalid = `${Boolean(error)}`;
  if (!error) recognize();
});

const probabilityRows = Array.from({ length: 10 }, (_, value) => {
  const row = /** @type {HTMLTableElement} */ (element('probabilities')).insertRow();
  const header = document.createElement('th');
  const bar = document.createElement('div');
  header.scope = 'row';
  header.textContent = `${value}`;
  bar.className = 'bar';
  row.append(header);
  row.insertCell().append(bar);
  row.insertCell();
  return row;
});

// The right digit.

const correctionButtons = Array.from({ length: 10 }, (_, value) => {
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: `${value}` });
  button.addEventListener('click', () => correct(value));
  element('correction').append(button);
  return button;
});

/** @param {number} label of the current digit */
function correct(label) {
  const index = currentIndex();
  const [digit, detail] = [reading?.digits[index], reading?.details[index]];
  if (digit && detail && !element('correction').hidden) keepDigit(label, detail.tile, digit.rejected ? '?' : `${digit.digit}`);
}

addEventListener('keydown', event => {
  const isInField = /** @type {HTMLElement} */ (event.target).matches?.('input, select, textarea');
  if (isInField || event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
  correct(Number(event.key));
});

/** @param {Uint8Array | null} weights of the network that recognizes from now on; `null` for that of the server */
async function useNetwork(weights) {
  const [previous, next] = [await recognizer, await wasmRecognizer(weights ?? (await fetchWeights()))];
  await next.setPattern(pattern);
  recognizer = Promise.resolve(next);
  previous.free();
  recognize();
}

render();
recognizer.then(({ location }) => {
  if (location === 'in this page') startHand({ shippedWeights: fetchWeights, useNetwork });
  if (!reading) element('timing').textContent = `Digits are recognized ${location}`;
});
navigator.serviceWorker?.register('offline.js').catch(() => {});
