// Reading in Node.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { Recognizer } from 'lenet';

import {
  DIGITS_PNG, ROW_JPEG, SEVEN, SEVEN_SLASH_ONE, draw, encodePng, withChannels, withOrientation,
} from './inputs.js';

const recognizer = await Recognizer.load();

/** The text of a picture. */
const read = async (picture, options) => (await recognizer.read(picture, options)).text;

/** The message of the error with which reading fails. */
const errorOf = async (picture, options) => {
  const error = await recognizer.read(picture, options).then(() => assert.fail('expected an error'), error => error);
  assert(error instanceof Error);
  return error.message;
};

test('a drawing becomes a reading', async () => {
  const reading = await recognizer.read(SEVEN);
  assert.equal(reading.text, '7');
  assert(reading.probability > 0.9);
  assert.equal(reading.digits[0].probabilities.length, 10);
  const [left, top, width, height] = reading.digits[0].box;
  assert(left < 10 && top < 10 && left + width > 40 && top + height > 60, 'in units of the drawing');
  assert.equal('details' in reading, false);
});

test('an image file is read from a Buffer, a part of a buffer, an ArrayBuffer and a Blob', async () => {
  const expected = await recognizer.read(DIGITS_PNG);
  assert.equal(expected.text, '50419213\n14353617');
  const padded = new Uint8Array(DIGITS_PNG.length + 9);
  padded.set(DIGITS_PNG, 5);
  const part = padded.subarray(5, 5 + DIGITS_PNG.length);
  const copy = part.slice().buffer;
  for (const picture of [part, copy, new DataView(copy), new Blob([part])]) {
    assert.deepEqual(await recognizer.read(picture), expected);
  }
});

test('pixels are read with one to four channels, and as the same in a file', async () => {
  const gray = draw(SEVEN_SLASH_ONE, 120, 75);
  const expected = await recognizer.read(gray);
  assert.equal(expected.text, '7/1');
  assert.deepEqual(await recognizer.read(encodePng(gray)), expected);
  for (const channels of [3, 4]) assert.deepEqual(await recognizer.read(withChannels(gray, channels)), expected);
});

test('a JPEG file is read upright', async () => {
  const { text, remarks } = await recognizer.read(ROW_JPEG);
  assert.equal(text, '50419213');
  const upsideDown = await recognizer.read(withOrientation(ROW_JPEG, 3), { region: [0, 0, 60, 24] });
  assert.notEqual(upsideDown.text, text.slice(0, 3), 'the region is that of the turned picture');
  const { digits } = await recognizer.read(withOrientation(ROW_JPEG, 3));
  assert(digits.length > 0);
  assert(!remarks.includes('rotated'));
});

test('options have the meaning of the parameters of the HTTP API', async () => {
  const gray = draw(SEVEN_SLASH_ONE, 120, 75);
  assert.equal(await read(gray, { digitsOnly: true }), '71');
  assert.equal(await read(gray, { region: [0, 0, 50, 75] }), '7');
  assert.equal(await read(gray, { pattern: 'd/d' }), '7/1');
  assert.equal(await read(gray, { pattern: 'dd/dd' }), '?/?');
  assert.equal(await read(gray, { charset: '17/' }), '7/1');
  assert.equal(await read(gray, { length: 2 }), '7/1');
  assert.equal(await read(gray, { length: '1-3' }), '7/1');
  assert.match(await read(gray, { length: 5 }), /^[?/]+$/);
  assert.match(await read(gray, { checksum: 'luhn', minProbability: 0 }), /\?/);
  assert.equal(await read(SEVEN, { minConfidence: 1 }), '?');
  assert.equal((await recognizer.read(gray, { single: true })).digits.length, 1);
  assert.equal((await recognizer.read(SEVEN, { details: true })).details[0].tile.length, 28 * 28);
  assert.deepEqual(await recognizer.read(SEVEN, { pattern: undefined, tables: false }), await recognizer.read(SEVEN));
});

test('options of readings at the same time are those of their own call', async () => {
  const gray = new Blob([encodePng(draw(SEVEN_SLASH_ONE, 120, 75))]);
  const options = [{}, { digitsOnly: true }, undefined, { pattern: 'd' }];
  const texts = await Promise.all(options.map(each => read(gray, each)));
  assert.deepEqual(texts, ['7/1', '71', '7/1', '???']);
});

test('errors say what is wrong', async () => {
  assert.equal(await errorOf(Buffer.from('hello')), 'format: expected PNG or JPEG, found none of them');
  assert.equal(await errorOf(Buffer.from('RIFF\0\0\0\0WEBPVP8 ')), 'format: expected PNG or JPEG, found none of them');
  assert.match(await errorOf(Buffer.from('%PDF-1.7')), /^format: PDF is not supported; convert its pages/);
  assert.equal(await errorOf(ROW_JPEG.subarray(0, 500)), 'could not be decoded: the file ends too soon');
  assert.match(await errorOf(DIGITS_PNG.subarray(0, 500)), /^could not be decoded: /);
  assert.match(await errorOf('digits.png'), /^image: expected bytes of an image file, .* found String$/);
  assert.match(await errorOf(null), /found null$/);
  assert.match(await errorOf({ width: 1.5, height: 1, data: new Uint8Array(2) }), /^image: expected width and height/);
  assert.match(await errorOf({ width: 2, height: 2, data: new Uint8Array(5) }), /5/);
  assert.match(await errorOf({ strokes: [[[1, -1]]] }), /^coordinates: expected numbers from 0 to 65536, found -1/);
  assert.match(await errorOf({ strokes: [[[1, NaN]]] }), /NaN/);
  assert.match(await errorOf(SEVEN, { pattern: '[7-' }), /^pattern: expected .* at character/);
  assert.match(await errorOf(SEVEN, { length: 0 }), /^length: expected 1 to/);
  assert.equal(await errorOf(SEVEN, { digitsOnly: 1 }), 'digitsOnly: invalid type: integer `1`, expected a boolean');
  assert.match(await errorOf(SEVEN, { digits_only: true }), /^digits_only: expected one of single, digitsOnly, /);
  assert.equal(await errorOf(SEVEN, { minConfidence: 2 }), 'minConfidence: expected a number from 0 to 1, found 2');
  assert.match(await errorOf(SEVEN, { minConfidence: NaN }), /^minConfidence: invalid type: string "NaN"/);
  assert.match(await errorOf(draw(SEVEN, 50, 70), { region: [40, 0, 20, 10] }), /region/);
  assert.equal(await read(SEVEN), '7', 'the recognizer still works');
});

test('the size of a file is checked before memory is taken', async () => {
  const message = await errorOf(encodePng({ width: 30000, height: 30000, data: new Uint8Array(30000) }));
  assert.equal(message, 'size: expected at most 50 megapixels, found 30000 x 30000');
  assert.equal(await errorOf(encodePng(draw(SEVEN, 1100, 1000)), { maxMegapixels: 1 }),
    'size: expected at most 1 megapixels, found 1100 x 1000');
});

test('weights are loaded from a URL or bytes', async () => {
  const url = new URL('../../../lenet/weights/vgg.safetensors', import.meta.url);
  const expected = await (await Recognizer.load({ weights: url })).read(SEVEN);
  assert.equal(expected.text, '7');
  assert.notDeepEqual(expected.digits, (await recognizer.read(SEVEN)).digits);
  for (const weights of [url.href, await readFile(url), readFile(url)]) {
    assert.deepEqual(await (await Recognizer.load({ weights })).read(SEVEN), expected);
  }
  await assert.rejects(Recognizer.load({ weights: new Uint8Array(9) }), Error);
  await assert.rejects(Recognizer.load({ weights: 42 }), /^TypeError: weights: expected the URL or the bytes/);
  await assert.rejects(Recognizer.load({ weights: new URL('missing.safetensors', import.meta.url) }), /ENOENT/);
  assert.throws(() => new Recognizer(), /use `await Recognizer.load\(\)`/);
});

test('a recognizer that was freed says so', async () => {
  const freed = await Recognizer.load();
  freed[Symbol.dispose]();
  freed.free();
  await assert.rejects(freed.read(SEVEN), /expected one in use, found one that was freed/);
  assert.equal(await read(SEVEN), '7', 'others are not affected');
});

test('readings are those of lenet recognize --json', { skip: !process.env.LENET && 'LENET is not set' }, async () => {
  const files = ['docs/digits.png', 'docs/recognition/page.png', 'docs/recognition/form.png'];
  const root = new URL('../../../../', import.meta.url);
  for (const file of files) {
    const output = execFileSync(process.env.LENET, ['recognize', '--json', file], { cwd: root, encoding: 'utf8' });
    const { path, ...expected } = JSON.parse(output);
    assert.equal(path, file);
    assertClose(await recognizer.read(await readFile(new URL(file, root))), expected, file);
  }
});

/** Asserts that values are equal, except for numbers between integers: sums of floats differ between SIMD levels. */
function assertClose(found, expected, path) {
  if (typeof expected === 'number' && typeof found === 'number') {
    const tolerance = Number.isInteger(expected) && Number.isInteger(found) ? 0 : 1e-3;
    assert(Math.abs(found - expected) <= tolerance, `${path}: expected ${expected}, found ${found}`);
  } else if (expected && typeof expected === 'object') {
    assert.deepEqual(Object.keys(found), Object.keys(expected), path);
    for (const key of Object.keys(expected)) assertClose(found[key], expected[key], `${path}: ${key}`);
  } else {
    assert.equal(found, expected, path);
  }
}
