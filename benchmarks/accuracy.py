#!/usr/bin/env python3
"""Trains each network of the record with five seeds, and measures the last network of each training on the test images.

    ./accuracy.py NETWORKS                    everything; trained networks are kept in the folder NETWORKS
    ./accuracy.py NETWORKS --only vgg-best    some of it
    ./accuracy.py NETWORKS --ship             also writes the weights that are part of the library, from seed 0

What was trained already is not trained again, and what was broken off goes on.
"""
import argparse
import concurrent.futures
import csv
import datetime
import json
import pathlib
import statistics
import subprocess
import time

from run import HERE, machine, origin, output

LENET = HERE.parent / "target/release/lenet"
SEEDS = range(5)
# The trainings of the record. Those of "fast" have the machine for themselves, for their time is what counts.
ROWS = [("lenet5", "best"), ("vgg", "best"), ("mlp", "best"), ("lenet5", "fast"), ("handwriting", "best")]
SHIPPED = [("lenet5", "best"), ("vgg", "best"), ("handwriting", "best")]


def train(folder, name, measure, *arguments):
    """Trains, unless it was done; what training said of its end, with the time of the whole process."""
    result, state = folder / f"{name}.json", folder / name
    if not result.exists():
        start_or_go_on = [f"--resume={state}"] if state.exists() else [*arguments, f"--checkpoint={state}"]
        command = [LENET, "train", *start_or_go_on, measure, "--json", f"--out={folder / name}.safetensors"]
        start = time.perf_counter()
        lines = output(*command).splitlines()
        last = json.loads(lines[-1]) | {"process_seconds": time.perf_counter() - start}
        print(" ".join(map(str, command[1:])), f"{last['process_seconds']:.1f} s", flush=True)
        result.write_text(json.dumps(last))
    return json.loads(result.read_text())


def seeds(folder, model, recipe, jobs):
    """Trains with all seeds, and a twin that holds out images where the weights ship."""
    arguments = [model, f"--recipe={recipe}"] + ([] if recipe == "fast" else ["--threads=1"])
    name = f"{model}-{recipe}"
    with concurrent.futures.ThreadPoolExecutor(1 if recipe == "fast" else jobs) as pool:
        twin = [("twin", "--validate=10000")] if (model, recipe) in SHIPPED else []
        each = [pool.submit(train, folder, f"{name}-{label}", measure, *arguments, *seed)
                for label, measure, *seed in [*twin, *((seed, "--test-once", f"--seed={seed}") for seed in SEEDS)]]
        return [future.result() for future in each][-len(SEEDS):]


def measure(folder, model, recipe, trained):
    """The rows of the record for one line of the table."""
    networks = [folder / f"{model}-{recipe}-{seed}.safetensors" for seed in SEEDS]
    found = json.loads(output(LENET, "eval", *networks, "--json"))
    for seed, network, run in zip(SEEDS, found["networks"], trained):
        yield {"model": model, "recipe": recipe, "seed": seed, "accuracy": network["accuracy"],
               "first_half": network["halves"][0], "second_half": network["halves"][1],
               "threads": run["threads"], "seconds": round(run["process_seconds"], 1)}
    yield {"model": model, "recipe": recipe, "seed": "together", "accuracy": found["accuracy"],
           "first_half": found["halves"][0], "second_half": found["halves"][1]}


def ship(folder, model, recipe):
    """Writes the weights of seed 0 to the library, in half precision, with the calibration of the twin."""
    name = folder / f"{model}-{recipe}"
    subprocess.run([LENET, "train", f"--resume={name}-0", "--test-once", "--half", f"--twin={name}-twin.safetensors",
                    f"--out={HERE.parent}/crates/lenet/weights/{model}.safetensors"], check=True)


def table(rows):
    """Markdown: a line for each network, means over the seeds with their standard deviations."""
    lines = ["| network, recipe | five seeds | mean | first half | second half | together | time of one |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for model, recipe in dict.fromkeys((row["model"], row["recipe"]) for row in rows):
        mine = [row for row in rows if (row["model"], row["recipe"]) == (model, recipe)]
        each, (together,) = [row for row in mine if row["seed"] in SEEDS], [row for row in mine if row["seed"] == "together"]
        spread = [[100 * row[key] for row in each] for key in ("accuracy", "first_half", "second_half")]
        cells = [f"{statistics.mean(column):.3f}% ± {statistics.stdev(column):.3f}" for column in spread]
        seconds = statistics.median(row["seconds"] for row in each)
        lines.append(f"| `{model}`, {recipe} | {', '.join(f'{accuracy:.2f}' for accuracy in spread[0])} | {cells[0]} | {cells[1]} "
                     f"| {cells[2]} | {100 * together['accuracy']:.2f}% | {seconds:.0f} s, {each[0]['threads']} thread(s) |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="NETWORKS")
    parser.add_argument("--only", nargs="+", metavar="MODEL-RECIPE", default=["-".join(row) for row in ROWS])
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, each on one thread")
    parser.add_argument("--ship", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    chosen = [row for row in ROWS if "-".join(row) in arguments.only]
    rows = []
    for row in chosen:
        rows += measure(arguments.folder, *row, seeds(arguments.folder, *row, arguments.jobs))
    record = HERE / "record" / f"accuracy-{datetime.datetime.now(datetime.UTC):%Y-%m-%d-%H%M}.csv"
    with record.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record.with_suffix(".txt").write_text("\n".join([*origin(), *machine()]))
    print(table(rows))
    if arguments.ship:
        for row in set(SHIPPED) & set(chosen):
            ship(arguments.folder, *row)


if __name__ == "__main__":
    main()
