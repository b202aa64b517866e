// The service worker, which makes the pages work offline. It requests each file from the server first, and falls back to its
// cache if the server can't be reached. MNIST is only kept when the page for learning has loaded it.

const FILES = [
  './',
  'learn',
  'learn.html',
  'style.css',
  'learn.css',
  'manifest.webmanifest',
  'icon.svg',
  'page.js',
  'learn.js',
  'element.js',
  'gray-levels.js',
  'hand.js',
  'image-file.js',
  'layers-view.js',
  'offline-cache.js',
  'library-html.js',
  'rayon-worker.js',
  'rayon-workers.js',
  'reading.js',
  'recognizer-worker.js',
  'recognizers.js',
  'sheet.js',
  'store.js',
  'worker-client.js',
  'worker-methods.js',
  'training-module.js',
  'training-worker.js',
  'lenet.js',
  'lenet_bg.wasm',
  'weights.safetensors',
].map(file => new URL(file, location.href).href);
// They are large, or only one of them is needed, or they never change.
const FILES_ON_DEMAND = [
  'training.js',
  'training_bg.wasm',
  'training_threads.js',
  'training_threads_bg.wasm',
  'mnist/train-images-idx3-ubyte.br',
  'mnist/train-labels-idx1-ubyte.br',
  'mnist/t10k-images-idx3-ubyte.br',
  'mnist/t10k-labels-idx1-ubyte.br',
].map(file => new URL(file, location.href).href);
const CACHE_NAME = 'lenet';
const DATA_FOLDER = new URL('mnist/', location.href).href;

/** @type {any} TypeScript has no types for a service worker beside those of a page. */
const worker = self;

worker.addEventListener('install', (/** @type {any} */ event) => {
  worker.skipWaiting();
  // Errors are ignored, because the WebAssembly modules are missing if they were not compiled.
  const add = async (/** @type {string} */ file) => (await caches.open(CACHE_NAME)).add(file).catch(() => {});
  event.waitUntil(Promise.all(FILES.map(add)));
});

worker.addEventListener('activate', (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener('fetch', (/** @type {any} */ event) => {
  const { method, url } = event.request;
  if (method !== 'GET') return;
  if (url.startsWith(DATA_FOLDER)) event.respondWith(cacheFirst(event.request));
  else if (FILES.includes(url) || FILES_ON_DEMAND.includes(url)) event.respondWith(networkFirst(event.request));
});

/** @param {Request} request */
async function networkFirst(request) {
  const cache = await caches.open(CACHE_NAME);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const response = await cache.match(request);
    if (response) return response;
    throw error;
  }
}

/** @param {Request} request */
async function cacheFirst(request) {
  const cache = await caches.open(CACHE_NAME);
  return (await cache.match(request)) ?? networkFirst(request);
}
