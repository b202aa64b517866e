"""PyTorch's side of the checkpoint round trip: the tutorial's LeNet-5, and 16 images that a formula makes.

    python state_dict.py images images.csv                        # writes the images, a line each: pixel0, ..., pixel783

A network that the program trained, read by PyTorch:

    lenet train --epochs 1 --out trained.safetensors
    lenet predict trained.safetensors images.csv --json --out logits.jsonl
    python state_dict.py check trained.safetensors logits.jsonl

A network that PyTorch saved, read by the program:

    python state_dict.py make fresh.safetensors                   # a new network's state_dict, without metadata
    lenet predict fresh.safetensors images.csv --architecture lenet5 --json --out logits.jsonl
    python state_dict.py check fresh.safetensors logits.jsonl

`check` feeds the network (pixel / 255 - mean) / std, as the file's metadata says, or with MNIST's 0.1307 and 0.3081 where
it has none, and exits with 1 if any logit is off by more than 1e-4 of the largest. Needs torch, safetensors, numpy.
"""

import json
import sys

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from goldens import images


class LeNet5(nn.Module):
    """Written as in the tutorial: its attribute names are the keys of the state_dict."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.conv3 = nn.Conv2d(16, 120, kernel_size=5)
        self.fc1 = nn.Linear(120, 84)
        self.fc2 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.tanh(self.conv3(x)).flatten(1)
        return self.fc2(torch.tanh(self.fc1(x)))


def make(file):
    save_file(LeNet5().state_dict(), file)


def write_images(file):
    header = ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(file, images().reshape(-1, 784), fmt="%d", delimiter=",", header=header, comments="")


def check(file, logits):
    network = LeNet5()
    network.load_state_dict(load_file(file), strict=True)
    with safe_open(file, "pt") as opened:
        metadata = json.loads((opened.metadata() or {}).get("lenet", "{}"))
    scaling = metadata.get("scaling", {"mean": 0.1307, "std": 0.3081})
    inputs = (torch.tensor(images()[:, None] / 255) - scaling["mean"]) / scaling["std"]
    with torch.no_grad():
        expected = network.double()(inputs).numpy()
    with open(logits) as text:
        found = np.array([json.loads(line)["logits"] for line in text])
    if found.shape != expected.shape:
        sys.exit(f"{logits}: expected {expected.shape} logits, found {found.shape}")
    deviation = abs(found - expected).max() / abs(expected).max()
    print(f"{file}: logits within {deviation:.1e} of the largest; answers {expected.argmax(1).tolist()}")
    sys.exit(not deviation <= 1e-4)


match sys.argv[1:]:
    case ["make", file]:
        make(file)
    case ["images", file]:
        write_images(file)
    case ["check", file, logits]:
        check(file, logits)
    case _:
        sys.exit(__doc__)
