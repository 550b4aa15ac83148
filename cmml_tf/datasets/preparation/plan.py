"""What every task of a preparation knows, and the stages by name.

    blocks of the logs   -- by user -->      parts of users     (distinct pairs)
    parts of users       -- by scenario -->  shards of scenarios (filtered)
    shards of scenarios  -- split -->        scenarios of each role
    parts of users       -- the rest -->     background and history

A part has all interactions of its users, so repeated pairs meet in it; a shard has all pairs of its
scenarios. What a task makes does not depend on the order of what it is given, so every runner makes
the same.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.config import ScenarioConfig
from cmml_tf.data_config import PrepareConfig
from cmml_tf.datasets.log_reading import malformed_message
from cmml_tf.datasets.preparation.raw_source import Log, RawSource
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts, WorkFolder

Block = tuple[int, tuple[int, int]]
"""Number of a log, and one of its blocks."""
PAIRS, SCENARIOS, EMBEDDINGS, REMAINDER = "pairs", "scenarios", "embeddings", "remainder"
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
    """

    config: PrepareConfig
    source: RawSource
    work: Path
    blocks: tuple[Block, ...]
    parts: int
    shards: int

    @property
    def folder(self) -> WorkFolder:
        """The work folder."""
        return WorkFolder(self.work)

    @property
    def scenario(self) -> ScenarioConfig:
        """The definition and the filters."""
        return self.config.scenario


def divide(columns: Arrays, part: np.ndarray, parts: int) -> dict[int, Arrays]:
    """The rows of each part, by the part [N] of each row."""
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(parts + 1))
    return {
        number: {
            name: column[order[bounds[number] : bounds[number + 1]]]
            for name, column in columns.items()
        }
        for number in range(parts)
    }


def is_in(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """bool [N]: which values are among the sorted, distinct known ones."""
    if not len(known) or (values.dtype.kind == "U") != (known.dtype.kind == "U"):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return known[place] == values


def packed(name: str, lists: list[np.ndarray]) -> Arrays:
    """Lists one behind the other, int32, and where each begins, `NAME_start` int64 [lists + 1]."""
    starts = np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int64)
    return {
        name: np.concatenate([np.zeros(0, np.int32), *lists]).astype(np.int32),
        f"{name}_start": starts,
    }


def blocks_of(logs: Sequence[Log], block_bytes: int) -> tuple[Block, ...]:
    """All blocks of logs, in their order."""
    return tuple((n, block) for n, log in enumerate(logs) for block in log.blocks(block_bytes))


def check_malformed(
    logs: Sequence[Log], blocks: Sequence[Block], counts: Iterable[dict[str, int]], limit: int
) -> int:
    """The malformed lines of blocks that were read.

    Raises:
      ValueError: They are more than `limit`; the message has the first one.
    """
    malformed = [of_block[MALFORMED] for of_block in counts]
    if sum(malformed) > limit:
        log, block = blocks[int(np.argmax(np.array(malformed) > 0))]
        raise ValueError(malformed_message(logs[log], block, sum(malformed), limit))
    return sum(malformed)
