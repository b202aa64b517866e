/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const __wbg_recognizer_free: (a: number, b: number) => void;
export const canDecode: (a: number, b: number) => number;
export const defaultMaxMegapixels: () => number;
export const recognizer_new: (a: number, b: number) => [number, number, number];
export const recognizer_recognizeDrawing: (a: number, b: number, c: number) => [number, number, number, number];
export const recognizer_recognizeFile: (a: number, b: number, c: number) => [number, number, number, number];
export const recognizer_recognizeImage: (a: number, b: number, c: number, d: number, e: number) => [number, number, number, number];
export const recognizer_setOptions: (a: number, b: number, c: number) => [number, number];
export const __wbindgen_externrefs: WebAssembly.Table;
export const __wbindgen_malloc: (a: number, b: number) => number;
export const __wbindgen_free: (a: number, b: number, c: number) => void;
export const __externref_table_dealloc: (a: number) => void;
export const __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
export const __wbindgen_start: () => void;
