"""Reading of one picture, and of many."""

import io
import itertools
import json
import pickle
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lenet
import numpy as np
import pytest
from conftest import page, png, program
from PIL import Image


def test_answers_are_those_of_the_program(recognizer: lenet.Recognizer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed:02}.png" for seed in range(20)]
    for seed, path in enumerate(paths):
        path.write_bytes(png(page(seed)))
    command = [*program(), "recognize", "--json", *map(str, paths)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    found = [{"path": str(path), **recognizer.read(path).to_dict()} for path in paths]
    assert found == expected
    assert sum(len(reading["digits"]) for reading in found) > 60
    many = recognizer.read_many(paths)
    assert [reading.to_dict() for reading in many] == [recognizer.read(p).to_dict() for p in paths]


def test_all_forms_of_a_picture_give_the_same_reading(
    recognizer: lenet.Recognizer, tmp_path: Path
) -> None:
    gray = page(7)
    path = tmp_path / "page.png"
    path.write_bytes(png(gray))
    expected = recognizer.read(str(path))
    rgb = np.stack([gray] * 3, axis=2)
    rgba = np.dstack([rgb, np.full_like(gray, 255)])
    read_only = gray.copy()
    read_only.flags.writeable = False
    palette = Image.fromarray(gray).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    for picture in [
        path,
        path.read_bytes(),
        bytearray(path.read_bytes()),
        memoryview(path.read_bytes()),
        path.open("rb"),
        io.BytesIO(path.read_bytes()),
        Image.open(path),
        Image.fromarray(rgb),
        palette,
        deep,
        gray,
        gray.reshape(*gray.shape, 1),
        rgb,
        rgba,
        read_only,
        np.asfortranarray(gray),
        np.repeat(gray, 2, axis=1)[:, ::2],
    ]:
        assert recognizer.read(picture) == expected, type(picture)
    turned = Image.fromarray(gray).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "PNG", exif=exif)
    assert recognizer.read(Image.open(file)) == recognizer.read(file.getvalue()) == expected


def test_readings_have_the_attributes_of_their_json(recognizer: lenet.Recognizer) -> None:
    for seed in range(6):
        reading = recognizer.read(page(seed))
        data = reading.to_dict()
        for name in ["text", "remarks"]:
            assert getattr(reading, name) == data[name]
        for name in ["digits", "marks", "cells", "left_out"]:
            parts = getattr(reading, name)
            assert [part.to_dict() for part in parts] == data[name]
            for part, fields in zip(parts, data[name], strict=True):
                for key, value in fields.items():
                    assert getattr(part, key) == (tuple(value) if key == "box" else value)
                assert pickle.loads(pickle.dumps(part)) == part
                assert type(part).__name__ in repr(part)
        assert reading.min_confidence == min(digit.confidence for digit in reading.digits)
        restored = pickle.loads(pickle.dumps(reading))
        assert restored == reading and restored != recognizer.read(page(seed + 6))
        digit, copy = reading.digits[0], restored.digits[0]
        assert digit.normalized.shape == (28, 28) and digit.normalized.dtype == np.uint8
        assert (digit.normalized == copy.normalized).all() and digit.normalized.any()
        assert digit.row is None and digit.column is None and reading.rows() == []
        assert reading.digits_only().replace("\n", "").isdigit() or "?" in reading.text
        assert repr(reading).startswith("Reading(text=")
        assert lenet.Reading.from_json(json.dumps(data)).to_dict() == data


def test_marks_cells_and_left_out_ink_are_values() -> None:
    box = [1, 2, 3, 4]
    reading = lenet.Reading.from_json(
        json.dumps(
            {
                "text": "1.",
                "probability": 0.5,
                "alternatives": [{"text": "7.", "probability": 0.25}],
                "digits": [],
                "marks": [
                    {"mark": ".", "confidence": 0.9, "box": box, "line": 0, "doubtful": False}
                ],
                "cells": [{"row": 0, "column": 1, "text": "1", "box": box}],
                "left_out": [{"box": box, "reason": "rule"}],
                "remarks": ["inverted"],
            }
        )
    )
    assert (reading.probability, reading.alternatives) == (0.5, [("7.", 0.25)])
    for part in [*reading.marks, *reading.cells, *reading.left_out]:
        assert part.box == (1, 2, 3, 4)
        assert pickle.loads(pickle.dumps(part)) == part == type(part).from_json(
            json.dumps(part.to_dict())
        )
    assert (reading.marks[0].mark, reading.left_out[0].reason) == (".", "rule")
    assert repr(reading.cells[0]) == 'CellReading(row=0, column=1, text="1", box=(1, 2, 3, 4))'
    assert reading.rows() == [["", "1"]]
    with pytest.raises(lenet.Error, match="Reading: expected its JSON form"):
        lenet.Reading.from_json("{}")
    with pytest.raises(lenet.Error, match="normalized: expected 0 bytes, found 1"):
        lenet.Reading.from_json(json.dumps(reading.to_dict()), b"1")


def test_readings_draw_themselves(recognizer: lenet.Recognizer) -> None:
    reading = recognizer.read(page(3))
    drawn = Image.open(io.BytesIO(reading.to_png()))
    assert drawn.mode == "RGB" and drawn.size == page(3).shape[::-1]
    assert len(np.unique(np.asarray(drawn).reshape(-1, 3), axis=0)) > 64, "gray levels and colors of the boxes"
    assert reading._repr_png_() == reading.to_png() == reading.to_png(page(3))
    restored = pickle.loads(pickle.dumps(reading))
    assert restored._repr_png_() is None and restored.to_png(page(3)) == reading.to_png()
    with pytest.raises(ValueError, match="picture: expected the picture"):
        restored.to_png()


def test_single_reads_all_ink_as_one_digit(recognizer: lenet.Recognizer) -> None:
    assert len(recognizer.read(page(0), single=True).digits) == 1
    assert [len(r.digits) for r in recognizer.read_many([page(0)] * 3, single=True)] == [1] * 3


def test_pages_of_a_tiff_file(recognizer: lenet.Recognizer) -> None:
    file = io.BytesIO()
    first, second = Image.fromarray(page(1)), Image.fromarray(page(2))
    first.save(file, "TIFF", save_all=True, append_images=[second])
    content = file.getvalue()
    assert recognizer.read(content, page=0) == recognizer.read(page(1))
    assert recognizer.read(content, page=1) == recognizer.read(page(2))
    with pytest.raises(lenet.Error, match="page: expected a number below 2, found 2"):
        recognizer.read(content, page=2)
    with pytest.raises(lenet.Error, match="page: expected one page, found 2"):
        recognizer.read(content)
    [error] = recognizer.read_many([content], errors="return")
    assert "page: expected one page, found 2" in str(error)


def test_recognizers_keep_their_options() -> None:
    recognizer = lenet.Recognizer("vgg", length="1-9", min_confidence=0.5, tables=True, max_megapixels=1)
    restored = pickle.loads(pickle.dumps(recognizer))
    assert repr(restored) == repr(recognizer)
    assert "vgg" in repr(restored) and "length='1-9', min_confidence=0.5, tables=True" in repr(restored)
    assert restored.read(page(4)) == recognizer.read(page(4))
    assert lenet.Recognizer(recognizer.network).network.to_bytes() == recognizer.network.to_bytes()
    large = png(np.zeros((1001, 1000), np.uint8))
    with pytest.raises(lenet.Error, match="size: expected at most 1 megapixels"):
        restored.read(large)


def test_constraints_choose_among_readings_or_reject() -> None:
    picture = page(4)
    text = lenet.Recognizer().read(picture).text
    assert len(text) == 5 and text.isdigit()
    assert lenet.Recognizer(length=5, charset="0123456789").read(picture).text == text
    assert lenet.Recognizer(pattern=f"{text[:2]}d{{1,3}}").read(picture).text == text
    rejected = lenet.Recognizer(length=7).read(picture)
    assert rejected.text == "?????" and rejected.probability == 0
    assert [str(digit.digit) for digit in rejected.digits] == list(text)
    assert rejected.digits[0].remarks == ["constraint_not_met"]
    assert lenet.Recognizer(min_confidence=1).read(picture).text == "?????"
    reading = lenet.Recognizer(min_probability=0.1).read(picture)
    assert reading.probability is not None and 0.1 < reading.probability < 1
    assert all(isinstance(other, str) and 0 < p < 1 for other, p in reading.alternatives)


def test_invalid_constraints_are_errors_that_name_the_part() -> None:
    invalid: list[tuple[dict[str, Any], str]] = [
        ({"length": 0}, "length: expected 1 to 63 digits"),
        ({"pattern": "d*"}, "pattern: expected `d`"),
        ({"checksum": "crc"}, "checksum: expected luhn"),
        ({"charset": "abc"}, "charset: expected digits"),
        ({"length": 5, "checksum": "isbn"}, "checksum isbn: expected a constraint"),
        ({"min_confidence": 2}, "min_confidence: expected a number from 0 to 1"),
        ({"min_probability": float("nan")}, "min_probability: expected a number from 0 to 1"),
    ]
    for options, message in invalid:
        with pytest.raises(ValueError, match=re.escape(message)):
            lenet.Recognizer(**options)


def test_region_is_read_alone(recognizer: lenet.Recognizer) -> None:
    whole, part = recognizer.read(page(4)), recognizer.read(page(4), region=(90, 0, 130, 70))
    assert part.text == whole.text[2:]
    assert [digit.box for digit in part.digits] == [digit.box for digit in whole.digits[2:]]
    with pytest.raises(lenet.Error, match="region: expected x, y, width, height within 220 x 70 pixels"):
        recognizer.read(page(4), region=(200, 0, 100, 10))


def test_forms_are_read_field_by_field(recognizer: lenet.Recognizer, tmp_path: Path) -> None:
    form = np.pad(page(4), 40, constant_values=255)
    form[20:24, 20:-20] = form[-24:-20, 20:-20] = form[20:-20, 20:24] = form[20:-20, -24:-20] = 60
    template = tmp_path / "form.toml"
    template.write_text("[[field]]\nname = 'all'\nbox = [0.05, 0.1, 0.9, 0.8]\nlength = 5\n")
    fields = recognizer.read_form(form, template)
    assert fields["all"].text == recognizer.read(page(4)).text
    with pytest.raises(lenet.Error, match="frame: expected four rules"):
        recognizer.read_form(page(4), str(template))
    template.write_text("[[field]]\nnmae = 'all'\n")
    with pytest.raises(lenet.Error, match="line 2, nmae"):
        recognizer.read_form(form, template)


def test_many_pictures_keep_their_order(recognizer: lenet.Recognizer) -> None:
    pages = [page(seed) for seed in range(1, 5)] * 5
    expected = [recognizer.read(picture).text for picture in pages[:4]] * 5
    for threads in [None, 1, 3]:
        readings = recognizer.read_many(iter(pages), threads=threads)
        assert [reading.text for reading in readings] == expected


def test_an_endless_iterable_is_read_a_few_pictures_ahead(recognizer: lenet.Recognizer) -> None:
    taken = itertools.count()
    picture = png(page(0))
    readings = recognizer.read_many((picture for _ in taken), threads=2)
    for _ in range(50):
        next(readings)
    assert next(taken) < 50 + 2 * 16 + 2


def test_errors_of_pictures_are_in_their_place(
    recognizer: lenet.Recognizer, tmp_path: Path
) -> None:
    pictures = [png(page(0)), b"no picture", tmp_path / "missing.png", 5, png(page(1))]
    results = list(recognizer.read_many(pictures, errors="return"))
    kinds = [lenet.Reading, lenet.Error, FileNotFoundError, TypeError, lenet.Reading]
    assert [type(result) for result in results] == kinds
    assert str(results[1]).startswith("format: expected PNG, JPEG")
    assert f"{tmp_path / 'missing.png'}: could not be read" in str(results[2])
    readings = recognizer.read_many(pictures)
    assert isinstance(next(readings), lenet.Reading)
    for error in kinds[1:4]:
        with pytest.raises(error):
            next(readings)
    assert [reading.text for reading in readings] == [recognizer.read(page(1)).text]

    def broken():
        yield png(page(0))
        raise RuntimeError("no more pictures")

    readings = recognizer.read_many(broken(), errors="return")
    next(readings)
    with pytest.raises(RuntimeError, match="no more pictures"):
        next(readings)
    with pytest.raises(StopIteration):
        next(readings)


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        (5, TypeError, "picture: expected a path, bytes, a binary file, a PIL image or an array, found int"),
        (io.StringIO("text"), TypeError, "picture: expected a binary file, found one that reads str"),
        (np.zeros((9, 9)), TypeError, "picture: expected an array of uint8, found float64"),
        (np.zeros(9, np.uint8), ValueError, "picture: expected shape (height, width), "),
        (np.zeros((9, 9, 5), np.uint8), ValueError, "found (9, 9, 5)"),
        (np.zeros((0, 9), np.uint8), lenet.Error, "bytes of a picture: expected 1 to 4 for each of 9 x 0"),
        (b"", lenet.Error, "format: expected PNG, JPEG"),
        (png(page(0))[:200], lenet.Error, "could not be decoded: the file ends too soon"),
        ("/nowhere/7.png", FileNotFoundError, "/nowhere/7.png: could not be read"),
        ("/", IsADirectoryError, "/: could not be read"),
    ],
)
def test_bad_pictures(
    recognizer: lenet.Recognizer, picture: object, error: type, message: str
) -> None:
    with pytest.raises(error) as caught:
        recognizer.read(picture)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_bad_arguments(recognizer: lenet.Recognizer) -> None:
    with pytest.raises(ValueError, match='errors: expected "raise" or "return", found "ignore"'):
        recognizer.read_many([], errors="ignore")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="threads: expected 1 to 256, found 0"):
        recognizer.read_many([], threads=0)
    with pytest.raises(TypeError):
        recognizer.read_many(5)  # type: ignore[call-overload]
    with pytest.raises(OSError, match="nothing: could not be read"):
        lenet.Recognizer("nothing")
    with pytest.raises(lenet.Error, match="network: expected an input of"):
        lenet.Recognizer("ink")


def test_threads_share_a_recognizer_and_leave_the_interpreter(recognizer: lenet.Recognizer) -> None:
    pages = [page(seed) for seed in range(1, 10)]
    expected = [recognizer.read(picture) for picture in pages]
    ticks, done = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            assert list(threads.map(recognizer.read, pages)) == expected
    done.set()
    ticker.join()
    assert ticks > 5
