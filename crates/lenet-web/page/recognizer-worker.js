// The worker that recognizes digits, with the WebAssembly module. Recognizers have a number, because there can be several.

import init, { Recognizer } from './lenet.js';
import { offerMethods } from './worker-methods.js';

const ready = init();
/** @type {Map<number, Recognizer>} */
const recognizers = new Map();
let created = 0;

/** @param {number} id */
const recognizer = id => /** @type {Recognizer} */ (recognizers.get(id));

offerMethods({
  /** @param {Uint8Array} weights */
  async create(weights) {
    await ready;
    recognizers.set(++created, new Recognizer(weights));
    return created;
  },
  /** @param {number} id */
  free(id) {
    recognizer(id).free();
    recognizers.delete(id);
  },
  /**
   * @param {number} id
   * @param {string} options
   */
  setOptions: (id, options) => recognizer(id).setOptions(options),
  /**
   * @param {number} id
   * @param {string} drawing
   */
  drawing: (id, drawing) => JSON.parse(recognizer(id).recognizeDrawing(drawing)),
  /**
   * @param {number} id
   * @param {number} width
   * @param {number} height
   * @param {Uint8Array} pixels
   */
  image: (id, width, height, pixels) => JSON.parse(recognizer(id).recognizeImage(width, height, pixels)),
});
