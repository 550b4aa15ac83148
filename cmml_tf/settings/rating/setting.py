"""The user setting: tasks are users, the query is ratings of theirs that nobody has seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.config.rating import RatingEpisodeConfig, RatingModelConfig, UserRunConfig
from cmml_tf.datasets.open_rating_data import open_rating_data
from cmml_tf.datasets.tasks.earlier import Earlier
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData, RatingTasks
from cmml_tf.episodes.asked.asked_users import AskedUsers
from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.episodes.asked.user_curve import UserCurve
from cmml_tf.episodes.rating_episodes import RatingEpisodeSampler
from cmml_tf.evaluation.rating import evaluate_ratings, predicted_ratings
from cmml_tf.evaluation.scorer import Scorer
from cmml_tf.evaluation.task_metrics import TaskMetrics
from cmml_tf.files import write_whole
from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.settings.base import Prepared, Setting
from cmml_tf.settings.rating.form import RATING
from cmml_tf.settings.rating.ordinal_parts import FittedTables, ordinal_model
from cmml_tf.settings.rating.simple_systems import simple_rating_systems
from cmml_tf.settings.systems import Recipe
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.training.rating_start import set_first_weights
from cmml_tf.types import AreNew, Episode, FeatureColumn

_ASKED_OF_LOG = 0.5


@dataclass(frozen=True)
class RatingParts(Prepared[RatingData, AskedUsers]):
    """Data and asked users of one seed.

    Attributes:
      ordinal: What an ordinal model knows of the data before it is trained.
    """

    ordinal: FittedTables


class RatingSetting(Setting[RatingData, AskedUsers, RatingParts]):
    """Predict the query ratings of unseen users (paper section 4.2)."""

    form = RATING
    tasks_are_users = continues = refits = True

    def open(
        self, config: UserRunConfig, seed: int, earlier: Earlier | None = None, whole: bool = False
    ) -> RatingData:
        """See `open_rating_data`; what an ordinal model is fitted with is always fitted anew."""
        if earlier is not None and config.model.kind != "ordinal":
            raise ValueError(
                "`continue_from` must be none with a preset whose embeddings of features are "
                "learned: they have the size of the earlier run's data. The preset cmml-ordinal "
                f"can be continued. Received: preset={config.preset!r}."
            )
        return open_rating_data(
            config.data, config.tasks, seed, read=config.read, whole=whole, earlier=earlier
        )

    def open_log(
        self, config: UserRunConfig, seed: int, are_new: AreNew | None = None
    ) -> RatingData:
        """Half of the new users are asked; controls know the ratings of all others."""
        tasks = replace(
            config.tasks,
            split="warm-warm",
            meta_test_fraction=_ASKED_OF_LOG,
            meta_test_users=None,
            tasks=None,
            validation_fraction=0.0,
        )
        return open_rating_data(config.data, tasks, seed, read=config.read, are_new=are_new)

    def learned_tasks(self, data: RatingData) -> Sequence[Any]:
        """Users who are trained on or steer training."""
        return data.user_ids[np.concatenate([data.meta_train.user, data.validation.user])].tolist()

    def state(self, data: RatingData) -> Earlier:
        """Users by id; the levels of the scale, which the network has an output each for, too."""
        users = np.concatenate([data.log.user, data.validation.user])
        sides = (("item", data.item_columns), ("user", data.user_columns))
        named = [f"{side} {c.feature.name} ({c.feature.kind})" for side, cs in sides for c in cs]
        named += [f"rating {level:g}" for level in np.unique(data.log.rating)]
        return Earlier(data.user_ids, data.item_ids, data.user_ids[users], np.array(named, object))

    def learned(self, data: RatingData) -> dict[str, int]:
        """Users who are tasks, and all ratings that are known."""
        return {"users": len(data.meta_train), "ratings": len(data.log.item)}

    def check(self, data: RatingData, config: UserRunConfig) -> dict[str, int]:
        """Nothing is left out; a user without a rating for the support is refused."""
        RatingEpisodeSampler(data.meta_train, data.query, config.episode, config.seed)
        return {}

    def describe(self, data: RatingData) -> Sequence[str]:
        """Which features of items and users are read."""
        sides = (("item", data.item_columns), ("user", data.user_columns))
        return [
            f"{side} features: {', '.join(map(_described, columns)) or 'none'}"
            for side, columns in sides
        ]

    def prepare(
        self, data: RatingData, folder: Path, config: UserRunConfig, seed: int
    ) -> RatingParts:
        """Takes the held-out users as the data has drawn them, or finds them in `folder`."""
        _write_readable(folder / "meta_test_tasks.csv", data)
        known = np.bincount(data.meta_train.item, minlength=len(data.item_ids)) > 0

        def asked(name: str, tasks: RatingTasks) -> AskedUsers:
            draw = partial(AskedUsers.of, tasks, data.query, data.user_ids, known)
            return AskedUsers.kept(folder / f"{name}.npz", draw)

        validation = asked("validation", data.validation) if len(data.validation) else None
        meta_test = asked("meta_test", data.meta_test)
        curve = UserCurve.of(meta_test, config.curve)
        scale = (config.tasks.lowest, config.tasks.highest)
        return RatingParts(
            data,
            validation,
            meta_test,
            FittedTables(data, folder, seed),
            curve=curve,
            scale=scale,
        )

    def build(self, recipe: Recipe, prepared: RatingParts) -> AdaptingModel:
        """A CMML of these users and items, or a baseline."""
        model, data = recipe.model, prepared.data
        tf.keras.utils.set_random_seed(recipe.seed)
        if isinstance(model, RatingModelConfig) and model.kind == "ordinal":
            return ordinal_model(model, data, prepared.ordinal.served(model), recipe.training)
        given: dict[str, Any] = {
            "users": len(data.user_ids),
            "task": RatingTask(recipe.episode.loss),
            "gradient_clip": recipe.training.gradient_clip,
        }
        with_id = isinstance(model, RatingModelConfig) and model.kind == "ridge"
        columns = [one for one in data.item_columns if one.feature.kind != "id" or with_id]
        if not isinstance(model, RatingModelConfig):
            first = float(data.meta_train.rating.mean())
            return build_rating_baseline(
                model, columns, data.user_columns, first_rating=first, **given
            )
        built = build_rating_model(model, columns, data.user_columns, **given)
        set_first_weights(built, data, model, recipe.seed)
        return built

    def build_for_training(self, recipe: Recipe, prepared: RatingParts) -> AdaptingModel:
        """An ordinal model also has what was fitted without each fold of the users."""
        model = recipe.model
        if getattr(model, "kind", None) != "ordinal":
            return self.build(recipe, prepared)
        tf.keras.utils.set_random_seed(recipe.seed)
        tables = prepared.ordinal.training(model)
        return ordinal_model(model, prepared.data, tables, recipe.training)

    def sampler(
        self,
        model: AdaptingModel,
        prepared: RatingParts,
        episode: RatingEpisodeConfig,
        seed: int,
    ) -> Callable[[tf.Tensor], Episode]:
        """Users, their ratings divided anew at each visit."""
        del model
        data = prepared.data
        return RatingEpisodeSampler(data.meta_train, data.query, episode, seed).sample

    def evaluate(self, scorer: Scorer, asked: AskedUsers) -> TaskMetrics:
        """MAE and NDCG of each user."""
        return evaluate_ratings(predicted_ratings(scorer), asked)

    def validate(self, scorer: Scorer, asked: AskedUsers) -> dict[str, float]:
        """MAE and NDCG of the validation users, and the MAE turned round, higher is better."""
        means = self.evaluate(scorer, asked).means()
        return {**means, "negative_mae": -means["mae"]}

    def told(self, prepared: RatingParts, known: Known) -> tuple[RatingParts, dict[str, float]]:
        """Ratings of known and of unknown items are told apart."""
        asked, curve = prepared.meta_test.with_known(known.items), prepared.curve
        if isinstance(curve, UserCurve):
            curve = replace(curve, asked=curve.asked.with_known(known.items))
        shares = asked.known() | {"users": float(known.users[asked.user].mean())}
        return replace(prepared, meta_test=asked, curve=curve), shares

    def counts(self, asked: AskedUsers) -> dict[str, np.ndarray]:
        """See `AskedUsers.counts`."""
        return asked.counts()

    def simple_systems(self, prepared: RatingParts, names: Sequence[str]) -> dict[str, Scorer]:
        """Means, neighbours and factors, without any network."""
        return simple_rating_systems(prepared.data, names)

    def export_options(self, config: UserRunConfig) -> dict[str, Any]:
        """The scale of ratings, limits, and hashed user ids."""
        return {
            "scale": (config.tasks.lowest, config.tasks.highest),
            "limits": config.limits,
            "user_id_key": read_user_id_key(config.hash_user_ids),
        }


def _write_readable(file: Path, data: RatingData) -> None:
    """The meta-test tasks as raw ids; the last lines of each user are its query."""
    if file.exists():
        return
    tasks = data.meta_test
    user = np.repeat(data.user_ids[tasks.user], tasks.lengths)
    left = np.repeat(tasks.starts[1:], tasks.lengths) - np.arange(len(tasks.item))
    role = np.where(left <= data.query, "query", "support")
    columns = zip(user, data.item_ids[tasks.item], tasks.rating, role, strict=True)
    lines = [f"{u},meta_test,{i},{r:g},{part}\n" for u, i, r, part in columns]
    write_whole(file, "user,part,movie,rating,role\n" + "".join(lines))


def _described(column: FeatureColumn) -> str:
    feature = column.feature
    size = f", {len(feature.vocabulary):,} values" if feature.vocabulary else ""
    return f"{feature.name} ({feature.kind}{size})"
