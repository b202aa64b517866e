// The service worker, which makes the page work offline. It requests each file from the server first, and falls back to its
// cache if the server can't be reached.

const FILES = [
  './', 'style.css', 'page.js', 'manifest.webmanifest', 'icon.svg', 'lenet.js', 'lenet_bg.wasm', 'weights.safetensors',
].map(file => new URL(file, location).href);
const CACHE_NAME = 'lenet';

addEventListener('install', event => {
  skipWaiting();
  // Errors are ignored, because lenet.js and lenet_bg.wasm are missing if the WebAssembly module was not compiled.
  const add = async file => (await caches.open(CACHE_NAME)).add(file).catch(() => {});
  event.waitUntil(Promise.all(FILES.map(add)));
});

addEventListener('activate', event => event.waitUntil(clients.claim()));

addEventListener('fetch', event => {
  if (event.request.method === 'GET' && FILES.includes(event.request.url)) event.respondWith(networkFirst(event.request));
});

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
