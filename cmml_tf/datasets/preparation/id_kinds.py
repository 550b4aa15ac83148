"""Whether ids are integers or text, which all of the logs decide, before they are divided."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from cmml_tf.datasets.preparation.plan import (
    KINDS,
    MALFORMED,
    Preparation,
    Stage,
    Task,
    blocks_of,
    check_malformed,
)
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts, WorkFolder
from cmml_tf.datasets.reading.ids import Seen, look_at, settled
from cmml_tf.datasets.reading.malformed import Block
from cmml_tf.datasets.reading.read_logs import Log

_MARK = "seen "


def settle_kinds(
    prepared: Preparation,
    run: Callable[[Stage, WorkFolder], None],
    more: Iterable[Counts] = (),
) -> Preparation:
    """Reads the logs and the pool once, and says of each kind of id whether it is integers.

    Args:
      prepared: The preparation.
      run: Runs a stage.
      more: What other stages have seen.

    Returns:
      The same with `whole`.

    Raises:
      ValueError: There are too many malformed lines, or an unfinished preparation here had ids of
        another kind.
    """
    work, source = prepared.folder, prepared.source
    logs = [*source.logs, *([] if source.pool is None else [source.pool])]
    counts = list(more)
    if any(log.spaces for log in logs):
        blocks = blocks_of(logs, prepared.config.read.block_bytes)
        run(Stage(KINDS, len(blocks), partial(_look, logs, blocks)), work)
        of_blocks = [work.counts(KINDS, task) for task in range(len(blocks))]
        check_malformed(prepared, logs, blocks, of_blocks)
        counts += of_blocks
    seen: dict[str, list[Seen]] = {}
    for of_block in counts:
        for space in {name.split("/")[1] for name in of_block if name.startswith(_MARK)}:
            values = (of_block[f"{_MARK}{what}/{space}"] for what in Seen._fields)
            seen.setdefault(space, []).append(Seen(*values))
    kinds = settled(seen, prepared.config.read.max_malformed)
    whole = frozenset(space for space, is_whole in kinds.items() if is_whole)
    work.claim({"integer ids": sorted(whole)}, "kinds.json")
    return replace(prepared, whole=whole)


def seen_counts(log: Log, block: Block) -> Counts:
    """What the ids of a block look like, as counts."""
    counts = {}
    for name, space in log.spaces.items():
        if name in block.columns:
            for what, number in look_at(block.columns[name])._asdict().items():
                key = f"{_MARK}{what}/{space}"
                counts[key] = counts.get(key, 0) + number
    return counts


def _look(logs: list[Log], blocks: tuple[Task, ...], task: int) -> tuple[Arrays, Counts]:
    number, span = blocks[task]
    block = logs[number].read(span)
    return {}, {MALFORMED: block.malformed, **seen_counts(logs[number], block)}
