#!/usr/bin/env python3
"""Compares lenet with other frameworks (its peers) on the same work, and records the measurements.

    ./run.py                      all peers, five rounds: about forty minutes, recorded in record/
    ./run.py --quick              one short round, not recorded
    ./run.py --only lenet,pytorch

Each round runs every program once, so that a busy minute of the machine affects all peers. `report.py` prints the tables
and draws the chart of a record.
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
    train: bool  # whether it is measured in training
    infer: bool  # whether it is measured in inference
    program: str  # a Python script, or a binary of the package in this folder
    package: str  # the package whose version is recorded
    settings: str


PEERS = {
    "lenet": Peer(True, True, "lenet", "lenet", "portable binary, SIMD level detected at run time"),
    "pytorch": Peer(True, True, "peers/pytorch.py", "torch",
                    "best of eager, channels-last (training), TorchScript (inference) and torch.compile; fused optimizer"),
    "burn": Peer(True, True, "burn", "burn", f"flex backend with SIMD, rayon and AVX-512 products, {NATIVE}"),
    "candle": Peer(True, True, "candle", "candle-core",
                   f"CPU device, {NATIVE}; max-pooling from maxima of slices, because candle's own has no gradient for stride 1"),
    "onnxruntime": Peer(False, True, "peers/ort.py", "onnxruntime", "CPU provider, default optimizations"),
    "tract": Peer(False, True, "tract", "tract-onnx", f"optimized for each batch size, a thread pool if threads > 1, {NATIVE}"),
    "rten": Peer(False, True, "rten", "rten", f"prepacked weights, {NATIVE}"),
}
TASKS = (("train", "lenet5"), ("train", "cnn"), ("train", "mlp"), ("infer", "lenet5"))
UNIFORM_LOSS = 2.302  # the cross-entropy of ten equal probabilities, rounded down


def build(names, python):
    """Builds and downloads everything that the peers `names` need: programs, virtual environment, images, ONNX file."""
    CACHE.mkdir(exist_ok=True)
    cargo = ["cargo", "build", "--release", "--locked", "--manifest-path", HERE / "Cargo.toml"]
    subprocess.run([*cargo, "--bin=lenet", "--bin=peak", "--bin=idx"], check=True)
    build_cli()
    for name in names:
        if PEERS[name].program == name != "lenet":
            environment = os.environ | {"RUSTFLAGS": NATIVE}
            subprocess.run([*cargo, f"--bin={name}", f"--features={name}"], env=environment, check=True)
    if not (CACHE / "t10k-labels-idx1-ubyte").exists():
        subprocess.run([binary_path("idx"), CACHE], check=True)
    if not {"pytorch", "onnxruntime", "tract", "rten"} & set(names):
        return
    create_venv(python, HERE / "requirements.txt")
    if not (CACHE / "lenet5.onnx").exists():
        subprocess.run([python, HERE / "peers/export.py", CACHE / "lenet5.onnx"], check=True)


def create_venv(python, requirements):
    """Creates the virtual environment of the interpreter `python` with the packages of a file, unless it exists."""
    if not python.exists():
        venv.create(python.parent.parent, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-r", requirements], check=True)


def build_cli():
    """Builds the program `lenet`."""
    subprocess.run(["cargo", "build", "--release", "--locked", "--package=lenet-cli", "--manifest-path",
                    HERE.parent / "Cargo.toml"], check=True)


def binary_path(name):
    return HERE / "target/release" / name


def command_for(name, python):
    program = PEERS[name].program
    return [python, HERE / program] if program.endswith(".py") else [binary_path(program)]


def measure(command, threads, seconds):
    """Runs a program and returns the measurements that it prints, a dictionary each."""
    variables = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RTEN_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads)) | {"TORCHINDUCTOR_CACHE_DIR": str(CACHE / "inductor")}
    command = [*command, f"--threads={threads}", f"--seconds={seconds}"]
    process = subprocess.run(command, env=environment, cwd=HERE, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in process.stdout.splitlines()]


def measure_train_command(threads):
    """Measures `lenet train lenet5 --epochs 1` as a process: seconds until it exits, and its peak memory in megabytes."""
    command = [HERE.parent / "target/release/lenet", "train", "lenet5", "--epochs=1", f"--threads={threads}",
               f"--out={CACHE / 'lenet5.safetensors'}"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit("lenet train failed")
    return {"seconds": seconds, "megabytes": usage.ru_maxrss / 1000}


def run_round(names, arguments):
    """Runs every program once and yields rows for the record."""
    jobs = [("peak", "", "peak", [binary_path("peak")])]
    for work, model in TASKS:
        capable = [name for name in names if getattr(PEERS[name], work)]
        subcommand = [work, model] if work == "train" else [work]
        jobs += ((work, model, name, [*command_for(name, arguments.python), *subcommand]) for name in capable)
    for threads in arguments.threads:
        if "lenet" in names:
            yield {"work": "program", "threads": threads, "peer": "lenet"} | measure_train_command(threads)
        for work, model, name, command in jobs:
            print(f"\r\033[K{name} {work} {model}, threads: {threads}", end="", file=sys.stderr, flush=True)
            for measurement in measure(command, threads, arguments.seconds):
                if not measurement.get("loss", 0) < UNIFORM_LOSS:
                    print(f"\n{name} {work} {model}: too few steps to learn, loss {measurement['loss']:.2f}", file=sys.stderr)
                yield {"work": work, "model": model, "threads": threads, "peer": name} | measurement
    print("\r\033[K", end="", file=sys.stderr)


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def other_processor_seconds():
    """Returns the processor seconds that other processes and other guests of the host have used so far (Linux only)."""
    if not pathlib.Path("/proc/stat").exists():
        return float("nan")
    user, nice, system, _, _, *interrupts, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
    own = os.times()
    return (user + nice + system + sum(interrupts) + steal) / os.sysconf("SC_CLK_TCK") - sum(own[:4])


def package_versions(python):
    """Returns the version of every Rust and Python package by name."""
    versions = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', (HERE / "Cargo.lock").read_text()))
    if python.exists():
        packages = json.loads(output_of(python, "-m", "pip", "list", "--format=json"))
        versions |= {package["name"]: package["version"] for package in packages}
    return versions


def provenance():
    """Returns the lines of a record that name its date and commit."""
    return [f"date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
            f"commit: {output_of('git', '-C', HERE, 'describe', '--always', '--dirty')}"]


def machine_description():
    """Returns the lines of a record that describe the machine."""
    return [output_of("uname", "-srm"), output_of("lscpu"), ""]


def record_path(prefix=""):
    """Returns the path of a new record: record/<prefix><date>.csv"""
    folder = HERE / "record"
    folder.mkdir(exist_ok=True)
    return folder / f"{prefix}{datetime.datetime.now(datetime.UTC):%Y-%m-%d-%H%M}.csv"


def record_description(names, arguments, busy_processors):
    """Returns the text that accompanies a record: date, machine, versions, settings."""
    versions = package_versions(arguments.python)
    return "\n".join([
        *provenance(),
        f"each measurement at least {arguments.seconds} s",
        "processors used by other processes, by round: " + ", ".join(f"{processors:.2f}" for processors in busy_processors),
        "",
        *(f"{name} {versions[PEERS[name].package]}: {PEERS[name].settings}" for name in names),
        "",
        output_of("rustc", "--version"),
        output_of(arguments.python, "--version") if arguments.python.exists() else "",
        *machine_description()])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PEERS), metavar="PEERS",
                        help=f"a comma-separated subset of {','.join(PEERS)}")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="minimum duration of each measurement (default: 1.5)")
    parser.add_argument("--quick", action="store_true", help="one round of short measurements, not recorded")
    parser.add_argument("--venv", type=pathlib.Path, default=HERE / "venv",
                        help="virtual environment of the Python peers, created if missing (5 GB)")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(PEERS):
        parser.error(f"--only: expected a subset of {','.join(PEERS)}, found {','.join(unknown)}")
    if arguments.quick:
        arguments.rounds, arguments.seconds = 1, 0.2
    names = [name for name in PEERS if name in arguments.only]

    arguments.python = arguments.venv.absolute() / "bin/python"
    build(names, arguments.python)
    rows, busy_processors = [], []
    record = record_path()
    for round_number in range(arguments.rounds):
        start, before = time.monotonic(), other_processor_seconds()
        rows += ({"round": round_number} | row for row in run_round(names, arguments))
        busy_processors.append((other_processor_seconds() - before) / (time.monotonic() - start))
        if not arguments.quick:
            report.write_csv(record, rows)
            record.with_suffix(".txt").write_text(record_description(names, arguments, busy_processors))
    print(report.full_tables(rows))
    print("\nProcessors used by other processes, by round:", ", ".join(f"{processors:.2f}" for processors in busy_processors))


if __name__ == "__main__":
    main()
