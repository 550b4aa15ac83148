"""From logs to shards of filtered scenarios."""

import numpy as np
import pandas as pd

from cmml_tf.datasets.log_file import ABSENT
from cmml_tf.datasets.preparation.plan import (
    MALFORMED,
    NAMES,
    PAIRS,
    POOL,
    VOCABULARY,
    Block,
    Preparation,
    divide,
    is_in,
    packed,
)
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts
from cmml_tf.datasets.scenarios import large_enough
from cmml_tf.datasets.text_embeddings import embedding_block

READ = "interactions read"
BELOW = "below min_value"
UNKNOWN = "interactions of an id without embedding, left out"
REPEATED = "repeated (user, item) pairs, counted once"
DISTINCT = "pairs"
FOUND = "scenarios found"


def read_embeddings(
    prepared: Preparation, blocks: tuple[Block, ...], task: int
) -> tuple[Arrays, Counts]:
    """A block of embeddings: ids and matrix."""
    file, block = blocks[task]
    columns, malformed = prepared.source.embeddings[file].read(block)
    table = embedding_block(columns)
    return {"ids": table.ids, "matrix": table.matrix}, {MALFORMED: malformed}


def read_block(prepared: Preparation, task: int) -> tuple[dict[int, Arrays], Counts]:
    """The interactions of a block that reach `min_value`, by part of users."""
    log, block = prepared.blocks[task]
    columns, malformed = prepared.source.logs[log].read(block)
    counts = {READ: len(columns["user"]), MALFORMED: malformed}
    if prepared.scenario.min_value is not None:
        value = columns.pop("value", np.ones(len(columns["user"])))
        reached = value >= prepared.scenario.min_value
        columns = {name: column[reached] for name, column in columns.items()}
        counts[BELOW] = int((~reached).sum())
    column = prepared.source.definition.removeprefix("column:")
    if prepared.source.by_column and column in columns:
        columns["scenario"] = columns[column]
    columns = {name: columns[name] for name in ("user", "item", "scenario") if name in columns}
    for name, log in zip(("user", "item"), prepared.source.embeddings or (), strict=False):
        if log.kinds["id"] == "str":
            columns[name] = columns[name].astype(str)
    users = columns["user"]
    hashed = pd.util.hash_array(users.astype(object) if users.dtype.kind == "U" else users)
    part = (hashed % np.uint64(prepared.parts)).astype(np.int32)
    return divide(columns, part, prepared.parts), counts


def merge_part(prepared: Preparation, part: int, pieces: list[Arrays]) -> tuple[Arrays, Counts]:
    """The distinct pairs of a part's users, as places in its own ids, and their scenarios."""
    del part
    users = np.concatenate([piece["user"] for piece in pieces])
    items = np.concatenate([piece["item"] for piece in pieces])
    user_ids, user = np.unique(users, return_inverse=True)
    item_ids, item = np.unique(items, return_inverse=True)
    del users, items
    known = np.ones(len(user), bool)
    counts = {}
    if prepared.source.embeddings is not None:
        vocabulary = prepared.folder.load(VOCABULARY, 0)
        known = is_in(user_ids, vocabulary["user_ids"])[user]
        known &= is_in(item_ids, vocabulary["item_ids"])[item]
        counts[UNKNOWN] = int((~known).sum())
    keys, pair = np.unique(user[known] * len(item_ids) + item[known], return_inverse=True)
    counts |= {REPEATED: int(known.sum()) - len(keys), DISTINCT: len(keys)}
    pair_user, pair_item = np.divmod(keys, max(1, len(item_ids)))
    arrays = {
        "user_ids": user_ids,
        "item_ids": item_ids,
        "user": pair_user.astype(np.int32),
        "item": pair_item.astype(np.int32),
    }
    if prepared.source.by_column:
        raw, row = _scenarios_of_rows(pieces)
        of_known = np.cumsum(known) - 1
        inside = known[row]
        names, code = np.unique(raw[inside], return_inverse=True)
        members = np.unique(code * max(1, len(keys)) + pair[of_known[row[inside]]])
        member_scenario, member_pair = np.divmod(members, max(1, len(keys)))
        arrays |= {
            "scenario_names": names,
            "member_scenario": member_scenario.astype(np.int32),
            "member_pair": member_pair.astype(np.int32),
        }
    return arrays, counts


def place_part(prepared: Preparation, task: int) -> tuple[dict[int, Arrays], Counts]:
    """The pairs of a part in every scenario that they are in, by shard of scenarios."""
    arrays = prepared.folder.load(PAIRS, task)
    user, item = pair_rows(prepared, arrays)
    if prepared.source.by_column:
        names = prepared.folder.load(NAMES, 0)["names"]
        scenario = np.searchsorted(names, arrays["scenario_names"])[arrays["member_scenario"]]
        pair = arrays["member_pair"]
    else:
        groups = prepared.folder.load(NAMES, 0)
        sizes = np.diff(groups["starts"])[item]
        pair = np.repeat(np.arange(len(item)), sizes)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        scenario = groups["codes"][groups["starts"][item[pair]] + within]
    rows = {
        "scenario": scenario.astype(np.int32),
        "user": user[pair].astype(np.int32),
        "item": item[pair].astype(np.int32),
    }
    return divide(rows, scenario % prepared.shards, prepared.shards), {}


def merge_shard(prepared: Preparation, shard: int, pieces: list[Arrays]) -> tuple[Arrays, Counts]:
    """The pairs of a shard's scenarios that pass the filters, sorted, and their pools."""
    scenario, user, item = (
        np.concatenate([piece[name] for piece in pieces]) for name in ("scenario", "user", "item")
    )
    order = np.lexsort((item, user, scenario))
    scenario, user, item = scenario[order], user[order], item[order]
    pool = {"scenario": np.zeros(0, np.int32), "item": np.zeros(0, np.int32)}
    if prepared.source.pool is not None:
        pool = prepared.folder.load(POOL, 0)
        here = pool["scenario"] % prepared.shards == shard
        pool = {name: column[here] for name, column in pool.items()}
    codes, start = np.unique(scenario, return_index=True)
    bounds = np.append(start, len(scenario))
    pool_bounds = (
        np.searchsorted(pool["scenario"], codes),
        np.searchsorted(pool["scenario"], codes, side="right"),
    )
    candidates = [
        np.union1d(item[begin:end], pool["item"][first:last])
        for begin, end, first, last in zip(bounds[:-1], bounds[1:], *pool_bounds, strict=True)
    ]
    sizes = np.array([len(found) for found in candidates], np.int64)
    kept, counts = large_enough(sizes, np.diff(bounds), prepared.scenario)
    inside = np.repeat(kept, np.diff(bounds))
    arrays = {
        "scenario": codes[kept].astype(np.int32),
        "start": np.concatenate([[0], np.cumsum(np.diff(bounds)[kept])]).astype(np.int64),
        "user": user[inside],
        "item": item[inside],
        **packed("candidates", [c for c, keep in zip(candidates, kept, strict=True) if keep]),
    }
    return arrays, {FOUND: len(codes), **counts}


def pair_rows(prepared: Preparation, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """User and item rows, int64 [N] each, of a part's pairs."""
    vocabulary = prepared.folder.load(VOCABULARY, 0)
    user = np.searchsorted(vocabulary["user_ids"], arrays["user_ids"])[arrays["user"]]
    item = np.searchsorted(vocabulary["item_ids"], arrays["item_ids"])[arrays["item"]]
    return user, item


def _scenarios_of_rows(pieces: list[Arrays]) -> tuple[np.ndarray, np.ndarray]:
    """The scenario of each row that has one, as the log calls it, and the row's place."""
    begin, named, rows = 0, [], []
    for piece in pieces:
        if "scenario" in piece:
            column = piece["scenario"]
            present = np.flatnonzero(column != ("" if column.dtype.kind == "U" else ABSENT))
            named.append(column[present])
            rows.append(begin + present)
        begin += len(piece["user"])
    return np.concatenate(named), np.concatenate(rows)
