"""Conversion of arguments to the pictures and arrays that the compiled module takes.

numpy is imported when it is used, so that `import lenet` and the program don't wait for it.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}
"""The modes of PIL whose pixels are those that are read."""
_LOSSLESS_AS_PNG = {"1", "P", "I", "I;16", "I;16B", "I;16L"}
"""Other modes of PIL that a PNG file holds."""


def as_picture(source: object) -> str | bytes | NDArray[np.uint8]:
    """Returns a path, the content of an image file, or pixels (height, width[, channels])."""
    if isinstance(source, os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if hasattr(source, "getexif"):
        return _of_pil(source)
    if hasattr(source, "read"):
        content = source.read()
        if not isinstance(content, bytes):
            raise TypeError(f"picture: expected a binary file, found one that reads {_name(content)}")
        return content
    if hasattr(source, "__array__") or hasattr(source, "__array_interface__"):
        return _of_array(source)
    raise TypeError(
        "picture: expected a path, bytes, a binary file, a PIL image or an array, "
        f"found {_name(source)}"
    )


def _of_pil(image: Any) -> bytes | NDArray[np.uint8]:
    """Converts a PIL image, upright as its EXIF data say."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in _LOSSLESS_AS_PNG:
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=1)
        return file.getvalue()
    return _of_array(image if image.mode in _CHANNELS else image.convert("RGB"))


def _of_array(source: Any) -> NDArray[np.uint8]:
    import numpy as np

    array = np.asarray(source)
    if array.dtype != np.uint8:
        raise TypeError(f"picture: expected an array of uint8, found {array.dtype}")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS.values()):
        raise ValueError(
            "picture: expected shape (height, width), (height, width, 3) or (height, width, 4), "
            f"found {array.shape}"
        )
    return np.ascontiguousarray(array)


def as_images(images: object, name: str) -> NDArray[np.uint8]:
    """Returns contiguous uint8 images (n, 28, 28) or (n, 784), without a copy if they are already."""
    import numpy as np

    array = np.asarray(images)
    if array.shape[1:] not in ((28, 28), (784,)):
        raise ValueError(f"{name}: expected shape (n, 28, 28) or (n, 784), found {array.shape}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        _check_range(array, 1, "floats from 0 to 1, or uint8 from 0 to 255", name)
        rounded: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8, order="C")
        return rounded
    if array.dtype.kind in "iu":
        _check_range(array, 255, "integers from 0 to 255", name)
        return array.astype(np.uint8, order="C")
    raise TypeError(
        f"{name}: expected uint8 from 0 to 255, or floats from 0 to 1, found {array.dtype}"
    )


def as_labels(labels: object, name: str) -> NDArray[np.uint8]:
    """Returns uint8 labels (n,)."""
    import numpy as np

    array = np.asarray(labels)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected shape (n,), found {array.shape}")
    if array.dtype.kind not in "iu" and array.size > 0:
        raise TypeError(f"{name}: expected integers from 0 to 9, found {array.dtype}")
    _check_range(array, 9, "integers from 0 to 9", name)
    return array.astype(np.uint8, order="C")


def as_float32(tensor: object, name: str) -> NDArray[np.float32]:
    """Returns a contiguous float32 tensor."""
    import numpy as np

    array = np.asarray(tensor)
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: expected floats, found {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.float32)


def _check_range(array: NDArray[Any], maximum: int, expected: str, name: str) -> None:
    """Raises `ValueError` that names the first value outside 0 to `maximum`; NaN is outside."""
    import numpy as np

    valid = (array >= 0) & (array <= maximum)
    if not valid.all():
        index = np.unravel_index(int(np.argmin(valid)), array.shape)
        position = ", ".join(str(int(i)) for i in index)
        raise ValueError(f"{name}: expected {expected}, found {array[index]} at index ({position})")


def _name(value: object) -> str:
    return type(value).__name__
