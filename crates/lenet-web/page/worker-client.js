// The page's side of a worker that offers methods.

/** @typedef {Record<string, (value: any) => void>} EventHandlers by name of the event */

/**
 * Returns a function that runs an action, and once more if it is called meanwhile. Calls in between have no effect, so that the
 * action always ends with the newest input, and never falls behind.
 *
 * @param {() => Promise<void>} action
 * @returns {() => Promise<void>}
 */
export function coalesced(action) {
  let isRunning = false;
  let isOutdated = false;
  return async () => {
    isOutdated = true;
    if (isRunning) return;
    isRunning = true;
    try {
      while (isOutdated) {
        isOutdated = false;
        await action();
      }
    } finally {
      isRunning = false;
    }
  };
}

export class WorkerClient {
  #worker;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #calls = new Map();
  #nextId = 1;

  /**
   * @param {string} script of the worker
   * @param {EventHandlers} handlers
   */
  constructor(script, handlers = {}) {
    this.#worker = new Worker(new URL(script, import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data: { id, event, value, result, error } }) => {
      if (event) {
        handlers[event]?.(value);
        return;
      }
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error));
    });
    this.#worker.addEventListener('error', event => {
      const error = new Error(event.message || `${script} can’t be loaded`);
      for (const { reject } of this.#calls.values()) reject(error);
      this.#calls.clear();
    });
  }

  /**
   * Calls a method of the worker.
   *
   * @param {string} method
   * @param {...any} args
   * @returns {Promise<any>}
   */
  call(method, ...args) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args });
    });
  }
}
