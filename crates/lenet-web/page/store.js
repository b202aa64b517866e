// Records that the browser keeps on this device, in IndexedDB.

const DATABASE = 'lenet';
const VERSION = 1;

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const result = request =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @returns {Promise<IDBDatabase>} */
function open() {
  const request = indexedDB.open(DATABASE, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore('training');
    request.result.createObjectStore('digits', { keyPath: 'id', autoIncrement: true });
    request.result.createObjectStore('networks');
  };
  return result(request);
}

/**
 * Runs requests in a transaction, and resolves when their effects are on the disk.
 *
 * @template T
 * @param {string} name of the object store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} makeRequest
 * @returns {Promise<T>}
 */
export async function transact(name, mode, makeRequest) {
  const database = await open();
  try {
    const transaction = database.transaction(name, mode);
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
    const request = makeRequest(transaction.objectStore(name));
    await done;
    return request.result;
  } finally {
    database.close();
  }
}
