"""From logs to shards of filtered scenarios."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cmml_tf.datasets.preparation.id_kinds import seen_counts
from cmml_tf.datasets.preparation.plan import (
    MALFORMED,
    NAMES,
    PAIRS,
    POOL,
    VOCABULARY,
    Preparation,
    Task,
    divide,
    packed,
)
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts
from cmml_tf.datasets.reading.ids import coded, distinct, is_in, rows_of
from cmml_tf.datasets.reading.times import seconds_of
from cmml_tf.datasets.sources.text_embeddings import embedding_block
from cmml_tf.datasets.tasks.scenarios import earliest, large_enough
from cmml_tf.types import starts_of

READ = "interactions read"
BELOW = "below min_value"
UNKNOWN = "interactions of an id without embedding, left out"
REPEATED = "repeated (user, item) pairs, counted once"
DISTINCT = "pairs"
FOUND = "scenarios found"
UNTIMED = "interactions without a time"


def read_embeddings(
    prepared: Preparation, blocks: tuple[Task, ...], task: int
) -> tuple[Arrays, Counts]:
    """A block of embeddings: ids and matrix."""
    number, span = blocks[task]
    log = prepared.source.embeddings[number]
    block = log.read(span, prepared.whole_columns(log))
    counts = {MALFORMED: block.malformed, **seen_counts(log, block)}
    table = embedding_block(block.columns)
    return {"ids": table.ids, "matrix": table.matrix}, counts


def read_block(prepared: Preparation, task: int) -> tuple[dict[int, Arrays], Counts]:
    """The interactions of a block that reach `min_value`, by part of users."""
    number, span = prepared.blocks[task]
    block = prepared.read(prepared.source.logs[number], span)
    columns = block.columns
    counts = {READ: len(columns["user"]), MALFORMED: block.malformed}
    if prepared.scenario.min_value is not None:
        if "value" in columns:
            reached = pc.greater_equal(columns["value"], prepared.scenario.min_value)
        else:
            reached = pa.chunked_array([np.full(counts[READ], prepared.scenario.min_value <= 1)])
        columns = {name: column.filter(reached) for name, column in columns.items()}
        counts[BELOW] = counts[READ] - len(columns["user"])
    column = prepared.source.definition.removeprefix("column:")
    if prepared.source.by_column and column in columns:
        columns["scenario"] = columns[column]
    arrays = {}
    for name in ("user", "item", "scenario"):
        if name in columns:
            arrays[f"{name}_ids"], arrays[name] = coded(columns[name])
    if prepared.source.has_times:
        rows = len(columns["user"])
        untimed = np.full(rows, np.nan)
        is_timed = "timestamp" in columns
        arrays["time"] = seconds_of(columns["timestamp"], rows) if is_timed else untimed
    user_part = pd.util.hash_array(arrays["user_ids"]) % np.uint64(prepared.parts)
    part = user_part.astype(np.int32)[arrays["user"]]
    return divide(arrays, part, prepared.parts), counts


def merge_part(prepared: Preparation, part: int, pieces: list[Arrays]) -> tuple[Arrays, Counts]:
    """The distinct pairs of a part's users, as places in its own ids, and their scenarios."""
    del part
    user_ids, user = _together(pieces, "user")
    item_ids, item = _together(pieces, "item")
    known = np.ones(len(user), bool)
    counts = {}
    if prepared.source.embeddings is not None:
        vocabulary = prepared.folder.load(VOCABULARY, 0)
        known = is_in(user_ids, vocabulary["user_ids"])[user]
        known &= is_in(item_ids, vocabulary["item_ids"])[item]
        counts[UNKNOWN] = int((~known).sum())
    keys, pair = np.unique(user[known] * len(item_ids) + item[known], return_inverse=True)
    times = None
    if prepared.source.has_times:
        times = np.concatenate([piece["time"] for piece in pieces])
        counts[UNTIMED] = int(np.isnan(times[known]).sum())
    counts |= {REPEATED: int(known.sum()) - len(keys), DISTINCT: len(keys)}
    pair_user, pair_item = np.divmod(keys, max(1, len(item_ids)))
    arrays = {
        "user_ids": user_ids,
        "item_ids": item_ids,
        "user": pair_user.astype(np.int32),
        "item": pair_item.astype(np.int32),
    }
    if times is not None:
        arrays["time"] = earliest(times[known], pair, len(keys))
    if prepared.source.by_column:
        named, code, row = _scenarios_of_rows(pieces)
        of_known = np.cumsum(known) - 1
        inside = known[row]
        used, code = np.unique(code[inside], return_inverse=True)
        names = named[used]
        members, member = np.unique(
            code * max(1, len(keys)) + pair[of_known[row[inside]]], return_inverse=True
        )
        if times is not None:
            arrays["member_time"] = earliest(times[row[inside]], member, len(members))
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
        scenario = rows_of(arrays["scenario_names"], names)[arrays["member_scenario"]]
        pair, time = arrays["member_pair"], arrays.get("member_time")
    else:
        groups = prepared.folder.load(NAMES, 0)
        sizes = np.diff(groups["starts"])[item]
        pair = np.repeat(np.arange(len(item)), sizes)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        scenario = groups["codes"][groups["starts"][item[pair]] + within]
        time = arrays["time"][pair] if "time" in arrays else None
    rows = {
        "scenario": scenario.astype(np.int32),
        "user": user[pair].astype(np.int32),
        "item": item[pair].astype(np.int32),
    }
    if time is not None:
        rows["time"] = time
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
    pools = [pool["item"][first:last] for first, last in zip(*pool_bounds, strict=True)]
    sizes = np.array(
        [
            len(np.union1d(item[begin:end], more))
            for (begin, end), more in zip(itertools.pairwise(bounds), pools, strict=True)
        ],
        np.int64,
    )
    kept, counts = large_enough(sizes, np.diff(bounds), prepared.scenario)
    inside = np.repeat(kept, np.diff(bounds))
    arrays = {
        "scenario": codes[kept].astype(np.int32),
        "start": starts_of(np.diff(bounds)[kept]),
        "user": user[inside],
        "item": item[inside],
        **packed("pool", [p for p, keep in zip(pools, kept, strict=True) if keep]),
    }
    if "time" in pieces[0]:
        time = np.concatenate([piece["time"] for piece in pieces])[order]
        begins = [time[begin:end].min() for begin, end in itertools.pairwise(bounds)]
        arrays |= {"time": time[inside], "begin": np.array(begins, np.float64)[kept]}
    return arrays, {FOUND: len(codes), **counts}


def pair_rows(prepared: Preparation, arrays: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """User and item rows, int64 [N] each, of a part's pairs."""
    vocabulary = prepared.folder.load(VOCABULARY, 0)
    user = rows_of(arrays["user_ids"], vocabulary["user_ids"])[arrays["user"]]
    item = rows_of(arrays["item_ids"], vocabulary["item_ids"])[arrays["item"]]
    return user, item


def _together(pieces: list[Arrays], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Sorted distinct ids of all pieces, and int64 [N] the place of each row's; -1 without one."""
    ids, place = distinct(np.concatenate([piece[f"{name}_ids"] for piece in pieces]))
    place = np.append(place, -1)
    begin, rows = 0, []
    for piece in pieces:
        rows.append(place[np.where(piece[name] < 0, -1, begin + piece[name].astype(np.int64))])
        begin += len(piece[f"{name}_ids"])
    return ids, np.concatenate(rows)


def _scenarios_of_rows(pieces: list[Arrays]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names of scenarios, and of each row that is in one: which, and the row's place."""
    begins = np.cumsum([0, *(len(piece["user"]) for piece in pieces)])
    having = [place for place, piece in enumerate(pieces) if "scenario" in piece]
    names, code = _together([pieces[place] for place in having], "scenario")
    row = np.concatenate([np.arange(begins[p], begins[p + 1]) for p in having])
    inside = code >= 0
    return names, code[inside], row[inside]
