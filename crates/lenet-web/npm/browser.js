// The entry for browsers and bundlers, which find the files of the package by `new URL(..., import.meta.url)`.

import { Recognizer as Portable, fetchFile } from './recognizer.js';

export class Recognizer extends Portable {
  static async load({
    wasm = new URL('./dist/lenet_bg.wasm', import.meta.url),
    weights = new URL('./dist/weights.safetensors', import.meta.url),
  } = {}) {
    return super.load(fetchFile(wasm), fetchFile(weights));
  }
}
