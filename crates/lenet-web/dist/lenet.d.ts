/* tslint:disable */
/* eslint-disable */

/**
 * Recognizes digits in images and drawings.
 */
export class Recognizer {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Creates a recognizer from the bytes of a weights file (safetensors).
     *
     * # Errors
     * If the bytes are no weights file of a network for digits.
     */
    constructor(weights: Uint8Array | number[]);
    /**
     * Recognizes a drawing, given in JSON. Returns the reading in JSON.
     *
     * # Errors
     * If the JSON is no drawing.
     */
    recognizeDrawing(drawing: string): string;
    /**
     * Recognizes the first page of an image file in one of the formats of [`can_decode`]. Returns the reading in JSON.
     *
     * # Errors
     * If the file can't be decoded or is too large, or the region is not within the image.
     */
    recognizeFile(file: Uint8Array | number[]): string;
    /**
     * Recognizes an image of `(height, width, channels)`: gray, gray with alpha, RGB or RGBA. Returns the reading in JSON.
     *
     * # Errors
     * If the number of bytes does not match the size, or the region is not within the image.
     */
    recognizeImage(width: number, height: number, pixels: Uint8Array | number[]): string;
    /**
     * Sets the options of the recognitions from now on, given in JSON: `{"pattern": "dd/dd/dddd", "details": true}`. Options
     * that it leaves out have their defaults.
     *
     * # Errors
     * If an option is unknown or invalid, or nothing can meet the constraint. Then the last options remain.
     */
    setOptions(options: string): void;
}

/**
 * Returns whether a file begins like one of a format that [`Recognizer::recognize_file`] decodes. A browser may decode others.
 */
export function canDecode(file: Uint8Array | number[]): boolean;

/**
 * Returns the maximum size of an encoded image, in millions of pixels, if the options have none.
 */
export function defaultMaxMegapixels(): number;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_recognizer_free: (a: number, b: number) => void;
    readonly canDecode: (a: number, b: number) => number;
    readonly defaultMaxMegapixels: () => number;
    readonly recognizer_new: (a: number, b: number) => [number, number, number];
    readonly recognizer_recognizeDrawing: (a: number, b: number, c: number) => [number, number, number, number];
    readonly recognizer_recognizeFile: (a: number, b: number, c: number) => [number, number, number, number];
    readonly recognizer_recognizeImage: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
    readonly recognizer_setOptions: (a: number, b: number, c: number) => [number, number];
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
