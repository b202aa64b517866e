"""Shared by the Python peers: the command line and the timing, as in `src/lib.rs`."""
import argparse
import json
import time

BATCH = 100
WARM_UP = 10
BATCHES = (1, 8, 100, 1000)


def arguments(models=()):
    """Parses `train MODEL` or `infer`, with the number of threads and the minimum duration of a measurement."""
    parser = argparse.ArgumentParser()
    work = parser.add_subparsers(dest="work", required=True)
    if models:
        work.add_parser("train").add_argument("model", choices=models)
    work.add_parser("infer")
    for sub in work.choices.values():
        sub.add_argument("--threads", type=int, required=True, help="number of threads")
        sub.add_argument("--seconds", type=float, default=2, help="minimum duration of a measurement")
        sub.add_argument("--data", default="cache", help="folder of the IDX files")
        sub.add_argument("--onnx", default="cache/lenet5.onnx", help="LeNet-5 as an ONNX file")
    return parser.parse_args()


def train(variant, seconds, step):
    """Calls `step`, which trains on a batch and returns its loss, for at least `seconds`; prints images per second."""
    for _ in range(WARM_UP):
        step()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        loss = step()
        steps += 1
    rate = steps * BATCH / (time.perf_counter() - start)
    print(json.dumps({"variant": variant, "batch": BATCH, "rate": rate, "loss": float(loss)}), flush=True)


def infer(variant, seconds, batch, call):
    """Prints the median time of `call`, which runs the network on `batch` images."""
    warm_up = time.perf_counter()
    call()
    while time.perf_counter() - warm_up < 0.1 * seconds:
        call()
    start, times = time.perf_counter(), []
    while len(times) < (300 if batch < 100 else 15) or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    median = sorted(times)[len(times) // 2]
    figures = {"variant": variant, "batch": batch, "rate": batch / median, "latency_us": median * 1e6}
    print(json.dumps(figures), flush=True)
