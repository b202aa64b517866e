// The page for learning: MNIST, a network, its training, and what it reads.

import { announce, element, saveFile } from './element.js';
import { grayCanvas, renderMaps } from './gray-levels.js';
import { renderLayers, withNewLayer } from './layers-view.js';
import { showHtml } from './library-html.js';
import { errorReading } from './reading.js';
import { fetchWeights, wasmRecognizer } from './recognizers.js';
import { EMPTY, Sheet } from './sheet.js';
import { coalesced, WorkerClient } from './worker-client.js';

/** @typedef {import('./layers-view.js').Architecture} Architecture */
/** @typedef {import('./recognizers.js').PageRecognizer} PageRecognizer */

const PIXELS = 28 * 28;

/** @type {Architecture} */
let architecture;
/** @type {any} the recipe of the settings */
let recipe;
let isNetworkPossible = false;
/** Whether there is a training, which can go on unless `isDone`. */
let hasTraining = false;
let isRunning = false;
let isDone = false;
let firstImage = 0;

/**
 * @param {string} id
 * @returns {HTMLInputElement}
 */
const input = id => element(id);
/**
 * @param {string} id
 * @param {string} text
 */
const setText = (id, text) => {
  if (element(id).textContent !== text) element(id).textContent = text;
};

/**
 * Shows why a training fails or is not saved.
 *
 * @param {string} text empty if there is nothing to say
 * @param {string} kind `unsaved` for what a later saved step makes obsolete
 */
function setTrainingError(text, kind = '') {
  setText('training-error', text);
  element('training-error').dataset.kind = kind;
}

/** @param {unknown} error */
const messageOf = error => (error instanceof Error ? error.message : `${error}`);

export const trainer = new WorkerClient('training-worker.js', {
  loading: ({ fraction }) => {
    /** @type {HTMLProgressElement} */ (element('data-progress')).value = fraction;
  },
  progress({ epoch, epochs, images, total, loss, speed, time_left: timeLeft }) {
    setText('epoch', `${epoch} of ${epochs}`);
    setText('loss', loss.toFixed(4));
    setText('speed', speed);
    setText('time-left', timeLeft);
    Object.assign(element('epoch-progress'), { max: total, value: images });
  },
  view({ accuracyFigure, lossFigure, kernels, classification }) {
    showHtml(element('accuracy-chart'), accuracyFigure);
    showHtml(element('loss-chart'), lossFigure);
    element('inside').hidden = false;
    renderMaps(element('kernels'), kernels, 'kernels', 'h4');
    renderMaps(element('feature-maps'), classification?.maps ?? [], 'feature maps', 'h4');
  },
  evaluation: showEvaluation,
  running({ isRunning: runs, isDone: done }) {
    isRunning = runs;
    isDone = Boolean(done);
    if (!isRunning) updateTrainedRecognizer();
    enableButtons();
  },
  failed: ({ message }) => setTrainingError(`The training stopped: ${message}. It went back to the last saved step.`),
  saved: () => {
    if (element('training-error').dataset.kind === 'unsaved') setTrainingError('');
  },
  unsaved({ message }) {
    setTrainingError(
      `This browser can’t save the training (${message}). It goes on, but closing the page ends it. Free storage, or download the weights.`,
      'unsaved',
    );
  },
});

// The data.

/** @param {number} first */
async function showSixteen(first) {
  firstImage = first;
  const { pixels, labels } = await trainer.call('images', first, 16);
  element('sixteen').replaceChildren(
    ...[...labels].map((label, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.ariaLabel = `Image ${first + index}, a ${label}`;
      button.append(grayCanvas(pixels, index), `${label}`);
      button.addEventListener('click', () => selectImage(index, [...pixels.subarray(index * PIXELS, (index + 1) * PIXELS)]));
      return button;
    }),
  );
  element('previous-sixteen').toggleAttribute('disabled', first === 0);
  await selectImage(0, [...pixels.subarray(0, PIXELS)]);
}

/**
 * Shows transformations and feature maps of an image.
 *
 * @param {number} index among the sixteen
 * @param {number[]} pixels
 */
async function selectImage(index, pixels) {
  [...element('sixteen').children].forEach((button, position) => {
    button.ariaPressed = `${position === index}`;
  });
  trainer.call('show', pixels);
  const augmented = await trainer.call('augmented', firstImage + index, 8);
  element('augmented').replaceChildren(...Array.from({ length: 8 }, (_, position) => grayCanvas(augmented, position)));
}

/** @param {number[]} counts */
function showLabelCounts(counts) {
  const largest = Math.max(...counts);
  counts.forEach((count, digit) => {
    const row = /** @type {HTMLTableSectionElement} */ (element('label-counts')).insertRow();
    row.append(Object.assign(document.createElement('th'), { scope: 'row', textContent: `${digit}` }));
    const bar = Object.assign(document.createElement('div'), { className: 'bar' });
    bar.style.setProperty('--probability', `${count / largest}`);
    row.insertCell().append(bar);
    row.insertCell().textContent = count.toLocaleString('en');
  });
}

// The network.

/** @param {Architecture} edited */
async function setArchitecture(edited) {
  const summary = await trainer.call('summarizeArchitecture', edited);
  architecture = summary.architecture ?? edited;
  isNetworkPossible = Boolean(summary.architecture);
  renderLayers(architecture, summary, setArchitecture);
  showHtml(element('diagram'), summary.diagram);
  const error = summary.layers.find((/** @type {{ error: string }} */ layer) => layer.error);
  setText('network-error', error ? `${error.name}: ${error.error}` : '');
  enableButtons();
}

async function selectArchitecture() {
  await setArchitecture(await trainer.call('architecture', input('architecture').value));
  const isOfTutorial = ['mlp', 'cnn', 'lenet5'].includes(architecture.name);
  const option = /** @type {HTMLOptionElement} */ (document.querySelector('#recipe option[value=tutorial]'));
  option.disabled = !isOfTutorial;
  if (option.disabled && input('recipe').value === 'tutorial') input('recipe').value = 'default';
  await selectRecipe();
}

// The training.

/** @returns {string} the name of the setting that holds the learning rate of a recipe's optimizer */
const optimizerName = () => Object.keys(recipe.optimizer)[0];

async function selectRecipe() {
  recipe = await trainer.call('recipe', input('recipe').value, architecture.name);
  showRecipe();
}

function showRecipe() {
  input('epochs').value = recipe.epochs;
  input('batch-size').value = recipe.batch_size;
  input('learning-rate').value = `${Number(recipe.optimizer[optimizerName()].lr.toPrecision(6))}`;
}

/** @returns {object} the settings of the fields */
function settings() {
  const optimizer = optimizerName();
  const lr = input('learning-rate').valueAsNumber;
  return {
    architecture,
    recipe: {
      ...recipe,
      epochs: input('epochs').valueAsNumber,
      batch_size: input('batch-size').valueAsNumber,
      optimizer: { [optimizer]: { ...recipe.optimizer[optimizer], lr } },
    },
    seed: input('seed').valueAsNumber,
  };
}

function enableButtons() {
  // The network and the settings are those of the training until it has ended.
  const isFixed = isRunning || (hasTraining && !isDone);
  const isReady = isFixed || isNetworkPossible;
  element('start').toggleAttribute('disabled', !isReady || isRunning);
  element('step').toggleAttribute('disabled', !isReady || isRunning);
  element('pause').toggleAttribute('disabled', !isRunning);
  element('stop').toggleAttribute('disabled', !hasTraining || (isDone && !isRunning));
  for (const id of ['network', 'layer-fields', 'settings']) element(id).toggleAttribute('disabled', isFixed);
  element('settings-hint').hidden = !isFixed;
}

/** Prepares a training of the settings, unless there is one that can go on. */
async function prepare() {
  setTrainingError('');
  if (hasTraining && !isDone) return;
  await trainer.call('create', settings(), Number(input('train-images').value));
  hasTraining = true;
  isDone = false;
  for (const id of ['test-accuracy', 'loss', 'speed', 'time-left']) setText(id, '-');
  setText('epoch', `0 of ${input('epochs').value}`);
  element('evaluation').hidden = true;
}

/** @param {'run' | 'step'} method */
async function train(method) {
  isRunning = true;
  enableButtons();
  try {
    await prepare();
    await trainer.call(method);
    element('use').hidden = false;
  } catch (error) {
    isRunning = false;
    setTrainingError(messageOf(error));
    enableButtons();
  }
}

/** @param {any} evaluation */
function showEvaluation({ epoch, epochs, testAccuracy, history, confusionMatrix, mistakes }) {
  setText('epoch', `${epoch} of ${epochs}`);
  setText('test-accuracy', testAccuracy);
  if (epoch > 0) {
    announce(`Epoch ${epoch} of ${epochs}: test accuracy ${testAccuracy}`);
    updateTrainedRecognizer();
  }
  element('history').replaceChildren(
    ...history.map((/** @type {Record<string, string>} */ row, /** @type {number} */ index) => {
      const line = document.createElement('tr');
      line.append(Object.assign(document.createElement('th'), { scope: 'row', textContent: `${index + 1}` }));
      for (const key of ['loss', 'train_accuracy', 'test_accuracy', 'published', 'seconds'])
        line.insertCell().textContent = row[key];
      return line;
    }),
  );
  element('evaluation').hidden = !confusionMatrix;
  showHtml(element('confusion'), confusionMatrix);
  showMistakes(mistakes);
}

/** @param {{ index: number, label: number, prediction: number, confidence: string }[]} mistakes */
async function showMistakes(mistakes) {
  const images = await trainer.call(
    'testImages',
    mistakes.map(({ index }) => index),
  );
  element('mistakes').replaceChildren(
    ...mistakes.map(({ index, label, prediction, confidence }, position) => {
      const button = document.createElement('button');
      button.type = 'button';
      const text = document.createElement('span');
      text.append(
        Object.assign(document.createElement('b'), { textContent: `${label} read as ${prediction}` }),
        ` ${confidence}`,
      );
      button.append(grayCanvas(images[position], 0), text);
      button.title = `Test image ${index}. Press to show its feature maps`;
      button.addEventListener('click', () => {
        trainer.call('show', [...images[position]]);
        element('inside').scrollIntoView({ block: 'start' });
      });
      return button;
    }),
  );
}

// Using it.

/** @type {Promise<PageRecognizer | null>} */
let builtIn = Promise.resolve(null);
/** @type {PageRecognizer | null} */
let trained = null;

async function updateTrainedRecognizer() {
  if (!hasTraining) return;
  try {
    const recognizer = await wasmRecognizer(await trainer.call('weights'));
    trained?.free();
    trained = recognizer;
  } catch (error) {
    setText('trained-reading', `The network can’t be used: ${messageOf(error)}`);
    return;
  }
  element('use').hidden = false;
  sheet.paint();
  recognize();
}

const sheet = new Sheet(element('sheet'), {
  onChange() {
    element('undo').toggleAttribute('disabled', !sheet.canUndo);
    element('clear').toggleAttribute('disabled', sheet.content === EMPTY);
    recognize();
  },
  announce,
});

/** Reads the sheet with both networks. */
const recognize = coalesced(async () => {
  const drawing = JSON.stringify({ strokes: sheet.content.strokes });
  for (const [id, recognizer] of /** @type {[string, PageRecognizer | null][]} */ ([
    ['trained-reading', trained],
    ['built-in-reading', await builtIn],
  ])) {
    if (!recognizer) continue;
    await new Promise(requestAnimationFrame);
    const reading = await recognizer.drawing(drawing).catch(error => errorReading(messageOf(error)));
    setText(id, sheet.content === EMPTY ? '' : (reading.error ?? (reading.text || 'no digits')));
  }
});

element('undo').addEventListener('click', () => sheet.undo());
element('clear').addEventListener('click', () => sheet.clear());

/**
 * Offers bytes of the training for download.
 *
 * @param {string} method
 * @param {string} name
 * @param {string} type
 * @param {...any} args
 */
async function offerDownload(method, name, type, ...args) {
  try {
    saveFile(await trainer.call(method, ...args), name, type);
  } catch (error) {
    setTrainingError(messageOf(error));
  }
}

element('download-weights').addEventListener('click', () => {
  offerDownload('weights', `${architecture.name}.safetensors`, 'application/octet-stream');
});
element('download-onnx').addEventListener('click', () =>
  offerDownload('onnx', `${architecture.name}.onnx`, 'application/octet-stream'),
);
element('download-checkpoint').addEventListener('click', () => {
  offerDownload('checkpoint', 'checkpoint.safetensors', 'application/octet-stream');
});
element('download-report').addEventListener('click', () => {
  offerDownload('report', `${architecture.name}.html`, 'text/html', new Date().toISOString().slice(0, 16).replace('T', ' '));
});

// All of it.

/** Continues the training that this device has kept. */
async function restore() {
  let training;
  try {
    training = await trainer.call('restore');
  } catch (error) {
    setTrainingError(`The saved training can’t be read (${messageOf(error)}). It is kept until a new training is saved.`);
    return;
  }
  if (!training) return;
  hasTraining = true;
  isDone = training.isDone;
  recipe = training.recipe;
  await setArchitecture(training.architecture);
  const known = [...input('architecture').querySelectorAll('option')].some(option => option.value === architecture.name);
  if (known) input('architecture').value = architecture.name;
  input('train-images').value = training.images;
  showRecipe();
  setText('epoch', `${training.epoch} of ${training.epochs}`);
  await trainer.call('view');
  if (training.wasRunning) await trainer.call('run');
  else updateTrainedRecognizer();
}

async function start() {
  const loaded = await trainer.call('load');
  setText('data-state', '');
  element('data-progress').hidden = true;
  element('data').hidden = false;
  showLabelCounts(loaded.labelCounts);
  setText('environment', `${loaded.name}, ${loaded.threads} ${loaded.threads > 1 ? 'threads' : 'thread'}`);
  await showSixteen(0);
  await selectArchitecture();
  await restore();
  enableButtons();
  builtIn = fetchWeights()
    .then(weights => wasmRecognizer(weights))
    .catch(() => null);
  document.body.dataset.state = 'ready';

  element('previous-sixteen').addEventListener('click', () => showSixteen(Math.max(0, firstImage - 16)));
  element('next-sixteen').addEventListener('click', () => showSixteen((firstImage + 16) % loaded.images));
  element('architecture').addEventListener('change', selectArchitecture);
  element('add-layer').addEventListener('click', () => setArchitecture(withNewLayer(architecture)));
  element('recipe').addEventListener('change', selectRecipe);
  element('start').addEventListener('click', () => train('run'));
  element('step').addEventListener('click', () => train('step'));
  element('pause').addEventListener('click', () => trainer.call('pause'));
  element('stop').addEventListener('click', () => trainer.call('stop'));
}

/** Waits until no other tab trains, because two trainings would overwrite each other's state. */
function exclusively(/** @type {() => Promise<void>} */ action) {
  if (!navigator.locks) return action();
  return navigator.locks.request('lenet training', { ifAvailable: true }, async lock => {
    if (!lock) {
      setText('problem', 'Another tab of this browser has this page open. Close it to train here.');
      return navigator.locks.request('lenet training', () => {
        setText('problem', '');
        return action().then(forever);
      });
    }
    return action().then(forever);
  });
}

/** @returns {Promise<never>} a promise that holds a lock as long as the page */
const forever = () => new Promise(() => {});

exclusively(() =>
  start().catch(error => {
    setText('data-state', '');
    element('data-progress').hidden = true;
    setText(
      'problem',
      `The page can’t train: ${messageOf(error)}. It needs a browser with WebAssembly, and the files that crates/lenet-web/compile makes.`,
    );
  }),
);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  if (document.body.dataset.state !== 'ready') return;
  showSixteen(firstImage);
  trainer.call('view');
});
navigator.serviceWorker?.register('offline.js').catch(() => {});
