// The package as npm packs and installs it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Recognizer } from 'lenet';

import { DIGITS_PNG, SEVEN, SEVEN_SLASH_ONE, draw } from './inputs.js';

const here = fileURLToPath(new URL('..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'lenet-package-'));
after(() => rmSync(project, { recursive: true }));

const run = (program, ...args) => execFileSync(program, args, { cwd: project, encoding: 'utf8' });

const file = process.env.PACKAGE;
if (!file) throw new Error('PACKAGE: expected the path of the file that crates/lenet-web/package writes');
writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--silent', file);

test('the package has the files of a user and less than 1,000 KB', () => {
  const paths = run('tar', '--list', '--file', file).trim().split('\n').map(path => path.replace('package/', ''));
  assert.deepEqual(paths.sort(), [
    'LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'browser.js', 'dist/lenet.js', 'dist/lenet_bg.wasm',
    'dist/weights.safetensors', 'index.d.ts', 'node.js', 'package.json', 'recognizer.js',
  ]);
  const { size } = statSync(file);
  assert(size < 1_000_000, `${size} bytes`);
});

test('the version is that of the crates', () => {
  const [, version] = readFileSync(join(here, '../../../Cargo.toml'), 'utf8').match(/^version = "(.*)"$/m);
  assert.equal(JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')).version, version);
});

test('an installed package reads a file', () => {
  writeFileSync(join(project, 'digits.png'), DIGITS_PNG);
  writeFileSync(join(project, 'read.js'), `
    import { readFile } from 'node:fs/promises';
    import { Recognizer } from 'lenet';

    const recognizer = await Recognizer.load();
    console.log((await recognizer.read(await readFile('digits.png'))).text);
  `);
  assert.equal(run('node', 'read.js'), '50419213\n14353617\n');
});

/** Type checks a program with the options of a kind of project. Returns the errors. */
function typeErrors(name, program, ...options) {
  writeFileSync(join(project, name), program);
  const compiler = join(here, 'node_modules/typescript/bin/tsc');
  const args = [compiler, '--strict', '--noEmit', '--target', 'es2022', '--pretty', 'false', ...options, name];
  try {
    return run('node', ...args);
  } catch (error) {
    return error.stdout;
  }
}

const BROWSER = ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022,dom'];
const NODE = ['--module', 'nodenext', '--lib', 'es2022', '--types', 'node'];

const PROGRAM = `
import { Recognizer, type DetailedReading, type Reading, type ReadOptions } from 'lenet';

const recognizer = await Recognizer.load({ weights: new URL('file:///weights.safetensors') });
const options: ReadOptions = { length: 5, region: [0, 0, 10, 10], checksum: 'isbn', minConfidence: 0.9 };
const reading: Reading = await recognizer.read(new Uint8Array(9), options);
const detailed: DetailedReading = await recognizer.read({ strokes: [[[10, 10], [40, 10]]] }, { details: true });
const gray = await recognizer.read({ width: 1, height: 1, data: new Uint8ClampedArray(1) });
const text: string = reading.text + gray.digits[0]?.confidence.toFixed(2) + detailed.details[0]?.tile.length;
if (reading.remarks.includes('blank')) console.log(text);
recognizer.free();
`;

test('types hold in projects for browsers and for Node', () => {
  const inBrowser = `
    await recognizer.read(new ImageData(1, 1));
    await recognizer.read(new Blob([]));
    await recognizer.read(document.createElement('canvas'));
    await Recognizer.load({ weights: fetch('/weights.safetensors') });`;
  assert.equal(typeErrors('browser.ts', PROGRAM + inBrowser, ...BROWSER), '');
  // From now on, for the declarations of Node.
  symlinkSync(join(here, 'node_modules/@types'), join(project, 'node_modules/@types'));
  const inNode = `
    import { readFile } from 'node:fs/promises';
    await recognizer.read(await readFile('photo.jpg'));
    await Recognizer.load({ weights: readFile('weights.safetensors'), wasm: await readFile('lenet_bg.wasm') });`;
  assert.equal(typeErrors('node.ts', PROGRAM + inNode, ...NODE), '');
  for (const [call, expected] of [
    ["read('photo.jpg')", /not assignable to parameter of type 'Picture'/],
    ['read(new Uint8Array(1), { digits_only: true })', /digits_only/],
    ["read(new Uint8Array(1), { checksum: 'crc' })", /checksum|crc/],
    ['read(new Uint8Array(1)).text', /Property 'text' does not exist/],
  ]) {
    assert.match(typeErrors('wrong.ts', `${PROGRAM}\nvoid recognizer.${call};`, ...NODE), expected);
  }
});

test('readings have exactly the keys of their types', async () => {
  const recognizer = await Recognizer.load();
  const pictures = [DIGITS_PNG, SEVEN, SEVEN_SLASH_ONE, draw(SEVEN, 100, 80)];
  const readings = await Promise.all(pictures.map(picture => recognizer.read(picture)));
  const form = readFileSync(new URL('../../../../docs/recognition/form.png', import.meta.url));
  readings.push(await recognizer.read(form, { tables: true }));
  for (const key of ['alternatives', 'digits', 'marks', 'cells', 'left_out', 'remarks']) {
    assert(readings.some(reading => reading[key].length), `${key}: expected an item to check`);
  }
  const detailed = await recognizer.read(SEVEN, { details: true });
  const program = `
    import type { DetailedReading, Reading } from 'lenet';
    export const readings: Reading[] = ${JSON.stringify(readings)};
    export const detailed: DetailedReading = ${JSON.stringify(detailed)};`;
  assert.equal(typeErrors('readings.ts', program, ...NODE), '');
});
