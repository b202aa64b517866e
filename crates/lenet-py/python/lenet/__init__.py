"""Recognizes handwritten digits in pictures, and trains small neural networks fast on CPUs.

>>> import lenet
>>> lenet.Recognizer().read("photo.jpg").text
'3.14'

`Recognizer` reads pictures, `train` trains a `Network`, `adapt` adapts one to a person's handwriting,
`datasets` has MNIST and reads files, and `lenet.sklearn` has an estimator for scikit-learn. Images of digits are arrays (n, 28, 28) or
(n, 784) of uint8 from 0, paper, to 255, ink; floats from 0 to 1 are rounded to it.
"""

from . import datasets, nn
from ._lenet import (
    Architecture,
    CellReading,
    Digit,
    Error,
    LeftOut,
    MarkReading,
    Network,
    Reading,
    Readings,
    Recognizer,
    __version__,
)
from ._results import EpochMetrics, Evaluation
from ._training import adapt, train

__all__ = [
    "Architecture",
    "CellReading",
    "Digit",
    "EpochMetrics",
    "Error",
    "Evaluation",
    "LeftOut",
    "MarkReading",
    "Network",
    "Reading",
    "Readings",
    "Recognizer",
    "__version__",
    "adapt",
    "datasets",
    "nn",
    "train",
]
