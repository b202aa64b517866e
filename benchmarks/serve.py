#!/usr/bin/env python3
"""Asks `lenet serve` more than its users will, on one machine, and records how it bears that.

    ./serve.py            all of it, about fifteen minutes, recorded in record/
    ./serve.py --quick    a minute, nothing recorded

Four loads, one after the other:

- crowd: 64 connections ask as fast as they are answered, until a million pictures of 28x28 are read. The memory is looked
  at after each hundred thousand.
- mixed: 300 pictures a second while one client sends a photo of 12 megapixels each second and another sends garbage.
- slow: the same while 200 clients send a byte a second.
- stop: 16 connections ask without pause, and the server gets SIGTERM. A request is lost if it was sent and not answered.
"""
import argparse
import csv
import datetime
import http.client
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

from run import HERE, machine_description, other_processor_seconds, provenance

CROWD = 64
RATE = 300
PATH = "/v1/recognize"


def tools():
    """Gets the load generators, and the encoder of the photo, from Debian's packages."""
    missing = [package for package, program in (("wrk", "wrk"), ("hey", "hey"), ("netpbm", "pnmtojpeg")) if not shutil.which(program)]
    if missing:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing], check=True)


def png(width, height, rows):
    """A grey picture as a file."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def seven(side):
    """Ink of a 7 that fills most of a square."""
    width = max(2, side // 11)
    stem = lambda y: 0.72 * side - (y - 0.2 * side) * 0.55
    ink = lambda x, y: (abs(y - 0.2 * side) < width / 2 and 0.22 * side < x < 0.74 * side) or (
        0.2 * side < y < 0.82 * side and abs(x - stem(y)) < width / 2)
    return [[250 if ink(x, y) else 0 for x in range(side)] for y in range(side)]


def photo():
    """4000 x 3000 pixels of noisy paper with four digits, as JPEG."""
    width, height, side = 4000, 3000, 600
    noise = random.Random(1).randbytes(1 << 16)
    paper = bytearray((210 + noise[(i * 7919) & 0xFFFF] % 24) & 0xFF for i in range(width)) * height
    digit = seven(side)
    for place in range(4):
        for y, row in enumerate(digit):
            start = (1200 + y) * width + 500 + 800 * place
            for x, ink in enumerate(row):
                if ink:
                    paper[start + x] = 40
    return subprocess.run(["pnmtojpeg"], input=b"P5 %d %d 255\n" % (width, height) + paper, capture_output=True, check=True).stdout


class Server:
    def __init__(self):
        binary = HERE.parent / "target/release/lenet"
        self.process = subprocess.Popen([binary, "serve", "--port", "0", "--quiet"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip().removeprefix("http://")
        host, port = self.address.split(":")
        self.host, self.port = host, int(port)

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def memory(self):
        """Megabytes that it holds."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def crowd(server, folder, count):
    """Rows for the record: rate, p50 and p99 of each hundred thousand requests or so, and the memory after them."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nlocal file = io.open("{folder}/digit.png", "rb")\nwrk.body = file:read("*a")\n')
    milliseconds = lambda text: float(text[:-2]) if text.endswith("ms") else float(text[:-2]) / 1000 if text.endswith("us") else 1000 * float(text[:-1])
    done, rows = 0, []
    while done < count:
        said = subprocess.run(["wrk", "--threads", "1", "--connections", str(CROWD), "--duration", "20s" if count > 100_000 else "5s",
                               "--latency", "--script", script, f"http://{server.address}{PATH}"],
                              capture_output=True, text=True, check=True).stdout
        done += int(re.search(r"(\d+) requests in", said)[1])
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said), re.search(r"Socket errors: (.*)", said)
        p50, p99 = (milliseconds(re.search(rf"^\s+{part}%\s+(\S+)", said, re.MULTILINE)[1]) for part in (50, 99))
        rate = float(re.search(r"Requests/sec:\s+(\S+)", said)[1])
        failed = " ".join(match[0] for match in bad if match)
        rows.append({"load": "crowd", "requests": done, "rate": rate, "p50_ms": p50, "p99_ms": p99,
                     "megabytes": round(server.memory(), 1), "failed": failed})
        print(rows[-1], flush=True)
    return rows


def steady(server, folder, load, seconds, disturbers):
    """The same pictures at a steady rate while others disturb: one row."""
    over = threading.Event()
    counts = [0] * len(disturbers)

    def disturb(index):
        while not over.is_set():
            disturbers[index](server, over)
            counts[index] += 1

    threads = [threading.Thread(target=disturb, args=[index]) for index in range(len(disturbers))]
    for thread in threads:
        thread.start()
    workers = 30
    said = subprocess.run(["hey", "-z", f"{seconds}s", "-c", str(workers), "-q", str(RATE // workers), "-m", "POST", "-T", "image/png",
                           "-D", folder / "digit.png", f"http://{server.address}{PATH}"],
                          capture_output=True, text=True, check=True).stdout
    over.set()
    for thread in threads:
        thread.join()
    quantile = lambda part: 1000 * float(re.search(rf"{part}% in (\S+) secs", said)[1])
    statuses = dict(re.findall(r"\[(\d+)\]\s+(\d+) responses", said))
    good = int(statuses.pop("200", 0))
    failed = " ".join(f"{status}: {count}" for status, count in statuses.items()) + "".join(re.findall(r"Error distribution:\n(.*)", said))
    row = {"load": load, "requests": good, "rate": good / seconds, "p50_ms": quantile(50), "p99_ms": quantile(99),
           "megabytes": round(server.memory(), 1), "failed": failed}
    print(row, "others:", counts, flush=True)
    return row


def photographer(picture):
    def send(server, over):
        begin = time.monotonic()
        connection = server.connection()
        connection.request("POST", PATH, picture)
        answer = connection.getresponse()
        if answer.status not in (200, 503):
            sys.exit(f"photo: {answer.status} {answer.read()}")
        connection.close()
        over.wait(max(0, 1 - (time.monotonic() - begin)))
    return send


def garbage(server, over):
    body = random.randbytes(20_000)
    connection = server.connection()
    connection.request("POST", PATH, random.choice([body, b"\x89PNG\r\n\x1a\n" + body, b"\xff\xd8\xff\xe0" + body]))
    connection.getresponse().read()
    connection.close()
    over.wait(0.02)


def dribblers(server, over):
    """200 clients that send a byte a second, as long as they are let."""
    sockets = []
    for _ in range(200):
        client = socket.create_connection((server.host, server.port))
        client.send(b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n" + random.choice([b"", b"\r\n"]))
        sockets.append(client)
    for _ in range(20):
        if over.wait(1):
            break
        for client in sockets:
            try:
                client.send(b"x")
            except OSError:
                pass
    for client in sockets:
        client.close()


def stop(server, picture):
    """Tells a server under load to stop: a row whose `failed` says how many requests were lost."""
    sent, answered, lost = [0] * 16, [0] * 16, [0] * 16

    def ask(index):
        connection = server.connection()
        while True:
            try:
                connection.connect()
            except OSError:
                return
            alive = True
            while alive:
                connection.request("POST", PATH, picture)
                sent[index] += 1
                try:
                    answer = connection.getresponse()
                    answer.read()
                    answered[index] += answer.status == 200
                    alive = not answer.will_close
                except OSError:
                    lost[index] += 1
                    alive = False
            connection.close()

    threads = [threading.Thread(target=ask, args=[index]) for index in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    status = server.stop()
    for thread in threads:
        thread.join()
    row = {"load": "stop", "requests": sum(answered), "rate": sum(sent) / 3, "failed": f"lost: {sum(lost)}, exit status {status}"}
    print(row, flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute, not recorded")
    quick = parser.parse_args().quick
    tools()
    subprocess.run(["cargo", "build", "--release", "--locked", "--package=lenet-cli", "--manifest-path", HERE.parent / "Cargo.toml"], check=True)
    folder = HERE / "cache"
    folder.mkdir(exist_ok=True)
    digit, picture = png(28, 28, seven(28)), photo()
    (folder / "digit.png").write_bytes(digit)
    before = other_processor_seconds()
    time.sleep(3)
    busy = (other_processor_seconds() - before) / 3
    server = Server()
    rows = crowd(server, folder, 20_000 if quick else 1_000_000)
    seconds = 10 if quick else 60
    rows.append(steady(server, folder, "steady", seconds, []))
    rows.append(steady(server, folder, "mixed", seconds, [photographer(picture), garbage]))
    rows.append(steady(server, folder, "slow", seconds, [dribblers]))
    rows.append(stop(server, digit))
    if not quick:
        record = HERE / "record" / f"serve-{datetime.datetime.now(datetime.UTC):%Y-%m-%d-%H%M}.csv"
        with record.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["load", "requests", "rate", "p50_ms", "p99_ms", "megabytes", "failed"])
            writer.writeheader()
            writer.writerows(rows)
        record.with_suffix(".txt").write_text("\n".join([*provenance(), f"processors that others kept busy before it: {busy:.2f}", "", *machine_description()]))


if __name__ == "__main__":
    main()
