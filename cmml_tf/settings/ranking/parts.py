"""What the ranking setting fits before training: folds, the tables' weighting, the tables."""

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmml_tf.baselines.simple_rankings.catalogue_system import TableSystem
from cmml_tf.config.ranking import RankingModelConfig
from cmml_tf.datasets.tasks.taken_items import RankingData, TakenItems, draw_tasks
from cmml_tf.embeddings.item_tables import (
    ItemTables,
    Weighting,
    edlae,
    fit_item_tables,
    gram,
    user_matrix,
    user_weights,
)
from cmml_tf.episodes.asked_newcomers import AskedNewcomers
from cmml_tf.evaluation.catalogue_ranking import evaluate_catalogue
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.files import write_whole
from cmml_tf.settings.base import Prepared
from cmml_tf.settings.side_content import SideContent, side_content
from cmml_tf.training.run_folder import CONTINUED, read_record

_POWERS, _PENALTIES, _DROPOUT = (0.0, 0.3, 0.6), (30.0, 300.0), 0.9

_MOST_HELD_OUT = 1000
WEIGHTING_FILE = "weighting.json"


def check_tables_fit(model: RankingModelConfig, items: int, memory: int) -> None:
    """Refuses tables that this machine cannot hold while they are trained with.

    Args:
      model: Says how many items are in the tables at the most.
      items: I of the catalogue.
      memory: Bytes.

    Raises:
      ValueError: They are larger; the message says which size fits.
    """
    # Of each fold and of all users in the model that is trained; of all users in NumPy and in the
    # model that is asked; and a copy on the way.
    of_an_item = 4 * (model.folds + 4) * model.tables
    fits = int((memory / of_an_item) ** 0.5)
    if min(model.table_items, items) > fits:
        raise ValueError(
            f"`table_items` must be at most {fits} with {memory / 2**30:.1f} GB of memory and "
            f"folds={model.folds}: items beyond it are ranked by how often they were taken. "
            f"Received: table_items={model.table_items}."
        )


@dataclass(frozen=True)
class RankingParts(Prepared[RankingData, AskedNewcomers]):
    """Data and asked users of one seed, and what is fitted on users who are learned from.

    Attributes:
      seed: Fixes the folds.
      model: Says which tables there are.
      folder: Of the run.
    """

    seed: int
    model: RankingModelConfig
    folder: Path

    @property
    def table_items(self) -> int:
        """M: items in the tables. Of what a single user has taken a table knows nothing more."""
        several = np.flatnonzero(self.data.taken > 1)[-1:] + 1
        return min(int(several.sum()) or 1, self.model.table_items)

    @cached_property
    def item_content(self) -> SideContent | None:
        """Items' features encoded, or found in the folder; None where none are known."""
        return side_content(self.folder, "item", self.data.item_features)

    @cached_property
    def folds(self) -> np.ndarray:
        """int64 [T], the fold of each user who is learned from, at random, of equal sizes."""
        places = np.arange(len(self.data.learned)) % self.model.folds
        return np.random.default_rng(self.seed).permutation(places)

    @cached_property
    def held_out(self) -> AskedNewcomers:
        """Tasks of users of fold 0, on whom numbers are chosen: nobody who is asked."""
        data, rng = self.data, np.random.default_rng([self.seed, 1])
        places = rng.permutation(np.flatnonzero(self.folds == 0))[:_MOST_HELD_OUT]
        tasks = draw_tasks(data.learned.take(np.sort(places)), rng, data.in_order)
        return AskedNewcomers.of(tasks, data.user_ids, data.taken > 0)

    @cached_property
    def others(self) -> TakenItems:
        """What users of all other folds have taken: what is fitted for `held_out`."""
        return self.without(0)

    def without(self, fold: int) -> TakenItems:
        """What users of all other folds than this one have taken."""
        return self.data.learned.take(np.flatnonzero(self.folds != fold))

    @cached_property
    def tables(self) -> ItemTables:
        """The tables of all who are learned from."""
        return self._fitted(self.data.learned)

    @cached_property
    def fold_tables(self) -> list[ItemTables]:
        """For each fold the tables of all other folds, in files that nobody else sees.

        They are read once for the model and once for its twin; in memory they would be as large as
        the model that is trained.
        """
        return [_in_a_file(self._fitted(self.without(fold))) for fold in range(self.model.folds)]

    def _fitted(self, taken: TakenItems) -> ItemTables:
        model, content = self.model, self.item_content
        return fit_item_tables(
            taken,
            len(self.data.item_ids),
            self.table_items,
            model.dropouts,
            model.shrinkages,
            self.weighting,
            None if content is None else content.matrix,
            model.content_penalty,
        )

    @cached_property
    def weighting(self) -> Weighting:
        """The one by which an EDLAE table that `others` give ranks best for `held_out`.

        A run that continues another keeps that one's.
        """
        earlier = self.folder / CONTINUED / WEIGHTING_FILE
        chosen = Weighting(**read_record(earlier)) if earlier.exists() else self._best_weighting()
        write_whole(self.folder / WEIGHTING_FILE, json.dumps(chosen._asdict()))
        return chosen

    def _best_weighting(self) -> Weighting:
        matrix = user_matrix(self.others, self.table_items)
        times = np.bincount(self.others.item, minlength=len(self.data.item_ids))
        recalls = {}
        for power in _POWERS:
            counts = gram(matrix, user_weights(self.others, power))
            for penalty in _PENALTIES:
                system = TableSystem(times, edlae(counts, penalty, _DROPOUT))
                recalls[Weighting(power, penalty)] = self.recall(system)
        return max(recalls, key=recalls.__getitem__)

    def recall(self, system: Scorer) -> float:
        """Mean Recall@20 for `held_out`, by which numbers are chosen."""
        return evaluate_catalogue(system, self.held_out).means()["recall@20"]


def _in_a_file(tables: ItemTables) -> ItemTables:
    """The same; the file is gone with the array."""
    with tempfile.TemporaryFile() as file:
        rows = np.memmap(file, np.float32, "w+", shape=tables.rows.shape)
    rows[:] = tables.rows
    return tables._replace(rows=rows)
