// Gray images: digits, kernels and feature maps.

/**
 * @param {string} name a custom property of the style sheet
 * @returns {string} its color
 */
export const cssColor = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** @type {number[] | null} the color of ink: red, green and blue */
let inkRgb = null;
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  inkRgb = null;
});

/** @returns {number[]} the color of ink */
function readInkRgb() {
  const pairs = cssColor('--ink').match(/\w\w/g) ?? [];
  return pairs.map(pair => Number.parseInt(pair, 16));
}

/**
 * Paints one of several gray images of the canvas's size, which follow each other in `levels`: 0 is paper, 255 is ink.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} levels
 * @param {number} index
 */
export function paintGrayLevels(canvas, levels, index) {
  const { width, height } = canvas;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.clearRect(0, 0, width, height);
  if (!levels.length) return;
  inkRgb ??= readInkRgb();
  const image = context.createImageData(width, height);
  const start = index * width * height;
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) image.data[4 * pixel + channel] = inkRgb[channel];
    image.data[4 * pixel + 3] = levels[start + pixel];
  }
  context.putImageData(image, 0, 0);
}

/**
 * @param {ArrayLike<number>} levels
 * @param {number} index
 * @param {number} width
 * @param {number} height
 * @returns {HTMLCanvasElement} a canvas with one of several gray images
 */
export function grayCanvas(levels, index, width = 28, height = 28) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  paintGrayLevels(canvas, levels, index);
  return canvas;
}

/** @typedef {{ layer: string, shape: [number, number, number], levels: number[] }} Maps several gray images of a layer */

/**
 * Shows the gray images of layers below each other, and reuses the canvases if the layers are the same as before.
 *
 * @param {HTMLElement} container
 * @param {Maps[]} layers
 * @param {string} kind what the images are, such as `feature maps`
 * @param {string} heading the element of the headings
 */
export function renderMaps(container, layers, kind, heading) {
  const key = layers.map(({ layer, shape }) => `${layer} ${shape}`).join();
  if (container.dataset.layers !== key) {
    container.dataset.layers = key;
    container.replaceChildren(
      ...layers.flatMap(({ layer, shape: [channels, height, width] }) => {
        const title = document.createElement(heading);
        const name = document.createElement('b');
        const grid = document.createElement('div');
        name.textContent = layer;
        title.append(name, `${channels} ${kind} of ${height} × ${width}`);
        grid.setAttribute('role', 'img');
        grid.ariaLabel = `The ${channels} ${kind} of ${layer}`;
        grid.append(
          ...Array.from({ length: channels }, () => Object.assign(document.createElement('canvas'), { width, height })),
        );
        return [title, grid];
      }),
    );
  }
  layers.forEach(({ levels }, index) => {
    [...container.children[2 * index + 1].children].forEach((canvas, channel) => {
      paintGrayLevels(/** @type {HTMLCanvasElement} */ (canvas), levels, channel);
    });
  });
}
