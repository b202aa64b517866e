// The worker that trains. It sends events: progress, the views of a network, and errors.

import { fetchConstant } from './offline-cache.js';
import { transact } from './store.js';
import { loadTrainingModule } from './training-module.js';
import { coalesced } from './worker-client.js';
import { emit, offerMethods } from './worker-methods.js';

const FILES = [
  'train-images-idx3-ubyte.br',
  'train-labels-idx1-ubyte.br',
  't10k-images-idx3-ubyte.br',
  't10k-labels-idx1-ubyte.br',
];
const FILE_BYTES = 9_160_000; // of all files, about
const SLICE_MS = 40; // Between two slices of steps, messages are handled.
const VIEW_MS = 400; // between two views of the network
const SAVE_MS = 3000; // between two saved checkpoints
const MISTAKES = 32; // that are shown, at most

/** @typedef {{ checkpoint: Uint8Array, stepLosses: Float32Array, images: number, isRunning: boolean, isStopped: boolean }} TrainingRecord */

/** @type {ReturnType<typeof loadTrainingModule> | undefined} */
let loading;
const loadModule = () => {
  loading ??= loadTrainingModule();
  return loading;
};
/** @type {import('./training-module.js').TrainingModule} */
let module;
/** @type {import('./training.js').Mnist} */
let mnist;
/** @type {import('./training.js').Mnist} the images of the training */
let trainingImages;
/** @type {import('./training.js').Training | null} */
let training = null;
let isRunning = false;
let isStopped = false; // A stopped training does not go on.
/** @type {TrainingRecord | null} the state to which a training returns that has diverged */
let lastRecord = null;
/** @type {number[]} pixels of the digit whose feature maps are shown */
let shownImage = [];
let lastView = 0;
let lastSave = 0;

/**
 * @param {string} name
 * @param {(bytes: number) => void} onBytes is called with the size of each part
 * @returns {Promise<Uint8Array>} the content of a file
 */
async function download(name, onBytes) {
  const response = await fetchConstant(name);
  if (!response.ok || !response.body) throw new Error(`${name}: status ${response.status}`);
  /** @type {Uint8Array<ArrayBuffer>[]} */
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    onBytes(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Shows the network: curves, kernels, feature maps. */
function emitView() {
  if (!training) return;
  lastView = performance.now();
  emit('view', {
    accuracyFigure: training.accuracyFigure(),
    lossFigure: training.lossFigure(),
    kernels: JSON.parse(training.kernels()),
    classification: shownImage.length ? JSON.parse(training.classify(new Uint8Array(shownImage))) : null,
  });
}

/** Shows the result of the last evaluation. */
function emitEvaluation() {
  if (!training) return;
  emit('evaluation', {
    epoch: training.completedEpochs,
    epochs: training.epochs,
    testAccuracy: training.testAccuracy,
    history: JSON.parse(training.history),
    confusionMatrix: training.confusionMatrix(),
    mistakes: JSON.parse(training.mistakes(MISTAKES)),
  });
}

/** Saves the training on this device. A failure is reported, and does not end the training. */
const save = coalesced(async () => {
  if (!training) return;
  const record = {
    checkpoint: training.checkpoint(),
    stepLosses: training.stepLosses,
    images: trainingImages.trainLength,
    isRunning,
    isStopped,
  };
  lastRecord = record;
  try {
    await transact('training', 'readwrite', store => store.put(record, 'current'));
    emit('saved');
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    emit('unsaved', { message: message || name });
  }
  lastSave = performance.now();
});

/** @returns {Promise<void>} a promise that is resolved after waiting messages were handled */
const nextTask = () =>
  new Promise(resolve => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(null);
  });

/**
 * Makes steps for a while.
 *
 * @param {number} milliseconds
 * @returns {Promise<boolean>} whether there are more steps
 */
async function makeSteps(milliseconds) {
  if (!training) return false;
  const end = performance.now() + milliseconds;
  let progress;
  do {
    const json = training.step();
    if (!json) return false;
    progress = JSON.parse(json);
  } while (performance.now() < end && !progress.is_epoch_end);
  emit('progress', progress);
  if (progress.is_epoch_end) emitEvaluation();
  if (progress.is_epoch_end || performance.now() - lastView > VIEW_MS) emitView();
  if (progress.is_epoch_end || performance.now() - lastSave > SAVE_MS) await save();
  return progress.epoch < progress.epochs || !progress.is_epoch_end;
}

/** Trains until the last step, or until `isRunning` is reset. */
async function run() {
  isRunning = true;
  emit('running', { isRunning });
  try {
    while (isRunning && (await makeSteps(SLICE_MS))) await nextTask();
  } catch (error) {
    recover(/** @type {Error} */ (error).message);
  }
  isRunning = false;
  emitView();
  emit('running', { isRunning, isDone: isDone() });
  await save();
}

/**
 * Returns to the last saved state, after a training has diverged.
 *
 * @param {string} message
 */
function recover(message) {
  emit('failed', { message });
  training?.free();
  training = null;
  if (lastRecord) resume(lastRecord);
}

const isDone = () => Boolean(training && (isStopped || training.completedEpochs === training.epochs));

/**
 * @param {TrainingRecord} record
 * @returns {import('./training.js').Training} the training of a record, which goes on from now
 */
function resume(record) {
  const images = mnist.withTrainImages(record.images);
  const resumed = module.Training.resume(images, record.checkpoint, record.stepLosses);
  [training, trainingImages, isStopped, lastRecord] = [resumed, images, record.isStopped, record];
  return resumed;
}

/** @type {Record<string, (...args: any[]) => any>} */
const methods = {
  /** Loads the module and MNIST. */
  async load() {
    const loaded = await loadModule();
    module = loaded.module;
    let bytes = 0;
    const files = await Promise.all(
      FILES.map(file =>
        download(`mnist/${file}`, length => {
          bytes += length;
          emit('loading', { fraction: bytes / FILE_BYTES });
        }),
      ),
    );
    mnist = new module.Mnist(files[0], files[1], files[2], files[3]);
    trainingImages = mnist;
    return { name: loaded.name, threads: loaded.threads, labelCounts: [...mnist.labelCounts()], images: mnist.trainLength };
  },

  images: (first, count) => ({ pixels: mnist.trainImages(first, count), labels: mnist.trainLabels(first, count) }),
  testImages: indices => indices.map((/** @type {number} */ index) => mnist.testImages(index, 1)),
  augmented: (index, count) => mnist.augmented(index, count),
  architecture: name => JSON.parse(module.architecture(name)),
  recipe: (name, architecture) => JSON.parse(module.recipe(name, architecture)),
  summarizeArchitecture: architecture => JSON.parse(module.summarizeArchitecture(JSON.stringify(architecture))),

  /** Continues the training that this device has kept, if there is one. */
  async restore() {
    /** @type {TrainingRecord | undefined} */
    const record = await transact('training', 'readonly', store => store.get('current'));
    if (!record) return null;
    const resumed = resume(record);
    return {
      architecture: JSON.parse(resumed.architecture),
      recipe: JSON.parse(resumed.recipe),
      images: record.images,
      epoch: resumed.completedEpochs,
      epochs: resumed.epochs,
      isDone: isDone(),
      wasRunning: record.isRunning,
    };
  },

  /** Prepares a new training, and saves it. */
  async create(settings, images) {
    const selected = mnist.withTrainImages(images);
    const created = new module.Training(selected, JSON.stringify(settings));
    training?.free();
    [training, trainingImages] = [created, selected];
    isStopped = false;
    await save();
  },

  run() {
    if (!isRunning) run();
  },

  pause() {
    isRunning = false;
  },

  /** Ends the training. Its network stays in use. */
  async stop() {
    isStopped = true;
    if (isRunning) {
      isRunning = false; // `run` then reports the end and saves.
      return;
    }
    emit('running', { isRunning, isDone: isDone() });
    await save();
  },

  async step() {
    try {
      await makeSteps(0);
    } catch (error) {
      recover(/** @type {Error} */ (error).message);
    }
    emitView();
    emit('running', { isRunning: false, isDone: isDone() });
    await save();
  },

  view() {
    emitView();
    emitEvaluation();
  },

  show(pixels) {
    shownImage = pixels;
    emitView();
  },

  /**
   * Adapts a network to digits of one person.
   *
   * @param {Uint8Array} weights
   * @param {Uint8Array} pixels
   * @param {Uint8Array} labels
   */
  async adapt(weights, pixels, labels) {
    const loaded = await loadModule();
    const rehearsal = await Promise.all(FILES.slice(0, 2).map(file => download(`mnist/${file}`, () => {})));
    const adaptation = loaded.module.adapt(weights, pixels, labels, rehearsal[0], rehearsal[1]);
    return { weights: adaptation.weights, summary: adaptation.summary };
  },

  /**
   * @param {Uint8Array} pixels
   * @param {Uint8Array} labels
   */
  exportDigits: async (pixels, labels) => (await loadModule()).module.exportDigits(pixels, labels),

  weights: () => training?.weights(),
  onnx: () => training?.onnx(),
  checkpoint: () => training?.checkpoint(),
  stepLosses: () => training?.stepLosses,
  report: time => training?.report(navigator.userAgent, navigator.hardwareConcurrency, time),
};

offerMethods(methods);
