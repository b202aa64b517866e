"""An estimator for scikit-learn, which the extra `lenet[sklearn]` installs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._convert import as_images
from ._training import train

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._lenet import Architecture, Network

__all__ = ["DigitClassifier"]


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies images of 28x28 pixels with a small network.

    `X` is an array (n, 784): uint8 from 0, paper, to 255, ink, other integers of this range, or
    floats from 0 to 1. `y` has up to ten classes of any kind.

    Parameters
    ----------
    model : str or Architecture
        "mlp", "cnn", "lenet5", "vgg", "vgg_wide", "micro", or an architecture of your own.
    recipe : str, path or mapping
        As in `lenet.train`.
    epochs : int, optional
        Replaces the epochs of the recipe.
    threads : int, optional
        1 to 256. By default one for each core. The result depends on it.
    random_state : int, RandomState instance or None
        Determines the seed of the training.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The classes.
    network_ : Network
        The network. Its first `n_classes` outputs are those of the classes.
    n_features_in_ : int
        784.
    """

    def __init__(
        self,
        model: str | Architecture = "lenet5",
        *,
        recipe: str | os.PathLike[str] | Mapping[str, Any] = "default",
        epochs: int | None = None,
        threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.epochs = epochs
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> DigitClassifier:
        """Trains the network. Returns the estimator.

        Raises `ValueError` if `X` has another shape or range, or `y` more than ten classes.
        """
        features, targets = validate_data(self, X, y)
        check_classification_targets(targets)
        images = self._images(features)
        self.classes_, labels = np.unique(targets, return_inverse=True)
        if len(self.classes_) > 10:
            raise ValueError(f"y: expected at most 10 classes, found {len(self.classes_)}")
        seed = int(check_random_state(self.random_state).randint(2**31))
        self.network_: Network = train(
            images,
            labels,
            self.model,
            self.recipe,
            seed,
            progress=False,
            epochs=self.epochs,
            threads=self.threads,
        )
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Returns the probability of each class: array (n, n_classes). Each row adds up to 1."""
        logits = self._logits(X).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Returns the most probable class of each image: array (n,)."""
        indices = self._logits(X).argmax(axis=1)
        classes: NDArray[Any] = self.classes_[indices]
        return classes

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        """Returns the logits of the classes."""
        check_is_fitted(self)
        features = validate_data(self, X, reset=False)
        return self.network_.logits(self._images(features))[:, : len(self.classes_)]

    def _images(self, X: NDArray[Any]) -> NDArray[np.uint8]:
        """Returns the images that the rows of `X` are."""
        return as_images(X, "X")
