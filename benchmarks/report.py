#!/usr/bin/env python3
"""Tables and a chart of recorded figures.

    ./report.py record/DATE.csv                     what run.py printed
    ./report.py record/DATE.csv --readme            the README's tables
    ./report.py record/DATE.csv --chart chart.svg   the chart
"""
import argparse
import csv
import pathlib
from collections import defaultdict
from statistics import median
from typing import NamedTuple

COLUMNS = {"round": int, "work": str, "model": str, "threads": int, "batch": int, "peer": str, "variant": str,
           "rate": float, "latency_us": float, "loss": float, "seconds": float, "megabytes": float}
NAMES = {"lenet": "lenet", "pytorch": "PyTorch", "burn": "Burn", "candle": "candle", "onnxruntime": "ONNX Runtime",
         "tract": "tract", "rten": "rten", "lenet5": "LeNet-5", "cnn": "CNN", "mlp": "MLP"}
# Multiply-adds an image: backward takes twice those of forward, less the first layer's gradient of its input.
MULTIPLY_ADDS = {("train", "lenet5"): 1_131_960, ("train", "cnn"): 3_195_200, ("train", "mlp"): 1_252_832,
                 ("infer", "lenet5"): 416_520}
EXTREMES = (1, 1000)  # the batches that the README and the chart show


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def read(path):
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
        return f"{NAMES[self.model]}, {work}, batch {self.batch:,}, {threads}"


class Figure(NamedTuple):
    """One peer's figures at one task, by round."""
    variant: str
    rates: list
    latencies: list
    peaks: list

    def rate(self):
        return median(self.rates)

    def shares(self):
        return [rate / peak for rate, peak in zip(self.rates, self.peaks)]

    def ratios(self, other):
        """How many times as fast as `other`, round by round."""
        return [ours / theirs for ours, theirs in zip(self.rates, other.rates)]


def figures(rows):
    """{task: {peer: the figure of its best variant}}"""
    peaks = {(row["threads"], row["round"]): row["rate"] for row in rows if row["work"] == "peak"}
    found = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["work"] in ("train", "infer"):
            task = Task(row["work"], row["model"], row["threads"], row["batch"])
            variant = row.get("variant", "")
            figure = found[task][row["peer"]].setdefault(variant, Figure(variant, [], [], []))
            figure.rates.append(row["rate"])
            figure.latencies.append(row.get("latency_us", 0))
            figure.peaks.append(peaks[row["threads"], row["round"]] / MULTIPLY_ADDS[row["work"], row["model"]])
    return {task: {peer: max(variants.values(), key=Figure.rate) for peer, variants in peers.items()}
            for task, peers in found.items()}


def spread(values, form):
    """The median and, in brackets, the range."""
    if len(values) == 1:
        return form(values[0])
    return f"{form(median(values))} ({form(min(values))} to {form(max(values))})"


def times(ratio):
    return f"{ratio:.1f}x" if ratio < 9.95 else f"{ratio:.0f}x"


def percent(share):
    return f"{share:.0%}" if share > 0.0995 else f"{share:.1%}"


def table(head, body):
    """A table in Markdown that is aligned as text too, its first column to the left."""
    lines = [head, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    cells = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (head, ruler, *body)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def tables(rows):
    """Every task with medians and, in brackets, the range over the rounds."""
    parts = []
    for threads in sorted({row["threads"] for row in rows}):
        def values(work, key):
            return [row[key] for row in rows if row["work"] == work and row["threads"] == threads]
        parts.append(f"Peak, threads: {threads}: {spread(values('peak', 'rate'), lambda rate: f'{2e-9 * rate:.0f}')} GFLOP/s")
        if seconds := values("program", "seconds"):
            parts.append(f"`lenet train lenet5 --epochs 1`, threads: {threads}: {spread(seconds, '{:.2f}'.format)} s, "
                         f"{spread(values('program', 'megabytes'), '{:.0f}'.format)} MB")
    found = figures(rows)
    for task, peers in found.items():
        single = found.get(task._replace(threads=1), {}) if task.threads > 1 else {}
        head = [str(task), "images/s", *["us a call"] * (task.work == "infer"), "of peak",
                *["against 1 thread"] * bool(single), "lenet is faster"]
        body = []
        for peer, figure in peers.items():
            line = [f"{NAMES[peer]} {figure.variant}".strip(), spread(figure.rates, lambda rate: f"{rate:,.0f}")]
            if task.work == "infer":
                line.append(spread(figure.latencies, lambda time: f"{time:,.0f}"))
            line.append(spread(figure.shares(), percent))
            if single:
                line.append(spread(figure.ratios(single[peer]), lambda ratio: f"{ratio:.2f}x"))
            ours = peers.get("lenet", figure)
            body.append([*line, "" if figure is ours else spread(ours.ratios(figure), times)])
        parts.append(table(head, body))
    return "\n\n".join(parts)


def readme(rows):
    """Medians, with how many times as fast lenet is: training at the most threads, the smallest and largest batches."""
    found = figures(rows)
    most = max(task.threads for task in found)
    trained = {NAMES[task.model]: task for task in found if task.work == "train" and task.threads == most}
    inferred = {f"batch {task.batch:,}, threads: {task.threads}": task
                for task in found if task.work == "infer" and task.batch in EXTREMES}
    parts = []
    for title, tasks in ((f"Training, images/s, threads: {most}", trained), ("LeNet-5, inference, images/s", inferred)):
        body = []
        for peer in dict.fromkeys(peer for task in tasks.values() for peer in found[task]):
            cells = []
            for task in tasks.values():
                ours, theirs = found[task]["lenet"], found[task][peer]
                note = f"{percent(median(ours.shares()))} of peak" if peer == "lenet" else times(median(ours.ratios(theirs)))
                cells.append(f"{theirs.rate():,.0f} ({note})")
            body.append([NAMES[peer], *cells])
        parts.append(table([title, *tasks], body))
    return "\n\n".join(parts)


def chart(rows):
    """Bars as long as the share of the machine's peak, a line for the range over the rounds."""
    found = figures(rows)
    threads = max(task.threads for task in found)
    left, width, bar, gap = 110, 460, 16, 34
    lines, y = [], 0
    for task in found:
        if task.threads != threads or (task.work == "infer" and task.batch not in EXTREMES):
            continue
        y += gap
        lines.append(f'<text class="head" x="0" y="{y}">{str(task).removesuffix(f", {threads} threads")}</text>')
        for peer, figure in sorted(found[task].items(), key=lambda item: -item[1].rate()):
            y += bar + 4
            low, middle, high = (left + width * f(figure.shares()) for f in (min, median, max))
            kind = "ours" if peer == "lenet" else "bar"
            lines += [
                f'<text x="{left - 8}" y="{y}" text-anchor="end">{NAMES[peer]}</text>',
                f'<rect class="{kind}" x="{left}" y="{y - 12}" width="{middle - left:.1f}" height="{bar}" rx="2"/>',
                f'<path class="range" d="M{low:.1f} {y - 4}H{high:.1f}"/>',
                f'<text x="{high + 6:.1f}" y="{y}">{figure.rate():,.0f} images/s</text>']
    axis = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = left + width * share
        axis += [f'<path class="grid" d="M{x} 12V{y + 12}"/>',
                 f'<text x="{x}" y="{y + 28}" text-anchor="middle">{share:.0%}</text>']
    axis.append(f'<text x="{left + width / 2}" y="{y + 46}" text-anchor="middle">'
                f"of the machine's peak of fused multiply-adds, {threads} threads</text>")
    style = ("text{font:13px system-ui,sans-serif;fill:#24292f}.head{font-weight:600}.ours{fill:#d1495b}.bar{fill:#8d99ae}"
             ".range{stroke:#24292f}.grid{stroke:#8d99ae;stroke-opacity:.4}"
             "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.range{stroke:#e6edf3}}")
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 40} {y + 56}">',
        f"<style>{style}</style>", *axis, *lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=pathlib.Path)
    parser.add_argument("--readme", action="store_true", help="only the medians")
    parser.add_argument("--chart", type=pathlib.Path, metavar="FILE", help="write an SVG")
    arguments = parser.parse_args()
    rows = read(arguments.record)
    if arguments.chart:
        arguments.chart.write_text(chart(rows))
    else:
        print(readme(rows) if arguments.readme else tables(rows))


if __name__ == "__main__":
    main()
