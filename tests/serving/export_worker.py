"""Exports that are killed or run out of space, in processes of their own (see test_export).

Called as `export_worker.py FOLDER CASE...`, with names of `KILLED_AT` and `FILE_LIMITS`. TensorFlow
is imported once, then each case is a fork: FOLDER gets one model base path a case. A line of JSON
tells how the cases without a kill ended.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import tensorflow as tf
from serving_cases import ITEM_IDS, PLAIN, USER_IDS, filled_model

from cmml_tf.serving.export import export_model

gc.disable()  # what an export leaves goes with its process
# Killed when the first path of this pattern appears; the last one in the next version's export.
KILLED_AT = {
    "scratch": "tmp-*",
    "vocabulary": "tmp-*/item_ids.txt",
    "variables": "tmp-*/version/variables",
    "graph": "tmp-*/version/saved_model.pb",
    "extra": "tmp-*/version/assets.extra",
    "appeared": "1/saved_model.pb",
    "second": "1/../tmp-*/version/assets",
}
# Bytes that a file may have: the first file, the variables or the graph no longer fit.
FILE_LIMITS = {"full_at_once": 0, "full_at_variables": 2_000, "full_at_graph": 50_000}


def fork(case) -> int:
    pid = os.fork()
    if pid == 0:
        case()
        os._exit(0)
    return pid


def export_for_ever(base: Path) -> None:
    tf.get_logger().setLevel("ERROR")
    model = filled_model(PLAIN)
    while True:
        export_model(model, base, USER_IDS, ITEM_IDS)


def kill_when_it_appears(base: Path, pattern: str) -> None:
    pid = fork(lambda: export_for_ever(base))
    while not any(base.glob(pattern)):
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            sys.exit(f"The export ended before {pattern} appeared.")
        time.sleep(0.003)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def export_to_a_full_disk(base: Path, limit: int, report: Path) -> None:
    model = filled_model(PLAIN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        export_model(model, base, USER_IDS, ITEM_IDS)
    except OSError as error:
        outcome = str(error)
    else:
        outcome = "exported"
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    report.write_text(outcome)


def main(folder: Path, cases: list[str]) -> None:
    outcomes = {}
    for name in cases:
        (folder / name).mkdir()
        if name in KILLED_AT:
            kill_when_it_appears(folder / name, KILLED_AT[name])
            continue
        report, limit = folder / f"{name}.txt", FILE_LIMITS[name]
        pid = fork(
            lambda n=name, size=limit, to=report: export_to_a_full_disk(folder / n, size, to)
        )
        os.waitpid(pid, 0)
        outcomes[name] = report.read_text() if report.exists() else "died"
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
