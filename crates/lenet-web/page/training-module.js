// The WebAssembly module that trains: the faster of its two forms that the browser can run.

import { keepFiles } from './offline-cache.js';

// A module with one function, which uses f32x4.relaxed_madd. It is only valid where the browser has relaxed SIMD.
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 1, 253, 15, 65, 2, 253, 15, 65, 3, 253,
  15, 253, 133, 2, 11,
]);

/**
 * Loads the module and starts its threads: several with shared memory and relaxed SIMD, where the browser has them and isolates
 * the page from other origins, or else one.
 *
 * @typedef {Pick<typeof import('./training.js'), 'Mnist' | 'Training' | 'adapt' | 'architecture' | 'exportDigits' | 'recipe' | 'summarizeArchitecture'>} TrainingModule
 *
 * @returns {Promise<{ module: TrainingModule, name: string, threads: number }>}
 */
export async function loadTrainingModule() {
  if (globalThis.crossOriginIsolated && WebAssembly.validate(RELAXED_SIMD)) {
    const module = await import('./training_threads.js');
    await module.default();
    const threads = navigator.hardwareConcurrency;
    await module.initThreadPool(threads);
    keepFiles(['training_threads.js', 'training_threads_bg.wasm']);
    return { module, name: 'relaxed SIMD, shared memory', threads };
  }
  const module = await import('./training.js');
  await module.default();
  keepFiles(['training.js', 'training_bg.wasm']);
  return { module, name: 'SIMD', threads: 1 };
}
