#!/usr/bin/env python3
"""Runs the same work in lenet and in its peers, side by side, and records the figures.

    ./run.py                      everything, five rounds: about forty minutes
    ./run.py --quick              one short round, nothing recorded
    ./run.py --only lenet,pytorch

Each round runs every program once, so that a noisy minute falls on all of them. `report.py` makes the tables and the
chart from what is recorded.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import venv
from typing import NamedTuple

import report

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE / "cache"
NATIVE = "-C target-cpu=native"


class Peer(NamedTuple):
    train: bool
    infer: bool
    program: str  # a script for Python, or a binary of the package here
    version: str  # the package that says which version this is
    settings: str


PEERS = {
    "lenet": Peer(True, True, "lenet", "lenet", "portable binary, SIMD level chosen at run time"),
    "pytorch": Peer(True, True, "peers/pytorch.py", "torch",
                    "best of eager, channels-last (training), TorchScript (inference) and torch.compile; fused optimiser"),
    "burn": Peer(True, True, "burn", "burn", f"flex backend with SIMD, rayon and AVX-512 products, {NATIVE}"),
    "candle": Peer(True, True, "candle", "candle-core",
                   f"CPU device, {NATIVE}; max-pooling from maxima of slices, its own has no gradient for stride 1"),
    "onnxruntime": Peer(False, True, "peers/ort.py", "onnxruntime", "CPU provider, default optimisations"),
    "tract": Peer(False, True, "tract", "tract-onnx", f"optimised for each batch size, a pool of threads if more than one, {NATIVE}"),
    "rten": Peer(False, True, "rten", "rten", f"weights packed beforehand, {NATIVE}"),
}
TASKS = (("train", "lenet5"), ("train", "cnn"), ("train", "mlp"), ("infer", "lenet5"))
CHANCE = 2.302  # the loss of ten equal guesses


def build(names, python):
    """Makes what the peers `names` need: their programs, the virtual environment, the images, the ONNX file."""
    CACHE.mkdir(exist_ok=True)
    cargo = ["cargo", "build", "--release", "--locked", "--manifest-path", HERE / "Cargo.toml"]
    subprocess.run([*cargo, "--bin=lenet", "--bin=peak", "--bin=idx"], check=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--package=lenet-cli", "--manifest-path",
                    HERE.parent / "Cargo.toml"], check=True)
    for name in names:
        if PEERS[name].program == name != "lenet":
            environment = os.environ | {"RUSTFLAGS": NATIVE}
            subprocess.run([*cargo, f"--bin={name}", f"--features={name}"], env=environment, check=True)
    if not (CACHE / "t10k-labels-idx1-ubyte").exists():
        subprocess.run([binary("idx"), CACHE], check=True)
    if not {"pytorch", "onnxruntime", "tract", "rten"} & set(names):
        return
    if not python.exists():
        venv.create(python.parent.parent, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-r", HERE / "requirements.txt"], check=True)
    if not (CACHE / "lenet5.onnx").exists():
        subprocess.run([python, HERE / "peers/export.py", CACHE / "lenet5.onnx"], check=True)


def binary(name):
    return HERE / "target/release" / name


def measure(command, threads, seconds):
    """The figures that a program prints, a dictionary for each."""
    variables = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RTEN_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads)) | {"TORCHINDUCTOR_CACHE_DIR": str(CACHE / "inductor")}
    command = [*command, f"--threads={threads}", f"--seconds={seconds}"]
    done = subprocess.run(command, env=environment, cwd=HERE, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure_program(threads):
    """What `lenet train lenet5 --epochs 1` takes, from its start to the saved file: seconds, and megabytes of memory."""
    command = [HERE.parent / "target/release/lenet", "train", "lenet5", "--epochs=1", f"--threads={threads}",
               f"--out={CACHE / 'lenet5.safetensors'}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit("lenet train failed")
    return {"seconds": seconds, "megabytes": usage.ru_maxrss / 1000}


def round_of(names, arguments):
    """Runs everything once: rows for the record."""
    jobs = [("peak", "", "peak", [binary("peak")])]
    for work, model in TASKS:
        able = [name for name in names if getattr(PEERS[name], work)]
        words = [work, model] if work == "train" else [work]
        jobs += ((work, model, name, [*program(name, arguments.python), *words]) for name in able)
    for threads in arguments.threads:
        if "lenet" in names:
            yield {"work": "program", "threads": threads, "peer": "lenet"} | measure_program(threads)
        for work, model, name, command in jobs:
            print(f"\r\033[K{name} {work} {model}, threads: {threads}", end="", file=sys.stderr, flush=True)
            for figures in measure(command, threads, arguments.seconds):
                if not figures.get("loss", 0) < CHANCE:
                    print(f"\n{name} {work} {model}: too few steps to learn, loss {figures['loss']:.2f}", file=sys.stderr)
                yield {"work": work, "model": model, "threads": threads, "peer": name} | figures
    print("\r\033[K", end="", file=sys.stderr)


def program(name, python):
    path = PEERS[name].program
    return [python, HERE / path] if path.endswith(".py") else [binary(path)]


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def others():
    """Seconds of processor time that other programs, and other guests of the machine, have taken so far (on Linux)."""
    if not pathlib.Path("/proc/stat").exists():
        return float("nan")
    user, nice, system, _, _, *interrupts, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    ours = os.times()
    return (user + nice + system + sum(interrupts) + steal) / os.sysconf("SC_CLK_TCK") - sum(ours[:4])


def versions(python):
    """The version of every Rust and Python package, by name."""
    found = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', (HERE / "Cargo.lock").read_text()))
    if python.exists():
        packages = json.loads(output(python, "-m", "pip", "list", "--format=json"))
        found |= {package["name"]: package["version"] for package in packages}
    return found


def origin():
    """When a record was made, and of which sources."""
    return [f"date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
            f"commit: {output('git', '-C', HERE, 'describe', '--always', '--dirty')}"]


def machine():
    """What a record was made on."""
    return [output("uname", "-srm"), output("lscpu"), ""]


def surroundings(names, arguments, disturbances):
    """What a reader must know of a record: date, machine, versions, settings."""
    found = versions(arguments.python)
    return "\n".join([
        *origin(),
        f"each measurement at least {arguments.seconds} s",
        "processors that others kept busy, by round: " + ", ".join(f"{cores:.2f}" for cores in disturbances),
        "",
        *(f"{name} {found[PEERS[name].version]}: {PEERS[name].settings}" for name in names),
        "",
        output("rustc", "--version"),
        output(arguments.python, "--version") if arguments.python.exists() else "",
        *machine()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PEERS), metavar="PEERS",
                        help=f"some of {','.join(PEERS)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each measurement lasts, at least")
    parser.add_argument("--quick", action="store_true", help="one round of short measurements, not recorded")
    parser.add_argument("--venv", type=pathlib.Path, default=HERE / "venv",
                        help="virtual environment of the Python peers, made if missing (5 GB)")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(PEERS):
        parser.error(f"--only: expected some of {','.join(PEERS)}, found {','.join(unknown)}")
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 0.2
    names = [name for name in PEERS if name in arguments.only]

    arguments.python = arguments.venv.absolute() / "bin/python"
    build(names, arguments.python)
    rows, disturbances = [], []
    record = HERE / "record" / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d-%H%M}.csv"
    record.parent.mkdir(exist_ok=True)
    for number in range(arguments.rounds):
        start, before = time.monotonic(), others()
        rows += ({"round": number} | row for row in round_of(names, arguments))
        disturbances.append((others() - before) / (time.monotonic() - start))
        if not arguments.quick:
            report.write(record, rows)
            record.with_suffix(".txt").write_text(surroundings(names, arguments, disturbances))
    print(report.tables(rows))
    print("\nProcessors that others kept busy, by round:", ", ".join(f"{cores:.2f}" for cores in disturbances))


if __name__ == "__main__":
    main()
