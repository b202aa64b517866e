// The entry for Node, which reads the files of the package from the file system.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { Recognizer as Portable, fetchFile } from './recognizer.js';

const WASM = new URL('./dist/lenet_bg.wasm', import.meta.url);
const WEIGHTS = new URL('./dist/weights.safetensors', import.meta.url);

/** Opens a file that is given by its URL. Anything else is its content. */
async function openFile(file) {
  const url = typeof file === 'string' ? new URL(file) : file;
  return url instanceof URL && url.protocol === 'file:' ? readFile(fileURLToPath(url)) : fetchFile(url);
}

export class Recognizer extends Portable {
  static async load({ wasm = WASM, weights = WEIGHTS } = {}) {
    return super.load(openFile(wasm), openFile(weights));
  }
}
