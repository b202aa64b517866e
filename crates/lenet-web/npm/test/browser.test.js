// Reading in Chromium, whose readings are those of Node. `./check` installs Chromium.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Recognizer } from 'lenet';

import { DIGITS_PNG, ROW_JPEG, SEVEN, SEVEN_SLASH_ONE, draw, encodePng, withChannels } from './inputs.js';

const FILES = { 'digits.png': DIGITS_PNG, 'row.jpg': ROW_JPEG, 'date.png': encodePng(draw(SEVEN_SLASH_ONE, 120, 75)) };

/** The script of the page: reads pictures with the package and posts what it found. */
const SCRIPT = `
import { Recognizer } from '/browser.js';

const post = results => fetch('/results', { method: 'POST', body: JSON.stringify(results) });
const errorOf = promise => promise.then(() => null, error => error.message);

async function readAll() {
  const recognizer = await Recognizer.load();
  const blob = name => fetch('/' + name).then(response => response.blob());
  const [digits, row, date] = await Promise.all(['digits.png', 'row.jpg', 'date.png'].map(blob));
  const bitmap = await createImageBitmap(date);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const image = new Image();
  image.src = '/date.png';
  await image.decode();
  const webp = await canvas.convertToBlob({ type: 'image/webp', quality: 1 });
  return {
    drawing: await recognizer.read(${JSON.stringify(SEVEN)}),
    details: await recognizer.read(${JSON.stringify(SEVEN)}, { details: true }),
    png: await recognizer.read(digits),
    jpeg: await recognizer.read(await row.arrayBuffer()),
    drawable: await Promise.all([date, bitmap, canvas, image, context.getImageData(0, 0, canvas.width, canvas.height)]
      .map(picture => recognizer.read(picture))),
    webp: { type: webp.type, text: (await recognizer.read(webp)).text },
    webpOfRegion: (await recognizer.read(webp, { region: [0, 0, 50, 75] })).text,
    errors: await Promise.all([
      errorOf(recognizer.read(new Blob(['hello']))),
      errorOf(recognizer.read(document)),
      errorOf(recognizer.read(await webp.arrayBuffer(), { maxMegapixels: 0 })),
      errorOf(Recognizer.load({ weights: '/missing' })),
      errorOf(Recognizer.load({ weights: '/' })),
    ]),
    weights: (await (await Recognizer.load({ weights: '/dist/weights.safetensors' })).read(date)).text,
  };
}

readAll().then(post, error => post({ failure: String(error.stack ?? error) }));
`;

const MEDIA_TYPES = { js: 'text/javascript', wasm: 'application/wasm' };

/** Serves the package and the page. Returns the server, and what the page posts. */
async function serve() {
  let resolve;
  const results = new Promise(settle => { resolve = settle; });
  const server = createServer(async (request, response) => {
    const name = request.url.slice(1);
    if (request.method === 'POST') {
      const body = await request.reduce((text, part) => text + part, '');
      resolve(JSON.parse(body));
      response.end();
    } else if (name === '') {
      response.setHeader('Content-Type', 'text/html').end(`<script type="module">${SCRIPT}</script>`);
    } else {
      const content = FILES[name] ?? (await readFile(new URL(`../${name}`, import.meta.url)).catch(() => null));
      const type = MEDIA_TYPES[name.split('.').at(-1)] ?? 'application/octet-stream';
      response.writeHead(content ? 200 : 404, { 'Content-Type': type }).end(content);
    }
  });
  await new Promise(listening => server.listen(0, '127.0.0.1', listening));
  return { server, results };
}

test('readings in Chromium are those in Node', { timeout: 120_000 }, async context => {
  const { server, results } = await serve();
  const profile = await mkdtemp(join(tmpdir(), 'lenet-chromium-'));
  const options = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', `--user-data-dir=${profile}`];
  const chromium = spawn('chromium', [...options, `http://127.0.0.1:${server.address().port}/`], { stdio: 'ignore' });
  const closed = new Promise(resolve => chromium.once('close', resolve));
  context.after(async () => {
    chromium.kill();
    server.closeAllConnections();
    server.close();
    await closed;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  const failed = new Promise((_, reject) => chromium.once('error', reject));
  const found = await Promise.race([results, failed]);
  assert.equal(found.failure, undefined);

  const recognizer = await Recognizer.load();
  const date = draw(SEVEN_SLASH_ONE, 120, 75);
  assert.deepEqual(found.drawing, await recognizer.read(SEVEN));
  assert.deepEqual(found.details, await recognizer.read(SEVEN, { details: true }));
  assert.deepEqual(found.png, await recognizer.read(DIGITS_PNG));
  assert.deepEqual(found.jpeg, await recognizer.read(ROW_JPEG));
  for (const reading of found.drawable) assert.deepEqual(reading, await recognizer.read(withChannels(date, 4)));
  assert.deepEqual(found.webp, { type: 'image/webp', text: '7/1' });
  assert.equal(found.webpOfRegion, '7');
  assert.equal(found.weights, '7/1');
  const [hello, element, large, missing, page] = found.errors;
  assert.equal(hello, 'format: expected PNG or JPEG, found none of them');
  assert.match(element, /^image: expected bytes of an image file, a Blob, a canvas, .* found HTMLDocument$/);
  assert.equal(large, 'size: expected at most 0 megapixels, found 120 x 75');
  assert.match(missing, /status 404$/);
  assert.match(page, /found an HTML page; see "Bundlers"/);
});
