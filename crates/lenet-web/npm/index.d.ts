/// <reference lib="esnext.disposable" />

/** Recognizes handwritten digits. Make it once and use it for all pictures. */
export class Recognizer {
  /** Loads the WebAssembly module, once, and the weights: by default those in the package. */
  static load(options?: LoadOptions): Promise<Recognizer>;

  private constructor();

  /**
   * Reads a picture or a drawing. The recognition itself blocks the thread: call it in a worker if it must not.
   *
   * Rejects with an `Error` if the picture can't be decoded or an option is invalid. A picture without digits is no
   * error.
   */
  read<Options extends ReadOptions>(
    picture: Picture,
    options?: Options,
  ): Promise<Options extends { details: true } ? DetailedReading : Reading>;

  /** Frees the memory. Without it, garbage collection does. */
  free(): void;
  [Symbol.dispose](): void;
}

export interface LoadOptions {
  /** Other weights: the URL or the content of a file that `lenet train` wrote. */
  weights?: string | URL | Source | Promise<Source>;
  /** The file `lenet_bg.wasm`, if it is not beside the code of the package: its URL, content or compiled module. */
  wasm?: string | URL | BinaryData | WebAssemblyModule | FetchedResponse | Promise<BinaryData | FetchedResponse>;
}

/** What is read. A browser also reads what it can draw, such as a canvas, an ImageBitmap or an image element. */
export type Picture = Source | Pixels | Drawing | DrawableImage;

/** The bytes of a file: as a picture, PNG or JPEG, in browsers any format that they know. */
export type Source = BinaryData | FileLike;

export type BinaryData = ArrayBuffer | SharedArrayBuffer | ArrayBufferView;

/** A Blob or a File. */
export interface FileLike {
  arrayBuffer(): Promise<ArrayBuffer>;
}

/** Pixels, such as an ImageData: rows from top to bottom, one to four bytes each (gray, gray and alpha, RGB, RGBA). */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Strokes of a pen: lists of points `[x, y]`, with x to the right and y down, in any unit from 0 to 65536. */
export interface Drawing {
  readonly strokes: readonly (readonly Point[])[];
}

export type Point = readonly [x: number, y: number];

/** What `createImageBitmap` takes, where it exists. */
export type DrawableImage = typeof globalThis extends {
  createImageBitmap: (image: infer Image, ...rest: never[]) => unknown;
}
  ? Image
  : never;

/** A `WebAssembly.Module`, whose type not all environments declare. */
export type WebAssemblyModule = object;

/** A `Response` of `fetch`. */
export interface FetchedResponse extends FileLike {
  readonly ok: boolean;
}

/** The parameters of `POST /v1/recognize`, in camel case. */
export interface ReadOptions {
  /** All ink in the picture belongs to one digit. Default: `false`. */
  single?: boolean;
  /** Leaves spaces and marks out of `text`. Default: `false`. */
  digitsOnly?: boolean;
  /** Searches every picture for pale rules of tables, as `lenet recognize --cells` does. Default: `false`. */
  tables?: boolean;
  /** Reads a part of an image, in pixels. */
  region?: Box;
  /** The number of digits of each line: 5, or `'2-4'`. */
  length?: number | string;
  /** The pattern of each line, such as `'dd/dd/dddd'`. */
  pattern?: string;
  /** The checksum of each line. */
  checksum?: 'luhn' | 'mod11' | 'isbn' | 'ean';
  /** The only digits and marks that occur, such as `'0123456789'`. */
  charset?: string;
  /** Rejects digits of a lower confidence, from 0 to 1. Default: 0. */
  minConfidence?: number;
  /** Rejects lines whose text is right with a lower probability, from 0 to 1. Default: 0, with a constraint 0.1. */
  minProbability?: number;
  /** Adds `details`. Default: `false`. */
  details?: boolean;
  /** The maximum size of an encoded image, in millions of pixels. Default: 50. */
  maxMegapixels?: number;
}

/** Left, top, width and height, in pixels of the image or in units of the drawing. */
export type Box = [left: number, top: number, width: number, height: number];

/** What is written: the JSON of `POST /v1/recognize` and `lenet recognize --json`. */
export interface Reading {
  /** The digits, certain marks, spaces between numbers, `\n` between lines and `?` for rejected candidates. */
  text: string;
  /** The probability that the text is right as a whole: 0 if candidates were rejected, `null` if there are none. */
  probability: number | null;
  /** Up to five other texts. Each differs in one line. */
  alternatives: Alternative[];
  /** The digits and the rejected candidates, line by line, from left to right. */
  digits: Digit[];
  /** The marks between digits, line by line, from left to right. */
  marks: Mark[];
  /** The cells of tables, boxes and combs, by row and column. */
  cells: Cell[];
  /** The ink that is no candidate, from the largest box to the smallest: at most 1,000 items. */
  left_out: LeftOut[];
  /** Codes of remarks on the whole picture. New ones may be added. */
  remarks: (ReadingRemark | (string & {}))[];
}

/** A reading with the option `details`. */
export interface DetailedReading extends Reading {
  /** What the network got and computed, for each of the first 16 digits. */
  details: DigitDetails[];
}

export interface Alternative {
  text: string;
  probability: number;
}

export interface Digit {
  /** The most probable digit, also for rejected candidates. */
  digit: number;
  /** The probability of that digit. */
  confidence: number;
  /** The probability of each digit from 0 to 9. */
  probabilities: number[];
  box: Box;
  /** Index of the text line, from 0. */
  line: number;
  /** The place of the cell that holds the digit, from 0; absent if there is none. */
  row?: number;
  column?: number;
  /** Whether the candidate was rejected as not a digit. */
  rejected: boolean;
  /** Codes of remarks on the digit. New ones may be added. */
  remarks: (DigitRemark | (string & {}))[];
}

export interface Mark {
  mark: '.' | ',' | '-' | '/' | ':' | '(' | ')' | '+' | '=';
  /** The probability of that mark. */
  confidence: number;
  box: Box;
  /** Index of the text line, from 0. */
  line: number;
  /** Whether the confidence is below 0.8, so that the mark is not in `text`. */
  doubtful: boolean;
}

export interface Cell {
  row: number;
  column: number;
  /** What is written in the cell; empty if nothing is. */
  text: string;
  box: Box;
}

export interface LeftOut {
  box: Box;
  reason: 'rule' | 'frame' | 'edge' | 'speck' | 'shadow' | 'too_small' | 'mark' | 'texture' | 'stray' | (string & {});
}

export interface DigitDetails {
  /** The normalized image of 28x28 pixels that the network gets, row by row: 0 is paper, 255 is ink. */
  tile: number[];
  /** The feature maps of the first two convolutions. */
  maps: FeatureMaps[];
}

export interface FeatureMaps {
  /** Name of the layer. */
  layer: string;
  shape: [channels: number, height: number, width: number];
  /** Minimum and maximum value. */
  range: [min: number, max: number];
  /** The values in order (channel, height, width), quantized from 0 (minimum) to 255 (maximum). */
  levels: number[];
}

export type ReadingRemark =
  | 'blank'
  | 'no_digits'
  | 'inverted'
  | 'rotated'
  | 'off_center'
  | 'multiple_digits'
  | 'no_outlier_class'
  | 'doubtful_mark'
  | 'doubtful_text'
  | 'left_out_digit_sized'
  | 'more_left_out';

export type DigitRemark = 'not_a_digit' | 'unsure' | 'constraint_not_met' | 'among_rejected' | 'thickened';
