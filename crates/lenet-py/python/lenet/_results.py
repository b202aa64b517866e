"""Metrics of trainings and evaluations."""

from typing import Any, NamedTuple


class EpochMetrics(NamedTuple):
    """Metrics of an epoch of a training. The fields are the keys of `lenet train --json`."""

    epoch: int
    """The number, from 1."""
    loss: float
    """The mean loss over the training images, each at the step that trained on it."""
    train_accuracy: float
    """The fraction of the training images that were classified correctly, 0 to 1."""
    validation_accuracy: float | None
    """The fraction of the validation images that are classified correctly after the epoch, 0 to 1."""
    seconds: float
    """The duration, without the validation."""
    images_per_second: float
    """Training images per second."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dictionary."""
        return self._asdict()


class Evaluation(NamedTuple):
    """Metrics of a network on labeled images. The fields are the keys of `lenet eval --json`."""

    accuracy: float
    """The fraction of correct predictions, 0 to 1."""
    interval: list[float]
    """The 95% confidence interval of the accuracy (Wilson): lower and upper bound."""
    halves: list[float]
    """The accuracy on the first and on the second half of the images."""
    calibration_error: float
    """The expected calibration error, 0 to 1."""
    accuracy_at_coverage: list[list[float]]
    """Pairs of a fraction and the accuracy of the most confident predictions of this fraction."""
    correct: int
    """The number of correct predictions."""
    total: int
    """The number of images."""
    per_digit: list[dict[str, Any]]
    """For each digit `digit`, `precision`, `recall` and `count`; `None` without images."""
    confusion: list[list[int]]
    """The number of images by label and prediction."""

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dictionary."""
        return self._asdict()
