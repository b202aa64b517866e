"""Training, with a table of the epochs in a terminal, and with curves in a notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from . import _lenet, datasets
from ._results import EpochMetrics

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._lenet import Architecture, Network


def train(
    images: ArrayLike,
    labels: ArrayLike,
    model: str | Architecture | None = None,
    recipe: str | os.PathLike[str] | Mapping[str, Any] = "default",
    seed: int = 0,
    init: Network | str | os.PathLike[str] | None = None,
    progress: bool = True,
    callback: Callable[[EpochMetrics], object] | None = None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    threads: int | None = None,
) -> Network:
    """Trains a network on labeled images of digits.

    The same images, recipe, seed and number of threads give the same network, bit by bit, as
    `lenet train` does. Ctrl-C stops a training after the step that runs: within a second,
    unless batches are large.

    Parameters
    ----------
    images : array (n, 28, 28) or (n, 784)
        uint8 from 0, paper, to 255, ink. Floats from 0 to 1 are rounded to it.
    labels : array (n,)
        Integers from 0 to 9.
    model : str or Architecture, optional
        "mlp", "cnn", "lenet5", "vgg", "vgg_wide", "micro", or an architecture of your own. By default that
        of `init`, or "lenet5".
    recipe : str, path or mapping
        "default", "fast" (LeNet-5 in seconds), "best" (minutes), "tutorial", the path of a TOML
        file, or its keys and values.
    seed : int
        Seed of the random weights, of the order of the images, of augmentation and dropout.
    init : Network, str or path, optional
        Weights to start from instead of random ones: a network, the name of pretrained weights, or
        a file.
    progress : bool
        Whether to show each epoch: as a line, or in a notebook as a table with curves.
    callback : callable, optional
        Called with the `EpochMetrics` of each epoch. The training ends early if it returns a true
        value.
    epochs, batch_size : int, optional
        Replace those of the recipe.
    validation : tuple of images and labels, optional
        Other images, on which the network is evaluated after each epoch.
    threads : int, optional
        1 to 256. By default one for each core.

    Returns
    -------
    Network
        The network after the last epoch.

    Raises
    ------
    TypeError, ValueError
        If images or labels have another dtype, shape or range.
    OSError
        If a file can't be read.
    lenet.Error
        If the recipe or the architecture is invalid, or the training diverges.
    KeyboardInterrupt
        After Ctrl-C.
    """
    display = _display() if progress else _Silent()

    def on_epoch(
        epoch: int, loss: float, accuracy: float, validation: float | None, seconds: float
    ) -> object:
        speed = len(labels) / seconds  # type: ignore[arg-type]
        metrics = EpochMetrics(epoch, loss, accuracy, validation, seconds, speed)
        display.end_epoch(metrics)
        return callback(metrics) if callback is not None else None

    return _lenet.train(
        images,
        labels,
        model=model,
        recipe=dict(recipe) if isinstance(recipe, Mapping) else recipe,
        seed=seed,
        init=init,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        threads=threads,
        on_progress=display.advance,
        on_epoch=on_epoch,
    )


def adapt(
    images: ArrayLike,
    labels: ArrayLike,
    init: Network | str | os.PathLike[str] = "handwriting",
    seed: int = 0,
    *,
    rehearsal: tuple[ArrayLike, ArrayLike] | None = None,
) -> Network:
    """Adapts a trained network to the handwriting of one person, in a second or two.

    The network is trained on the person's digits and on rehearsed ones, so that it forgets
    nothing. The same arguments and number of threads give the same network, bit by bit, as
    `lenet adapt` does. `datasets.load_folder` reads pictures of digits.

    Parameters
    ----------
    images : array (n, 28, 28) or (n, 784)
        Ten digits or more: uint8 from 0, paper, to 255, ink. Floats from 0 to 1 are rounded to it.
    labels : array (n,)
        Integers from 0 to 9.
    init : Network, str or path
        The network: the name of pretrained weights, or a file. It is not changed.
    seed : int
        Seed of the choice of the rehearsed digits, of their order and of augmentation.
    rehearsal : tuple of images and labels, optional
        Images that the network was trained on, of which some are rehearsed. By default the training
        images of MNIST, as `datasets.mnist` returns them.

    Returns
    -------
    Network
        The adapted network.

    Raises
    ------
    TypeError, ValueError
        If images or labels have another dtype, shape or range.
    OSError
        If a file can't be read.
    lenet.Error
        If there are fewer than ten digits.

    Examples
    --------
    >>> network = lenet.adapt(*lenet.datasets.load_folder("my-digits"))
    >>> lenet.Recognizer(network).read("photo.jpg").text
    '3.14'
    """
    if rehearsal is None:
        rehearsal = datasets.mnist()
    return _lenet.adapt(images, labels, init=init, rehearsal=rehearsal, seed=seed)


_SECONDS_PER_UPDATE = 0.5
"""How often a notebook shows the progress within an epoch, at most."""


class _Silent:
    """Shows nothing."""

    def advance(self, epoch: int, images: int, total: int) -> None:
        """Shows how many images of an epoch are done."""

    def end_epoch(self, metrics: EpochMetrics) -> None:
        """Shows the metrics of an epoch."""


class _Terminal(_Silent):
    """Prints a line for each epoch."""

    def end_epoch(self, metrics: EpochMetrics) -> None:
        if metrics.epoch == 1:
            print("  ".join(_HEADINGS))
        cells = zip(_cells(metrics), _HEADINGS, strict=True)
        print("  ".join(cell.rjust(len(heading)) for cell, heading in cells), flush=True)


class _Notebook(_Silent):
    """Shows a table of the epochs, and curves of loss and accuracy, and updates them."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._history: list[EpochMetrics] = []
        self._updated = 0.0
        self._handle = display(HTML(""), display_id=True)

    def advance(self, epoch: int, images: int, total: int) -> None:
        if time.monotonic() - self._updated > _SECONDS_PER_UPDATE:
            self._update(f"epoch {epoch}: {images} of {total} images")

    def end_epoch(self, metrics: EpochMetrics) -> None:
        self._history.append(metrics)
        self._update("")

    def _update(self, status: str) -> None:
        self._updated = time.monotonic()
        self._handle.update(self._html(training_html(self._history, status)))


def _display() -> _Silent:
    """Returns the display for where the program runs: a notebook's kernel or anything else."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return _Notebook() if getattr(shell, "kernel", None) is not None else _Terminal()


_HEADINGS = ("epoch", "  loss", "train accuracy", "validation accuracy", "seconds")


def _cells(metrics: EpochMetrics) -> tuple[str, ...]:
    validation = metrics.validation_accuracy
    return (
        f"{metrics.epoch}",
        f"{metrics.loss:.4f}",
        f"{metrics.train_accuracy:.2%}",
        "" if validation is None else f"{validation:.2%}",
        f"{metrics.seconds:.1f}",
    )


def training_html(history: list[EpochMetrics], status: str) -> str:
    """Returns the table and the curves of a training as HTML."""
    rows = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in _cells(metrics)) + "</tr>"
        for metrics in history
    )
    headings = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    validation = [metrics.validation_accuracy for metrics in history]
    curves = _curve("loss", {"#2667ac": [metrics.loss for metrics in history]})
    curves += _curve(
        "error (dashed: validation)",
        {
            "#2667ac": [1 - metrics.train_accuracy for metrics in history],
            "#e8702a": [1 - accuracy for accuracy in validation if accuracy is not None],
        },
    )
    return f"<table><tr>{headings}</tr>{rows}</table>{curves}<p>{status}</p>"


def _curve(title: str, lines: dict[str, list[float]]) -> str:
    """Returns an SVG of lines over the epochs, by color. All but the first are dashed."""
    width, height, margin = 320, 160, 24
    top = max((value for line in lines.values() for value in line), default=0.0) or 1.0
    count = max(max(map(len, lines.values())) - 1, 1)
    paths = ""
    for index, (color, line) in enumerate(lines.items()):
        points = " ".join(
            f"{margin + i * (width - 2 * margin) / count:.1f},"
            f"{height - margin - value / top * (height - 2 * margin):.1f}"
            for i, value in enumerate(line)
        )
        dashes = ' stroke-dasharray="4"' if index > 0 else ""
        paths += f'<polyline fill="none" stroke="{color}" stroke-width="2"{dashes} points="{points}"/>'
    base = height - margin
    return (
        f'<svg width="{width}" height="{height}" font-size="12" fill="currentColor">'
        f'<text x="{margin}" y="16">{title}, 0 to {top:.3g}</text>'
        f'<line x1="{margin}" y1="{base}" x2="{width - margin}" y2="{base}" stroke="gray"/>'
        f"{paths}</svg>"
    )
