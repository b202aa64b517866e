"""The estimator for scikit-learn."""

import lenet
import numpy as np
import pytest
from lenet.sklearn import DigitClassifier
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

Digits = tuple[np.ndarray, np.ndarray]


def expected_failed_checks(estimator: BaseEstimator) -> dict[str, str]:
    return {}


@parametrize_with_checks([DigitClassifier(epochs=1)], expected_failed_checks=expected_failed_checks)
def test_estimator_checks(estimator: BaseEstimator, check: object) -> None:
    check(estimator)  # type: ignore[operator]


def test_classes_of_any_kind(digits: Digits) -> None:
    images, labels = digits[0].reshape(-1, 784), digits[1]
    classifier = DigitClassifier(epochs=3, random_state=0)
    names = np.array(["zero", "one", "two"])
    few = labels < 3
    classifier.fit(images[few] / 255, names[labels[few]])
    assert list(classifier.classes_) == ["one", "two", "zero"]
    assert classifier.score(images[few], names[labels[few]]) > 0.95
    probabilities = classifier.predict_proba(images[few])
    assert probabilities.shape == (few.sum(), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert isinstance(classifier.network_, lenet.Network)
    with pytest.raises(ValueError, match="y: expected at most 10 classes, found 11"):
        classifier.fit(images[:11], np.arange(11))
    with pytest.raises(ValueError, match=r"X: expected shape \(n, 28, 28\) or \(n, 784\)"):
        clone(classifier).fit(images[:, :700], labels)


def test_pipelines_searches_and_cross_validation(digits: Digits) -> None:
    images, labels = digits[0].reshape(-1, 784), digits[1]
    options = {"epochs": 3, "random_state": 0}
    invert = FunctionTransformer(lambda images: 255 - images)
    pipeline = make_pipeline(invert, DigitClassifier(**options)).fit(255 - images, labels)
    assert pipeline.score(255 - images, labels) > 0.95
    search = GridSearchCV(DigitClassifier(**options), {"model": ["lenet5", "mlp"]}, cv=2)
    assert search.fit(images, labels).best_score_ > 0.9
    scores = cross_val_score(DigitClassifier(**options), images, labels, cv=3, n_jobs=2)
    assert scores.min() > 0.9
