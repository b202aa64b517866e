// Keeps the page for when there is no network: what was fetched once is there from then on, newer if it can be had.

const FILES = [
  './', 'style.css', 'page.js', 'manifest.webmanifest', 'icon.svg', 'lenet.js', 'lenet_bg.wasm', 'network.safetensors',
].map(file => new URL(file, location).href);
const KEPT = 'lenet';

addEventListener('install', event => {
  skipWaiting();
  // Where the library is not compiled for browsers there is nothing to keep of it.
  const keep = async file => (await caches.open(KEPT)).add(file).catch(() => {});
  event.waitUntil(Promise.all(FILES.map(keep)));
});

addEventListener('activate', event => event.waitUntil(clients.claim()));

addEventListener('fetch', event => {
  if (event.request.method === 'GET' && FILES.includes(event.request.url)) event.respondWith(newest(event.request));
});

async function newest(request) {
  const kept = await caches.open(KEPT);
  try {
    const response = await fetch(request);
    if (response.ok) await kept.put(request, response.clone());
    return response;
  } catch (error) {
    const response = await kept.match(request);
    if (response) return response;
    throw error;
  }
}
