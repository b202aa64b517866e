#!/usr/bin/env python3
"""What is read in pictures, and what each step of reading is worth: each set of pictures with all steps, and without each.

    ./pictures.py SET...          folders with labels.tsv, or IDX files of images; prints Markdown
    ./pictures.py SET... --whole  only with all steps

The generated pictures are written by: SUITES=FOLDER cargo test -p lenet-cli --test it write_suites -- --ignored
"""
import argparse
import pathlib

from run import HERE, output

LENET = HERE.parent / "target/release/lenet"
STEPS = ["polarity", "light", "noise", "shrink", "shadows", "specks", "frames", "rules", "edges", "join", "split", "thicken", "soften"]


def right(pictures, network, *options):
    """The shares of pictures that are read right, finding all digits and as one digit."""
    lines = output(LENET, "eval", network, "--pictures", pictures, *options).splitlines()
    _, right, single, *_ = next(line for line in lines if line.endswith(" all")).split()
    return right, single


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=pathlib.Path, nargs="+", metavar="SET")
    parser.add_argument("--network", default="handwriting")
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    names = [path.name.removesuffix("-images-idx3-ubyte.gz") for path in arguments.sets]
    print("|".join(["", " ", *(f" {name} " for name in names), ""]))
    print("|".join(["", "---", *("---:" for _ in names), ""]))
    whole = [right(path, arguments.network) for path in arguments.sets]
    rows = [("all steps", [all_digits for all_digits, _ in whole]), ("as one digit", [single for _, single in whole])]
    for step in [] if arguments.whole else STEPS:
        rows.append((f"without {step}", [right(path, arguments.network, "--without", step)[0] for path in arguments.sets]))
    for name, cells in rows:
        print("|".join(["", f" {name} ", *(f" {cell} " for cell in cells), ""]), flush=True)


if __name__ == "__main__":
    main()
