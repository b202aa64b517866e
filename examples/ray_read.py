#!/usr/bin/env python3
"""Reads the numbers in many pictures on a Ray cluster, and writes them to Parquet files.

    pip install lenet 'ray[data]'
    ray_read.py SCANS OUT                        # on this machine
    ray_read.py s3://bucket/scans s3://bucket/numbers --address auto

SCANS is a folder of pictures, or of Parquet files with the columns `path` and `bytes` (--parquet). SCANS and OUT may be in
an object store. OUT gets a row for each line of digits: `path`, `line`, `text`, `confidence` (the lowest of its digits) and
`error`. A picture without digits has a row with an empty text, and one that can't be read a row with its error.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import lenet
import pyarrow as pa
import ray

SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "line": pa.int32(),
        "text": pa.string(),
        "confidence": pa.float64(),
        "error": pa.string(),
    }
)


def to_rows(path: str, reading: lenet.Reading | Exception) -> Iterator[dict[str, Any]]:
    """Yields the rows of a picture."""
    if isinstance(reading, Exception):
        yield {"path": path, "error": str(reading)}
        return
    confidences: dict[int, float] = {}
    for digit in reading.digits:
        confidences[digit.line] = min(digit.confidence, confidences.get(digit.line, 1.0))
    for line, text in enumerate(reading.text.split("\n")):
        yield {"path": path, "line": line, "text": text, "confidence": confidences.get(line)}


class Reader:
    """Reads batches of pictures on one core. Loads the recognizer once."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.recognizer = lenet.Recognizer(**options)

    def __call__(self, pictures: pa.Table) -> pa.Table:
        paths, contents = pictures["path"].to_pylist(), pictures["bytes"].to_pylist()
        readings = self.recognizer.read_many(contents, threads=1, errors="return")
        rows = [row for path, reading in zip(paths, readings) for row in to_rows(path, reading)]
        return pa.Table.from_pylist(rows, schema=SCHEMA)


def read_pictures(
    pictures: str,
    out: str,
    *,
    parquet: bool = False,
    batch_size: int = 100,
    rows_per_file: int = 10_000,
    actors: int | None = None,
    **options: Any,
) -> None:
    """Reads the pictures of a folder with `Recognizer(**options)`, and writes Parquet files to the folder `out`.

    There is an actor for each core if `actors` doesn't say how many.
    """
    if parquet:
        dataset = ray.data.read_parquet(pictures).select_columns(["path", "bytes"])
    else:
        dataset = ray.data.read_binary_files(pictures, include_paths=True)
    actors = actors or max(int(ray.cluster_resources()["CPU"]), 1)
    # Blocks of a batch each, so that small pictures, of which one block has many, are distributed as well.
    dataset.repartition(target_num_rows_per_block=batch_size).map_batches(
        Reader,
        fn_constructor_args=[options],
        batch_size=batch_size,
        batch_format="pyarrow",
        # Half of a core, so that the tasks that list, read and write files find room.
        num_cpus=0.5,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
    ).write_parquet(out, mode=ray.data.SaveMode.ERROR, min_rows_per_file=rows_per_file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", metavar="SCANS")
    parser.add_argument("out", metavar="OUT", help="must not exist")
    parser.add_argument("--parquet", action="store_true", help="SCANS has Parquet files with columns `path` and `bytes`")
    parser.add_argument("--address", help="of the cluster (default: a new one on this machine)")
    parser.add_argument("--batch-size", type=int, default=100, help="pictures a batch (default: %(default)s)")
    parser.add_argument("--pattern", help="what each line looks like, such as dd/dd/dddd")
    arguments = parser.parse_args()
    ray.init(arguments.address)
    read_pictures(
        arguments.pictures,
        arguments.out,
        parquet=arguments.parquet,
        batch_size=arguments.batch_size,
        pattern=arguments.pattern,
    )


if __name__ == "__main__":
    main()
