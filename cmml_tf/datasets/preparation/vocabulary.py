"""What one process settles when all parts are merged: the row of an id, the scenarios' names."""

import numpy as np

from cmml_tf.datasets.preparation.plan import NAMES, PAIRS, POOL, VOCABULARY, Preparation
from cmml_tf.datasets.preparation.work_folder import Arrays
from cmml_tf.datasets.reading.ids import as_array, distinct, rows_of
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.tasks.scenarios import groups_of_items
from cmml_tf.types import starts_of


def settle_vocabulary(prepared: Preparation) -> dict[str, int]:
    """Settles the ids of users and items, the scenarios' names and the pool, and counts the ids.

    Raises:
      ValueError: The pool has too many malformed lines, or the catalogue lacks what is asked for.
    """
    work, source = prepared.folder, prepared.source
    pool, counts = None, {}
    if source.pool is not None:
        malformed = MalformedLines(prepared.config.read)
        read = []
        for span in source.pool.blocks(prepared.config.read.block_bytes):
            block = prepared.read(source.pool, span)
            malformed.add(source.pool, span, block)
            read.append(block.columns)
        pool = {name: np.concatenate([as_array(b[name]) for b in read]) for name in read[0]}
        if malformed.count:
            counts[f"malformed lines of {source.pool.path.name}, left out"] = malformed.count
    if source.embeddings is None:
        ids: dict[str, list[np.ndarray]] = {"user_ids": [], "item_ids": []}
        for part in range(prepared.parts):
            for name in ids:
                ids[name].append(work.load_one(PAIRS, part, name))
        if pool is not None:
            ids["item_ids"].append(pool["item"])
        settled = {name: distinct(np.concatenate(lists))[0] for name, lists in ids.items()}
        work.save(VOCABULARY, 0, settled, {})
    vocabulary = work.load(VOCABULARY, 0)
    item_ids = vocabulary["item_ids"]
    if source.by_column:
        of_parts = [work.load_one(PAIRS, part, "scenario_names") for part in range(prepared.parts)]
        names, _ = distinct(np.concatenate(of_parts))
        work.save(NAMES, 0, {"names": names}, {})
        if pool is not None:
            work.save(POOL, 0, _pool_rows(pool, names, item_ids), {})
    else:
        groups = groups_of_items(
            source.name, source.columns, source.catalogue, prepared.scenario, item_ids
        )
        names = np.array(sorted({name for of_item in groups for name in of_item}), object)
        code = {name: place for place, name in enumerate(names.tolist())}
        codes = np.array([code[name] for of_item in groups for name in of_item], np.int32)
        starts = starts_of([len(of_item) for of_item in groups])
        work.save(NAMES, 0, {"names": names, "codes": codes, "starts": starts}, {})
    return {**counts, "users": len(vocabulary["user_ids"]), "items": len(item_ids)}


def _pool_rows(pool: Arrays, names: np.ndarray, item_ids: np.ndarray) -> Arrays:
    """Scenario and item row of the pool, sorted; unknown ones are left out."""
    scenario = rows_of(pool["scenario"], names)
    item = rows_of(pool["item"], item_ids)
    known = (scenario >= 0) & (item >= 0)
    keys = np.unique(scenario[known].astype(np.int64) * len(item_ids) + item[known])
    first, second = np.divmod(keys, len(item_ids))
    return {"scenario": first.astype(np.int32), "item": second.astype(np.int32)}
