#!/usr/bin/env python3
"""Measures examples/ray_read.py on a cluster of three nodes on this machine, beside `read_many` in one process.

    pip install ./crates/lenet-py ./crates/lenet-mnist Pillow 'ray[data]'
    benchmarks/scale.py

Reads MNIST's images as PNG files from Parquet: once while a node is killed half-way, when the rows must be those of one
process, each picture exactly once, and then on the undisturbed cluster.
"""
import argparse
import os
import pathlib
import sys
import tempfile
import threading
import time

import lenet
import numpy
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.cluster_utils import Cluster

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = str(HERE.parent / "examples")
sys.path.append(EXAMPLES)
import ray_read
from python import png, seconds_of

STORE_BYTES = 400_000_000
NODES = 3
ROWS_PER_FILE = 1000


def start_node(cluster):
    return cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)


def steady_rate(out):
    """Returns the pictures per second between the first and the last file that was written."""
    files = sorted((path.stat().st_mtime, pq.read_metadata(path).num_rows) for path in out.glob("*.parquet"))
    return sum(rows for _, rows in files[1:]) / (files[-1][0] - files[0][0])


def kill_half_way(cluster, node, out, files):
    """Kills a node when half of the files are written."""
    while (written := len(list(out.glob("*.parquet"))) if out.exists() else 0) < files / 2:
        time.sleep(0.05)
    cluster.remove_node(node, allow_graceful=False)
    print(f"killed a node after {written} of {files} files", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=50_000, help="at most 60,000 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement (default: %(default)s)")
    arguments = parser.parse_args()
    count = arguments.pictures
    contents = [png(image) for image in lenet.datasets.mnist()[0][:count]]
    paths = [f"{index:05}.png" for index in range(count)]
    recognizer, threads = lenet.Recognizer(), os.cpu_count()

    def read_in_one_process():
        return [row for path, reading in zip(paths, recognizer.read_many(contents, threads=threads))
                for row in ray_read.to_rows(path, reading)]

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "pictures").mkdir()
        for start in range(0, count, 5000):
            table = pa.table({"path": paths[start:start + 5000], "bytes": contents[start:start + 5000]})
            pq.write_table(table, folder / f"pictures/{start:05}.parquet")
        expected = pa.Table.from_pylist(read_in_one_process(), schema=ray_read.SCHEMA)

        # The workers import the example, too.
        os.environ["PYTHONPATH"] = EXAMPLES
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": STORE_BYTES})
        nodes = [start_node(cluster) for _ in range(NODES - 1)]
        cluster.wait_for_nodes()
        ray.init(cluster.address, log_to_driver=False)

        def read_on_cluster(out):
            ray_read.read_pictures(str(folder / "pictures"), str(out), parquet=True, batch_size=1000, rows_per_file=ROWS_PER_FILE, actors=NODES)

        out = folder / "killed"
        threading.Thread(target=kill_half_way, args=(cluster, nodes[-1], out, count // ROWS_PER_FILE), daemon=True).start()
        read_on_cluster(out)
        found = pq.read_table(out).sort_by([("path", "ascending"), ("line", "ascending")])
        print(f"with a killed node: {found.num_rows:,} rows, {'equal to' if found == expected else 'OTHERS THAN'} those of one process")

        start_node(cluster)
        cluster.wait_for_nodes()
        rates = []
        for run in range(arguments.runs):
            out, rate = folder / f"{run}", count / seconds_of(read_in_one_process)
            whole = count / seconds_of(lambda: read_on_cluster(out))
            rates.append((rate, steady_rate(out), whole))
        rate, steady, whole = numpy.median(rates, axis=0)
        print(f"pictures/s: `read_many` with {threads} threads {rate:,.0f}; the cluster, between its first and last file "
              f"{steady:,.0f} ({steady / rate:.0%}), and with its start {whole:,.0f}")


if __name__ == "__main__":
    main()
