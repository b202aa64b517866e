"""Fixtures: pictures of digits that are drawn here, and labeled images."""

import gzip
import io
import os
import struct
import sys
from pathlib import Path

import lenet
import numpy as np
import pytest
from PIL import Image

FONT = [0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717]
"""For each digit an octal digit for each of 5 rows, and a bit for each of 3 squares."""


def glyph(digit: int, square: int) -> np.ndarray:
    """Returns a digit of squares of `square` pixels: uint8 (5 * square, 3 * square), ink 255."""
    bits = [FONT[digit] >> (14 - i) & 1 for i in range(15)]
    return np.kron(np.array(bits, np.uint8).reshape(5, 3) * 255, np.ones((square, square), np.uint8))


def page(seed: int) -> np.ndarray:
    """Returns a gray page with a few noisy lines of digits: uint8 (height, width), dark on light."""
    random = np.random.default_rng(seed)
    paper = np.full((60 + 40 * (seed % 3), 200 + 10 * seed), 230, np.uint8)
    for line in range(1 + seed % 3):
        for i in range(random.integers(1, 6)):
            ink = glyph(int(random.integers(10)), 4) > 0
            y, x = 15 + 40 * line + int(random.integers(4)), 15 + 30 * i
            paper[y : y + 20, x : x + 12][ink] = random.integers(20, 60)
    return np.clip(paper + random.normal(0, 4, paper.shape), 0, 255).astype(np.uint8)


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
    """Returns 1500 drawn digits: uint8 (1500, 28, 28), and labels."""
    labels = np.arange(1500) % 10
    images = np.zeros((1500, 28, 28), np.uint8)
    for i, label in enumerate(labels):
        y, x = i // 10 % 9, i // 10 % 17
        images[i, y : y + 20, x : x + 12] = glyph(int(label), 4)
    return images, labels


@pytest.fixture(scope="session")
def network(digits: tuple[np.ndarray, np.ndarray]) -> lenet.Network:
    """Returns LeNet-5, trained on the drawn digits."""
    return lenet.train(*digits, progress=False, epochs=4, batch_size=20)


def program() -> list[str]:
    """Returns the command of the program: $LENET, or that of the package."""
    return [os.environ["LENET"]] if "LENET" in os.environ else [sys.executable, "-m", "lenet"]
