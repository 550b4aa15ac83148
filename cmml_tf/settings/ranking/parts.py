"""What the ranking setting fits before training: folds, the tables' weighting, the tables."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.simple_rankings.catalogue_system import TableSystem
from cmml_tf.config.ranking import RankingModelConfig
from cmml_tf.datasets.tasks.users.taken_items import RankingData, TakenItems, draw_tasks
from cmml_tf.embeddings.item_tables import (
    Gram,
    ItemTables,
    Weighting,
    edlae,
    fit_item_tables,
)
from cmml_tf.embeddings.stand_ins import find_stand_ins
from cmml_tf.episodes.asked.asked_newcomers import AskedNewcomers
from cmml_tf.evaluation.catalogue_ranking import evaluate_catalogue
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.files import write_whole
from cmml_tf.settings.base import Prepared
from cmml_tf.settings.content.side_content import SideContent, side_content
from cmml_tf.training.run_folder import CONTINUED, read_record

_POWERS, _PENALTIES, _DROPOUT = (0.0, 0.3, 0.6), (30.0, 300.0), 0.9

_MOST_HELD_OUT = 1000
UNWEIGHTED = 0.0
"""The power by which all users weigh the same."""
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
    # The rows of all users, twice more while TensorFlow takes them over; and what items of users of
    # each fold were taken together, of users who weigh the same and otherwise. These are about
    # twice as many pairs where tables of folds hold others.
    of_an_item = 4 * (3 * model.tables + 2 * 2 * model.folds)
    fits = int((memory / of_an_item) ** 0.5)
    if min(model.table_items, items) > fits:
        raise ValueError(
            f"`table_items` must be at most {fits} with {memory / 2**30:.1f} GB of memory and "
            f"folds={model.folds}: others stand in for items beyond it. "
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
        return min(self._several or 1, self.model.table_items)

    @property
    def reads_others(self) -> bool:
        """Whether items are in no table because tables hold so many alone."""
        return self._several > self.model.table_items

    @property
    def _several(self) -> int:
        """How many items, the most taken first, more than one user has taken."""
        return int((np.flatnonzero(self.data.taken > 1)[-1:] + 1).sum())

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
        return self.data.learned.take(np.flatnonzero(self.folds != 0))

    @cached_property
    def _of_folds(self) -> list[TakenItems]:
        learned = self.data.learned
        return [
            learned.take(np.flatnonzero(self.folds == fold)) for fold in range(self.model.folds)
        ]

    def gram(
        self, power: float, without: int | None = None, items: np.ndarray | None = None
    ) -> Gram:
        """Of users who are learned from; of each power what folds add up to is counted once.

        Args:
          power: g of the users' weights.
          without: A fold whose users are left out; None: none is.
          items: int [M], of which items; None: the first M of the catalogue.
        """
        counted = self._counted
        if power not in self._grams:
            # What is not counted comes behind what is.
            place = np.full(len(self.data.item_ids), len(counted))
            place[counted] = np.arange(len(counted))
            self._grams[power] = [
                Gram.of(one.renamed(place), len(counted), power) for one in self._of_folds
            ]
        parts = self._grams[power]
        whole = reduce(Gram.plus, (one for fold, one in enumerate(parts) if fold != without))
        if items is None and len(counted) == self.table_items:
            return whole
        wanted = np.arange(self.table_items) if items is None else items
        return whole.among(np.searchsorted(counted, wanted))

    def forget_grams(self, but: Collection[float] = ()) -> None:
        """Frees what folds add up to; what is asked for again is counted again.

        Args:
          but: Powers whose sums stay.
        """
        for power in {*self._grams} - {*but}:
            del self._grams[power]

    def _times(self, without: int | None) -> np.ndarray:
        """int64 [I], how many users have taken an item, those of a fold left out."""
        return sum(
            (
                np.bincount(one.item, minlength=len(self.data.item_ids))
                for fold, one in enumerate(self._of_folds)
                if fold != without
            ),
            np.zeros(len(self.data.item_ids), np.int64),
        )

    def _order(self, without: int | None) -> np.ndarray | None:
        """int64 [I], rows of the catalogue, the most taken first by all but the users of a fold.

        Where tables hold fewer items than several users have taken, which ones must not depend on
        who reads them: an item would be in them because its reader has taken it, and another one
        would not. So items that others took equally often stand at random, too. None: the
        catalogue's own order, in which its tables hold what comes first. A run that continues
        another has it from there, not from its users.
        """
        taken = self.data.taken
        if without is None or not self.reads_others or (np.diff(taken) > 0).any():
            return None
        at_random = np.random.default_rng([self.seed, 2, without]).permutation(len(taken))
        return np.lexsort([at_random, -self._times(without)])

    @cached_property
    def _counted(self) -> np.ndarray:
        """int64 [n], rows of the items in any table, ascending."""
        orders = [self._order(fold) for fold in range(self.model.folds)]
        inside = [one[: self.table_items] for one in orders if one is not None]
        return np.unique(np.concatenate([np.arange(self.table_items), *inside]))

    @cached_property
    def _grams(self) -> dict[float, list[Gram]]:
        return {}

    @cached_property
    def tables(self) -> ItemTables:
        """The tables of all who are learned from."""
        return self._fitted(None)

    @cached_property
    def fold_tables(self) -> list[ItemTables]:
        """For each fold the tables of all other folds."""
        return [self._fitted(fold) for fold in range(self.model.folds)]

    @cached_property
    def rows(self) -> tf.Variable:
        """Those of `tables`, float32 [M, K (M + w)]: the model and its twin share them."""
        rows = self.tables.rows.read()
        return tf.Variable(rows.reshape([len(rows), -1]), trainable=False, name="rows")

    def _fitted(self, without: int | None) -> ItemTables:
        """Of users who are learned from, those of a fold left out."""
        model, content, chosen = self.model, self.item_content, self.weighting
        given = self._order(without)
        order = np.arange(len(self.data.item_ids)) if given is None else given
        inside = None if given is None else order[: self.table_items]
        tables = fit_item_tables(
            self.gram(UNWEIGHTED, without, inside).matrix,
            self.gram(chosen.user_power, without, inside).normalised,
            self._times(without)[order],
            model.dropouts,
            model.shrinkages,
            chosen.penalty,
            None if content is None else content.matrix[order[: self.table_items]],
            model.content_penalty,
        )
        if not self.reads_others:
            return tables
        learned = self.data.learned
        others = learned if without is None else learned.take(np.flatnonzero(self.folds != without))
        others = others.renamed(np.argsort(order))
        stand_ins = find_stand_ins(others, len(order), self.table_items)
        return tables._replace(stand_ins=stand_ins, order=given)

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
        times = np.bincount(self.others.item, minlength=len(self.data.item_ids))
        recalls: dict[Weighting, float] = {}
        for power in _POWERS:
            weighted = self.gram(power, without=0).normalised
            for penalty in _PENALTIES:
                system = TableSystem(times, edlae(weighted, penalty, _DROPOUT))
                recalls[Weighting(power, penalty)] = self.recall(system)
            best = max(recalls, key=recalls.__getitem__)
            # Of the powers but the best one no other sums are needed any more.
            self.forget_grams({UNWEIGHTED, best.user_power})
        return best

    def recall(self, system: Scorer) -> float:
        """Mean Recall@20 for `held_out`, by which numbers are chosen."""
        return evaluate_catalogue(system, self.held_out).means()["recall@20"]
