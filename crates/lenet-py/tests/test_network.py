"""Networks, architectures and training."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import lenet
import numpy as np
import pytest
from conftest import program, write_idx
from lenet import Architecture, Network, nn

Digits = tuple[np.ndarray, np.ndarray]

LENET5 = Architecture(
    "lenet5",
    [
        ("conv1", nn.Conv2d(1, 6, 5, padding=2)),
        ("tanh1", nn.Tanh()),
        ("pool1", nn.AvgPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)),
        ("tanh2", nn.Tanh()),
        ("pool2", nn.AvgPool2d(2)),
        ("conv3", nn.Conv2d(16, 120, 5)),
        ("tanh3", nn.Tanh()),
        ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(120, 84)),
        ("tanh4", nn.Tanh()),
        ("fc2", nn.Linear(84, 10)),
    ],
)


def test_predictions_agree(network: Network, digits: Digits) -> None:
    images, labels = digits
    logits, probabilities = network.logits(images), network.predict_proba(images)
    assert logits.shape == probabilities.shape == (2000, 10) and logits.dtype == np.float32
    predictions = network.predict(images)
    assert predictions.dtype == np.int64 and (predictions == logits.argmax(axis=1)).all()
    exponentials = np.exp(logits.astype(np.float64) / network.temperature)
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, softmax, atol=1e-6)
    evaluation = network.evaluate(images, labels)
    assert evaluation.accuracy == (predictions == labels).mean() > 0.9
    assert evaluation.total == 2000 and np.sum(evaluation.confusion) == 2000
    assert pickle.loads(pickle.dumps(evaluation)) == evaluation
    assert evaluation.to_dict()["per_digit"][3]["digit"] == 3


def test_images_of_all_layouts_and_dtypes_give_the_same_logits(
    network: Network, digits: Digits
) -> None:
    images = digits[0][:60]
    expected = network.logits(images)
    read_only = images.copy()
    read_only.flags.writeable = False
    twice = np.repeat(images, 2, axis=0)
    for other in [
        images.reshape(-1, 784),
        read_only,
        twice[::2],
        np.asfortranarray(images),
        images / 255,
        (images / 255).astype(np.float32),
        images.astype(np.int64),
        images.tolist(),
    ]:
        assert (network.logits(other) == expected).all()
    assert network.logits(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((28, 28), np.uint8), ValueError, "expected shape (n, 28, 28) or (n, 784), found (28, 28)"),
        (np.zeros((1, 784), "U1"), TypeError, "expected uint8 from 0 to 255, or floats from 0 to 1, found <U1"),
        (np.zeros((1, 784), bool), TypeError, "found bool"),
        (np.full((1, 784), 256), ValueError, "expected integers from 0 to 255, found 256 at index (0, 0)"),
        (np.full((1, 28, 28), 2.0), ValueError, "expected floats from 0 to 1, or uint8 from 0 to 255, found 2.0"),
        (np.full((1, 784), np.nan), ValueError, "found nan at index (0, 0)"),
    ],
)
def test_bad_images(network: Network, images: np.ndarray, error: type, message: str) -> None:
    for method in [network.predict, network.predict_proba, network.logits]:
        with pytest.raises(error) as caught:
            method(images)
        assert str(caught.value).startswith("images: expected") and message in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 10], ValueError, "labels: expected integers from 0 to 9, found 10 at index (1)"),
        ([0, -1], ValueError, "found -1 at index (1)"),
        ([0.5, 1.0], TypeError, "labels: expected integers from 0 to 9, found float64"),
        ([[1], [2]], ValueError, "labels: expected shape (n,), found (2, 1)"),
        ([1], ValueError, "number of labels: expected 2 (one for each image), found 1"),
        ([], ValueError, "number of labels: expected 2"),
    ],
)
def test_bad_labels(network: Network, labels: list, error: type, message: str) -> None:
    images = np.zeros((2, 784), np.uint8)
    for call in [network.evaluate, lenet.train]:
        with pytest.raises(error) as caught:
            call(images, labels)
        assert message in str(caught.value)


def test_files_and_pickles_keep_every_bit(
    network: Network, digits: Digits, tmp_path: Path
) -> None:
    expected = network.logits(digits[0])
    path = tmp_path / "network.safetensors"
    network.save(path)
    for other in [Network.load(path), Network.load(str(path)), pickle.loads(pickle.dumps(network))]:
        assert (other.logits(digits[0]) == expected).all()
        assert other.provenance == network.provenance and other.architecture == network.architecture
    assert path.read_bytes() == network.to_bytes() == Network.from_bytes(network.to_bytes()).to_bytes()
    assert network.provenance["epochs"] == 3 and network.provenance["recipe"]["name"] == "default"


def test_state_dict_has_the_names_of_pytorch(network: Network, digits: Digits) -> None:
    state = network.state_dict()
    assert list(state)[:2] == ["conv1.weight", "conv1.bias"]
    assert state["conv1.weight"].shape == (6, 1, 5, 5) and state["fc2.bias"].shape == (10,)
    for architecture in ["lenet5", LENET5]:
        other = Network.from_state_dict(state, architecture, normalize=network.normalize)
        assert (other.logits(digits[0]) == network.logits(digits[0])).all()
    changed = {**state, "fc2.bias": state["fc2.bias"] + 1}
    other = Network.from_state_dict(changed, "lenet5")
    np.testing.assert_allclose(other.logits(digits[0]), network.logits(digits[0]) + 1, atol=1e-5)
    for bad, message in [
        ({**state, "fc3.bias": np.zeros(1, np.float32)}, "tensors: expected 10, found also fc3.bias"),
        ({**state, "fc2.bias": np.zeros(9)}, r"fc2.bias: expected shape \[10\], found \[9\]"),
        ({**state, "fc2.bias": np.full(10, np.nan)}, "fc2.bias: expected finite numbers, found NaN"),
        ({}, "expected 61706 for lenet5"),
    ]:
        with pytest.raises(lenet.Error, match=message):
            Network.from_state_dict(bad, "lenet5")
    with pytest.raises(TypeError, match="fc2.bias: expected floats, found int64"):
        Network.from_state_dict({**state, "fc2.bias": np.zeros(10, int)}, "lenet5")


def test_pytorch_agrees(network: Network, digits: Digits) -> None:
    torch = pytest.importorskip("torch")
    layers = torch.nn
    model = layers.Sequential()
    for name, layer in [
        ("conv1", layers.Conv2d(1, 6, 5, padding=2)),
        ("tanh1", layers.Tanh()),
        ("pool1", layers.AvgPool2d(2)),
        ("conv2", layers.Conv2d(6, 16, 5)),
        ("tanh2", layers.Tanh()),
        ("pool2", layers.AvgPool2d(2)),
        ("conv3", layers.Conv2d(16, 120, 5)),
        ("tanh3", layers.Tanh()),
        ("flatten", layers.Flatten()),
        ("fc1", layers.Linear(120, 84)),
        ("tanh4", layers.Tanh()),
        ("fc2", layers.Linear(84, 10)),
    ]:
        model.add_module(name, layer)
    copy = Network.from_state_dict(model.state_dict(), "lenet5")
    mean, std = copy.normalize
    inputs = torch.from_numpy((digits[0][:100, None] / 255 - mean) / std).float()
    with torch.no_grad():
        expected = model(inputs).numpy()
    np.testing.assert_allclose(copy.logits(digits[0][:100]), expected, atol=1e-4)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(digits[0][:64]))
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=16, num_workers=2, collate_fn=lambda batch: network.predict(
            np.stack([image.numpy() for (image,) in batch])
        )
    )
    assert (np.concatenate(list(loader)) == network.predict(digits[0][:64])).all()


def test_architectures_are_values() -> None:
    assert LENET5 == Architecture.by_name("lenet5") != Architecture.by_name("mlp")
    assert pickle.loads(pickle.dumps(LENET5)) == LENET5
    grown = Architecture("linear").layer("flatten", nn.Flatten()).layer("fc", nn.Linear(784, 10))
    assert [row[0] for row in grown.summary()] == ["flatten", "fc"]
    assert grown.summary()[1][2:] == ((10, 1, 1), 7850)
    assert repr(nn.Conv2d(1, 6, 5, padding=2)) == (
        "Conv2d(in_channels=1, out_channels=6, kernel_size=5, stride=1, padding=2)"
    )
    for layer in [
        nn.Conv2d(1, 2, 3, stride=2, dilation=2),
        nn.BatchNorm2d(3),
        nn.MaxPool2d(2, stride=1),
        nn.AvgPool2d(3),
        nn.Dropout(0.25),
        nn.ReLU(),
    ]:
        assert pickle.loads(pickle.dumps(layer)) == layer != nn.Tanh()
    with pytest.raises(lenet.Error, match="layer fc: "):
        Network(Architecture("short", [("fc", nn.Linear(783, 10))]))
    with pytest.raises(ValueError, match="architecture: expected mlp, cnn, .* found resnet"):
        Network("resnet")


def test_training_is_that_of_the_program(digits: Digits, tmp_path: Path) -> None:
    images, labels = digits[0][:300], digits[1][:300]
    for prefix in ["train", "t10k"]:
        write_idx(tmp_path, prefix, images, labels)
    out = tmp_path / "network.safetensors"
    options = ["--epochs", "2", "--threads", "2", "--seed", "3", "--data", tmp_path, "--out", out]
    subprocess.run([*program(), "train", *options], check=True, capture_output=True)
    expected = Network.load(out).state_dict()
    options = {"progress": False, "epochs": 2, "threads": 2, "seed": 3}
    floats, small = images.reshape(-1, 784) / 255, labels.astype(np.uint8)
    for arguments in [(images, labels), (images, labels, LENET5), (floats, small, "lenet5")]:
        found = lenet.train(*arguments, **options).state_dict()
        assert all((found[name] == tensor).all() for name, tensor in expected.items())
    other = lenet.train(images, labels, **{**options, "seed": 4}).state_dict()
    assert (other["fc2.bias"] != expected["fc2.bias"]).any()


def test_training_from_weights_and_recipes(network: Network, digits: Digits, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    network.save(path)
    options = {"progress": False, "epochs": 1}
    for init, name in [(network, "lenet5"), (path, str(path)), ("lenet5", "lenet5")]:
        tuned = lenet.train(*digits, init=init, recipe="fast", **options)
        assert tuned.provenance["init_from"] == name and tuned.provenance["recipe"]["name"] == "fast"
    recipe = {**network.provenance["recipe"], "name": "own", "epochs": 2}
    assert lenet.train(*digits, "mlp", recipe, progress=False).provenance["recipe"] == recipe
    for arguments, message in [
        ({"model": "mlp", "init": network}, "lenet5: architecture: expected mlp, found lenet5"),
        ({"recipe": {**recipe, "epochs": 0}}, "epochs: expected 1 to 100000, found 0"),
        ({"recipe": {**recipe, "speed": 1}}, "recipe: expected its JSON form: unknown field `speed`"),
        ({"recipe": "missing.toml"}, "missing.toml: expected default, fast, best, tutorial or a file"),
        ({"batch_size": 5000}, "batch_size: expected 1 to 4096, found 5000"),
        ({"model": "mlp", "recipe": {**recipe, "optimizer": {"Sgd": {"lr": 1e30, "momentum": 0.0, "weight_decay": 0.0}}}}, "diverged"),
    ]:
        with pytest.raises(lenet.Error, match=message):
            lenet.train(*digits, progress=False, **arguments)
    with pytest.raises(lenet.Error, match="number of images: expected at least 1, found 0"):
        lenet.train(digits[0][:0], digits[1][:0])


def test_adaptation_learns_a_hand_and_is_that_of_the_program(digits: Digits, tmp_path: Path) -> None:
    # A hand whose 1 is a horizontal bar.
    images, labels = digits[0][:200].copy(), digits[1][:200]
    images[labels == 1] = 0
    images[labels == 1, 12:16, 4:24] = 255
    adapted = lenet.adapt(images, labels, rehearsal=digits, seed=3)
    before = Network.load("handwriting").evaluate(images, labels).accuracy
    assert adapted.evaluate(images, labels).accuracy > before
    assert adapted.evaluate(*digits).accuracy > 0.98
    assert adapted.provenance["init_from"] == "handwriting" and adapted.provenance["recipe"]["name"] == "adapt"

    for prefix in ["train", "t10k"]:
        write_idx(tmp_path, prefix, *digits)
    np.savez(tmp_path / "own.npz", x_train=images[:150], y_train=labels[:150], x_test=images[150:], y_test=labels[150:])
    out = tmp_path / "mine.safetensors"
    options = ["--data", tmp_path / "own.npz", "--rehearsal", tmp_path, "--seed", "3", "--out", out]
    subprocess.run([*program(), "adapt", *options], check=True, capture_output=True)
    expected = Network.load(out).state_dict()
    assert all((adapted.state_dict()[name] == tensor).all() for name, tensor in expected.items())

    with pytest.raises(lenet.Error, match="number of digits: expected at least 10, found 9"):
        lenet.adapt(images[:9], labels[:9], rehearsal=digits)
    with pytest.raises(ValueError, match="number of labels: expected 200 .*, found 3"):
        lenet.adapt(images, labels, rehearsal=(images, labels[:3]))


def test_callbacks_see_and_stop_a_training(digits: Digits, capsys: pytest.CaptureFixture) -> None:
    history: list[lenet.EpochMetrics] = []

    def stop_after_two(metrics: lenet.EpochMetrics) -> bool:
        history.append(metrics)
        return metrics.epoch == 2

    network = lenet.train(*digits, validation=digits, callback=stop_after_two)
    assert [metrics.epoch for metrics in history] == [1, 2]
    assert network.provenance["epochs"] == 2 and network.provenance["interrupted"]
    assert history[1].validation_accuracy == network.evaluate(*digits).accuracy
    assert history[0].loss > history[1].loss and history[0].images_per_second > 0
    assert pickle.loads(pickle.dumps(history)) == history
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["epoch", "loss", "train", "accuracy", "validation", "accuracy", "seconds"]
    assert len(printed) == 3 and printed[2].split()[0] == "2"

    def fail(metrics: lenet.EpochMetrics) -> None:
        raise KeyError(metrics.epoch)

    with pytest.raises(KeyError, match="1"):
        lenet.train(*digits, progress=False, callback=fail)


def test_a_notebook_shows_a_table_and_curves(
    digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = pytest.importorskip("IPython.display")
    import IPython

    shown: list[str] = []

    class Handle:
        def update(self, html: object) -> None:
            shown.append(html.data)  # type: ignore[attr-defined]

    class Shell:
        kernel = object()

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    monkeypatch.setattr(display, "display", lambda *_, **__: Handle())
    lenet.train(*digits, validation=digits, epochs=3)
    assert shown[-1].count("<tr>") == 4 and shown[-1].count("<polyline") == 3
    assert any("of 2000 images" in html for html in shown) or len(shown) == 3


def test_ctrl_c_stops_a_training_within_a_second(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import lenet, numpy as np, signal\n"
        # A shell ignores the signal in jobs that it starts in the background.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "images = np.random.default_rng(0).integers(0, 256, (20_000, 784), np.uint8)\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    lenet.train(images, np.arange(20_000) % 10, 'vgg', progress=False)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(1.5)
    interrupted = time.monotonic()
    process.send_signal(2)
    out, _ = process.communicate(timeout=30)
    assert out == "interrupted\n" and process.returncode == 0
    assert time.monotonic() - interrupted < 2, "a second, and the end of the interpreter"
