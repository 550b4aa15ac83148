"""Reading a large table of text ids: seconds and memory of whole processes."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROWS = 5_000_000
_TEXT = pa.schema([(name, pa.string()) for name in ("scenario", "user", "item")])
_USERS, _ITEMS, _SCENARIOS = 400_000, 100_000, 200
# The least that reads the file: what Arrow makes of it, as pandas has it.
_PLAIN = "import pyarrow.csv; rows = len(pyarrow.csv.read_csv(path).to_pandas())"
_TABLE = (
    "from cmml_tf.datasets.sources.own_interactions import load_table\n"
    "rows = len(load_table(path).table)"
)
_MEASURED = (
    "import json, re, sys, time; path = sys.argv[1]; start = time.monotonic()\n"
    "{read}\n"
    "seconds = time.monotonic() - start\n"
    # Not getrusage's peak, which begins with that of the process that started this one.
    "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
    "print(json.dumps({{'rows': rows, 'seconds': seconds, 'cpu_seconds': time.process_time(),\n"
    "                  'peak_mib': int(peak) / 1024}}))\n"
)


def measure(rounds: int) -> dict[str, Any]:
    """Medians of the rounds, in turn: this reader, and Arrow's as it is, each in a new process."""
    with tempfile.TemporaryDirectory() as name:
        path = _write(Path(name) / "log.csv")
        found: dict[str, list[dict[str, float]]] = {"table": [], "arrow_alone": []}
        for _ in range(rounds):
            for what, read in (("table", _TABLE), ("arrow_alone", _PLAIN)):
                code = _MEASURED.format(read=read)
                command = [sys.executable, "-c", code, str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[what].append(json.loads(done.stdout))
        size = path.stat().st_size / 2**20
    return {
        "rows": ROWS,
        "file_mib": size,
        **{
            what: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
            for what, runs in found.items()
        },
    }


def _write(path: Path) -> Path:
    """A table of scenario, user and item, all text."""
    rng = np.random.default_rng(0)
    item = rng.integers(0, _ITEMS, ROWS)
    numbers = {
        "scenario": (b"scene %d", item % _SCENARIOS),
        "user": (b"u%07d", rng.integers(0, _USERS, ROWS)),
        "item": (b"item-%d", item),
    }
    columns = {}
    for name, (form, values) in numbers.items():
        distinct = pa.array([form % number for number in range(values.max() + 1)])
        codes = pa.array(values, pa.int32())
        columns[name] = pa.DictionaryArray.from_arrays(codes, distinct).dictionary_decode()
    pa.csv.write_csv(pa.table(columns).cast(_TEXT), path, pa.csv.WriteOptions(quoting_style="none"))
    return path
