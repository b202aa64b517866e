#!/usr/bin/env python3
"""Prints the tables and draws the chart of a recorded comparison.

    ./report.py record/DATE.csv                     the full tables, as run.py prints them
    ./report.py record/DATE.csv --summary           only the medians of the main tasks
    ./report.py record/DATE.csv --chart chart.svg   the chart
"""
import argparse
import csv
import pathlib
from collections import defaultdict
from statistics import median
from typing import NamedTuple

# The columns of a record. `rate` is images per second (fused multiply-adds per second for the peak), `latency_us` the
# median time of a call in microseconds.
COLUMNS = {"round": int, "work": str, "model": str, "threads": int, "batch": int, "peer": str, "variant": str,
           "rate": float, "latency_us": float, "loss": float, "seconds": float, "megabytes": float}
DISPLAY_NAMES = {"lenet": "lenet", "pytorch": "PyTorch", "burn": "Burn", "candle": "candle", "onnxruntime": "ONNX Runtime",
                 "tract": "tract", "rten": "rten", "lenet5": "LeNet-5", "cnn": "CNN", "mlp": "MLP"}
# Multiply-adds per image of direct convolution. The backward pass takes twice the forward pass, minus the gradient of the
# first layer's input.
MULTIPLY_ADDS = {("train", "lenet5"): 1_131_960, ("train", "cnn"): 3_195_200, ("train", "mlp"): 1_252_832,
                 ("infer", "lenet5"): 416_520}
SUMMARY_BATCHES = (1, 1000)  # the batch sizes of the summary tables and the chart


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path):
    with open(path, newline="") as file:
        return [{key: COLUMNS[key](value) for key, value in row.items() if value} for row in csv.DictReader(file)]


class Task(NamedTuple):
    work: str
    model: str
    threads: int
    batch: int

    def __str__(self):
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        work = "training" if self.work == "train" else "inference"
        return f"{DISPLAY_NAMES[self.model]}, {work}, batch {self.batch:,}, {threads}"


class Measurement(NamedTuple):
    """The measurements of one variant of a peer for one task; each list has one element per round."""
    variant: str
    rates: list  # images per second
    latencies: list  # microseconds per call
    peaks: list  # images per second at the machine's peak

    def median_rate(self):
        return median(self.rates)

    def peak_shares(self):
        return [rate / peak for rate, peak in zip(self.rates, self.peaks)]

    def speedups(self, other):
        """The ratio of the rates of `self` and `other` in each round."""
        return [rate / other_rate for rate, other_rate in zip(self.rates, other.rates)]


def best_variants(rows):
    """Returns {task: {peer: the measurement of its fastest variant}}."""
    peaks = {(row["threads"], row["round"]): row["rate"] for row in rows if row["work"] == "peak"}
    measurements = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["work"] in ("train", "infer"):
            task = Task(row["work"], row["model"], row["threads"], row["batch"])
            variant = row.get("variant", "")
            measurement = measurements[task][row["peer"]].setdefault(variant, Measurement(variant, [], [], []))
            measurement.rates.append(row["rate"])
            measurement.latencies.append(row.get("latency_us", 0))
            measurement.peaks.append(peaks[row["threads"], row["round"]] / MULTIPLY_ADDS[row["work"], row["model"]])
    return {task: {peer: max(variants.values(), key=Measurement.median_rate) for peer, variants in peers.items()}
            for task, peers in measurements.items()}


def format_median_and_range(values, format_value):
    if len(values) == 1:
        return format_value(values[0])
    return f"{format_value(median(values))} ({format_value(min(values))} to {format_value(max(values))})"


def format_speedup(ratio):
    return f"{ratio:.1f}x" if ratio < 9.95 else f"{ratio:.0f}x"


def format_percent(fraction):
    return f"{fraction:.0%}" if fraction > 0.0995 else f"{fraction:.1%}"


def markdown_table(head, body):
    """Formats a table in Markdown whose columns are also aligned as plain text; the first column is left-aligned."""
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    cells = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (head, ruler, *body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def full_tables(rows):
    """Formats every task: the median of each value and, in brackets, its range over the rounds."""
    paragraphs = []
    for threads in sorted({row["threads"] for row in rows}):
        def values(work, key):
            return [row[key] for row in rows if row["work"] == work and row["threads"] == threads]
        peak = format_median_and_range(values("peak", "rate"), lambda rate: f"{2e-9 * rate:.0f}")
        paragraphs.append(f"Peak, threads: {threads}: {peak} GFLOP/s")
        if seconds := values("program", "seconds"):
            megabytes = values("program", "megabytes")
            paragraphs.append(f"`lenet train lenet5 --epochs 1`, threads: {threads}: "
                              f"{format_median_and_range(seconds, '{:.2f}'.format)} s, "
                              f"{format_median_and_range(megabytes, '{:.0f}'.format)} MB")
    measurements = best_variants(rows)
    for task, peers in measurements.items():
        single_thread = measurements.get(task._replace(threads=1), {}) if task.threads > 1 else {}
        head = [str(task), "images/s", *["µs per call"] * (task.work == "infer"), "share of peak",
                *["speedup over 1 thread"] * bool(single_thread), "lenet's speedup"]
        body = []
        for peer, measurement in peers.items():
            line = [f"{DISPLAY_NAMES[peer]} {measurement.variant}".strip(),
                    format_median_and_range(measurement.rates, lambda rate: f"{rate:,.0f}")]
            if task.work == "infer":
                line.append(format_median_and_range(measurement.latencies, lambda time: f"{time:,.0f}"))
            line.append(format_median_and_range(measurement.peak_shares(), format_percent))
            if single_thread:
                line.append(format_median_and_range(measurement.speedups(single_thread[peer]), lambda ratio: f"{ratio:.2f}x"))
            lenet = peers.get("lenet", measurement)
            speedup = "" if lenet is measurement else format_median_and_range(lenet.speedups(measurement), format_speedup)
            body.append([*line, speedup])
        paragraphs.append(markdown_table(head, body))
    return "\n\n".join(paragraphs)


def summary_tables(rows):
    """Formats medians with lenet's speedup: training with the most threads, inference with the smallest and largest batch."""
    measurements = best_variants(rows)
    max_threads = max(task.threads for task in measurements)
    training = {DISPLAY_NAMES[task.model]: task for task in measurements if task.work == "train" and task.threads == max_threads}
    inference = {f"batch {task.batch:,}, threads: {task.threads}": task
                 for task in measurements if task.work == "infer" and task.batch in SUMMARY_BATCHES}
    tables = []
    for title, tasks in ((f"Training, images/s, threads: {max_threads}", training), ("LeNet-5, inference, images/s", inference)):
        body = []
        for peer in dict.fromkeys(peer for task in tasks.values() for peer in measurements[task]):
            cells = []
            for task in tasks.values():
                lenet, measurement = measurements[task]["lenet"], measurements[task][peer]
                if peer == "lenet":
                    note = f"{format_percent(median(lenet.peak_shares()))} of peak"
                else:
                    note = format_speedup(median(lenet.speedups(measurement)))
                cells.append(f"{measurement.median_rate():,.0f} ({note})")
            body.append([DISPLAY_NAMES[peer], *cells])
        tables.append(markdown_table([title, *tasks], body))
    return "\n\n".join(tables)


def svg_chart(rows):
    """Draws a bar for each peer, as long as its share of the peak, with a line for the range over the rounds."""
    measurements = best_variants(rows)
    threads = max(task.threads for task in measurements)
    left, width, bar, gap = 110, 460, 16, 34
    lines, y = [], 0
    for task, peers in measurements.items():
        if task.threads != threads or (task.work == "infer" and task.batch not in SUMMARY_BATCHES):
            continue
        y += gap
        lines.append(f'<text class="head" x="0" y="{y}">{str(task).removesuffix(f", {threads} threads")}</text>')
        for peer, measurement in sorted(peers.items(), key=lambda item: -item[1].median_rate()):
            y += bar + 4
            low, middle, high = (left + width * statistic(measurement.peak_shares()) for statistic in (min, median, max))
            css_class = "lenet" if peer == "lenet" else "peer"
            lines += [
                f'<text x="{left - 8}" y="{y}" text-anchor="end">{DISPLAY_NAMES[peer]}</text>',
                f'<rect class="{css_class}" x="{left}" y="{y - 12}" width="{middle - left:.1f}" height="{bar}" rx="2"/>',
                f'<path class="range" d="M{low:.1f} {y - 4}H{high:.1f}"/>',
                f'<text x="{high + 6:.1f}" y="{y}">{measurement.median_rate():,.0f} images/s</text>']
    axis = []
    for fraction in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * fraction
        axis += [f'<path class="grid" d="M{x} 12V{y + 12}"/>',
                 f'<text x="{x}" y="{y + 28}" text-anchor="middle">{fraction:.0%}</text>']
    axis.append(f'<text x="{left + width / 2}" y="{y + 46}" text-anchor="middle">'
                f"share of the machine's peak of fused multiply-adds, {threads} threads</text>")
    style = ("text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-weight:600}.lenet{fill:#d1495b}.peer{fill:#8d99ae}"
             ".range{stroke:#24292f}.grid{stroke:#8d99ae;stroke-opacity:.4}"
             "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#e6edf3}}")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 40} {y + 56}">',
        f"<style>{style}</style>", *axis, *lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=pathlib.Path, help="a CSV file that run.py wrote")
    parser.add_argument("--summary", "--readme", action="store_true", help="print only the summary tables")
    parser.add_argument("--chart", type=pathlib.Path, metavar="FILE", help="write the chart as SVG instead of printing tables")
    arguments = parser.parse_args()
    rows = read_csv(arguments.record)
    if arguments.chart:
        arguments.chart.write_text(svg_chart(rows))
    else:
        print(summary_tables(rows) if arguments.summary else full_tables(rows))


if __name__ == "__main__":
    main()
