"""From a name or folder to the tasks and features of the user setting."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cmml_tf.config import ReadConfig
from cmml_tf.config.rating import RatingDataConfig
from cmml_tf.datasets.check_source import check_rating_source
from cmml_tf.datasets.features import RawFeature, build_columns
from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.layouts import EMBEDDED_NAME, is_feature_folder, is_own_table
from cmml_tf.datasets.reading.ids import as_text, is_text, rows_of, sorted_ids
from cmml_tf.datasets.sources.download import download_movielens
from cmml_tf.datasets.sources.movielens import load_embedded_movielens, load_movielens
from cmml_tf.datasets.sources.movielens_features import (
    movielens_item_features,
    movielens_user_features,
)
from cmml_tf.datasets.sources.table_features import load_feature_folder, load_rating_table
from cmml_tf.datasets.tasks.earlier import Earlier, earlier_first
from cmml_tf.datasets.tasks.users.rating_task_file import read_task_file
from cmml_tf.datasets.tasks.users.rating_tasks import (
    RatingData,
    RatingTasks,
    all_ratings,
    check_not_before,
    check_ratings,
    choose_meta_test,
    draw_tasks,
    joined_tasks,
)
from cmml_tf.types import AreNew


def open_rating_data(
    data: str,
    config: RatingDataConfig,
    seed: int,
    read: ReadConfig | None = None,
    are_new: AreNew | None = None,
    whole: bool = False,
    earlier: Earlier | None = None,
) -> RatingData:
    """Opens a data set and makes every user a task.

    Where a user rated an item several times, the last line of the file counts.

    Args:
      data: `movielens-small`, a GroupLens name, a folder as GroupLens publishes it (with MeLU's
        `movies_extrainfos.dat` or without), a folder with `features.yaml`, or a table with columns
        user, item and value, or a folder with the parts of one.
      config: Split and sizes.
      seed: Fixes the split, which ratings are kept and which of them are the query.
      read: How files are read, what own tables call their columns, and how many malformed lines are
        left out.
      are_new: Which users, by id, may be asked; None: all. Where it leaves fewer than two, all.
      whole: Every user with enough ratings is learned from, as a refit does: to ask the meta-test
        users says nothing any more.
      earlier: A state of the same data that a run knew which is continued: its ids keep their rows,
        whom it learned from is held out never again.

    Raises:
      ValueError: Nothing accepted has this name, a rating is outside the scale, a file is damaged,
        or there are too few users.
      FileNotFoundError: A file of the data set is missing.
      ConnectionError: A download is needed and the network does not answer.
    """
    read = ReadConfig() if read is None else read
    check_rating_source(data, read, config)
    interactions, item_features, user_features = read_ratings(data, read)
    table = interactions.table.drop_duplicates(["user", "item"], keep="last")
    check_ratings(interactions.name, table, config)
    _check_met("user", interactions.name, table["user"], user_features)
    _check_met("item", interactions.name, table["item"], item_features)
    user_ids = _catalogue_ids(table["user"], user_features)
    item_ids = _catalogue_ids(table["item"], item_features)
    before = None
    if earlier is not None:
        user_ids = earlier_first(earlier.user_ids, user_ids)
        item_ids = earlier_first(earlier.item_ids, item_ids)
        before = None if whole else rows_of(earlier.tasks, user_ids)
    rng = np.random.default_rng(seed)
    left_out = {
        "ratings read": len(interactions.table),
        "repeated ratings of a user and item, the last counts": len(interactions.table)
        - len(table),
        "users without a rating": len(user_ids) - table["user"].nunique(),
        "items without a rating": len(item_ids) - table["item"].nunique(),
    }
    rows = _rows(table["user"], user_ids), _rows(table["item"], item_ids)
    values = table["value"].to_numpy(np.float64)
    if config.tasks is not None:
        meta_train, meta_test = read_task_file(Path(config.tasks), user_ids, item_ids, config)
        left_out |= _outside_of_tasks(*rows, [meta_train, meta_test])
        check_not_before(meta_test.user, before, user_ids, config.tasks)
        tasks = joined_tasks([meta_train, meta_test])
    else:
        tasks = draw_tasks(*rows, values, config, rng)
        left_out |= _left_out_of_tasks(table, tasks, config)
        learned, asked = choose_meta_test(tasks, user_ids, config, rng, are_new, before)
        neither = len(tasks) - len(learned) - len(asked)
        left_out[f"users neither learned from nor asked (split {config.split})"] = neither
        meta_train, meta_test = tasks.take(learned), tasks.take(asked)
    meta_train, validation = _validation(meta_train, config, rng, before)
    not_learned = np.concatenate([validation.user, meta_test.user])
    if whole:
        meta_train, validation, not_learned = tasks, validation.take([]), not_learned[:0]
    trained = [str(item) for item in item_ids[np.unique(meta_train.item)]]
    data_counts = {
        **interactions.counts,
        **{what: count for what, count in left_out.items() if count},
        "users": len(user_ids),
        "items": len(item_ids),
        "meta-training users": len(meta_train),
        "meta-training ratings": len(meta_train.item),
        "validation users": len(validation),
        "meta-test users": len(meta_test),
        "meta-test ratings": len(meta_test.item),
    }
    return RatingData(
        name=interactions.name,
        user_ids=user_ids,
        item_ids=item_ids,
        user_columns=build_columns("user", user_features, user_ids.tolist(), []),
        item_columns=build_columns("item", item_features, item_ids.tolist(), trained),
        query=config.query,
        meta_train=meta_train,
        validation=validation,
        meta_test=meta_test,
        log=all_ratings(*rows, values, not_learned),
        counts=data_counts,
    )


def read_ratings(
    data: str, read: ReadConfig
) -> tuple[Interactions, list[RawFeature], list[RawFeature]]:
    """Ratings, item features and user features."""
    path = Path(data).expanduser()
    if path.is_dir() and is_feature_folder(path):
        return load_feature_folder(path, read)
    if is_own_table(path):
        return load_rating_table(path, read)
    if path.exists():
        folder = path
    elif data == EMBEDDED_NAME:
        interactions = load_embedded_movielens()
        return interactions, movielens_item_features(None, interactions.catalogue), []
    else:
        folder = download_movielens(data)
    interactions = load_movielens(folder, read)
    items = movielens_item_features(folder, interactions.catalogue)
    return interactions, items, movielens_user_features(folder)


def _left_out_of_tasks(
    table: pd.DataFrame, tasks: RatingTasks, config: RatingDataConfig
) -> dict[str, int]:
    """What is in the data and in no task."""
    of_user = table["user"].value_counts()
    few = of_user < config.min_ratings
    cut = int(of_user[~few].sum()) - len(tasks.item)
    return {
        f"users with fewer than {config.min_ratings} ratings (tasks.min_ratings), left out": int(
            few.sum()
        ),
        "ratings of these users, left out": int(of_user[few].sum()),
        f"ratings of a user beyond {config.max_ratings} (tasks.max_ratings), left out": cut,
    }


def _outside_of_tasks(
    user: np.ndarray, item: np.ndarray, parts: Sequence[RatingTasks]
) -> dict[str, int]:
    """Users and ratings of the data that a task file does not name."""
    users = np.concatenate([np.repeat(part.user, part.lengths) for part in parts]).astype(np.int64)
    items = np.concatenate([part.item for part in parts])
    size = int(max(item.max(), items.max())) + 1
    unnamed = ~np.isin(user.astype(np.int64) * size + item, users * size + items)
    return {
        "users that the task file does not name, left out": len(np.setdiff1d(user, users)),
        "ratings that the task file does not name, left out": int(unnamed.sum()),
    }


def _check_met(side: str, name: str, rated: pd.Series, features: list[RawFeature]) -> None:
    """Refuses features of which no id has a rating, as `with_features` does in other settings."""
    known = {one for feature in features if feature.kind != "id" for one in feature.values}
    ids = set(rated.tolist())
    if known and known.isdisjoint(ids):
        raise ValueError(
            f"The {side}s with features of {name} must be those of its ratings; none is. Received: "
            f"{side} {str(min(known))[:40]!r}, and a rating has {str(min(ids))[:40]!r}."
        )


def _catalogue_ids(rated: pd.Series, features: list[RawFeature]) -> np.ndarray:
    """All ids that there are, sorted: those with a rating and those with a feature."""
    known = {one for feature in features for one in feature.values}
    return sorted_ids(known | set(rated.tolist()))


def _rows(values: pd.Series, ids: np.ndarray) -> np.ndarray:
    """int64 [N]; ids are text where those of an earlier state were."""
    array = values.to_numpy()
    return rows_of(as_text(array) if is_text(ids) and not is_text(array) else array, ids)


def _validation(
    tasks: RatingTasks,
    config: RatingDataConfig,
    rng: np.random.Generator,
    before: np.ndarray | None,
) -> tuple[RatingTasks, RatingTasks]:
    """Meta-training users without, and those of, the validation share; none of `before`."""
    shuffled = rng.permutation(len(tasks))
    number = round(config.validation_fraction * len(tasks))
    if before is not None:
        old = np.isin(tasks.user[shuffled], before)
        shuffled = np.concatenate([shuffled[~old], shuffled[old]])
        number = min(number, int((~old).sum()))
    if number == len(tasks):
        raise ValueError(
            f"There must be a user left to learn from. Received: {len(tasks)} meta-training users "
            f"and validation_fraction={config.validation_fraction}."
        )
    return tasks.take(np.sort(shuffled[number:])), tasks.take(np.sort(shuffled[:number]))
