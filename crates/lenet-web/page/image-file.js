// Image files: selected, photographed, dropped or pasted.

const MAX_IMAGE_PIXELS = 16e6; // All browsers support canvases of this size.

/**
 * Decodes an image file, and scales it down if it is larger than a canvas can be.
 *
 * @param {Blob} file
 * @returns {Promise<import('./sheet.js').SheetImage>}
 */
export async function decodeImage(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, Math.sqrt(MAX_IMAGE_PIXELS / (bitmap.width * bitmap.height)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  if (scale === 1) return { canvas, file };
  // The server must get the scaled image too, because the boxes in its response are in pixels of what it gets.
  /** @type {Promise<Blob>} */
  const scaled = new Promise((resolve, reject) => {
    canvas.toBlob(blob => (blob ? resolve(blob) : reject(new Error('the image can’t be scaled'))));
  });
  return { canvas, file: await scaled };
}

/**
 * Calls `onFile` with each file that the user drops on the page or pastes. Marks `target` while a file is dragged.
 *
 * @param {HTMLElement} target
 * @param {(file: File | undefined) => void} onFile
 */
export function listenForFiles(target, onFile) {
  addEventListener('paste', event => onFile(event.clipboardData?.files[0]));
  addEventListener('dragover', event => {
    event.preventDefault();
    target.classList.add('dragover');
  });
  for (const type of ['dragleave', 'drop']) addEventListener(type, () => target.classList.remove('dragover'));
  addEventListener('drop', event => {
    event.preventDefault();
    onFile(event.dataTransfer?.files[0]);
  });
}
