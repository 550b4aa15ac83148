"""A trained run as a program asks it: by raw ids, with tables in and out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.evaluation.report import Report
from cmml_tf.evaluation.scorer import ModelScorer
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.serving.catalogue.membership import MembershipReader
from cmml_tf.settings.refit import refit
from cmml_tf.settings.run import Say, SettingRun
from cmml_tf.settings.run_end import manifest_facts, save_metrics
from cmml_tf.training.run_folder import METRICS, MODEL
from cmml_tf.types import Support

_PAIRS_PER_CALL = 8192


@dataclass(frozen=True)
class Evaluation:
    """What a run has reached on its evaluation tasks.

    Attributes:
      metrics: As `metrics.json` has them.
      table: For people.
    """

    metrics: dict[str, Any]
    table: str

    def __str__(self) -> str:
        return self.table


class Run:
    """A trained model with its data.

    Ids are those of the data; ids that the model does not know are answered, not refused, and
    reported (`user_known`, `item_known`): their embedding is zero.

    Args:
      run: A run whose training is done.
      evaluated: Of a refit, the run whose evaluation is its own.
      facts: Of a refit, what a manifest says of it beside the metrics.

    Attributes:
      facts: The same; nothing of other runs.

    Raises:
      ValueError: Nothing has been trained in its folder.
    """

    def __init__(
        self,
        run: SettingRun,
        evaluated: "Run | None" = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self._run = run
        self._evaluated = evaluated
        self.facts: Mapping[str, Any] = dict(facts or {})
        self._model = run.trained(MODEL)
        self._scorer = ModelScorer(self._model, tasks=1)
        data = run.prepared.data
        by_key = self._model.by_key
        self._users, self._items = _Ids(data.user_ids, by_key), _Ids(data.item_ids, by_key)

    @property
    def model(self) -> AdaptingModel:
        """The Keras model."""
        return self._model

    @property
    def folder(self) -> Path:
        """Where everything of the run is kept."""
        return self._run.folder.path

    def evaluate(self) -> Evaluation:
        """Asks the saved evaluation tasks, the model beside its controls; once, then it is kept.

        Of a refit: what the run has reached that it was made of.
        """
        return self._evaluation if self._evaluated is None else self._evaluated.evaluate()

    def refit(self, progress: bool = True) -> "Run":
        """The same configuration trained on everything, what was held out included.

        It takes the steps that this run found to be the best, and is kept in the folder `refit` of
        the run's; one that was killed is continued.

        Args:
          progress: Whether epochs are shown.

        Raises:
          ValueError: This is a refit, or the folder's is of another state of the run.
        """
        if self._evaluated is not None:
            raise ValueError(f"The run in {self.folder} is a refit. Refit the one it was made of.")
        say: Say = print if progress else lambda line: None
        made = refit(self._run, say, verbose=2 if progress else 0)
        return Run(made.run, self, made.facts)

    def report(self) -> Path:
        """Writes `report.html` into the folder, a page for people, and returns it.

        Where no command has done so, `metrics.json` and what each evaluation task reached are
        written first. Of a refit: the page of the run that it was made of.
        """
        if self._evaluated is not None:
            return self._evaluated.report()
        if not (self.folder / METRICS).exists():
            self._run.write_table(self._report)
            save_metrics(self.folder, self.evaluate().metrics)
        from cmml_tf.reports.run_page import write_run_report  # loads matplotlib

        return write_run_report(self.folder, self._run.setting.form)

    @cached_property
    def _report(self) -> Report:
        return self._run.report(self._model, self._run.trained_twin(self._model))

    @cached_property
    def _evaluation(self) -> Evaluation:
        run = self._run
        return Evaluation(run.metrics(self._report), self._report.table(run.config.preset))

    def recommend(
        self,
        support: pd.DataFrame,
        user: Any,
        k: int = 10,
        among: Iterable[Any] | None = None,
    ) -> pd.DataFrame:
        """The best items for a user, given the support set of a task.

        Args:
          support: Columns user, item and label (1 taken, 0 not; user setting: `value`, the rating);
            without a label all are taken.
          user: Whom to recommend to; own support items that were taken are left out, in the
            ranking setting those with the label 0 too.
          k: Items at the most.
          among: Items to rank; None: all that the model knows, and
            where it tells other ids apart by matching those of the support.

        Returns:
          Columns item, score and item_known, best first. Where all are ranked, most of which may be
          of other scenarios, `cmml-matching` adds to the score of an item that the support does not
          name the logarithm of how likely it belongs to this one.

        Raises:
          ValueError: `k` is not positive, or the support lacks a column.
        """
        if k < 1:
            raise ValueError(f"`k` must be a positive integer. Received: k={k}.")
        label = _labels(support)
        items = self._ranked(support) if among is None else np.array(list(among), object)
        own = [str(one) == str(user) for one in _column(support, "user")]
        taken = {
            str(item)
            for item, mine, value in zip(_column(support, "item"), own, label, strict=True)
            if mine and (value > 0 or not self._model.may_recommend_refused)
        }
        items = items[[str(item) not in taken for item in items]]
        row, known = self._items.rows(items)
        users = np.repeat(self._users.rows([user])[0], len(items))
        scores = self._scores(support, users, row)
        if among is None and self._membership is not None:
            scores = scores + self._belonging(support)[np.where(known, row, -1)]
        best = np.argsort(-scores, kind="stable")[:k]
        return pd.DataFrame({"item": items[best], "score": scores[best], "item_known": known[best]})

    @cached_property
    def _membership(self) -> MembershipReader | None:
        found = self._run.setting.membership(self._model, self._run.prepared)
        return None if found is None else MembershipReader(found)

    def _belonging(self, support: pd.DataFrame) -> np.ndarray:
        """float32 [I + 1], what is added to the score of each item; the last is of others."""
        assert self._membership is not None
        read = self._support(support)
        given = self._membership.of_support(read.item, read.label, read.length)
        added = self._membership.of_catalogue(given).numpy()[0]
        added[-1] = 0.0
        return added

    def _ranked(self, support: pd.DataFrame) -> np.ndarray:
        """All items of the model, and those of the support that it can tell apart beside them."""
        ids = self._items.ids
        if not self._model.by_key:
            return ids
        given = list(dict.fromkeys(_column(support, "item")))
        known = self._items.rows(given)[1]
        others = [one for one, is_known in zip(given, known, strict=True) if not is_known]
        return np.concatenate([ids.astype(object), np.array(others, object)]) if others else ids

    def score(self, support: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
        """Scores of pairs, given the support set of a task.

        Args:
          support: As of `recommend`.
          pairs: Columns user and item.

        Returns:
          The pairs with score, user_known and item_known.
        """
        user, user_known = self._users.rows(_column(pairs, "user"))
        item, item_known = self._items.rows(_column(pairs, "item"))
        scores = self._scores(support, user, item)
        return pairs.assign(score=scores, user_known=user_known, item_known=item_known)

    def context(self, support: pd.DataFrame) -> np.ndarray:
        """The task context of a support set, float32 [D]."""
        return np.asarray(self._model.encode_context(self._support(support)))[0]

    def export(
        self,
        export_dir: str | Path,
        *,
        items: Any | None = None,
        users: Any | None = None,
        compiled: Sequence[CompiledSize] = (),
    ) -> Path:
        """Writes the next version folder of a model base path, and returns it.

        Args:
          export_dir: The model base path.
          items: Items that came after the training: a table of features as `scenario_data` takes
            it. They are ranked, by what their features say of them; nothing is trained.
          users: Users, likewise.
          compiled: Sizes of requests for which XLA compiles a network (`export_model`).

        Raises:
          ValueError: The model knows no further ones, is none that XLA makes faster, or a table is
            not accepted.
          UnmetRequirementError: The model is not better than what the option `require` names.
        """
        run = replace(self._run, config=replace(self._run.config, export_dir=str(export_dir)))
        facts = {**manifest_facts(self.evaluate().metrics), **self.facts}
        further = {"items": items, "users": users}
        return run.export(self._model, facts, further, compiled).version

    def _scores(self, support: pd.DataFrame, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        adapted = self._scorer.adapt(self._support(support))
        parts = [
            self._scorer.score(
                adapted,
                user[None, first : first + _PAIRS_PER_CALL],
                item[None, first : first + _PAIRS_PER_CALL],
            )[0]
            for first in range(0, len(user), _PAIRS_PER_CALL)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _support(self, support: pd.DataFrame) -> Support:
        user, _ = self._users.rows(_column(support, "user"))
        item, _ = self._items.rows(_column(support, "item"))
        label = np.asarray(_labels(support), np.float32)
        if not np.isfinite(label).all():
            raise ValueError(f"`label` must be finite. Received: {label[~np.isfinite(label)][0]}.")
        if not len(user):  # the model takes no empty axis; a length of 0 says that nothing is read
            user, item, label = (
                np.zeros(1, np.int64),
                np.zeros(1, np.int64),
                np.zeros(1, np.float32),
            )
            return Support(user[None], item[None], label[None], np.zeros(1, np.int32))
        return Support(user[None], item[None], label[None], np.array([len(user)], np.int32))


class _Ids:
    """Raw ids to rows, or to keys."""

    def __init__(self, ids: np.ndarray, by_key: bool) -> None:
        self.ids = ids
        self._by_key = by_key
        self._others: dict[Any, int] = {}
        self._whole = np.asarray(ids).dtype.kind in "iu"

    @cached_property
    def _row_of(self) -> dict[Any, int]:
        return {one: row for row, one in enumerate(self.ids.tolist())}

    def rows(self, values: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64, of unknown ids a key that is none, and which are known, bool."""
        unknown = len(self.ids)
        found = np.array([self._row(self._key(value)) for value in values], np.int64)
        known = found >= 0
        return (found if self._by_key else np.where(known, found, unknown)), known

    def _row(self, key: Any) -> int:
        row = self._row_of.get(key)
        # Every other id has a number of its own, the same whenever it comes.
        return -1 - self._others.setdefault(key, len(self._others)) if row is None else row

    def _key(self, value: Any) -> Any:
        if not self._whole:
            return str(value)
        try:
            return int(value)
        except (TypeError, ValueError):
            return str(value)


def _column(table: pd.DataFrame, name: str) -> list[Any]:
    if name not in table.columns:
        raise ValueError(
            f"The table must have a column {name!r}. "
            f"Received: {', '.join(map(str, table.columns))}."
        )
    return table[name].tolist()


def _labels(support: pd.DataFrame) -> list[float]:
    for name in ("label", "value"):
        if name in support.columns:
            return support[name].astype(float).tolist()
    return [1.0] * len(support)
