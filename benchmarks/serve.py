"""Requests a second of `automl serve`, beside a bare loop of onnxruntime over the same files.

    python -m benchmarks.serve MODEL IMAGES [--clients 8] [--seconds 20]

MODEL is a folder that `automl export --to onnx` wrote, IMAGES a folder of images. The loop decodes each file and runs
the session on it, one after the other, as a script without a server would. The server gets the same files from several
clients at once, each with one request at a time on a connection that stays open. Both have all cores; the clients run
on the same machine and take their share.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from automl.delivery.serve.served_model import serve_model

SUFFIXES = (".jpg", ".jpeg", ".png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; 1 if the server has less than 80 % of the loop's images a second."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args(arguments)
    files = [path.read_bytes() for path in sorted(args.images.rglob("*")) if path.suffix.lower() in SUFFIXES]
    loop = bare_loop(args.model, files, args.seconds)
    served, taken, errors = server(args.model, files, args.clients, args.seconds)
    ordered = sorted(taken)
    p50, p95 = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
    print("| way | images a second | p50 | p95 | errors |")
    print("|---|---|---|---|---|")
    print(f"| loop | {loop:.1f} | | | |")
    print(
        f"| server, {args.clients} clients | {served:.1f} ({served / loop:.0%}) | {1e3 * p50:.0f} ms | "
        f"{1e3 * p95:.0f} ms | {errors} |"
    )
    return int(served < 0.8 * loop or errors > 0)


def bare_loop(model: str, files: Sequence[bytes], seconds: float) -> float:
    """Return images a second of decoding and scoring one after the other."""
    found = serve_model(model)
    found.score(found.pixels(files[0])[None])
    begun, done = time.perf_counter(), 0
    for content in itertools.cycle(files):
        found.score(found.pixels(content)[None])
        done += 1
        if time.perf_counter() - begun > seconds:
            break
    return done / (time.perf_counter() - begun)


def server(
    model: str, files: Sequence[bytes], clients: int, seconds: float
) -> tuple[float, list[float], int]:
    """Return images a second of a server, the seconds of each request, and how many of them failed."""
    command = [sys.executable, "-m", "automl", "serve", model, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if line.startswith("serving"))
            found = re.search(r"http://127.0.0.1:(\d+)", line)
            assert found is not None, line
            taken: list[float] = []
            errors: list[int] = []
            start = threading.Barrier(clients + 1)
            until = [0.0]
            each = [
                threading.Thread(
                    target=_client, args=(int(found[1]), files[i::clients], start, until, taken, errors)
                )
                for i in range(clients)
            ]
            for thread in each:
                thread.start()
            begun = time.perf_counter()
            until[0] = begun + seconds
            start.wait()
            for thread in each:
                thread.join()
            return len(taken) / (time.perf_counter() - begun), taken, len(errors)
        finally:
            process.terminate()


def _client(
    port: int,
    files: Sequence[bytes],
    start: threading.Barrier,
    until: list[float],
    taken: list[float],
    errors: list[int],
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    head = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    bodies = [head + content + b"\r\n--x--\r\n" for content in files]
    start.wait()
    for body in itertools.cycle(bodies):
        begun = time.perf_counter()
        if begun > until[0]:
            break
        connection.request("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=x"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status == 200 and said["predictions"]:
            taken.append(time.perf_counter() - begun)
        else:
            errors.append(answer.status)
    connection.close()


if __name__ == "__main__":
    raise SystemExit(main())
