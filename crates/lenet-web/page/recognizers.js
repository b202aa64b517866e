// Recognizers: the WebAssembly module in a worker, or the API of the server. Both return readings in the JSON of the API.

import { WorkerClient } from './worker-client.js';

/**
 * @typedef {object} PageRecognizer
 * @property {string} location where digits are recognized, in words
 * @property {(pattern: string) => Promise<void>} setPattern sets the pattern of each line; empty for none
 * @property {(drawing: string) => Promise<import('./reading.js').Reading>} drawing recognizes a drawing in the JSON of the API
 * @property {(image: import('./sheet.js').SheetImage) => Promise<import('./reading.js').Reading>} image
 * @property {() => void} free releases the memory
 */

/** @type {WorkerClient | undefined} */
let worker;

/**
 * Makes a recognizer from the bytes of a weights file. Fails if the server does not have the WebAssembly module, or if the
 * browser can't run it.
 *
 * @param {Uint8Array} weights
 * @param {{ single?: boolean }} [options] `single`: all ink belongs to one digit
 * @returns {Promise<PageRecognizer>}
 */
export async function wasmRecognizer(weights, options = {}) {
  worker ??= new WorkerClient('recognizer-worker.js');
  const client = worker;
  const id = await client.call('create', weights);
  /** @param {string} pattern */
  const setPattern = pattern =>
    client.call('setOptions', id, JSON.stringify({ details: true, pattern: pattern || undefined, ...options }));
  await setPattern('');
  return {
    location: 'in this page',
    setPattern,
    drawing: drawing => client.call('drawing', id, drawing),
    image: ({ canvas }) => {
      const { width, height } = canvas;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
      const { data } = context.getImageData(0, 0, width, height);
      return client.call('image', id, width, height, new Uint8Array(data.buffer));
    },
    free: () => client.call('free', id),
  };
}

/** @returns {Promise<Uint8Array>} the weights that the server recognizes with */
export async function fetchWeights() {
  const response = await fetch('weights.safetensors');
  if (!response.ok) throw new Error(`weights.safetensors: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @returns {PageRecognizer} a recognizer that uses the API of the server */
export function serverRecognizer() {
  const query = new URLSearchParams({ details: 'true' });
  /**
   * @param {BodyInit} body
   * @param {string} type
   */
  const post = async (body, type) => {
    const response = await fetch(`v1/recognize?${query}`, { method: 'POST', headers: { 'Content-Type': type }, body });
    const json = await response.json();
    if (!response.ok) throw new Error(json.error.message);
    return json;
  };
  return {
    location: 'by the server',
    setPattern: async pattern => (pattern ? query.set('pattern', pattern) : query.delete('pattern')),
    drawing: drawing => post(drawing, 'application/json'),
    image: ({ file }) => post(file, 'application/octet-stream'),
    free: () => {},
  };
}
