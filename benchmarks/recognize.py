#!/usr/bin/env python3
"""Measures `lenet recognize` as a program: a small picture, folders of 10,000, and large pictures of several kinds.

    ./recognize.py             about three minutes, recorded in record/
    ./recognize.py --quick     the smaller of the large pictures, not recorded

Time is the shortest of several runs, processor time that of the same run, memory the peak; its bytes a pixel are counted
without what the same page takes in small, which is memory for the network. It needs numpy and Pillow, as in requirements.txt.
"""
import argparse
import csv
import datetime
import pathlib
import struct
import sys
import tempfile
import zlib

import numpy
from PIL import Image, ImageDraw, ImageFont

from run import CACHE, HERE, build, machine, origin, output

LENET = HERE.parent / "target/release/lenet"
# An Exif segment that says: to be seen upright, turn by 90 degrees to the right.
TURNED = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
# Name, file name, and what writes it: for Pillow its options, for PNG mode, bits and whether it is turned.
KINDS = [("JPEG", "a.jpg", {}), ("JPEG, turned", "b.jpg", {"exif": b"Exif\0\0" + TURNED}),
         ("JPEG, progressive", "c.jpg", {"progressive": True, "subsampling": 0}), ("PNG, grey", "d.png", ("L", 8, False)),
         ("PNG, RGB", "e.png", ("RGB", 8, False)), ("PNG, RGBA", "f.png", ("RGBA", 8, False)),
         ("PNG, RGB of 16 bits", "g.png", ("RGB", 16, False)), ("PNG, RGBA of 16 bits, turned", "h.png", ("RGBA", 16, True))]

# A page that hardly takes memory for itself.
SMALL = (300, 400)


def page(width, height, text, random):
    """Dark digits on noisy paper, as many lines as `text` has."""
    lines = text.split("\n")
    image = Image.new("L", (width, height), 225)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        place = (width // 8, (8 * number + 1) * height // (8 * len(lines)))
        draw.text(place, line, 40, ImageFont.load_default(0.6 * height / len(lines)))
    noise = random.integers(-3, 4, (256, width), dtype=numpy.int8)
    values = numpy.asarray(image)
    for top in range(0, height, 256):
        rows = values[top:top + 256]
        yield (rows + noise[:len(rows)]).astype(numpy.uint8)


def write_png(path, image, mode, bits, turned):
    """A PNG file, which Pillow would not write of 16 bits a channel."""
    colour = {"L": 0, "RGB": 2, "RGBA": 6}[mode]
    pack, rows = zlib.compressobj(1), numpy.asarray(image)
    with path.open("wb") as file:
        def chunk(name, content):
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))

        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(b"IHDR", struct.pack(">IIBBBBB", image.width, image.height, bits, colour, 0, 0, 0))
        if turned:
            chunk(b"eXIf", TURNED)
        for row in rows:
            pixels = numpy.repeat(row[:, None], len(mode), 1)
            if mode == "RGBA":
                pixels[:, 3] = 255
            content = pixels.tobytes() if bits == 8 else (pixels.astype(">u2") * 257).tobytes()
            if content := pack.compress(b"\0" + content):
                chunk(b"IDAT", content)
        chunk(b"IDAT", pack.flush())
        chunk(b"IEND", b"")


# A process of its own starts the program: the peak of memory would be no smaller than that of who starts it.
RUN = """
import os, sys, time
start = time.perf_counter()
nowhere = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[nowhere]), 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(status != 0)
"""


def measure(path, runs):
    """The fastest run: seconds, processor seconds, and the peak of memory in bytes."""
    command = [sys.executable, "-S", "-c", RUN, LENET, "recognize", path]
    return min(tuple(map(float, output(*command).split())) for _ in range(runs))


def figures(folder, quick):
    """Makes the pictures and measures them: rows for the record."""
    random = numpy.random.default_rng(0)

    def row(name, pictures, pixels, path, runs):
        seconds, processor, peak = measure(path, runs)
        return {"picture": name, "pictures": pictures, "pixels": pixels, "seconds": round(seconds, 4),
                "processor_seconds": round(processor, 4), "peak_bytes": int(peak)}

    printed = (numpy.concatenate(list(page(28, 28, str(number % 10), random))) for number in range(10_000))
    written = numpy.fromfile(CACHE / "t10k-images-idx3-ubyte", numpy.uint8, offset=16).reshape(-1, 28, 28)
    for name, images in [("printed digits", printed), ("MNIST's test images", written)]:
        many = folder / name
        many.mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(many / f"{number:05}.png")
        yield row(f"28x28 PNG, {name}", 1, 28 * 28, many / "00000.png", 50)
        yield row("10,000 of them", 10_000, 28 * 28, many, 3)
    for (width, height), kinds in [(SMALL, KINDS[3:4]), ((3000, 4000), KINDS), ((8600, 11600), KINDS)][:2 if quick else 3]:
        rows = list(page(width, height, "01234\n56789\n31415\n92653", random))
        image = Image.fromarray(numpy.concatenate(rows))
        for name, file, kind in kinds:
            path = folder / file
            if isinstance(kind, dict):
                image.convert("RGB").save(path, quality=90, **kind)
            else:
                write_png(path, image, *kind)
            yield row(f"{name}, {width}x{height}", 1, width * height, path, 5 if width < 5000 else 2)
            path.unlink()


def table(rows):
    """Markdown."""
    lines = ["| picture | time | a second | processor time | peak | bytes a pixel |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    small = next(row for row in rows if row["pixels"] == SMALL[0] * SMALL[1])
    for row in rows:
        each = (row["peak_bytes"] - small["peak_bytes"]) / row["pixels"]
        lines.append(f"| {row['picture']} | {1000 * row['seconds']:,.0f} ms | {row['pictures'] / row['seconds']:,.1f} "
                     f"| {1000 * row['processor_seconds']:,.0f} ms | {row['peak_bytes'] / 1e6:,.0f} MB "
                     f"| {f'{each:.1f}' if row['pixels'] > small['pixels'] else ''} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    build([], None)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(figures(pathlib.Path(folder), arguments.quick))
    print(table(rows))
    if arguments.quick:
        return
    record = HERE / "record" / f"recognize-{datetime.datetime.now(datetime.UTC):%Y-%m-%d-%H%M}.csv"
    with record.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record.with_suffix(".txt").write_text("\n".join([*origin(), *machine()]))


if __name__ == "__main__":
    main()
