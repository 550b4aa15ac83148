"""The ranking setting: tasks are users, the query is the catalogue, the support what is known."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.config.ranking import RankingEpisodeConfig, RankingModelConfig, RankingRunConfig
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.open_features import described
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.datasets.tasks.protocols import described_protocol
from cmml_tf.datasets.tasks.users.taken_items import RankingData
from cmml_tf.embeddings.conditional_factors import with_constant
from cmml_tf.embeddings.item_tables import ItemTables
from cmml_tf.embeddings.stand_ins import STAND_INS
from cmml_tf.embeddings.table_file import FoldTables
from cmml_tf.episodes.asked.asked_newcomers import AskedNewcomers, NewcomerCurve
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.episodes.ranking_episodes import RankingEpisodeSampler
from cmml_tf.evaluation.catalogue_ranking import evaluate_catalogue, scored_catalogue
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.build_ranking import Tables, build_ranking_model
from cmml_tf.models.ranking_cmml import RankingCMML
from cmml_tf.settings.base import Request, Served, Setting
from cmml_tf.settings.content.further_rows import further_rows
from cmml_tf.settings.content.side_content import SideContent
from cmml_tf.settings.ranking.form import RANKING
from cmml_tf.settings.ranking.parts import UNWEIGHTED, RankingParts, check_tables_fit
from cmml_tf.settings.ranking.simple_systems import simple_ranking_systems
from cmml_tf.settings.systems import Recipe
from cmml_tf.tasks.catalogue import CatalogueTask
from cmml_tf.types import AreNew, Episode, SampledEpisode, Support

_ASKED_OF_LOG = 0.5


class RankingSetting(Setting[RankingData, AskedNewcomers, RankingParts]):
    """Rank what users who are new take next."""

    form = RANKING
    tasks_are_users = continues = refits = True

    def open(
        self,
        config: RankingRunConfig,
        seed: int,
        earlier: Earlier | None = None,
        whole: bool = False,
    ) -> RankingData:
        """See `open_ranking_data`."""
        return open_ranking_data(
            config.data,
            config.tasks,
            config.liked,
            seed,
            read=config.read,
            whole=whole,
            earlier=earlier,
            split=UserSplitConfig(config.split.protocol, config.split.time),
            features=FeatureSource(config.items, None, config.kinds),
        )

    def open_log(
        self, config: RankingRunConfig, seed: int, are_new: AreNew | None = None
    ) -> RankingData:
        """Half of the new users are asked; controls know what all others have taken.

        Users are drawn, and features not read.
        """
        tasks = replace(config.tasks, tasks=None, meta_test_fraction=_ASKED_OF_LOG)
        return open_ranking_data(
            config.data, tasks, config.liked, seed, read=config.read, are_new=are_new
        )

    def learned_tasks(self, data: RankingData) -> Sequence[Any]:
        """Users who are learned from."""
        return data.user_ids[data.learned.user].tolist()

    def protocol(self, data: RankingData) -> str:
        """As the data was split."""
        return data.protocol

    def describe(self, data: RankingData) -> Sequence[str]:
        """The protocol, and features of items."""
        lines = [described_protocol(data.protocol, "", data.moment, "user")]
        if data.item_features:
            lines.append(f"item features: {described(data.item_features)}")
        return lines

    def state(self, data: RankingData) -> Earlier:
        """Users are named by their ids."""
        learned = data.user_ids[data.learned.user]
        features = [f"item {one.name} ({one.kind})" for one in data.item_features]
        return Earlier(data.user_ids, data.item_ids, learned, np.array(features, object))

    def learned(self, data: RankingData) -> dict[str, int]:
        """Users, and what they have taken."""
        return {"users": len(data.learned), "pairs": len(data.learned.item)}

    def check(self, data: RankingData, config: RankingRunConfig) -> dict[str, int]:
        """Nothing is left out; refused are data without a user to learn from and tables that this
        machine cannot hold.
        """
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        check_tables_fit(config.model, len(data.item_ids), memory)
        folds = np.zeros(len(data.learned), np.int64)
        RankingEpisodeSampler(data, folds, config.episode, config.seed)
        return {}

    def prepare(
        self, data: RankingData, folder: Path, config: RankingRunConfig, seed: int
    ) -> RankingParts:
        """Takes the tasks as the data has drawn them, or finds them in `folder`."""
        draw = partial(AskedNewcomers.of, data.asked, data.user_ids, data.taken > 0)
        asked = AskedNewcomers.kept(folder / "meta_test.npz", draw)
        # A comparison has no model of its own; its systems differ in other things than the tables.
        model = config.model if isinstance(config, RankingRunConfig) else RankingModelConfig()
        return RankingParts(
            data, None, asked, seed, model, folder, curve=NewcomerCurve(asked), scale=(0.0, 1.0)
        )

    def build(self, recipe: Recipe, prepared: RankingParts) -> AdaptingModel:
        """The model that is asked and exported, its tables of all who are learned from."""
        return _asked_model(recipe, prepared)

    def build_for_training(self, recipe: Recipe, prepared: RankingParts) -> AdaptingModel:
        """The same network; a user in training reads tables fitted without the user's fold.

        All other users read the tables of all.
        """
        model = recipe.model
        versions = [*prepared.fold_tables, prepared.tables]  # fitted before there is a model
        prepared.forget_grams({UNWEIGHTED})  # of which simple systems are made, too
        stand_ins = [tables.stand_ins for tables in versions if tables.stand_ins is not None]
        add_up = FoldTables([tables.rows for tables in versions], stand_ins or None).sums
        read = _tables(prepared)._replace(folds=len(versions), add_up=add_up)
        built = _model(recipe, read)
        _fill(built, versions, prepared.item_content)
        fold_of_user = np.full(len(prepared.data.user_ids), model.folds)
        fold_of_user[prepared.data.learned.user] = prepared.folds
        built.pair_embedding.set_folds_of_users(fold_of_user)
        return built

    def sampler(
        self,
        model: AdaptingModel,
        prepared: RankingParts,
        episode: RankingEpisodeConfig,
        seed: int,
    ) -> Callable[[tf.Tensor], Episode | SampledEpisode]:
        """Users, what they have taken divided anew at each visit."""
        del model
        hides = prepared.item_content is not None
        return RankingEpisodeSampler(prepared.data, prepared.folds, episode, seed, hides).sample

    def evaluate(self, scorer: Scorer, asked: AskedNewcomers) -> TaskMetrics:
        """Recall@20 and NDCG@100 of each task."""
        return evaluate_catalogue(scorer, asked)

    def scored_pairs(self, scorer: Scorer, asked: AskedNewcomers) -> tuple[np.ndarray, np.ndarray]:
        """Every item that is ranked for a user: taken or not."""
        return scored_catalogue(scorer, asked)

    def told(self, prepared: RankingParts, known: Known) -> tuple[RankingParts, dict[str, float]]:
        """Items that the model knows and others are told apart."""
        asked = replace(prepared.meta_test, item_known=known.items)
        shares = asked.known() | {"users": float(known.users[asked.user].mean())}
        return replace(prepared, meta_test=asked, curve=NewcomerCurve(asked)), shares

    def counts(self, asked: AskedNewcomers) -> dict[str, np.ndarray]:
        """See `AskedNewcomers.counts`."""
        return asked.counts()

    def simple_systems(self, prepared: RankingParts, names: Sequence[str]) -> dict[str, Scorer]:
        """Popularity, neighbours, EASE, factors and a sum, without any network."""
        return simple_ranking_systems(prepared, names)

    def requests(
        self, prepared: RankingParts, asked: AskedNewcomers, number: int
    ) -> Sequence[Request]:
        """The catalogue for the first tasks."""
        batch = next(iter(asked))
        items = np.arange(len(prepared.data.item_ids), dtype=np.int32)[None]
        made = []
        for task in np.arange(number) % len(batch.taken):
            support = Support(*(field[task : task + 1] for field in batch.support))
            user = np.repeat(support.user[:, :1], items.shape[1], axis=1)
            made.append(Request(support, user, items))
        return made

    def sample_tasks(self, prepared: RankingParts) -> None:
        """None: contexts hold the scores of the whole catalogue."""
        del prepared

    def served(
        self,
        model: AdaptingModel,
        prepared: RankingParts,
        further: Mapping[str, Any] | None = None,
    ) -> Served:
        """Further items are ranked as those that nobody has taken are, by their content."""
        table, content = (further or {}).get("items"), prepared.item_content
        if table is None:
            return super().served(model, prepared, further)
        if content is None:
            raise ValueError(
                "`items` must be left out: the model was trained without features of items, so it "
                "can know nothing of further ones. Train it with a table of items."
            )
        ids = prepared.data.item_ids
        new = further_rows(ids, content.encoder, "item", table)
        wider = _with_items(model, prepared, new.content)
        others = {"users": (further or {}).get("users")}
        served = super().served(wider, prepared, others)
        return served._replace(item_ids=np.concatenate([ids, new.ids]))

    def export_options(self, config: RankingRunConfig) -> dict[str, Any]:
        """How many items are recommended, limits, and hashed user ids."""
        return {
            "top_k": config.top_k,
            "limits": config.limits,
            "user_id_key": read_user_id_key(config.hash_user_ids),
        }


def _tables(prepared: RankingParts) -> Tables:
    data, content = prepared.data, prepared.item_content
    width = 0 if content is None else content.matrix.shape[1] + 1
    items = len(data.item_ids)
    stand_ins = STAND_INS if prepared.reads_others else 0
    return Tables(len(data.user_ids), items, prepared.table_items, width, stand_ins, items)


def _model(recipe: Recipe, tables: Tables) -> RankingCMML:
    """First weights, fixed by the seed."""
    tf.keras.utils.set_random_seed(recipe.seed)
    clip = recipe.training.gradient_clip
    return build_ranking_model(recipe.model, tables, task=CatalogueTask(), gradient_clip=clip)


def _asked_model(
    recipe: Recipe, prepared: RankingParts, further: np.ndarray | None = None
) -> RankingCMML:
    """The model that is asked and exported, its tables of all who are learned from.

    Args:
      recipe, prepared: As of `RankingSetting.build`.
      further: float32 [n, c], content of items that came after the training; None: there are none.
    """
    tables, content = prepared.tables, prepared.item_content
    number = 0 if further is None else len(further)
    read = _tables(prepared)
    read = read._replace(items=read.items + number, rows=prepared.rows)
    built = _model(recipe, read)
    if content is not None and further is not None:
        never = np.full(number, tables.never, np.float32)
        tables = tables._replace(popularity=np.append(tables.popularity, never))
        if tables.stand_ins is not None:
            tables = tables._replace(stand_ins=tables.stand_ins.followed_by(number))
        content = content._replace(matrix=np.concatenate([content.matrix, further]))
    _fill(built, [tables], content)
    return built


def _with_items(model: AdaptingModel, prepared: RankingParts, further: np.ndarray) -> RankingCMML:
    """The trained model with further items, of content float32 [n, c], behind its own."""
    own = RankingRunConfig()
    recipe = Recipe(prepared.model, own.episode, own.training, prepared.seed)
    wider = _asked_model(recipe, prepared, further)
    for one, trained in zip(wider.trainable_variables, model.trainable_variables, strict=True):
        one.assign(trained)
    return wider


def _fill(model: RankingCMML, folds: Iterable[ItemTables], content: SideContent | None) -> None:
    """Puts into the model what each fold knows beside the rows, and what is known of items."""
    layer = model.pair_embedding
    for fold, tables in enumerate(folds):
        layer.set_popularity(fold, tables.popularity, tables.never)
        if layer.folds > 1:
            layer.set_order(fold, tables.order)
        if tables.content is not None:
            layer.set_content_of_fold(fold, *tables.content)
        if tables.stand_ins is not None:
            layer.set_stand_ins(fold, *tables.stand_ins)
    if content is not None:
        layer.set_content(with_constant(content.matrix).astype(np.float32))
