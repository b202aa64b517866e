"""Tests of the examples on a cluster of three nodes on this machine."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import lenet
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from PIL import Image
from ray.cluster_utils import Cluster

import ray_read
import ray_sweep

NODE = {"num_cpus": 2, "object_store_memory": 100_000_000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # The workers import the examples, too.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def pictures(count: int) -> dict[str, bytes]:
    """Returns PNG files of MNIST's images by names, some of two lines, and one that is no picture."""
    images, _ = lenet.datasets.mnist("test")
    files = {}
    for index in range(count):
        file = io.BytesIO()
        height = 28 * (1 + index % 2)
        Image.fromarray(255 - images[index : index + 2].reshape(56, 28)[:height]).save(file, "PNG")
        files[f"{index:03}.png"] = file.getvalue()
    files["broken.png"] = b"no picture"
    return files


def expected_rows(files: dict[str, bytes]) -> pa.Table:
    """Returns what one process reads."""
    readings = lenet.Recognizer().read_many(files.values(), errors="return")
    rows = [row for path, reading in zip(files, readings) for row in ray_read.to_rows(path, reading)]
    return pa.Table.from_pylist(rows, schema=ray_read.SCHEMA)


def rows_of(out: Path) -> pa.Table:
    return pq.read_table(out).sort_by([("path", "ascending"), ("line", "ascending")])


def test_reads_each_picture_of_a_folder_once(cluster: Cluster, tmp_path: Path) -> None:
    files, scans = pictures(20), tmp_path / "scans"
    scans.mkdir()
    for name, content in files.items():
        (scans / name).write_bytes(content)
    ray_read.read_pictures(str(scans), str(tmp_path / "out"), batch_size=3)
    found = rows_of(tmp_path / "out")
    names = pa.array([Path(path).name for path in found["path"].to_pylist()])
    assert found.set_column(0, "path", names) == expected_rows(files)
    assert found["error"].to_pylist()[-1].startswith("format: expected PNG")
    with pytest.raises(ValueError, match="already exists"):
        ray_read.read_pictures(str(scans), str(tmp_path / "out"))


def test_killed_node_loses_and_repeats_nothing(cluster: Cluster, tmp_path: Path) -> None:
    node, files, out = cluster.add_node(**NODE), pictures(400), tmp_path / "out"
    cluster.wait_for_nodes()
    pq.write_table(pa.table({"path": list(files), "bytes": list(files.values())}), tmp_path / "scans.parquet")

    def kill() -> None:
        while not out.exists() or len(list(out.iterdir())) < 3:
            time.sleep(0.01)
        cluster.remove_node(node, allow_graceful=False)

    killer = Thread(target=kill)
    killer.start()
    ray_read.read_pictures(
        str(tmp_path / "scans.parquet"), str(out), parquet=True, batch_size=20, rows_per_file=20, actors=3
    )
    killer.join(timeout=60)
    assert not killer.is_alive() and rows_of(out) == expected_rows(files)


def test_sweep_goes_on_where_it_was_interrupted(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.csv"
    sweep = [{"model": "mlp", "recipe": "fast", "epochs": "1", "seed": seed} for seed in ("0", "1")]
    first = ray_sweep.run_sweep(path, sweep[:1], holdout=59_000)
    rows = ray_sweep.run_sweep(path, sweep, holdout=59_000)
    assert rows[0] == first[0] and [row["seed"] for row in rows] == ["0", "1"]
    assert rows == ray_sweep.finished(path) == ray_sweep.run_sweep(path, sweep, holdout=59_000)
    capsys.readouterr()
    ray_sweep.print_table(rows)
    assert "| mlp | fast | 1 | 2 |" in capsys.readouterr().out
