#!/usr/bin/env node
// Training of LeNet-5 in Chromium, in images a second: the learn page of lenet with one worker and with one for each core, beside
// TensorFlow.js. Batches of 100, Adam, without augmentation. Needs Chromium, and the files that `crates/lenet-web/compile DIR` makes.
//
//     npm ci && ./run.js DIR [ROUNDS]
//
// Each round measures everything once, so that a busy minute of the machine affects all. The medians are printed as a table.

import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { cpus } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import puppeteer from 'puppeteer-core';

const SECONDS = 8;
const BATCH_SIZE = 100;
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };
const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Serves the files of a folder, and returns the address. */
function serve(folder, headers) {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url, 'http://localhost').pathname));
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream', ...headers });
    createReadStream(path).pipe(response);
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)));
}

/** Trains in the worker of the learn page, and returns its text such as `12,345 images a second`, as a number. */
async function measureLenet(browser, address) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.goto(`${address}/learn.html`);
  await page.waitForFunction(() => document.body.dataset.state === 'ready', { timeout: 60_000 });
  await page.select('#recipe', 'default');
  await new Promise(resolve => setTimeout(resolve, 500));
  await page.click('#start');
  await new Promise(resolve => setTimeout(resolve, 1000 * SECONDS));
  const [speed, environment] = await page.evaluate(() => ['speed', 'environment'].map(id => document.getElementById(id).textContent));
  const memory = await trainingMemory(page);
  await context.close();
  return { name: `lenet, ${environment}`, speed: Number(speed.replace(/[^0-9]/g, '')), memory };
}

/** Returns the bytes of all JavaScript and WebAssembly memory of an isolated page, or `undefined`. */
const trainingMemory = page =>
  page.evaluate(async () => {
    if (!globalThis.crossOriginIsolated || !performance.measureUserAgentSpecificMemory) return undefined;
    const timeout = new Promise(resolve => setTimeout(resolve, 60_000));
    return (await Promise.race([performance.measureUserAgentSpecificMemory(), timeout]))?.bytes;
  });

async function measureTfjs(browser, address, backend) {
  const page = await browser.newPage();
  await page.goto(`${address}/tfjs.html`);
  const measured = page.evaluate((...args) => globalThis.measure(...args), backend, BATCH_SIZE, SECONDS);
  const speed = await measured.catch(error => error.message.split('\n')[0]);
  const version = await page.evaluate(() => globalThis.tf.version.tfjs);
  await page.close();
  return { name: `TensorFlow.js ${version}, ${backend}`, speed };
}

const median = values => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const [folder, rounds = '3'] = process.argv.slice(2);
if (!folder || !existsSync(join(folder, 'training_threads_bg.wasm'))) {
  console.error('usage: run.js DIR [ROUNDS], with DIR of `crates/lenet-web/compile DIR`');
  process.exit(2);
}
const chromium = execFileSync('sh', ['-c', 'command -v chromium || command -v google-chrome']).toString().trim();
const browser = await puppeteer.launch({ executablePath: chromium, args: ['--no-sandbox'], protocolTimeout: 600_000 });
const plain = await serve(folder, {});
const isolated = await serve(folder, ISOLATION);
const tfjs = await serve(fileURLToPath(new URL('.', import.meta.url)), {});
const results = new Map();
for (let round = 0; round < Number(rounds); round++) {
  for (const measure of [
    () => measureLenet(browser, plain),
    () => measureLenet(browser, isolated),
    () => measureTfjs(browser, tfjs, 'wasm'),
    () => measureTfjs(browser, tfjs, 'cpu'),
  ]) {
    const { name, speed, memory } = await measure();
    console.error(name, speed, memory ? `${Math.round(memory / 1e6)} MB` : '');
    results.set(name, [...(results.get(name) ?? []), speed]);
  }
}
console.log(`${await browser.version()}, ${cpus().length} × ${cpus()[0].model}, ${new Date().toISOString().slice(0, 10)}`);
console.log('| trained by | images a second |\n|---|---:|');
for (const [name, speeds] of results) {
  const speed = speeds.every(Number.isFinite) ? Math.round(median(speeds)).toLocaleString('en') : `can't train: ${speeds[0]}`;
  console.log(`| ${name} | ${speed} |`);
}
await browser.close();
process.exit(0);
