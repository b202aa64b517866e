#!/usr/bin/env python3
"""Ablation of recognition: evaluates `lenet eval --pictures` on sets of pictures with all stages, and without each stage.

    ./pictures.py SET...              SET is a folder with labels.tsv, or an IDX file of images; prints a Markdown table
    ./pictures.py SET... --baseline   only with all stages

The generated sets are written by: SUITES=FOLDER cargo test -p lenet-cli --test it write_suites -- --ignored
"""
import argparse
import pathlib

from run import HERE, output_of

LENET = HERE.parent / "target/release/lenet"
STAGES = ["polarity", "light", "noise", "shrink", "shadows", "specks", "frames", "rules", "edges", "marks", "rotate", "straighten", "segment", "join", "split", "thicken", "blur-rescore"]


def accuracies(pictures, network, *options):
    """Returns the fractions of correct pictures, as text: with all digits of a picture, and as one digit."""
    lines = output_of(LENET, "eval", network, "--pictures", pictures, *options).splitlines()
    _, all_digits, single, *_ = next(line for line in lines if line.endswith(" all")).split()
    return all_digits, single


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=pathlib.Path, nargs="+", metavar="SET", help="a folder with labels.tsv, or an IDX file")
    parser.add_argument("--weights", "--network", default="handwriting", help="the network to evaluate (default: handwriting)")
    parser.add_argument("--baseline", "--whole", action="store_true", help="only with all stages")
    arguments = parser.parse_args()
    names = [path.name.removesuffix("-images-idx3-ubyte.gz") for path in arguments.sets]
    print("|".join(["", " ", *(f" {name} " for name in names), ""]))
    print("|".join(["", "---", *("---:" for _ in names), ""]))
    baseline = [accuracies(path, arguments.weights) for path in arguments.sets]
    rows = [("all stages", [all_digits for all_digits, _ in baseline]), ("as one digit", [single for _, single in baseline])]
    for stage in [] if arguments.baseline else STAGES:
        without = [accuracies(path, arguments.weights, "--skip-stage", stage)[0] for path in arguments.sets]
        rows.append((f"without {stage}", without))
    for name, cells in rows:
        print("|".join(["", f" {name} ", *(f" {cell} " for cell in cells), ""]), flush=True)


if __name__ == "__main__":
    main()
