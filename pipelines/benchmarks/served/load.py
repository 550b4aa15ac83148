"""Closed-loop load over gRPC: clients that each ask again as soon as they are answered.

Where h2load is installed (of nghttp2, Debian package nghttp2-client) it asks: clients in C leave
the server its cores, and clients in Python cost as much as a small request. Otherwise threads of
this process do.
"""

import re
import shutil
import subprocess
import tempfile
import threading
import time

import grpc

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_TIMEOUT = 60


def generator() -> str:
    """Who asks: `h2load` or `threads`."""
    return "threads" if shutil.which("h2load") is None else "h2load"


def closed_loop(address: str, request: bytes, clients: int, seconds: float) -> float:
    """Answers a second to PredictionService.Predict.

    The request is serialized before and answers are not parsed: load takes little from the server.

    Raises:
      grpc.RpcError: A request failed.
      OSError: h2load failed; says how.
    """
    with grpc.insecure_channel(address) as channel:
        answer = channel.unary_unary(_PREDICT)(request, timeout=_TIMEOUT)
    if generator() == "threads":
        return _by_threads(address, request, clients, seconds)
    return _by_h2load(address, request, len(answer), clients, seconds)


def _by_h2load(
    address: str, request: bytes, answer_bytes: int, clients: int, seconds: float
) -> float:
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"\0" + len(request).to_bytes(4, "big") + request)
        body.flush()
        command = [
            *("h2load", f"--clients={clients}", "--max-concurrent-streams=1", "--threads=1"),
            *(f"--duration={round(1e3 * seconds)}ms", "--warm-up-time=200ms"),
            f"--data={body.name}",
            *("--header=content-type: application/grpc", "--header=te: trailers"),
            f"http://{address}{_PREDICT}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    if done.returncode or counts is None or counts[2] != "0" or counts[3] != "0":
        raise OSError(f"h2load failed: {done.stderr.strip() or done.stdout.strip()}")
    # h2load reads no gRPC status, but an error is shorter than an answer.
    data = re.search(r"\((\d+)\) data", done.stdout)
    received = 0 if data is None else int(data[1])
    if received < (int(counts[1]) - clients) * answer_bytes:
        raise OSError(f"{address} answered errors: {received} bytes in {counts[1]} answers.")
    return int(counts[1]) / seconds


def _by_threads(address: str, request: bytes, clients: int, seconds: float) -> float:
    answered, failures = [0] * clients, []
    begin = threading.Barrier(clients + 1)

    def ask(number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(address, options) as channel:
            call = channel.unary_unary(_PREDICT)
            try:
                call(request, timeout=_TIMEOUT)
                begin.wait()
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    call(request, timeout=_TIMEOUT)
                    answered[number] += 1
            except grpc.RpcError as error:
                begin.abort()
                failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        begin.wait()
        started = time.monotonic()
    except threading.BrokenBarrierError:
        started = time.monotonic()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(answered) / (time.monotonic() - started)
