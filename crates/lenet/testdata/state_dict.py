"""PyTorch's side of a round trip of weights files: LeNet-5 of the tutorial, and 16 images computed by a formula.

    python state_dict.py images images.csv                        # writes the images, one per line: pixel0, ..., pixel783

Check that PyTorch reads weights that `lenet` trained:

    lenet train --epochs 1 --out trained.safetensors
    lenet predict trained.safetensors images.csv --json --out logits.jsonl
    python state_dict.py check trained.safetensors logits.jsonl

Check that `lenet` reads weights that PyTorch saved:

    python state_dict.py make fresh.safetensors                   # writes the state_dict of a new network, without metadata
    lenet predict fresh.safetensors images.csv --architecture lenet5 --json --out logits.jsonl
    python state_dict.py check fresh.safetensors logits.jsonl

`check` normalizes pixels by (pixel / 255 - mean) / std with the values of the file's metadata, or with MNIST's 0.1307 and 0.3081 if
there are none. It exits with status 1 if a logit deviates by more than 1e-4 of the largest one. Requires torch, safetensors and numpy.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

sys.path.append(str(Path(__file__).parents[2] / "lenet-nn" / "testdata"))

from goldens import images  # noqa: E402


class LeNet5(nn.Module):
    """As in the tutorial, whose attribute names are the keys of the state_dict."""

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
    # "scaling" is the key's former name.
    normalize = metadata.get("normalize") or metadata.get("scaling") or {"mean": 0.1307, "std": 0.3081}
    inputs = (torch.tensor(images()[:, None] / 255) - normalize["mean"]) / normalize["std"]
    with torch.no_grad():
        expected = network.double()(inputs).numpy()
    with open(logits) as text:
        found = np.array([json.loads(line)["logits"] for line in text])
    if found.shape != expected.shape:
        sys.exit(f"{logits}: expected {expected.shape} logits, found {found.shape}")
    deviation = abs(found - expected).max() / abs(expected).max()
    print(f"{file}: logits within {deviation:.1e} of the largest; predictions {expected.argmax(1).tolist()}")
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
