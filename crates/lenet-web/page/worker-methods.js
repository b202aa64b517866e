// The worker's side of `WorkerClient`.

/**
 * Answers calls: messages `{ id, method, args }` with `{ id, result }` or `{ id, error }`.
 *
 * @param {Record<string, (...args: any[]) => any>} methods
 */
export function offerMethods(methods) {
  addEventListener('message', async ({ data: { id, method, args } }) => {
    try {
      postMessage({ id, result: await methods[method](...args) });
    } catch (error) {
      postMessage({ id, error: error instanceof Error ? error.message : `${error}` });
    }
  });
}

/**
 * Sends an event to the page.
 *
 * @param {string} event
 * @param {object} value
 */
export const emit = (event, value = {}) => postMessage({ event, value });
