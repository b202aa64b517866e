#!/usr/bin/env python3
"""Trains a network with several recipes and seeds on a Ray cluster, and prints mean and deviation of the accuracies.

    pip install lenet lenet-mnist 'ray[default]'
    ray_sweep.py sweep.csv --recipes fast default --seeds 5

Each training takes one core, so that its result doesn't depend on where it runs. A finished training is a row of the CSV
file, and a sweep that was interrupted goes on after the rows that are there.
"""

import argparse
import csv
from pathlib import Path
from statistics import mean, stdev

import lenet
import numpy as np
import ray

COLUMNS = ["model", "recipe", "epochs", "seed", "accuracy"]


@ray.remote
def train(images: np.ndarray, labels: np.ndarray, settings: dict[str, str], holdout: int) -> float:
    """Trains on all but the last `holdout` images. Returns the accuracy on them."""
    network = lenet.train(
        images[:-holdout],
        labels[:-holdout],
        model=settings["model"],
        recipe=settings["recipe"],
        epochs=int(settings["epochs"]) if settings["epochs"] else None,
        seed=int(settings["seed"]),
        threads=1,
        progress=False,
    )
    return network.evaluate(images[-holdout:], labels[-holdout:]).accuracy


def finished(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a sweep."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run_sweep(path: Path, sweep: list[dict[str, str]], holdout: int) -> list[dict[str, str]]:
    """Runs those trainings of a sweep that are not in a CSV file, and appends each when it is finished. Returns all rows."""
    rows = finished(path)
    done = [{**row, "accuracy": None} for row in rows]
    missing = [settings for settings in sweep if {**settings, "accuracy": None} not in done]
    images, labels = (ray.put(array) for array in lenet.datasets.mnist())
    running = {train.remote(images, labels, settings, holdout): settings for settings in missing}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not rows:
            writer.writeheader()
        while running:
            [task], _ = ray.wait(list(running))
            row = {**running.pop(task), "accuracy": f"{ray.get(task):.4f}"}
            writer.writerow(row)
            file.flush()
            rows.append(row)
            print(f"{len(rows)} trained: {row}", flush=True)
    return rows


def print_table(rows: list[dict[str, str]]) -> None:
    """Prints the mean and the standard deviation of each recipe over its seeds, as Markdown."""
    accuracies: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        accuracies.setdefault((row["model"], row["recipe"], row["epochs"]), []).append(float(row["accuracy"]))
    print("| model | recipe | epochs | seeds | accuracy |\n|---|---|---:|---:|---:|")
    for (model, recipe, epochs), values in accuracies.items():
        deviation = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
        print(f"| {model} | {recipe} | {epochs} | {len(values)} | {mean(values):.2%}{deviation} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, metavar="CSV")
    parser.add_argument("--model", default="lenet5")
    parser.add_argument("--recipes", nargs="+", default=["default"], help="names, or TOML files that every node has")
    parser.add_argument("--epochs", default="", help="instead of the recipe's")
    parser.add_argument("--seeds", type=int, default=3, help="how many: from 0 (default: %(default)s)")
    parser.add_argument("--holdout", type=int, default=10_000, help="training images to evaluate on (default: %(default)s)")
    parser.add_argument("--address", help="of the cluster (default: a new one on this machine)")
    arguments = parser.parse_args()
    sweep = [
        {"model": arguments.model, "recipe": recipe, "epochs": arguments.epochs, "seed": str(seed)}
        for recipe in arguments.recipes
        for seed in range(arguments.seeds)
    ]
    ray.init(arguments.address)
    print_table(run_sweep(arguments.results, sweep, arguments.holdout))


if __name__ == "__main__":
    main()
