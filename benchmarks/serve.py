#!/usr/bin/env python3
"""Measures `lenet serve` under load on one machine: throughput, latency, memory, and lost requests.

    ./serve.py            all loads, about fifteen minutes, recorded in record/
    ./serve.py --quick    all loads for a minute in total, not recorded

The loads, one after the other:

- crowd: 64 connections that send images of 28x28 without pause, until a million are recognized. The memory is measured after
  every 20 seconds.
- steady: 300 images a second.
- mixed: the same, while one client sends a photo of 12 megapixels every second and another sends invalid files.
- slow: the same, while 200 clients send one byte a second.
- stop: 16 connections that send without pause, and SIGTERM after three seconds. A request without a response counts as lost.
"""
import argparse
import csv
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

from run import HERE, build_cli, machine_description, other_processor_seconds, provenance, record_path

CROWD_CONNECTIONS = 64
STEADY_RATE = 300  # requests a second
STEADY_CONNECTIONS = 30
STOP_CONNECTIONS = 16
SLOW_CLIENTS = 200
RECOGNIZE_PATH = "/v1/recognize"
COLUMNS = ["load", "requests", "rate", "p50_ms", "p99_ms", "megabytes", "failed"]


def install_tools():
    """Installs the load generators and the JPEG encoder from Debian's packages, if they are missing."""
    programs = {"wrk": "wrk", "hey": "hey", "netpbm": "pnmtojpeg"}
    missing = [package for package, program in programs.items() if not shutil.which(program)]
    if missing:
        subprocess.run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing], check=True)


def encode_png(width, height, rows):
    """Returns a gray image as a PNG file."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def draw_seven(side):
    """Returns the rows of a square image of a 7: ink is 250, paper is 0."""
    width = max(2, side // 11)
    stem_x = lambda y: 0.72 * side - (y - 0.2 * side) * 0.55
    is_ink = lambda x, y: (abs(y - 0.2 * side) < width / 2 and 0.22 * side < x < 0.74 * side) or (
        0.2 * side < y < 0.82 * side and abs(x - stem_x(y)) < width / 2)
    return [[250 if is_ink(x, y) else 0 for x in range(side)] for y in range(side)]


def make_photo():
    """Returns a JPEG file of 4000 x 3000 pixels: four digits on noisy paper."""
    width, height, side = 4000, 3000, 600
    noise = random.Random(1).randbytes(1 << 16)
    pixels = bytearray((210 + noise[(i * 7919) & 0xFFFF] % 24) & 0xFF for i in range(width)) * height
    seven = draw_seven(side)
    for position in range(4):
        for y, row in enumerate(seven):
            start = (1200 + y) * width + 500 + 800 * position
            for x, ink in enumerate(row):
                if ink:
                    pixels[start + x] = 40
    return subprocess.run(["pnmtojpeg"], input=b"P5 %d %d 255\n" % (width, height) + pixels, capture_output=True, check=True).stdout


class Server:
    """A running `lenet serve`."""

    def __init__(self):
        binary = HERE.parent / "target/release/lenet"
        self.process = subprocess.Popen([binary, "serve", "--port", "0", "--quiet"], stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip().removeprefix("http://")
        host, port = self.address.split(":")
        self.host, self.port = host, int(port)

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def resident_megabytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)

    def terminate(self):
        """Sends SIGTERM and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def milliseconds(text):
    """Parses a duration as wrk prints it, such as 850.00us, 1.20ms or 2.00s."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure_crowd(server, folder, min_requests):
    """Sends at least `min_requests` requests as fast as possible. Returns a row for the record for every run of wrk."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nlocal file = io.open("{folder}/digit.png", "rb")\nwrk.body = file:read("*a")\n')
    duration = "20s" if min_requests > 100_000 else "5s"
    requests, rows = 0, []
    while requests < min_requests:
        output = subprocess.run(["wrk", "--threads", "1", "--connections", str(CROWD_CONNECTIONS), "--duration", duration,
                                 "--latency", "--script", script, f"http://{server.address}{RECOGNIZE_PATH}"],
                                capture_output=True, text=True, check=True).stdout
        requests += int(re.search(r"(\d+) requests in", output)[1])
        failures = re.search(r"Non-2xx or 3xx responses: (\d+)", output), re.search(r"Socket errors: (.*)", output)
        p50, p99 = (milliseconds(re.search(rf"^\s+{percentile}%\s+(\S+)", output, re.MULTILINE)[1]) for percentile in (50, 99))
        rate = float(re.search(r"Requests/sec:\s+(\S+)", output)[1])
        failed = " ".join(match[0] for match in failures if match)
        rows.append({"load": "crowd", "requests": requests, "rate": rate, "p50_ms": p50, "p99_ms": p99,
                     "megabytes": server.resident_megabytes(), "failed": failed})
        print(rows[-1], flush=True)
    return rows


def measure_steady(server, folder, load, seconds, disturbances):
    """Sends images at a steady rate while each of `disturbances` runs repeatedly in a thread. Returns a row for the record."""
    finished = threading.Event()
    counts = [0] * len(disturbances)

    def disturb(index):
        while not finished.is_set():
            disturbances[index](server, finished)
            counts[index] += 1

    threads = [threading.Thread(target=disturb, args=[index]) for index in range(len(disturbances))]
    for thread in threads:
        thread.start()
    output = subprocess.run(["hey", "-z", f"{seconds}s", "-c", str(STEADY_CONNECTIONS), "-q", str(STEADY_RATE // STEADY_CONNECTIONS),
                             "-m", "POST", "-T", "image/png", "-D", folder / "digit.png", f"http://{server.address}{RECOGNIZE_PATH}"],
                            capture_output=True, text=True, check=True).stdout
    finished.set()
    for thread in threads:
        thread.join()
    percentile_ms = lambda percentile: 1000 * float(re.search(rf"{percentile}% in (\S+) secs", output)[1])
    statuses = dict(re.findall(r"\[(\d+)\]\s+(\d+) responses", output))
    succeeded = int(statuses.pop("200", 0))
    failed = " ".join(f"{status}: {count}" for status, count in statuses.items()) + "".join(re.findall(r"Error distribution:\n(.*)", output))
    row = {"load": load, "requests": succeeded, "rate": succeeded / seconds, "p50_ms": percentile_ms(50), "p99_ms": percentile_ms(99),
           "megabytes": server.resident_megabytes(), "failed": failed}
    print(row, "disturbances:", counts, flush=True)
    return row


def send_photos(photo):
    """Returns a disturbance that sends the photo once a second."""
    def send_photo(server, finished):
        start = time.monotonic()
        connection = server.connection()
        connection.request("POST", RECOGNIZE_PATH, photo)
        response = connection.getresponse()
        if response.status not in (200, 503):
            sys.exit(f"photo: expected status 200 or 503, found {response.status}: {response.read()}")
        connection.close()
        finished.wait(max(0, 1 - (time.monotonic() - start)))
    return send_photo


def send_invalid_file(server, finished):
    """Sends random bytes, with or without the signature of PNG or JPEG."""
    body = random.randbytes(20_000)
    connection = server.connection()
    connection.request("POST", RECOGNIZE_PATH, random.choice([body, b"\x89PNG\r\n\x1a\n" + body, b"\xff\xd8\xff\xe0" + body]))
    connection.getresponse().read()
    connection.close()
    finished.wait(0.02)


def send_slowly(server, finished):
    """Opens connections that send one byte a second, for 20 seconds or until the server closes them."""
    sockets = []
    for _ in range(SLOW_CLIENTS):
        client = socket.create_connection((server.host, server.port))
        client.send(b"POST /v1/recognize HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n" + random.choice([b"", b"\r\n"]))
        sockets.append(client)
    for _ in range(20):
        if finished.wait(1):
            break
        for client in sockets:
            try:
                client.send(b"x")
            except OSError:
                pass
    for client in sockets:
        client.close()


def measure_stop(server, image):
    """Terminates the server under load. Returns a row for the record, whose `failed` has the number of lost requests."""
    sent, succeeded, lost = [0] * STOP_CONNECTIONS, [0] * STOP_CONNECTIONS, [0] * STOP_CONNECTIONS

    def send_requests(index):
        connection = server.connection()
        while True:
            try:
                connection.connect()
            except OSError:
                return
            is_open = True
            while is_open:
                connection.request("POST", RECOGNIZE_PATH, image)
                sent[index] += 1
                try:
                    response = connection.getresponse()
                    response.read()
                    succeeded[index] += response.status == 200
                    is_open = not response.will_close
                except OSError:
                    lost[index] += 1
                    is_open = False
            connection.close()

    threads = [threading.Thread(target=send_requests, args=[index]) for index in range(STOP_CONNECTIONS)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    status = server.terminate()
    for thread in threads:
        thread.join()
    row = {"load": "stop", "requests": sum(succeeded), "rate": sum(sent) / 3, "failed": f"lost: {sum(lost)}, exit status {status}"}
    print(row, flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="run for a minute and record nothing")
    quick = parser.parse_args().quick
    install_tools()
    build_cli()
    folder = HERE / "cache"
    folder.mkdir(exist_ok=True)
    digit, photo = encode_png(28, 28, draw_seven(28)), make_photo()
    (folder / "digit.png").write_bytes(digit)
    before = other_processor_seconds()
    time.sleep(3)
    busy_processors = (other_processor_seconds() - before) / 3
    server = Server()
    rows = measure_crowd(server, folder, 20_000 if quick else 1_000_000)
    seconds = 10 if quick else 60
    rows.append(measure_steady(server, folder, "steady", seconds, []))
    rows.append(measure_steady(server, folder, "mixed", seconds, [send_photos(photo), send_invalid_file]))
    rows.append(measure_steady(server, folder, "slow", seconds, [send_slowly]))
    rows.append(measure_stop(server, digit))
    if not quick:
        record = record_path("serve-")
        with record.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        description = [*provenance(), f"processors busy with other programs before the start: {busy_processors:.2f}", "", *machine_description()]
        record.with_suffix(".txt").write_text("\n".join(description))


if __name__ == "__main__":
    main()
