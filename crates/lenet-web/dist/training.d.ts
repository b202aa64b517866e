/* tslint:disable */
/* eslint-disable */

/**
 * A network that was adapted to the handwriting of one person.
 */
export class Adaptation {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Returns how many of the digits are read right before and after, in words.
     */
    readonly summary: string;
    /**
     * Returns the weights file (safetensors).
     */
    readonly weights: Uint8Array;
}

/**
 * The MNIST dataset. It stays in memory as long as the page, because a training refers to it.
 */
export class Mnist {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Returns `count` random transformations of a training image, as the recipe `best` of LeNet-5 trains on.
     *
     * # Errors
     * If there is no such image.
     */
    augmented(index: number, count: number): Uint8Array;
    /**
     * Returns the number of training images of each digit.
     */
    labelCounts(): Uint32Array;
    /**
     * Decodes the four files of MNIST, each compressed with Brotli.
     *
     * # Errors
     * If a file is damaged.
     */
    constructor(train_images: Uint8Array | number[], train_labels: Uint8Array | number[], test_images: Uint8Array | number[], test_labels: Uint8Array | number[]);
    /**
     * Returns the pixels of up to `count` test images from `first` on, as [`train_images`](Self::train_images).
     */
    testImages(first: number, count: number): Uint8Array;
    /**
     * Returns the pixels of up to `count` training images from `first` on, `(image, row, column)`: 0 is paper, 255 is ink.
     */
    trainImages(first: number, count: number): Uint8Array;
    /**
     * Returns the labels of up to `count` training images from `first` on.
     */
    trainLabels(first: number, count: number): Uint8Array;
    /**
     * Keeps the first `count` training images.
     *
     * # Errors
     * If there are fewer, or none are kept.
     */
    withTrainImages(count: number): Mnist;
    /**
     * Returns the number of training images.
     */
    readonly trainLength: number;
}

/**
 * A training in the browser. One call makes one step, so that messages are handled between two steps.
 */
export class Training {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Returns the figure of the accuracy by epoch, in HTML.
     */
    accuracyFigure(): string;
    /**
     * Returns the checkpoint, from which [`resume`](Self::resume) and `lenet train --resume` continue.
     *
     * # Errors
     * If the format can't hold the name of a layer.
     */
    checkpoint(): Uint8Array;
    /**
     * Classifies an image of 28x28 pixels, and returns the probabilities and the feature maps of the first convolutions as JSON.
     *
     * # Errors
     * If the image has another size.
     */
    classify(image: Uint8Array | number[]): string;
    /**
     * Returns the confusion matrix of the test images, in HTML; nothing before the first evaluation.
     */
    confusionMatrix(): string;
    /**
     * Returns the kernels of the first layers, each scaled to 256 levels, as JSON: those of convolutions, or the weights of a first
     * linear layer as images.
     */
    kernels(): string;
    /**
     * Returns the figure of the loss by epoch and step, in HTML.
     */
    lossFigure(): string;
    /**
     * Returns up to `count` mistakes on the test images, the most confident ones first, as JSON.
     */
    mistakes(count: number): string;
    /**
     * Prepares a training of a new network on all training images. `settings` is JSON with `architecture`, `recipe` and `seed`.
     *
     * # Errors
     * If a layer or a setting is impossible.
     */
    constructor(mnist: Mnist, settings: string);
    /**
     * Returns the ONNX model of the network.
     *
     * # Errors
     * If a name can't be written.
     */
    onnx(): Uint8Array;
    /**
     * Returns the report of the training, an HTML page. `time` is in UTC, such as `2026-11-28 17:45`.
     *
     * # Errors
     * If no epoch has ended.
     */
    report(browser: string, cores: number, time: string): string;
    /**
     * Resumes a training from the bytes of a checkpoint and the losses of its steps, with the same bits as without the interruption.
     *
     * # Errors
     * If the bytes are no checkpoint, or one of other images or another number of threads.
     */
    static resume(mnist: Mnist, checkpoint: Uint8Array | number[], step_losses: Float32Array | number[]): Training;
    /**
     * Makes a step, and evaluates the network on the test images after the last step of an epoch. Returns the progress as JSON, or
     * `undefined` if all epochs are done.
     *
     * # Errors
     * If the training has diverged.
     */
    step(): string | undefined;
    /**
     * Returns the weights file of the network (safetensors).
     *
     * # Errors
     * As [`checkpoint`](Self::checkpoint).
     */
    weights(): Uint8Array;
    /**
     * Returns the architecture as JSON.
     */
    readonly architecture: string;
    /**
     * Returns the number of completed epochs.
     */
    readonly completedEpochs: number;
    /**
     * Returns the number of epochs of the recipe.
     */
    readonly epochs: number;
    /**
     * Returns a row for each completed epoch, as JSON.
     */
    readonly history: string;
    /**
     * Returns the recipe as JSON.
     */
    readonly recipe: string;
    /**
     * Returns the mean loss of each step.
     */
    readonly stepLosses: Float32Array;
    /**
     * Returns the test accuracy of the last evaluation, such as `98.76%`, or `-`.
     */
    readonly testAccuracy: string;
}

/**
 * Adapts the network of a weights file to digits of one person: `pixels` `(digit, row, column)` and `labels`. The same digits give
 * the same network.
 *
 * The rehearsed images are of MNIST: its training images and their labels, compressed with Brotli.
 *
 * # Errors
 * If the weights are those of another task, there are fewer than ten digits, or a file is damaged.
 */
export function adapt(weights: Uint8Array | number[], pixels: Uint8Array | number[], labels: Uint8Array | number[], mnist_images: Uint8Array | number[], mnist_labels: Uint8Array | number[]): Adaptation;

/**
 * Returns an architecture of `lenet::models` by its name, as JSON.
 *
 * # Errors
 * If there is none of this name.
 */
export function architecture(name: string): string;

/**
 * Returns a ZIP archive with a PNG file for each digit, in folders 0 to 9, which `lenet train --data` and `lenet adapt --data`
 * take when it is unpacked.
 *
 * # Errors
 * If there is not one label from 0 to 9 for each image.
 */
export function exportDigits(pixels: Uint8Array | number[], labels: Uint8Array | number[]): Uint8Array;

/**
 * Returns the recipe of a name, `default`, `fast`, `tutorial` or `best`, for an architecture, as JSON.
 *
 * # Errors
 * If there is no such recipe for the architecture.
 */
export function recipe(name: string, architecture: string): string;

/**
 * Sets the input sizes of all layers of an architecture, given in JSON, to the output sizes of the layers before them, and
 * returns the architecture with the shape, the parameters and the multiply-adds of each layer, or with the error of the first
 * impossible one, as JSON.
 *
 * # Errors
 * If the JSON is no architecture.
 */
export function summarizeArchitecture(architecture: string): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_adaptation_free: (a: number, b: number) => void;
    readonly __wbg_mnist_free: (a: number, b: number) => void;
    readonly __wbg_training_free: (a: number, b: number) => void;
    readonly adapt: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => [number, number, number];
    readonly adaptation_summary: (a: number) => [number, number];
    readonly adaptation_weights: (a: number) => [number, number];
    readonly architecture: (a: number, b: number) => [number, number, number, number];
    readonly exportDigits: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly mnist_augmented: (a: number, b: number, c: number) => [number, number, number, number];
    readonly mnist_labelCounts: (a: number) => [number, number];
    readonly mnist_new: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => [number, number, number];
    readonly mnist_testImages: (a: number, b: number, c: number) => [number, number];
    readonly mnist_trainImages: (a: number, b: number, c: number) => [number, number];
    readonly mnist_trainLabels: (a: number, b: number, c: number) => [number, number];
    readonly mnist_trainLength: (a: number) => number;
    readonly mnist_withTrainImages: (a: number, b: number) => [number, number, number];
    readonly recipe: (a: number, b: number, c: number, d: number) => [number, number, number, number];
    readonly summarizeArchitecture: (a: number, b: number) => [number, number, number, number];
    readonly training_accuracyFigure: (a: number) => [number, number];
    readonly training_architecture: (a: number) => [number, number, number, number];
    readonly training_checkpoint: (a: number) => [number, number, number, number];
    readonly training_classify: (a: number, b: number, c: number) => [number, number, number, number];
    readonly training_completedEpochs: (a: number) => number;
    readonly training_confusionMatrix: (a: number) => [number, number];
    readonly training_epochs: (a: number) => number;
    readonly training_history: (a: number) => [number, number, number, number];
    readonly training_kernels: (a: number) => [number, number, number, number];
    readonly training_lossFigure: (a: number) => [number, number];
    readonly training_mistakes: (a: number, b: number) => [number, number, number, number];
    readonly training_new: (a: number, b: number, c: number) => [number, number, number];
    readonly training_onnx: (a: number) => [number, number, number, number];
    readonly training_recipe: (a: number) => [number, number, number, number];
    readonly training_report: (a: number, b: number, c: number, d: number, e: number, f: number) => [number, number, number, number];
    readonly training_resume: (a: number, b: number, c: number, d: number, e: number) => [number, number, number];
    readonly training_step: (a: number) => [number, number, number, number];
    readonly training_stepLosses: (a: number) => [number, number];
    readonly training_testAccuracy: (a: number) => [number, number];
    readonly training_weights: (a: number) => [number, number, number, number];
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
