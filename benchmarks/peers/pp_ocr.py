"""Reads pictures with PP-OCR (package rapidocr, ONNX Runtime), one thread: a JSON object for each, with its text and the seconds.

    pp_ocr.py PICTURE...              lines of text, from top to bottom
    pp_ocr.py PICTURE... --single     recognition without detection, for pictures of one digit
"""
import argparse
import json
import time

from rapidocr import RapidOCR


def lines_of(boxes, texts):
    """Groups texts into lines: boxes whose middles lie within each other's height are side by side."""
    parts = sorted((min(y for _, y in box), max(y for _, y in box), min(x for x, _ in box), text)
                   for box, text in zip(boxes, texts))
    lines = []
    for top, bottom, left, text in parts:
        middle = (top + bottom) / 2
        line = next((line for line in lines if line["top"] < middle < line["bottom"]), None)
        if line is None:
            lines.append(line := {"top": top, "bottom": bottom, "parts": []})
        line["parts"].append((left, text))
    lines.sort(key=lambda line: line["top"])
    return "\n".join("".join(text for _, text in sorted(line["parts"])) for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--single", action="store_true")
    arguments = parser.parse_args()
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    engine = RapidOCR(params=threads)
    options = {"use_det": False, "use_cls": False} if arguments.single else {}
    for path in arguments.pictures:
        start = time.perf_counter()
        result = engine(path, **options)
        seconds = time.perf_counter() - start
        texts = result.txts or ()
        text = "".join(texts) if arguments.single else lines_of(result.boxes if texts else (), texts)
        print(json.dumps({"path": path, "text": text, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
