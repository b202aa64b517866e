#!/usr/bin/env python3
"""Measures `lenet recognize` as a process: a small picture, folders of 10,000 pictures, and large pictures in several formats.

    ./recognize.py             about three minutes, recorded in record/
    ./recognize.py --quick     without the largest pictures, not recorded

Time is the shortest of several runs, processor time is that of the same run, and memory is the peak. Bytes per pixel exclude
the memory of a small page, which is that of the network. Needs numpy and Pillow (requirements.txt).
"""
import argparse
import csv
import pathlib
import struct
import sys
import tempfile
import zlib

import numpy
from PIL import Image, ImageDraw, ImageFont

from run import CACHE, HERE, build, machine_description, output_of, provenance, record_path

LENET = HERE.parent / "target/release/lenet"
# An Exif segment with orientation 6: rotate by 90 degrees clockwise for display.
EXIF_ROTATE_90 = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
# Name, file name and how it is encoded: a dictionary of Pillow's options for JPEG; mode, bits per channel and whether an Exif
# segment rotates it for PNG.
FORMATS = [("JPEG", "a.jpg", {}), ("JPEG, rotated by Exif", "b.jpg", {"exif": b"Exif\0\0" + EXIF_ROTATE_90}),
           ("JPEG, progressive", "c.jpg", {"progressive": True, "subsampling": 0}), ("PNG, gray", "d.png", ("L", 8, False)),
           ("PNG, RGB", "e.png", ("RGB", 8, False)), ("PNG, RGBA", "f.png", ("RGBA", 8, False)),
           ("PNG, RGB, 16 bits", "g.png", ("RGB", 16, False)), ("PNG, RGBA, 16 bits, rotated by Exif", "h.png", ("RGBA", 16, True))]

# A page so small that its pixels take hardly any memory.
SMALL_PAGE = (300, 400)


def page_rows(width, height, text, random):
    """Draws dark digits on noisy paper and yields the page in bands of rows; each line of `text` is a line of the page."""
    lines = text.split("\n")
    image = Image.new("L", (width, height), 225)
    draw = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        position = (width // 8, (8 * index + 1) * height // (8 * len(lines)))
        draw.text(position, line, 40, ImageFont.load_default(0.6 * height / len(lines)))
    noise = random.integers(-3, 4, (256, width), dtype=numpy.int8)
    values = numpy.asarray(image)
    for top in range(0, height, 256):
        rows = values[top:top + 256]
        yield (rows + noise[:len(rows)]).astype(numpy.uint8)


def write_png(path, image, mode, bits, rotated):
    """Writes a PNG file. Pillow can't write 16 bits per channel."""
    color_type = {"L": 0, "RGB": 2, "RGBA": 6}[mode]
    compressor, rows = zlib.compressobj(1), numpy.asarray(image)
    with path.open("wb") as file:
        def chunk(name, content):
            file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))

        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(b"IHDR", struct.pack(">IIBBBBB", image.width, image.height, bits, color_type, 0, 0, 0))
        if rotated:
            chunk(b"eXIf", EXIF_ROTATE_90)
        for row in rows:
            pixels = numpy.repeat(row[:, None], len(mode), 1)
            if mode == "RGBA":
                pixels[:, 3] = 255
            content = pixels.tobytes() if bits == 8 else (pixels.astype(">u2") * 257).tobytes()
            if content := compressor.compress(b"\0" + content):
                chunk(b"IDAT", content)
        chunk(b"IDAT", compressor.flush())
        chunk(b"IEND", b"")


# A small process starts the program, because the peak memory of a process is never reported below that of its parent.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
stdout_to_null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[stdout_to_null]), 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(status != 0)
"""


def measure(path, runs):
    """Returns seconds, processor seconds and peak memory in bytes of the fastest run."""
    command = [sys.executable, "-S", "-c", LAUNCHER, LENET, "recognize", path]
    return min(tuple(map(float, output_of(*command).split())) for _ in range(runs))


def measure_all(folder, quick):
    """Writes the pictures, measures each and yields the rows of the record."""
    random = numpy.random.default_rng(0)

    def row(name, pictures, pixels, path, runs):
        seconds, processor_seconds, peak_bytes = measure(path, runs)
        return {"picture": name, "pictures": pictures, "pixels": pixels, "seconds": round(seconds, 4),
                "processor_seconds": round(processor_seconds, 4), "peak_bytes": int(peak_bytes)}

    printed = (numpy.concatenate(list(page_rows(28, 28, str(index % 10), random))) for index in range(10_000))
    handwritten = numpy.fromfile(CACHE / "t10k-images-idx3-ubyte", numpy.uint8, offset=16).reshape(-1, 28, 28)
    for name, images in [("printed digits", printed), ("MNIST's test images", handwritten)]:
        subfolder = folder / name
        subfolder.mkdir()
        for index, image in enumerate(images):
            Image.fromarray(image).save(subfolder / f"{index:05}.png")
        yield row(f"28x28 PNG, {name}", 1, 28 * 28, subfolder / "00000.png", 50)
        yield row(f"10,000 28x28 PNGs, {name}", 10_000, 28 * 28, subfolder, 3)
    for (width, height), formats in [(SMALL_PAGE, FORMATS[3:4]), ((3000, 4000), FORMATS), ((8600, 11600), FORMATS)][:2 if quick else 3]:
        rows = list(page_rows(width, height, "01234\n56789\n31415\n92653", random))
        image = Image.fromarray(numpy.concatenate(rows))
        for name, file, encoding in formats:
            path = folder / file
            if isinstance(encoding, dict):
                image.convert("RGB").save(path, quality=90, **encoding)
            else:
                write_png(path, image, *encoding)
            yield row(f"{name}, {width}x{height}", 1, width * height, path, 5 if width < 5000 else 2)
            path.unlink()


def markdown_table(rows):
    lines = ["| picture | time | pictures/s | processor time | peak memory | bytes per pixel |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    small = next(row for row in rows if row["pixels"] == SMALL_PAGE[0] * SMALL_PAGE[1])
    for row in rows:
        bytes_per_pixel = (row["peak_bytes"] - small["peak_bytes"]) / row["pixels"]
        lines.append(f"| {row['picture']} | {1000 * row['seconds']:,.0f} ms | {row['pictures'] / row['seconds']:,.1f} "
                     f"| {1000 * row['processor_seconds']:,.0f} ms | {row['peak_bytes'] / 1e6:,.0f} MB "
                     f"| {f'{bytes_per_pixel:.1f}' if row['pixels'] > small['pixels'] else ''} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the largest pictures, not recorded")
    arguments = parser.parse_args()
    build([], None)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure_all(pathlib.Path(folder), arguments.quick))
    print(markdown_table(rows))
    if arguments.quick:
        return
    record = record_path("recognize-")
    with record.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    record.with_suffix(".txt").write_text("\n".join([*provenance(), *machine_description()]))


if __name__ == "__main__":
    main()
