"""The folder that preparation writes and training reads.

manifest.json                       written last: name, configuration, protocol, counts, size and
                                    sha256 of every other file
user_ids.parquet, item_ids.parquet  column id: the raw id of each row; of users evaluation, too:
                                    who is only ever asked
meta_train-*.parquet                a scenario a row: number, scenario (name), users, items,
                                    candidates, aside_users, aside_items (lists of rows)
validation-*, meta_test-*           number, scenario, support_users, support_items,
                                    evaluation_users, evaluation_items, candidates
background-*, history-*             user, item: rows
user_embeddings.npy, item_embeddings.npy   where the source has embeddings
"""

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from cmml_tf.config import Protocol
from cmml_tf.datasets.layouts import PREPARED_FORMATS, PREPARED_MANIFEST, is_prepared
from cmml_tf.datasets.preparation.plan import packed
from cmml_tf.datasets.preparation.split_stages import FIELDS
from cmml_tf.datasets.preparation.work_folder import Arrays, sha256_of
from cmml_tf.datasets.reading.ids import as_array
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData
from cmml_tf.datasets.tasks.scenario_roles import META_TEST, META_TRAIN, VALIDATION
from cmml_tf.files import whole_folder

FORMAT = f"{PREPARED_FORMATS}2"


_STRICT = {"name": "strict", "because": "", "moment": None}


def load_prepared(folder: str | Path) -> ScenarioData:
    """Reads a prepared folder.

    Raises:
      FileNotFoundError: There is no manifest.
      ValueError: A file is missing or is not the one that was written, or another version of the
        library has written them.
    """
    folder = Path(folder)
    if not is_prepared(folder):
        raise FileNotFoundError(
            f"{folder} is no prepared folder: it has no {PREPARED_MANIFEST} of one. Write it with "
            "`cmml prepare`."
        )
    manifest = _read_manifest(folder / PREPARED_MANIFEST)
    for name, wanted in manifest["files"].items():
        file = folder / name
        if not file.is_file() or sha256_of(file) != wanted["sha256"]:
            raise ValueError(
                f"{file} is missing or not the file that was written with "
                f"{folder / PREPARED_MANIFEST}. Prepare the data again."
            )
    embeddings = {
        kind: read_matrix(folder / f"{kind}_embeddings.npy")
        if f"{kind}_embeddings.npy" in manifest["files"]
        else None
        for kind in ("user", "item")
    }
    background = _read_pairs(folder, manifest, "background")
    history = _read_pairs(folder, manifest, "history")
    users = pa.parquet.read_table(folder / "user_ids.parquet")
    protocol = manifest["protocol"]
    return ScenarioData(
        name=manifest["name"],
        user_ids=_ids(users),
        item_ids=_ids(pa.parquet.read_table(folder / "item_ids.parquet")),
        meta_train=tuple(_read_role(folder, manifest, META_TRAIN, Scenario)),
        validation=tuple(_read_role(folder, manifest, VALIDATION, HeldOutScenario)),
        meta_test=tuple(_read_role(folder, manifest, META_TEST, HeldOutScenario)),
        background_users=background[0],
        background_items=background[1],
        history_users=history[0],
        history_items=history[1],
        user_embeddings=embeddings["user"],
        item_embeddings=embeddings["item"],
        counts=manifest["counts"],
        protocol=protocol["name"],
        because=protocol["because"],
        moment=protocol["moment"],
        evaluation_users=np.flatnonzero(users["evaluation"].to_numpy()).astype(np.int32),
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    """What training needs of a manifest, in its types."""
    try:
        manifest = json.loads(path.read_bytes())
        whole = (
            isinstance(manifest["name"], str)
            and isinstance(manifest["format"], str)
            and (manifest["format"] != FORMAT or _is_protocol(manifest["protocol"]))
            and all(isinstance(count, int) for count in manifest["counts"].values())
            and all(
                name == Path(name).name and isinstance(wanted["sha256"], str)
                for name, wanted in manifest["files"].items()
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(
            f"{path} is damaged: it must hold the name, counts and files of a prepared folder. "
            "Prepare the data again."
        )
    if manifest["format"] != FORMAT:
        raise ValueError(
            f"{path} must be of {FORMAT!r}. Received: {manifest['format'][:80]!r}. Another version "
            "of the library has written it; prepare the data again."
        )
    return manifest


def _is_protocol(protocol: dict[str, Any]) -> bool:
    return (
        protocol["name"] in get_args(Protocol)
        and isinstance(protocol["because"], str)
        and isinstance(protocol["moment"], str | None)
    )


def save_prepared(data: ScenarioData, out: str | Path, config: dict[str, Any]) -> None:
    """Writes data that is in memory as a prepared folder, whole or not at all.

    Args:
      data: The scenarios.
      out: The folder, which must not exist.
      config: What made it; kept in the manifest.

    Raises:
      ValueError: The folder exists.
    """
    out = Path(out).absolute()
    if out.exists():
        raise ValueError(f"`out` must be a folder that does not exist. Received: out={out}.")
    with whole_folder(out) as folder:
        _fill(folder, data, config)


def _fill(folder: Path, data: ScenarioData, config: dict[str, Any]) -> None:
    is_evaluation = np.zeros(len(data.user_ids), bool)
    is_evaluation[data.evaluation_users] = True
    write_ids(folder / "user_ids.parquet", data.user_ids, evaluation=is_evaluation)
    write_ids(folder / "item_ids.parquet", data.item_ids)
    begin = 0
    for role in FIELDS:
        scenarios = getattr(data, role)
        names = np.array([scenario.name for scenario in scenarios], object)
        arrays = {"number": np.arange(begin, begin + len(scenarios), dtype=np.int32)}
        for field in FIELDS[role]:
            arrays |= packed(field, [getattr(scenario, field) for scenario in scenarios])
        write_role(folder / f"{role}-00000-of-00001.parquet", role, arrays, names)
        begin += len(scenarios)
    for kind in ("background", "history"):
        pairs = (getattr(data, f"{kind}_{side}") for side in ("users", "items"))
        write_pairs(folder / f"{kind}-00000-of-00001.parquet", *pairs)
    for kind in ("user", "item"):
        if getattr(data, f"{kind}_embeddings") is not None:
            np.save(folder / f"{kind}_embeddings.npy", getattr(data, f"{kind}_embeddings"))
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(folder.iterdir())
    }
    protocol = {"name": data.protocol, "because": data.because, "moment": data.moment}
    manifest = prepared_manifest(data.name, config, data.counts, files, protocol)
    (folder / PREPARED_MANIFEST).write_text(json.dumps(manifest, indent=2))


def prepared_manifest(
    name: str,
    config: dict[str, Any],
    counts: dict[str, int],
    files: dict[str, Any],
    protocol: dict[str, str | None] = _STRICT,
) -> dict[str, Any]:
    """What `manifest.json` holds."""
    return {
        "format": FORMAT,
        "name": name,
        "config": config,
        "protocol": protocol,
        "counts": {label: int(count) for label, count in counts.items()},
        "files": files,
    }


def write_role(path: Path, role: str, arrays: Arrays, names: np.ndarray) -> None:
    """A shard's scenarios of a role; `names`: of its scenarios, in the order of the arrays."""
    columns = {"number": arrays["number"], "scenario": pa.array(names, pa.string())}
    for field in FIELDS[role]:
        starts = pa.array(arrays[f"{field}_start"].astype(np.int32))
        columns[field] = pa.ListArray.from_arrays(starts, pa.array(arrays[field]))
    pa.parquet.write_table(pa.table(columns), path)


def write_pairs(path: Path, users: np.ndarray, items: np.ndarray) -> None:
    """Rows of pairs."""
    pa.parquet.write_table(pa.table({"user": users, "item": items}), path)


def write_ids(path: Path, ids: np.ndarray, **columns: np.ndarray) -> None:
    """Raw ids, row by row, and what else there is to say of them."""
    pa.parquet.write_table(pa.table({"id": ids, **columns}), path)


def _ids(table: pa.Table) -> np.ndarray:
    return as_array(table["id"].combine_chunks())


def _read_role(
    folder: Path, manifest: dict[str, Any], role: str, kind: type
) -> list[Scenario | HeldOutScenario]:
    found = {}
    for name in _of_kind(manifest, role):
        table = pa.parquet.read_table(folder / name).combine_chunks()
        lists = {field: _lists(table[field]) for field in FIELDS[role]}
        for row, (number, scenario) in enumerate(
            zip(table["number"].to_pylist(), table["scenario"].to_pylist(), strict=True)
        ):
            found[number] = kind(
                name=scenario, **{field: values[row] for field, values in lists.items()}
            )
    return [found[number] for number in sorted(found)]


def _lists(column: pa.ChunkedArray) -> list[np.ndarray]:
    lists = []
    for chunk in column.chunks:
        values, bounds = chunk.values.to_numpy(), chunk.offsets.to_numpy()
        lists += [values[begin:end] for begin, end in itertools.pairwise(bounds)]
    return lists


def _read_pairs(folder: Path, manifest: dict[str, Any], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """User and item rows, int32 each, sorted: parts are by user, so that users do not mix."""
    tables = [pa.parquet.read_table(folder / name) for name in _of_kind(manifest, kind)]
    users = np.concatenate([table["user"].to_numpy() for table in tables])
    items = np.concatenate([table["item"].to_numpy() for table in tables])
    order = np.lexsort((items, users))
    return users[order], items[order]


def _of_kind(manifest: dict[str, Any], kind: str) -> list[str]:
    return sorted(name for name in manifest["files"] if name.startswith(f"{kind}-"))
