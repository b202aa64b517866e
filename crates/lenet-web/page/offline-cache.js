// Files that the browser keeps, so that the pages work offline. The service worker serves them.

/** @returns {Promise<Cache | undefined>} the cache, if the page was loaded securely */
const open = async () => globalThis.caches?.open('lenet');

/**
 * Keeps files. Errors are ignored, because without room for them the page works online.
 *
 * @param {string[]} files
 */
export async function keepFiles(files) {
  try {
    await (await open())?.addAll(files);
  } catch {
    // Said above.
  }
}

/**
 * Returns a file that never changes: the kept one or, if there is none, that of the server, which is then kept.
 *
 * @param {string} file
 * @returns {Promise<Response>}
 */
export async function fetchConstant(file) {
  const cache = await open();
  const kept = await cache?.match(file);
  if (kept) return kept;
  const response = await fetch(file);
  if (response.ok) cache?.put(file, response.clone()).catch(() => {});
  return response;
}
