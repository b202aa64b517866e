#!/usr/bin/env python3
"""Trains each network of RESULTS.md with five seeds and evaluates the last network of each training on the test images.

    ./accuracy.py NETWORKS                    all rows; trained networks are kept in the folder NETWORKS
    ./accuracy.py NETWORKS --only vgg-best    some rows
    ./accuracy.py NETWORKS --export           also writes the pretrained weights of the library, from seed 0

Finished trainings are not repeated, and interrupted trainings are resumed.
"""
import argparse
import concurrent.futures
import csv
import json
import pathlib
import statistics
import subprocess
import time

from run import HERE, machine_description, output_of, provenance, record_path

LENET = HERE.parent / "target/release/lenet"
SEEDS = range(5)
# (model, recipe) of each row. Trainings with "fast" run one at a time, because their time is part of the result.
ROWS = [("lenet5", "best"), ("vgg", "best"), ("mlp", "best"), ("lenet5", "fast"), ("handwriting", "best"), ("micro", "best")]
PRETRAINED = [("lenet5", "best"), ("vgg", "best"), ("handwriting", "best"), ("micro", "best")]


def train(folder, name, evaluation, *options):
    """Trains a network unless it is finished; returns its last JSON line, with the time of the whole process."""
    result, checkpoint = folder / f"{name}.json", folder / name
    if not result.exists():
        start = [f"--resume={checkpoint}"] if checkpoint.exists() else [*options, f"--checkpoint={checkpoint}"]
        command = [LENET, "train", *start, evaluation, "--json", f"--out={folder / name}.safetensors"]
        begin = time.perf_counter()
        lines = output_of(*command).splitlines()
        last = json.loads(lines[-1]) | {"process_seconds": time.perf_counter() - begin}
        print(" ".join(map(str, command[1:])), f"{last['process_seconds']:.1f} s", flush=True)
        result.write_text(json.dumps(last))
    return json.loads(result.read_text())


def train_seeds(folder, model, recipe, jobs):
    """Trains with every seed, and for pretrained weights also a holdout network, whose calibration they use."""
    options = [model, f"--recipe={recipe}"] + ([] if recipe == "fast" else ["--threads=1"])
    name = f"{model}-{recipe}"
    with concurrent.futures.ThreadPoolExecutor(1 if recipe == "fast" else jobs) as pool:
        holdout = [("holdout", "--holdout=10000")] if (model, recipe) in PRETRAINED else []
        seeds = [(seed, "--eval=last", f"--seed={seed}") for seed in SEEDS]
        futures = [pool.submit(train, folder, f"{name}-{label}", evaluation, *options, *seed)
                   for label, evaluation, *seed in [*holdout, *seeds]]
        return [future.result() for future in futures][-len(SEEDS):]


def evaluate(folder, model, recipe, trainings):
    """Yields the rows of the record for one network and recipe."""
    networks = [folder / f"{model}-{recipe}-{seed}.safetensors" for seed in SEEDS]
    evaluation = json.loads(output_of(LENET, "eval", *networks, "--json"))
    for seed, network, training in zip(SEEDS, evaluation["networks"], trainings):
        yield {"model": model, "recipe": recipe, "seed": seed, "accuracy": network["accuracy"],
               "first_half": network["halves"][0], "second_half": network["halves"][1],
               "threads": training["threads"], "seconds": round(training["process_seconds"], 1)}
    yield {"model": model, "recipe": recipe, "seed": "together", "accuracy": evaluation["accuracy"],
           "first_half": evaluation["halves"][0], "second_half": evaluation["halves"][1]}


def export(folder, model, recipe):
    """Writes the weights of seed 0 to the library, in half precision, with the calibration of the holdout network."""
    name = folder / f"{model}-{recipe}"
    subprocess.run([LENET, "train", f"--resume={name}-0", "--eval=last", "--f16", f"--calibrate-from={name}-holdout.safetensors",
                    f"--out={HERE.parent}/crates/lenet/weights/{model}.safetensors"], check=True)


def markdown_table(rows):
    """Formats a line for each network and recipe: means over the seeds with their standard deviations."""
    lines = ["| network, recipe | five seeds | mean | first half | second half | ensemble | training time |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for model, recipe in dict.fromkeys((row["model"], row["recipe"]) for row in rows):
        group = [row for row in rows if (row["model"], row["recipe"]) == (model, recipe)]
        seeds, (ensemble,) = [row for row in group if row["seed"] in SEEDS], [row for row in group if row["seed"] == "together"]
        percents = [[100 * row[key] for row in seeds] for key in ("accuracy", "first_half", "second_half")]
        cells = [f"{statistics.mean(column):.3f}% ± {statistics.stdev(column):.3f}" for column in percents]
        seconds = statistics.median(row["seconds"] for row in seeds)
        lines.append(f"| `{model}`, {recipe} | {', '.join(f'{accuracy:.2f}' for accuracy in percents[0])} | {cells[0]} | {cells[1]} "
                     f"| {cells[2]} | {100 * ensemble['accuracy']:.2f}% | {seconds:.0f} s, {seeds[0]['threads']} thread(s) |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="NETWORKS", help="folder of checkpoints and trained networks")
    parser.add_argument("--only", nargs="+", metavar="MODEL-RECIPE", default=["-".join(row) for row in ROWS],
                        help="some of the rows, for example vgg-best")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time, each on one thread (default: 2)")
    parser.add_argument("--export", "--ship", action="store_true", help="write the pretrained weights of the library")
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    selected = [row for row in ROWS if "-".join(row) in arguments.only]
    rows = []
    for row in selected:
        rows += evaluate(arguments.folder, *row, train_seeds(arguments.folder, *row, arguments.jobs))
    record = record_path("accuracy-")
    with record.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record.with_suffix(".txt").write_text("\n".join([*provenance(), *machine_description()]))
    print(markdown_table(rows))
    if arguments.export:
        for row in set(PRETRAINED) & set(selected):
            export(arguments.folder, *row)


if __name__ == "__main__":
    main()
