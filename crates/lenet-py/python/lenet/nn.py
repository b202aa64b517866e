"""The layers of an `Architecture`, with the names and settings of PyTorch.

>>> from lenet import Architecture, nn
>>> Architecture("linear", [("flatten", nn.Flatten()), ("fc", nn.Linear(784, 10))])
<Architecture linear>
"""

from ._lenet import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Tanh,
)

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Layer",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Tanh",
]
