"""ONNX models, run by ONNX Runtime."""

import subprocess
from pathlib import Path

import lenet
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import program
from lenet import Architecture, Network, nn

ROUNDING = 1e-4
"""The largest difference of probabilities."""


def run(model: bytes, pixels: np.ndarray) -> np.ndarray:
    """Returns the probabilities that ONNX Runtime computes."""
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    [probabilities] = onnxruntime.InferenceSession(model).run(None, {"pixels": pixels})
    assert isinstance(probabilities, np.ndarray)
    return probabilities


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Fails if probabilities differ, or the digit of an image whose two likeliest digits differ by more than rounding."""
    assert found.shape == expected.shape and np.abs(found - expected).max() < ROUNDING
    second, first = np.sort(expected, axis=1)[:, -2:].T
    is_clear = first - second > 2 * ROUNDING
    assert (found.argmax(1) == expected.argmax(1))[is_clear].all()


@pytest.mark.parametrize("name", ["lenet5", "vgg", "handwriting"])
def test_program_exports_what_onnx_runtime_computes_alike(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    subprocess.run([*program(), "export", name, "--to", "onnx", "--out", str(path)], check=True)
    images, labels = lenet.datasets.mnist("test")
    found, network = run(path.read_bytes(), images), Network.load(name)
    assert_same(found, network.predict_proba(images))
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert float(metadata["lenet.test_accuracy"]) == (found.argmax(1) == labels).mean()
    assert path.read_bytes() == network.to_onnx()


@pytest.mark.parametrize("opset", [13, 17, 21, 24])
@pytest.mark.parametrize("input", ["uint8", "float"])
def test_every_layer_and_input_is_exported(
    opset: int, input: str, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    # The names are those of inputs, outputs and constants of the graph.
    layers = [
        ("pixels", nn.Conv2d(1, 6, 3, stride=2, padding=2, dilation=2)),  # (6, 14, 14)
        ("mean", nn.BatchNorm2d(6)),
        ("logits", nn.ReLU()),
        ("pool", nn.AvgPool2d(3, stride=2)),  # (6, 6, 6)
        ("tanh", nn.Tanh()),
        ("max", nn.MaxPool2d(3, stride=1)),  # (6, 4, 4)
        ("flatten", nn.Flatten()),
        ("dropout", nn.Dropout(0.5)),
        ("probabilities", nn.Linear(6 * 4 * 4, 10)),
    ]
    images, labels = digits
    network = lenet.train(images, labels, Architecture("all", layers), epochs=1, progress=False)
    pixels = images if input == "uint8" else images.astype(np.float32)
    assert_same(run(network.to_onnx(input=input, opset=opset), pixels), network.predict_proba(images))


def test_other_settings_are_errors(network: Network) -> None:
    with pytest.raises(lenet.Error, match="opset: expected 13 to 24, found 12"):
        network.to_onnx(opset=12)
    with pytest.raises(ValueError, match='input: expected "uint8" or "float", found "int8"'):
        network.to_onnx(input="int8")  # type: ignore[arg-type]
