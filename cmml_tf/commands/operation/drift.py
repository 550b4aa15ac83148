"""Compares what an export was asked in service with what it was evaluated on.

cmml drift export/7 served.csv
cmml drift export served.parquet

`served.csv`, or parquet, holds a line for each scored pair: a column `score`, and where they were
kept `user_known` and `item_known` (1 or 0), as the answers have them. The manifest of the export
says what is usual. Ends with status 3 where something has drifted.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmml_tf.program import Arguments

_DRIFTED = 3


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument(
        "export", type=Path, help="version folder, or a model base path: its newest"
    )
    parser.add_argument("served", type=Path, help="table of what was served, CSV or parquet")
    arguments = parser.parse_args(argv)

    from cmml_tf.monitoring.drift import measure_drift

    found = measure_drift(_manifest(arguments.export), _served(arguments.served))
    print(f"{found.table()}\n{found.sentence}")
    return _DRIFTED if found.found else 0


def _manifest(folder: Path) -> dict[str, Any]:
    from cmml_tf.serving.version.manifest import read_manifest
    from cmml_tf.serving.version.version_folder import version_path, versions

    numbers = versions(folder)
    return read_manifest(version_path(folder, numbers[-1]) if numbers else folder)


def _served(file: Path) -> dict[str, Any]:
    import numpy as np
    import pandas as pd

    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read as a table: {error}") from error
    if "score" not in table.columns:
        raise ValueError(
            f"{file} must have a column 'score'. Received: {', '.join(map(str, table.columns))}."
        )
    kept = {}
    for name in ("score", "user_known", "item_known"):
        if name in table.columns:
            try:
                kept[name] = table[name].to_numpy(np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"Column {name!r} of {file} must hold numbers: {error}") from error
    return kept
