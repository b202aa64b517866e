"""Inference with ONNX Runtime."""
import numpy
import onnxruntime

import clock

arguments = clock.arguments()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = arguments.threads
session = onnxruntime.InferenceSession(arguments.onnx, options, providers=["CPUExecutionProvider"])
images = numpy.fromfile(f"{arguments.data}/t10k-images-idx3-ubyte", numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
for batch in clock.BATCHES:
    x = images[:batch].astype(numpy.float32) / 255
    clock.infer("", arguments.seconds, batch, lambda: session.run(None, {"x": x}))
