"""The estimator for scikit-learn."""

from collections.abc import Callable

import lenet
import numpy as np
import pytest
from lenet import Architecture, nn
from lenet.sklearn import DigitClassifier
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

Digits = tuple[np.ndarray, np.ndarray]


OTHER_FEATURES = """
check_classifier_data_not_an_array
check_classifiers_classes
check_classifiers_one_label
check_classifiers_train
check_dict_unchanged
check_dont_overwrite_parameters
check_dtype_object
check_estimators_dtypes
check_estimators_fit_returns_self
check_estimators_nan_inf
check_estimators_overwrite_params
check_estimators_pickle
check_f_contiguous_array_estimator
check_fit2d_1feature
check_fit2d_1sample
check_fit2d_predict1d
check_fit_check_is_fitted
check_fit_idempotent
check_fit_score_takes_y
check_methods_sample_order_invariance
check_methods_subset_invariance
check_n_features_in
check_n_features_in_after_fitting
check_pipeline_consistency
check_positive_only_tag_during_fit
check_readonly_memmap_input
check_supervised_y_2d
"""
"""Checks whose data have another number of features than 784, which is an error."""


def expected_failed_checks(estimator: BaseEstimator) -> dict[str, str]:
    if isinstance(estimator, AnyFeatures):
        reason = "the last digits of float32 logits depend on the number of images"
        return {"check_methods_subset_invariance": reason}
    return dict.fromkeys(OTHER_FEATURES.split(), "the data have another number of features than 784")


class AnyFeatures(DigitClassifier):
    """Classifies up to 784 features of any range, so that the other checks run, too."""

    def _images(self, X: np.ndarray) -> np.ndarray:
        scaled = 1 / (1 + np.exp(-X.astype(np.float64)))
        return super()._images(np.tile(scaled, (1, 784 // X.shape[1] + 1))[:, :784])


LINEAR = Architecture("linear", [("flatten", nn.Flatten()), ("fc", nn.Linear(784, 10))])
ESTIMATORS = [DigitClassifier(epochs=1), AnyFeatures(LINEAR, epochs=60, random_state=0)]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_estimator_checks(estimator: BaseEstimator, check: Callable[[BaseEstimator], None]) -> None:
    check(estimator)


def test_classes_of_any_kind(digits: Digits) -> None:
    images, labels = digits[0].reshape(-1, 784), digits[1]
    classifier = DigitClassifier(epochs=8, random_state=0)
    names = np.array(["zero", "one", "two"])
    few = labels < 3
    classifier.fit(images[few] / 255, names[labels[few]])
    assert list(classifier.classes_) == ["one", "two", "zero"]
    assert classifier.score(images[few], names[labels[few]]) > 0.9
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
    options = {"epochs": 4, "random_state": 0}
    invert = FunctionTransformer(lambda images: 255 - images)
    pipeline = make_pipeline(invert, DigitClassifier(**options)).fit(255 - images, labels)
    assert pipeline.score(255 - images, labels) > 0.85
    search = GridSearchCV(DigitClassifier(**options), {"model": ["lenet5", "mlp"]}, cv=2)
    assert search.fit(images, labels).best_score_ > 0.8
    scores = cross_val_score(DigitClassifier(**options), images, labels, cv=2, n_jobs=2)
    assert scores.min() > 0.8
