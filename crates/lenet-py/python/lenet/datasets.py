"""Labeled images of digits: uint8 arrays (n, 28, 28) from 0, paper, to 255, ink, and labels (n,)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lenet import Error, decode_mnist, downloaded_mnist, load_folder, load_idx

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["load_folder", "load_idx", "mnist"]

_PREFIXES = {"train": "train", "test": "t10k"}


def mnist(split: str = "train") -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Returns images and labels of MNIST: the 60,000 of the split "train", or the 10,000 of "test".

    They come from the package `lenet-mnist` (`pip install lenet[mnist]`), which contains them, or
    from the files that `python -m lenet fetch mnist` downloads.

    Raises `ValueError` for another split, and `lenet.Error` if there is neither.
    """
    if split not in _PREFIXES:
        raise ValueError(f'split: expected "train" or "test", found {split!r}')
    # Imported here, because they take most of the time of `import lenet`.
    import importlib.util
    from pathlib import Path

    package = importlib.util.find_spec("lenet_mnist")
    if package is not None and package.origin is not None:
        folder, prefix = Path(package.origin).parent / "data", _PREFIXES[split]
        images, labels = (
            (folder / f"{prefix}-{name}-ubyte.br").read_bytes()
            for name in ("images-idx3", "labels-idx1")
        )
        return decode_mnist(images, labels)
    try:
        return downloaded_mnist(split)
    except Error as error:
        raise Error(f"{error}, or `pip install lenet[mnist]`") from None
