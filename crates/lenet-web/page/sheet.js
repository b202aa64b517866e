// The drawing sheet: strokes by pointer and keyboard, or an image, and Undo.

import { cssColor } from './gray-levels.js';

/** @typedef {[number, number]} Point in thousandths of the sheet's width */
/** @typedef {{ canvas: HTMLCanvasElement, file: Blob }} SheetImage an image, and the file that it was loaded from */
/** @typedef {{ strokes: Point[][], image?: SheetImage }} Content what is on the sheet; it is immutable */
/** @typedef {{ left: number, top: number, scale: number }} Placement of an image on the sheet, in units of the sheet */

export const SHEET_WIDTH = 1000;
/** @type {Content} */
export const EMPTY = { strokes: [] };

const STROKE_WIDTH = 42;
const MIN_POINT_DISTANCE = 3; // Closer points would not change the drawing.
/** @type {Record<string, Point>} */
const ARROW_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @param {number} value
 * @param {number} max
 */
const clamp = (value, max) => Math.min(Math.max(value, 0), max);

export class Sheet {
  /** @type {Content} */
  content = EMPTY;
  /** @type {Content[]} */
  #undoStack = [];
  #pen = { x: SHEET_WIDTH / 2, y: SHEET_WIDTH / 2, isDown: false, isVisible: false };
  /** @type {number | null} the pointer that draws */
  #pointer = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} options
   * @param {(isExtended: boolean) => void} options.onChange is called when the content has changed: by a longer stroke, or altogether
   * @param {(point: Point) => void} [options.onPress] is called when a pointer is pressed on an image
   * @param {(context: CanvasRenderingContext2D, cssPixel: number) => void} [options.paintOverlay] paints over the content
   * @param {(text: string) => void} [options.announce] tells screen readers
   */
  constructor(canvas, { onChange, onPress = () => {}, paintOverlay = () => {}, announce = () => {} }) {
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    this.onChange = onChange;
    this.onPress = onPress;
    this.paintOverlay = paintOverlay;
    this.announce = announce;
    this.#listen();
  }

  get canUndo() {
    return this.#undoStack.length > 0;
  }

  get height() {
    return (SHEET_WIDTH * this.canvas.clientHeight) / this.canvas.clientWidth;
  }

  /** @param {Content} content */
  push(content) {
    this.#undoStack.push(this.content);
    this.#set(content);
  }

  undo() {
    const content = this.#undoStack.pop();
    if (content) this.#set(content);
  }

  clear() {
    if (this.content !== EMPTY) this.push(EMPTY);
  }

  /** @param {Content} content */
  #set(content) {
    this.content = content;
    this.paint();
    this.onChange(false);
  }

  /** @returns {Placement} */
  get imagePlacement() {
    if (!this.content.image) return { left: 0, top: 0, scale: 1 };
    const { width, height } = this.content.image.canvas;
    const scale = Math.min(SHEET_WIDTH / width, this.height / height);
    return { left: (SHEET_WIDTH - width * scale) / 2, top: (this.height - height * scale) / 2, scale };
  }

  paint() {
    const { canvas, context } = this;
    const { strokes, image } = this.content;
    const devicePixels = canvas.clientWidth * devicePixelRatio;
    canvas.width = devicePixels;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    context.scale(devicePixels / SHEET_WIDTH, devicePixels / SHEET_WIDTH);
    context.lineCap = context.lineJoin = 'round';
    if (image) {
      const { left, top, scale } = this.imagePlacement;
      context.drawImage(image.canvas, left, top, image.canvas.width * scale, image.canvas.height * scale);
    }
    context.lineWidth = STROKE_WIDTH;
    context.strokeStyle = cssColor('--ink');
    for (const [first, ...points] of strokes) {
      context.beginPath();
      context.moveTo(...first);
      context.lineTo(...first);
      for (const point of points) context.lineTo(...point);
      context.stroke();
    }
    this.paintOverlay(context, SHEET_WIDTH / canvas.clientWidth);
    if (this.#pen.isVisible && !image) {
      context.lineWidth = 4;
      context.strokeStyle = cssColor('--accepted');
      context.beginPath();
      context.arc(this.#pen.x, this.#pen.y, this.#pen.isDown ? 14 : 24, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point}
   */
  #position(event) {
    const { left, top, width } = this.canvas.getBoundingClientRect();
    /**
     * @param {number} client
     * @param {number} start
     * @param {number} max
     */
    const coordinate = (client, start, max) => Math.round(clamp(((client - start) / width) * SHEET_WIDTH, max) * 10) / 10;
    return [coordinate(event.clientX, left, SHEET_WIDTH), coordinate(event.clientY, top, this.height)];
  }

  /** @param {Point} point */
  #beginStroke(point) {
    this.push({ strokes: [...this.content.strokes, [point]] });
  }

  /** @param {Point[]} points */
  #extendStroke(points) {
    const strokes = [...this.content.strokes];
    const stroke = [...(strokes.pop() ?? [])];
    for (const [x, y] of points) {
      const [lastX, lastY] = stroke[stroke.length - 1];
      if (Math.hypot(x - lastX, y - lastY) >= MIN_POINT_DISTANCE) stroke.push([x, y]);
    }
    this.content = { strokes: [...strokes, stroke] };
    this.paint();
    this.onChange(true);
  }

  #hidePen() {
    this.#pen.isVisible = this.#pen.isDown = false;
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener('pointerdown', event => {
      if (!event.isPrimary || event.button) return;
      this.#hidePen();
      if (this.content.image) {
        this.onPress(this.#position(event));
        return;
      }
      this.#pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.#beginStroke(this.#position(event));
    });
    canvas.addEventListener('pointermove', event => {
      if (event.pointerId !== this.#pointer) return;
      const events = event.getCoalescedEvents?.() ?? [];
      this.#extendStroke((events.length ? events : [event]).map(each => this.#position(each)));
    });
    /** @param {PointerEvent} event */
    const endStroke = event => {
      if (event.pointerId === this.#pointer) this.#pointer = null;
    };
    canvas.addEventListener('pointerup', endStroke);
    canvas.addEventListener('pointercancel', endStroke);
    canvas.addEventListener('keydown', event => this.#onKey(event));
    canvas.addEventListener('blur', () => {
      this.#hidePen();
      this.paint();
    });
    addEventListener('keydown', event => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (target.matches?.('input, select, textarea')) return;
      if (event.key === 'Escape') this.clear();
      else if (event.key === 'z' && (event.ctrlKey || event.metaKey)) this.undo();
      else return;
      this.#pen.isDown = false;
      event.preventDefault();
    });
    new ResizeObserver(() => this.paint()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.paint());
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const [dx, dy] = ARROW_KEYS[event.key] ?? [0, 0];
    if ((event.key !== ' ' && !dx && !dy) || this.content.image || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const distance = event.shiftKey ? 10 : 40;
    const pen = this.#pen;
    pen.x = clamp(pen.x + dx * distance, SHEET_WIDTH);
    pen.y = clamp(pen.y + dy * distance, this.height);
    pen.isVisible = true;
    if (event.key === ' ') {
      pen.isDown = !pen.isDown;
      if (pen.isDown) this.#beginStroke([pen.x, pen.y]);
      this.announce(pen.isDown ? 'Pen down' : 'Pen up');
    } else if (pen.isDown) {
      this.#extendStroke([[pen.x, pen.y]]);
    }
    this.paint();
  }
}
