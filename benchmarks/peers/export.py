"""Writes LeNet-5 as an ONNX file with a dynamic batch size: `export.py FILE`."""
import sys
import warnings

import torch

from models import LeNet5

warnings.filterwarnings("ignore")
torch.manual_seed(0)
torch.onnx.export(LeNet5().eval(), torch.zeros(1, 1, 28, 28), sys.argv[1], input_names=["x"], output_names=["y"],
                  dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, dynamo=False)
