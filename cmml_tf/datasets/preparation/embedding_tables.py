"""Embeddings as text to .npy tables whose rows are the vocabulary."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.preparation.interaction_stages import read_embeddings
from cmml_tf.datasets.preparation.plan import (
    EMBEDDINGS,
    VOCABULARY,
    Preparation,
    Stage,
    blocks_of,
    check_malformed,
)
from cmml_tf.datasets.preparation.work_folder import WorkFolder


class _Table(NamedTuple):
    """Where the rows of a table come from.

    Attributes:
      tasks: Blocks of its file, by their place among all.
      begins: Lines before each of them.
      first: int64 [N], the line of each row, the first of those with its id.
    """

    tasks: list[int]
    begins: list[int]
    first: np.ndarray


def prepare_embeddings(
    prepared: Preparation, run: Callable[[Stage, WorkFolder], None], progress: Callable[[str], None]
) -> dict[str, int]:
    """Writes `user_embeddings.npy` and `item_embeddings.npy`, and settles the vocabulary.

    Ids are sorted; where an id stands in several lines the first counts. Memory holds one block and
    the ids; the tables are mapped files.

    Args:
      prepared: The preparation.
      run: Runs a stage.
      progress: Told of what is written.

    Returns:
      Counts of what was left out.

    Raises:
      ValueError: A file has too many malformed lines.
    """
    work, logs = prepared.folder, prepared.source.embeddings
    blocks = blocks_of(logs, prepared.config.read.block_bytes)
    files = {kind: f"{kind}_embeddings.npy" for kind in ("user", "item")}
    if work.is_done(VOCABULARY, 0) and all(map(work.result_is_done, files.values())):
        progress("embeddings, kept from before")
        return work.counts(VOCABULARY, 0)
    run(Stage(EMBEDDINGS, len(blocks), partial(read_embeddings, prepared, blocks)), work)
    counts, ids = {}, {}
    for number, (kind, log) in enumerate(zip(files, logs, strict=True)):
        tasks = [task for task, block in enumerate(blocks) if block[0] == number]
        counts[f"malformed lines of {log.path.name}, left out"] = check_malformed(
            logs,
            [blocks[task] for task in tasks],
            [work.counts(EMBEDDINGS, task) for task in tasks],
            prepared.config.read.max_malformed,
        )
        of_blocks = [work.load_one(EMBEDDINGS, task, "ids") for task in tasks]
        begins = np.concatenate([[0], np.cumsum([len(block) for block in of_blocks])]).tolist()
        ids[f"{kind}_ids"], first = np.unique(np.concatenate(of_blocks), return_index=True)
        counts[f"repeated ids of {log.path.name}, left out"] = begins[-1] - len(first)
        table = _Table(tasks, begins, first)
        work.result_file(files[kind], partial(_write_table, work=work, table=table))
        progress(files[kind])
    counts = {name: count for name, count in counts.items() if count}
    work.save(VOCABULARY, 0, ids, counts)
    work.drop(EMBEDDINGS)
    return counts


def _write_table(path: Path, work: WorkFolder, table: _Table) -> None:
    matrix = None
    for task, begin, end in zip(table.tasks, table.begins[:-1], table.begins[1:], strict=True):
        block = work.load_one(EMBEDDINGS, task, "matrix")
        if matrix is None:
            shape = (len(table.first), block.shape[1])
            matrix = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        rows = np.flatnonzero((table.first >= begin) & (table.first < end))
        matrix[rows] = block[table.first[rows] - begin]
    matrix.flush()
