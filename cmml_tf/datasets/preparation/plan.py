"""What every task of a preparation knows, and the stages by name.

    blocks of the logs   -- by user -->      parts of users     (distinct pairs)
    parts of users       -- by scenario -->  shards of scenarios (filtered)
    shards of scenarios  -- split -->        scenarios of each role
    parts of users       -- the rest -->     background and history

A part has all interactions of its users, so repeated pairs meet in it; a shard has all pairs of its
scenarios. What a task makes does not depend on the order of what it is given, so every runner makes
the same.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.config import ScenarioConfig
from cmml_tf.config.preparation import PrepareConfig
from cmml_tf.datasets.preparation.raw_source import RawSource
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts, WorkFolder
from cmml_tf.datasets.reading.ids import of_kind
from cmml_tf.datasets.reading.malformed import Block, Span, malformed_message
from cmml_tf.datasets.reading.read_logs import Log
from cmml_tf.datasets.tasks.protocols import STRICT, SettledProtocol
from cmml_tf.types import starts_of

Task = tuple[int, Span]
"""Number of a log, and one of its blocks."""
KINDS = "kinds"
PAIRS, SCENARIOS, REMAINDER = "pairs", "scenarios", "remainder"
EMBEDDINGS, EMBEDDINGS_AGAIN = "embeddings", "embeddings-again"
VOCABULARY, NAMES, POOL, ROLES, CLAIMS = "vocabulary", "names", "pool", "roles", "claims"
MALFORMED = "malformed"


class Stage(NamedTuple):
    """Tasks that do not depend on each other.

    Attributes:
      name: Of the stage's folder.
      tasks: How many.
      run: Task number -> what it makes.
    """

    name: str
    tasks: int
    run: Callable[[int], tuple[Arrays, Counts]]


class Shuffle(NamedTuple):
    """Tasks that divide what they read, and tasks that merge what belongs together.

    Attributes:
      name: Of the folder of what is merged; `NAME-divided` is that of what is divided.
      tasks: How many divide.
      divide: Task number -> pieces by their part's number, every part with one.
      parts: How many merge.
      merge: Part number and its pieces -> what it makes.
    """

    name: str
    tasks: int
    divide: Callable[[int], tuple[dict[int, Arrays], Counts]]
    parts: int
    merge: Callable[[int, list[Arrays]], tuple[Arrays, Counts]]

    @property
    def divided(self) -> str:
        """Name of the stage that divides."""
        return f"{self.name}-divided"


@dataclass(frozen=True)
class Preparation:
    """What every task of a preparation knows.

    Attributes:
      config: All settings.
      source: The logs.
      work: Path of the work folder, which all processes reach.
      blocks: (number of the log, its block) of every task that reads.
      parts: Parts that users are divided into.
      shards: Shards that scenarios are divided into.
      whole: What has integers for its ids, when that is settled; all others have text.
      protocol: What may be known of a held-out scenario, when that is settled.
    """

    config: PrepareConfig
    source: RawSource
    work: Path
    blocks: tuple[Task, ...]
    parts: int
    shards: int
    whole: frozenset[str] = frozenset()
    protocol: SettledProtocol = STRICT

    @property
    def folder(self) -> WorkFolder:
        """The work folder."""
        return WorkFolder(self.work)

    def read(self, log: Log, span: Span) -> Block:
        """A block of a log, its ids of the kind that has been settled."""
        block = log.read(span, self.whole_columns(log))
        for name, space in log.spaces.items():
            if name in block.columns:
                block.columns[name] = of_kind(block.columns[name], space in self.whole)
        return block

    def whole_columns(self, log: Log) -> frozenset[str]:
        """The columns of a log whose ids are integers."""
        return frozenset(name for name, space in log.spaces.items() if space in self.whole)

    @property
    def scenario(self) -> ScenarioConfig:
        """The definition and the filters."""
        return self.config.scenario


def divide(columns: Arrays, part: np.ndarray, parts: int) -> dict[int, Arrays]:
    """The rows of each part, by the part [N] of each row.

    Where there is `NAME_ids`, NAME holds places in it (-1: none), and a part has only the ids that
    it needs.
    """
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(parts + 1))
    pieces: dict[int, Arrays] = {number: {} for number in range(parts)}
    for name in (name for name in columns if not name.endswith("_ids")):
        ids = columns.get(f"{name}_ids")
        column = columns[name][order]
        for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
            piece = column[begin:end]
            if ids is not None:
                used = np.zeros(len(ids) + 1, bool)
                used[piece] = True
                place = np.cumsum(used) - 1
                place[-1] = -1
                pieces[number][f"{name}_ids"] = ids[used[:-1]]
                piece = place[piece].astype(np.int32)
            pieces[number][name] = piece
    return pieces


def packed(name: str, lists: list[np.ndarray]) -> Arrays:
    """Lists one behind the other, int32, and where each begins, `NAME_start` int64 [lists + 1]."""
    return {
        name: np.concatenate([np.zeros(0, np.int32), *lists]).astype(np.int32),
        f"{name}_start": starts_of([len(part) for part in lists]),
    }


def blocks_of(logs: Sequence[Log], block_bytes: int) -> tuple[Task, ...]:
    """All blocks of logs, in their order."""
    return tuple((n, block) for n, log in enumerate(logs) for block in log.blocks(block_bytes))


def check_malformed(
    prepared: Preparation,
    logs: Sequence[Log],
    blocks: Sequence[Task],
    counts: Iterable[dict[str, int]],
) -> int:
    """The malformed lines of blocks that were read.

    Raises:
      ValueError: They are more than `max_malformed`; the message has the first one.
    """
    limit = prepared.config.read.max_malformed
    malformed = [of_block[MALFORMED] for of_block in counts]
    if sum(malformed) > limit:
        number, span = blocks[int(np.argmax(np.array(malformed) > 0))]
        fault = prepared.read(logs[number], span).first
        raise ValueError(malformed_message(logs[number], span, fault, sum(malformed), limit))
    return sum(malformed)
