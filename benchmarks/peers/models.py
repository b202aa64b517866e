"""The tutorial's three networks in PyTorch, and the training images."""
import pathlib

import numpy
import torch
from torch import nn


class MLP(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 784), nn.ReLU(), nn.Linear(784, 10))


class CNN(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 10, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Dropout(0.2), nn.Flatten(),
            nn.Linear(27 * 27 * 10, 128), nn.ReLU(), nn.Linear(128, 10))


class LeNet5(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
            nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))


MODELS = {"lenet5": LeNet5, "cnn": CNN, "mlp": MLP}


def load(folder, split):
    """Loads images (n, 1, 28, 28) between 0 and 1, and labels (n), from a folder of IDX files."""
    images, labels = (
        numpy.fromfile(pathlib.Path(folder) / f"{split}-{name}-ubyte", numpy.uint8, offset=header)
        for name, header in (("images-idx3", 16), ("labels-idx1", 8)))
    return torch.from_numpy(images).reshape(-1, 1, 28, 28).float() / 255, torch.from_numpy(labels).long()
