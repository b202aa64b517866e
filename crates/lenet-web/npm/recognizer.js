// The recognizer on top of the bindings of the WebAssembly module, without what differs between Node and browsers. It
// converts pictures to what the module takes, and computes nothing itself.

import init, { Recognizer as Bindings, canDecode, defaultMaxMegapixels } from './dist/lenet.js';

/** Fetches a file that is given by its URL. Anything else is its content. */
export async function fetchFile(file) {
  if (typeof file !== 'string' && !(file instanceof URL)) return file;
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: expected a file, found status ${response.status}`);
  // Development servers answer unknown paths with the page of the application.
  if (response.headers.get('content-type')?.startsWith('text/html')) {
    throw new Error(`${file}: expected a file of the package lenet, found an HTML page; see "Bundlers" in its README`);
  }
  return response;
}

/** Returns the bytes of a buffer, a view of one, a Blob or a Response, or `undefined` for anything else. */
async function toBytes(source) {
  const buffer = typeof source?.arrayBuffer === 'function' ? await source.arrayBuffer() : source;
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  // Not `instanceof`, because the buffer may be of another frame or context.
  const isBuffer = /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(buffer));
  return isBuffer ? new Uint8Array(buffer) : undefined;
}

/** The instantiation of the WebAssembly module, which all recognizers share. */
let instantiation;

async function instantiate(module_or_path) {
  instantiation ??= init({ module_or_path });
  try {
    await instantiation;
  } catch (error) {
    instantiation = undefined;
    throw error;
  }
}

/** Converts to JSON. Numbers that JSON does not have become strings, which the module rejects, and not null. */
const toJson = value =>
  JSON.stringify(value, (_, part) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part));

/** Returns the pixels of what a browser can draw: a Blob of any format it knows, a canvas, an ImageBitmap or others. */
async function drawnPixels(source, { maxMegapixels = defaultMaxMegapixels() }) {
  const bitmap = await createImageBitmap(source);
  try {
    const { width, height } = bitmap;
    if (width * height > maxMegapixels * 1e6) {
      throw new RangeError(`size: expected at most ${maxMegapixels} megapixels, found ${width} x ${height}`);
    }
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, width, height);
  } finally {
    bitmap.close();
  }
}

const canDraw = typeof createImageBitmap === 'function' && typeof OffscreenCanvas === 'function';

const isPixels = ({ width, height, data }) =>
  Number.isInteger(width) && width >= 0 && Number.isInteger(height) && height >= 0 &&
  ArrayBuffer.isView(data) && data.BYTES_PER_ELEMENT === 1;

const ofPixels = ({ width, height, data }) => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return bindings => bindings.recognizeImage(width, height, bytes);
};

/** Returns a function that recognizes a picture with the bindings, without waiting for anything. */
async function prepare(picture, options) {
  const file = await toBytes(picture);
  if (file) {
    if (!canDraw || canDecode(file)) return bindings => bindings.recognizeFile(file);
    const pixels = await drawnPixels(new Blob([file]), options).catch(error => {
      if (error instanceof RangeError) throw error;
    });
    // The module's error says what the file is.
    return pixels ? ofPixels(pixels) : bindings => bindings.recognizeFile(file);
  }
  if (picture && typeof picture === 'object') {
    if ('strokes' in picture) return bindings => bindings.recognizeDrawing(toJson(picture));
    if (isPixels(picture)) return ofPixels(picture);
    if ('data' in picture) {
      throw new TypeError('image: expected width and height in pixels, and bytes as data, as in ImageData');
    }
    if (canDraw) {
      return ofPixels(await drawnPixels(picture, options).catch(error => {
        throw error instanceof RangeError ? error : new TypeError(expected(picture), { cause: error });
      }));
    }
  }
  throw new TypeError(expected(picture));
}

/** Returns the message of the error that a value is no picture. */
function expected(found) {
  const others = `${canDraw ? 'a canvas, ' : ''}{ width, height, data } or { strokes }`;
  const name = found === null ? 'null' : (found?.constructor?.name ?? typeof found);
  return `image: expected bytes of an image file, a Blob, ${others}, found ${name}`;
}

export class Recognizer {
  #bindings;
  /** The options in JSON that the bindings have. */
  #options = '{}';

  constructor(bindings) {
    if (!(bindings instanceof Bindings)) throw new TypeError('Recognizer: use `await Recognizer.load()`');
    this.#bindings = bindings;
  }

  static async load(wasm, weights) {
    const [bytes] = await Promise.all([Promise.resolve(weights).then(toBytes), wasm.then(instantiate)]);
    if (!bytes) throw new TypeError('weights: expected the URL or the bytes of a weights file');
    return new this(new Bindings(bytes));
  }

  async read(picture, options = {}) {
    const recognize = await prepare(picture, options);
    // Nothing waits below, so that no other call sets its options in between.
    if (!this.#bindings) throw new Error('Recognizer: expected one in use, found one that was freed');
    const json = toJson(options);
    if (json !== this.#options) {
      this.#bindings.setOptions(json);
      this.#options = json;
    }
    return JSON.parse(recognize(this.#bindings));
  }

  free() {
    this.#bindings?.free();
    this.#bindings = undefined;
  }
}

if (Symbol.dispose) Recognizer.prototype[Symbol.dispose] = Recognizer.prototype.free;
