"""Forked processes, and the program."""

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import lenet
import numpy as np
import pytest
from conftest import page
from lenet import Network


def read_text(arguments: tuple[lenet.Recognizer, int]) -> str:
    recognizer, seed = arguments
    return recognizer.read(page(seed)).text


def read_many(recognizer: lenet.Recognizer, seeds: list[int]) -> list[str]:
    return [reading.text for reading in recognizer.read_many(page(seed) for seed in seeds)]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_read_after_the_parent_has(recognizer: lenet.Recognizer, method: str) -> None:
    expected = read_many(recognizer, list(range(8)))
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.map_async(read_text, [(recognizer, seed) for seed in range(8)]).get(timeout=60)
        assert found == expected
        many = pool.apply_async(read_many, (recognizer, list(range(8)))).get(timeout=60)
        assert many == expected
    assert read_many(recognizer, list(range(8))) == expected


def train_and_predict(network: Network, images: np.ndarray, labels: np.ndarray) -> bytes:
    network.predict(images)
    return lenet.train(images, labels, progress=False, epochs=1, threads=2).to_bytes()


def test_forked_processes_train(network: Network, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits[0][:200], digits[1][:200]
    expected = train_and_predict(network, images, labels)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(train_and_predict, (network, images, labels)) for _ in range(2)]
        assert [result.get(timeout=60) for result in results] == [expected] * 2


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(network: Network, digits: tuple[np.ndarray, np.ndarray], backend: str) -> None:
    images = digits[0]
    calls = (joblib.delayed(network.predict)(images[i::4]) for i in range(4))
    parts = joblib.Parallel(n_jobs=2, backend=backend, timeout=60)(calls)
    for i, part in enumerate(parts):
        assert (part == network.predict(images[i::4])).all()


def test_iterators_stay_in_their_process(recognizer: lenet.Recognizer) -> None:
    readings = recognizer.read_many([page(1)] * 40, threads=1)
    next(readings)
    with multiprocessing.get_context("fork").Pool(1, init_iterator, (readings,)) as pool:
        with pytest.raises(lenet.Error, match="expected the process that called it"):
            pool.apply_async(next_of_iterator).get(timeout=60)
    assert len(list(readings)) == 39


def init_iterator(readings: object) -> None:
    globals()["inherited"] = readings


def next_of_iterator() -> object:
    return next(globals()["inherited"])


def test_module_is_the_program() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "lenet", *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    assert run("--version").stdout == f"lenet {lenet.__version__}\n"
    assert "vgg_wide" in run("models").stdout
    assert run("recognize", "missing.png").returncode == 1
    failed = run("recognize")
    assert failed.returncode == 2 and "Usage: lenet recognize" in failed.stderr


def test_ctrl_c_ends_the_program() -> None:
    command = [sys.executable, "-m", "lenet", "recognize", "-"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == -signal.SIGINT


def test_import_takes_little_time_because_it_imports_little() -> None:
    code = "import sys, lenet; print({'numpy', 'importlib.util', 'pathlib', 'json'} & {*sys.modules})"
    command = [sys.executable, "-S", "-c", code]
    environment = {"PYTHONPATH": str(Path(lenet.__file__).parents[1])}
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.stdout == "set()\n", found.stderr
