// LeNet-5 in TensorFlow.js, with the layers, the optimizer and the batches of lenet's recipe `default`.

/* global tf */

const lenet5 = () => {
  const { conv2d, averagePooling2d, flatten, dense } = tf.layers;
  const activation = 'tanh';
  const model = tf.sequential({
    layers: [
      conv2d({ inputShape: [28, 28, 1], filters: 6, kernelSize: 5, padding: 'same', activation }),
      averagePooling2d({ poolSize: 2, strides: 2 }),
      conv2d({ filters: 16, kernelSize: 5, activation }),
      averagePooling2d({ poolSize: 2, strides: 2 }),
      conv2d({ filters: 120, kernelSize: 5, activation }),
      flatten(),
      dense({ units: 84, activation }),
      dense({ units: 10, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.002), loss: 'categoricalCrossentropy' });
  return model;
};

/** Trains on random images for a time, and returns the images a second. */
async function measure(backend, batchSize, seconds) {
  tf.wasm.setWasmPaths('node_modules/@tensorflow/tfjs-backend-wasm/dist/');
  if (!(await tf.setBackend(backend))) throw new Error(`${backend}: the backend can't be started`);
  await tf.ready();
  const model = lenet5();
  const images = tf.randomUniform([batchSize, 28, 28, 1]);
  const labels = tf.oneHot(tf.randomUniform([batchSize], 0, 10, 'int32'), 10).toFloat();
  await model.trainOnBatch(images, labels);
  const start = performance.now();
  let steps = 0;
  while (performance.now() - start < 1000 * seconds) {
    await model.trainOnBatch(images, labels);
    steps++;
  }
  return (1000 * steps * batchSize) / (performance.now() - start);
}
globalThis.measure = measure;
