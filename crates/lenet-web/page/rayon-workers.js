// The threads of the WebAssembly module, as web workers that share its memory. wasm-bindgen-rayon calls `startWorkers`.

/**
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 * @param {{ numThreads(): number, receiver(): number, mainJS(): string, build(): void }} builder
 */
export async function startWorkers(module, memory, builder) {
  const start = async () => {
    const worker = new Worker(new URL('rayon-worker.js', import.meta.url), { type: 'module' });
    const ready = new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
    worker.postMessage({ module, memory, receiver: builder.receiver(), script: builder.mainJS() });
    await ready;
  };
  await Promise.all(Array.from({ length: builder.numThreads() }, start));
  builder.build();
}
