#!/usr/bin/env python3
"""Compares `lenet recognize` with PP-OCR (package rapidocr) on folders of labeled pictures, one thread each.

    ./ocr.py FOLDER...      prints a Markdown table: pictures read whole, and milliseconds a picture

FOLDER has labels.tsv, as for `lenet eval --pictures`. A picture is right if all of its digits and lines are; spaces, letters and
marks don't count. A picture without digits is right if no digit is read in it. Where every label is one digit, both read
the picture as one.
"""
import argparse
import json
import os
import pathlib
import subprocess
import time

from run import HERE, create_venv

LENET = HERE.parent / "target/release/lenet"


def labels_of(folder):
    """Returns the label of each picture of a folder: digits, with lines separated by `|`, or an empty text for anything else."""
    rows = (line.split("\t") for line in (folder / "labels.tsv").read_text().splitlines() if line)
    return {folder / name: label if set(label) <= set("0123456789|") else "" for name, label, *_ in rows}


def digits_of(text):
    """Returns the digits and rejections of a text, with lines separated by `|`. Lines without any don't count."""
    lines = ("".join(c for c in line if c in "0123456789?") for line in text.split("\n"))
    return "|".join(line for line in lines if line)


def is_right(text, label):
    digits = digits_of(text)
    return digits == label if label else not any(c.isdigit() for c in digits)


def read_by(*command):
    """Returns the JSON objects that a program prints, by their paths, and the seconds of the process."""
    start = time.perf_counter()
    # The exit code says whether all pictures were read. A picture that was not has no text.
    process = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"RAYON_NUM_THREADS": "1"})
    seconds = time.perf_counter() - start
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    return {pathlib.Path(row["path"]): row for row in rows}, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=pathlib.Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--venv", type=pathlib.Path, default=HERE / "venv-ocr", help="virtual environment of rapidocr (default: %(default)s)")
    arguments = parser.parse_args()
    python = arguments.venv.absolute() / "bin/python"
    create_venv(python, HERE / "requirements-ocr.txt")
    print("| pictures | number | lenet | PP-OCR | lenet, ms | PP-OCR, ms |\n|---|---:|---:|---:|---:|---:|")
    for folder in arguments.folders:
        labels = labels_of(folder)
        single = ["--single"] if all(len(label) == 1 for label in labels.values()) else []
        ours, seconds = read_by(LENET, "recognize", "--json", *single, *labels)
        theirs, _ = read_by(python, HERE / "peers/pp_ocr.py", *single, *labels)
        right = [sum(path in rows and is_right(rows[path].get("text", ""), label) for path, label in labels.items())
                 for rows in (ours, theirs)]
        shares = [f"{100 * count / len(labels):.1f}%" for count in right]
        # Loading PP-OCR's models isn't counted.
        times = [1000 * total / len(labels) for total in (seconds, sum(row["seconds"] for row in theirs.values()))]
        print(f"| {folder.parent.name}/{folder.name} | {len(labels)} | {shares[0]} | {shares[1]} "
              f"| {times[0]:.0f} | {times[1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
