// Your hand: digits that the user has labeled, which are kept on this device, and a network that learns them.

import { element, saveFile } from './element.js';
import { grayCanvas } from './gray-levels.js';
import { decodeImage } from './image-file.js';
import { wasmRecognizer } from './recognizers.js';
import { transact } from './store.js';
import { WorkerClient } from './worker-client.js';

/** @typedef {{ id?: number, label: number, pixels: Uint8Array<ArrayBuffer>, reading: string }} KeptDigit what was read is `?` if rejected */

const MIN_DIGITS = 10;
const SIDE = 28;
const NETWORK_KEY = 'adapted';

/** @type {KeptDigit[]} */
let digits = [];
/** @type {() => Promise<Uint8Array>} */
let shippedWeights;
/** @type {(weights: Uint8Array | null) => Promise<void>} uses a network, or the shipped one */
let useNetwork;
let isLearning = false;

/** @type {WorkerClient | undefined} */
let trainer;
const trainingWorker = () => {
  trainer ??= new WorkerClient('training-worker.js');
  return trainer;
};

/** @param {string} text */
const setStatus = text => {
  element('hand-status').textContent = text;
};

/**
 * Runs an action, and shows why it fails.
 *
 * @param {() => Promise<void>} action
 * @param {string} failure
 */
async function attempt(action, failure) {
  element('hand-error').textContent = '';
  try {
    await action();
  } catch (error) {
    element('hand-error').textContent = `${failure}: ${error instanceof Error ? error.message : error}`;
  }
  render();
}

async function reload() {
  digits = await transact('digits', 'readonly', store => store.getAll());
}

/**
 * Keeps a digit.
 *
 * @param {number} label
 * @param {number[]} pixels the image that the network got
 * @param {string} reading
 */
export function keepDigit(label, pixels, reading) {
  return attempt(async () => {
    const digit = { label, pixels: new Uint8Array(pixels), reading };
    // The last label of an image is the right one.
    const same = digits.filter(({ pixels: kept }) => kept.every((level, index) => level === digit.pixels[index]));
    for (const { id } of same) await transact('digits', 'readwrite', store => store.delete(/** @type {number} */ (id)));
    await transact('digits', 'readwrite', store => store.add(digit));
    await reload();
    const left = MIN_DIGITS - digits.length;
    setStatus(left > 0 ? `Kept. ${left} more to learn your hand.` : `Kept. ${digits.length} digits of yours.`);
  }, 'The digit can’t be kept');
}

/** @param {number} id */
function deleteDigit(id) {
  return attempt(async () => {
    await transact('digits', 'readwrite', store => store.delete(id));
    await reload();
    setStatus('Deleted.');
  }, 'The digit can’t be deleted');
}

function deleteAll() {
  return attempt(async () => {
    await transact('digits', 'readwrite', store => store.clear());
    await reload();
    setStatus('All digits are deleted.');
  }, 'The digits can’t be deleted');
}

/** @returns {{ pixels: Uint8Array, labels: Uint8Array }} all kept digits */
function dataset() {
  const pixels = new Uint8Array(digits.length * SIDE * SIDE);
  digits.forEach((digit, index) => {
    pixels.set(digit.pixels, index * SIDE * SIDE);
  });
  return { pixels, labels: Uint8Array.from(digits, ({ label }) => label) };
}

function learn() {
  return attempt(async () => {
    isLearning = true;
    render();
    setStatus('Learning your hand …');
    try {
      const { pixels, labels } = dataset();
      const { weights, summary } = await trainingWorker().call('adapt', await shippedWeights(), pixels, labels);
      await useNetwork(weights);
      setStatus(summary);
      await transact('networks', 'readwrite', store => store.put(weights, NETWORK_KEY));
    } finally {
      isLearning = false;
    }
  }, 'Your hand can’t be learned');
}

function forget() {
  return attempt(async () => {
    await useNetwork(null);
    await transact('networks', 'readwrite', store => store.delete(NETWORK_KEY));
    element('forget-hand').hidden = true;
    setStatus('The built-in network reads again. Your digits are still kept.');
  }, 'The learned network can’t be removed');
}

/** Offers the digits as a ZIP archive of a folder, which `lenet train --data` takes. */
function exportDigits() {
  return attempt(async () => {
    const { pixels, labels } = dataset();
    const archive = await trainingWorker().call('exportDigits', pixels, labels);
    saveFile(archive, 'my-digits.zip', 'application/zip');
  }, 'The digits can’t be exported');
}

/**
 * Keeps the digits of picture files. The folder of a file, 0 to 9, is its label.
 *
 * @param {File[]} files
 */
function importDigits(files) {
  return attempt(async () => {
    const found = [];
    /** @type {string[]} */
    const foreign = [];
    const recognizer = await wasmRecognizer(await shippedWeights(), { single: true });
    for (const file of files) {
      const digit = await importedDigit(file, recognizer);
      if (digit) found.push(digit);
      else foreign.push(file.name);
    }
    recognizer.free();
    for (const digit of found) await transact('digits', 'readwrite', store => store.add(digit));
    await reload();
    setStatus(`${found.length} digits are imported.`);
    if (foreign.length) {
      const names = `${foreign.slice(0, 3).join(', ')}${foreign.length > 3 ? ', …' : ''}`;
      throw new Error(`expected pictures of digits in folders 0 to 9, found ${foreign.length} other files (${names})`);
    }
  }, 'Not all files are imported');
}

/**
 * @param {File} file
 * @param {import('./recognizers.js').PageRecognizer} recognizer
 * @returns {Promise<KeptDigit | null>} the digit, or nothing if the file is no picture of one in a folder 0 to 9
 */
async function importedDigit(file, recognizer) {
  const folder = file.webkitRelativePath.split('/').at(-2) ?? '';
  const image = /^[0-9]$/.test(folder) ? await decodeImage(file).catch(() => null) : null;
  const reading = image && (await recognizer.image(image));
  if (!reading?.details.length) return null;
  return { label: Number(folder), pixels: new Uint8Array(reading.details[0].tile), reading: '' };
}

function render() {
  const isFull = digits.length >= MIN_DIGITS;
  element('learn-hand').toggleAttribute('disabled', !isFull || isLearning);
  element('export-digits').toggleAttribute('disabled', !digits.length);
  element('delete-digits').toggleAttribute('disabled', !digits.length);
  element('hand-progress').hidden = !isLearning;
  element('kept-digits').replaceChildren(
    ...digits.map(({ id, label, pixels, reading }) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.title = 'Press to delete';
      const text = document.createElement('span');
      text.append(Object.assign(document.createElement('b'), { textContent: `${label}` }));
      if (reading && reading !== `${label}`) text.append(` not ${reading}`);
      button.append(grayCanvas(pixels, 0), text);
      button.addEventListener('click', () => deleteDigit(/** @type {number} */ (id)));
      return button;
    }),
  );
}

/**
 * Shows the section, and uses the learned network of an earlier visit.
 *
 * @param {object} options
 * @param {() => Promise<Uint8Array>} options.shippedWeights
 * @param {(weights: Uint8Array | null) => Promise<void>} options.useNetwork recognizes with these weights from now on, or with the
 *   shipped ones
 */
export async function startHand({ shippedWeights: fetchShipped, useNetwork: use }) {
  shippedWeights = fetchShipped;
  useNetwork = async weights => {
    await use(weights);
    element('forget-hand').hidden = !weights;
  };
  element('hand').hidden = false;
  element('learn-hand').addEventListener('click', learn);
  element('forget-hand').addEventListener('click', forget);
  element('export-digits').addEventListener('click', exportDigits);
  element('delete-digits').addEventListener('click', deleteAll);
  const files = /** @type {HTMLInputElement} */ (element('digit-files'));
  files.webkitdirectory = true;
  element('import-digits').addEventListener('click', () => files.click());
  files.addEventListener('change', () =>
    importDigits([...(files.files ?? [])]).then(() => {
      files.value = '';
    }),
  );
  await attempt(async () => {
    await reload();
    const weights = await transact('networks', 'readonly', store => store.get(NETWORK_KEY));
    if (weights) {
      await useNetwork(weights);
      setStatus('The network that has learned your hand reads.');
    }
  }, 'What this browser has kept can’t be used; the built-in network reads');
}
