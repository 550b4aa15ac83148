"""Embeddings as text to .npy tables whose rows are the vocabulary."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.datasets.preparation.interaction_stages import read_embeddings
from cmml_tf.datasets.preparation.plan import (
    EMBEDDINGS,
    EMBEDDINGS_AGAIN,
    VOCABULARY,
    Preparation,
    Stage,
    Task,
    blocks_of,
    check_malformed,
)
from cmml_tf.datasets.preparation.work_folder import Counts, WorkFolder
from cmml_tf.datasets.reading.ids import as_text, first_of_each
from cmml_tf.types import starts_of

_FILES = {kind: f"{kind}_embeddings.npy" for kind in ("user", "item")}


class _Table(NamedTuple):
    """Where the rows of a table come from.

    Attributes:
      stage: Has what was read.
      tasks: Blocks of its file, by their place among all.
      begins: Lines before each of them.
      first: int64 [N], the line of each row, the first of those with its id.
    """

    stage: str
    tasks: list[int]
    begins: list[int]
    first: np.ndarray


def read_embedding_files(
    prepared: Preparation, run: Callable[[Stage, WorkFolder], None]
) -> list[Counts]:
    """Reads the files of embeddings, and tells what was counted in each block.

    Args:
      prepared: The preparation; that of its ids is not settled yet.
      run: Runs a stage.
    """
    work, blocks = prepared.folder, _blocks(prepared)
    if not _is_done(work):
        run(Stage(EMBEDDINGS, len(blocks), partial(read_embeddings, prepared, blocks)), work)
    return [work.counts(EMBEDDINGS, task) for task in range(len(blocks))]


def prepare_embeddings(
    prepared: Preparation, run: Callable[[Stage, WorkFolder], None], progress: Callable[[str], None]
) -> dict[str, int]:
    """Writes `user_embeddings.npy` and `item_embeddings.npy`, and settles the vocabulary.

    Ids are sorted; where an id stands in several lines the first counts. Memory holds one block and
    the ids; the tables are mapped files.

    Args:
      prepared: The preparation, whose files of embeddings have been read.
      run: Runs a stage.
      progress: Told of what is written.

    Returns:
      Counts of what was left out.

    Raises:
      ValueError: A file has too many malformed lines.
    """
    work, logs, blocks = prepared.folder, prepared.source.embeddings, _blocks(prepared)
    if _is_done(work):
        progress("embeddings, kept from before")
        return work.counts(VOCABULARY, 0)
    stage = EMBEDDINGS
    if any(
        work.load_one(EMBEDDINGS, task, "ids").dtype == object
        and prepared.whole_columns(logs[number])
        for task, (number, _) in enumerate(blocks)
    ):  # ids that are no integers are malformed, which was not known before
        stage = EMBEDDINGS_AGAIN
        run(Stage(stage, len(blocks), partial(read_embeddings, prepared, blocks)), work)
    counts, ids = {}, {}
    for number, (kind, log) in enumerate(zip(_FILES, logs, strict=True)):
        tasks = [task for task, block in enumerate(blocks) if block[0] == number]
        counts[f"malformed lines of {log.path.name}, left out"] = check_malformed(
            prepared,
            logs,
            [blocks[task] for task in tasks],
            [work.counts(stage, task) for task in tasks],
        )
        of_blocks = [work.load_one(stage, task, "ids") for task in tasks]
        begins = starts_of([len(block) for block in of_blocks]).tolist()
        if not prepared.whole_columns(log):
            of_blocks = list(map(as_text, of_blocks))
        ids[f"{kind}_ids"], first = first_of_each(np.concatenate(of_blocks))
        counts[f"repeated ids of {log.path.name}, left out"] = begins[-1] - len(first)
        table = _Table(stage, tasks, begins, first)
        work.result_file(_FILES[kind], partial(_write_table, work=work, table=table))
        progress(_FILES[kind])
    counts = {name: count for name, count in counts.items() if count}
    work.save(VOCABULARY, 0, ids, counts)
    work.drop(EMBEDDINGS)
    work.drop(EMBEDDINGS_AGAIN)
    return counts


def _blocks(prepared: Preparation) -> tuple[Task, ...]:
    return blocks_of(prepared.source.embeddings, prepared.config.read.block_bytes)


def _is_done(work: WorkFolder) -> bool:
    return work.is_done(VOCABULARY, 0) and all(map(work.result_is_done, _FILES.values()))


def _write_table(path: Path, work: WorkFolder, table: _Table) -> None:
    matrix = None
    for task, begin, end in zip(table.tasks, table.begins[:-1], table.begins[1:], strict=True):
        block = work.load_one(table.stage, task, "matrix")
        if matrix is None:
            shape = (len(table.first), block.shape[1])
            matrix = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        rows = np.flatnonzero((table.first >= begin) & (table.first < end))
        matrix[rows] = block[table.first[rows] - begin]
    matrix.flush()
