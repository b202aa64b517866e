"""Fixtures: pages with digits of MNIST, labeled images, and a network."""

import gzip
import io
import os
import struct
import sys
from functools import cache
from pathlib import Path

import lenet
import numpy as np
import pytest
from PIL import Image

@cache
def page(seed: int) -> np.ndarray:
    """Returns a page with a line or two of handwritten digits: uint8 (height, width), dark on light.

    A single digit is noisy and turned upside down, so that more stages of the recognition run.
    """
    random, (images, _) = np.random.default_rng(seed), lenet.datasets.mnist("test")
    lines, columns = 1 + seed % 2, 1 + seed % 5
    page = np.zeros((20 + 50 * lines, 20 + 40 * columns), np.uint8)
    for line in range(lines):
        for column in range(columns):
            y, x = 20 + 50 * line + int(random.integers(4)), 10 + 40 * column
            page[y : y + 28, x : x + 28] = images[random.integers(len(images))]
    if columns == 1:
        page = np.clip(page[::-1] + random.normal(0, 8, page.shape), 0, 255).astype(np.uint8)
    return 255 - page


def png(array: np.ndarray) -> bytes:
    """Returns pixels as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def write_idx(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Writes images and labels as two files of MNIST's format, the labels compressed."""
    header = struct.pack(">4I", 0x803, *images.shape)
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    content = struct.pack(">2I", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))


@pytest.fixture(scope="session")
def recognizer() -> lenet.Recognizer:
    return lenet.Recognizer()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns images of MNIST: uint8 (2000, 28, 28), and labels."""
    images, labels = lenet.datasets.mnist("test")
    return images[:2000], labels[:2000]


@pytest.fixture(scope="session")
def network(digits: tuple[np.ndarray, np.ndarray]) -> lenet.Network:
    """Returns LeNet-5, trained on `digits`."""
    return lenet.train(*digits, progress=False, epochs=3, batch_size=25)


def program() -> list[str]:
    """Returns the command of the program: $LENET, or that of the package."""
    return [os.environ["LENET"]] if "LENET" in os.environ else [sys.executable, "-m", "lenet"]
