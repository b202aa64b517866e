#!/usr/bin/env python3
"""Measures the Python package beside the program and the Rust library: import, pictures per second, predictions per second.

    pip install ./crates/lenet-py ./crates/lenet-mnist Pillow
    cargo build --release && cargo build --release -p lenet-cli --example inference_rate
    benchmarks/python.py

Each rate is the best of several runs, in turn with the run that it is compared to.
"""
import argparse
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import lenet
import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
IMPORT = "import time; start = time.perf_counter(); import lenet; print(time.perf_counter() - start)"


def seconds_of(function):
    """Returns the duration of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def measure_pictures(program, images, runs):
    """Yields the pictures per second of the program and of `read_many`, for each run."""
    pictures = [png(image) for image in images]
    recognizer = lenet.Recognizer()
    with tempfile.TemporaryDirectory() as folder:
        for index, picture in enumerate(pictures):
            pathlib.Path(folder, f"{index:05}.png").write_bytes(picture)
        for _ in range(runs):
            program_seconds = seconds_of(lambda: output_of(program, "recognize", folder))
            package_seconds = seconds_of(lambda: [reading.text for reading in recognizer.read_many(pictures)])
            yield len(pictures) / program_seconds, len(pictures) / package_seconds


def measure_predictions(program, images, runs):
    """Yields the predictions per second of the library and of `Network.predict`, for each run."""
    network = lenet.Network.load("lenet5")
    for _ in range(runs):
        library = float(output_of(program))
        yield library, len(images) / min(seconds_of(lambda: network.predict(images)) for _ in range(20))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement (default: %(default)s)")
    arguments = parser.parse_args()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"), "release")
    images, _ = lenet.datasets.mnist("test")

    seconds = [float(output_of(sys.executable, "-c", IMPORT)) for _ in range(4 * arguments.runs)]
    print(f"import lenet: {1000 * numpy.median(seconds):.1f} ms")
    for name, rates in [
        ("10,000 PNGs, pictures/s: `lenet recognize`, `read_many`", measure_pictures(target / "lenet", images, arguments.runs)),
        ("predictions/s: the Rust library, `Network.predict`", measure_predictions(target / "examples/inference_rate", images, arguments.runs)),
    ]:
        reference, package = numpy.max(list(rates), axis=0)
        print(f"{name}: {reference:,.0f}, {package:,.0f} ({package / reference:.0%})")


if __name__ == "__main__":
    main()
