// A thread of the WebAssembly module: runs tasks of rayon until the page is closed.

addEventListener('message', async ({ data: { module, memory, receiver, script } }) => {
  const bindings = await import(script);
  await bindings.default({ module_or_path: module, memory });
  postMessage('ready');
  bindings.wbg_rayon_start_worker(receiver);
});
