"""The preprocessed layout of ScenarioMeta (Du et al., KDD 2019), which CMML's experiments read.

    embeddings/user_embeddings.npy, item_embeddings.npy   one row a user, an item
    embeddings/user_dict, item_dict                       pickled dict, raw id -> row
    train_data/train_data                                 pickled [(scenario, [(user, item), ...])]
    train_data/test_data                     pickled [(scenario, support pairs, evaluation pairs)]

Pairs hold raw ids.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config import SplitConfig
from cmml_tf.datasets.layouts import SCENARIO_META_TASKS
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.datasets.safe_files.safe_pickle import load_plain_pickle
from cmml_tf.datasets.tasks.held_out import halve_users, validation_size
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData

_FILES = (
    "embeddings/user_embeddings.npy",
    "embeddings/item_embeddings.npy",
    "embeddings/user_dict",
    "embeddings/item_dict",
    *SCENARIO_META_TASKS,
)


def load_scenario_meta(folder: str | Path, split: SplitConfig, seed: int) -> ScenarioData:
    """Reads a folder in ScenarioMeta's layout.

    Meta-train and meta-test are the folder's own. Validation scenarios are taken out of its
    meta-train part; their users are halved as those of the meta-test scenarios are. Fields of a
    pair behind user and item are ignored; repeated pairs of a scenario, pairs with an id that has
    no embedding, and scenarios without pairs are dropped and counted.

    Args:
      folder: The folder that holds `embeddings` and `train_data`.
      split: `validation_fraction` and `max_support_pairs` are used, the rest is settled by the
        folder.
      seed: Chooses the validation scenarios and halves their users.

    Raises:
      FileNotFoundError: A file of the layout is missing.
      ValueError: A file is damaged or hostile, the files disagree, or too few scenarios are left.
    """
    folder = Path(folder)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"The ScenarioMeta folder {folder} is not complete: {', '.join(missing)} missing. "
            "Give the folder that holds `embeddings` and `train_data`, or get it again."
        )
    without_id: dict[str, int] = {}
    user_ids, user_rows, user_embeddings = _vocabulary(folder, "user", without_id)
    item_ids, item_rows, item_embeddings = _vocabulary(folder, "item", without_id)
    reader = _PairReader(user_rows, item_rows)
    train_file, test_file = (folder / name for name in SCENARIO_META_TASKS)
    train: list[Scenario] = []
    for name, pairs in _records(train_file, "(scenario, pairs)", 2):
        users, items = reader.read(train_file, name, pairs)
        candidates = np.unique(items)
        if len(candidates) < 2:  # no item to be a negative
            reader.counts["scenarios with fewer than 2 items, dropped"] += 1
            continue
        train.append(Scenario(name, users, items, candidates))
    test: list[HeldOutScenario] = []
    for name, support, evaluation in _records(test_file, "(scenario, support, evaluation)", 3):
        scenario = _held_out(reader, test_file, name, support, evaluation)
        if scenario is None:
            reader.counts["scenarios without support or evaluation pairs, dropped"] += 1
            continue
        test.append(scenario)
    _check_names(folder, [scenario.name for scenario in (*train, *test)])
    if not test:
        raise ValueError(
            f"{test_file} has no scenario with support and evaluation pairs of known users and "
            "items. Give a data set with at least one."
        )
    train, validation = _carve_validation(folder, train, split, np.random.default_rng(seed))
    return ScenarioData(
        name=folder.resolve().name,
        user_ids=user_ids,
        item_ids=item_ids,
        meta_train=tuple(train),
        validation=tuple(validation),
        meta_test=tuple(test),
        history_users=np.concatenate([scenario.users for scenario in train]),
        history_items=np.concatenate([scenario.items for scenario in train]),
        user_embeddings=user_embeddings,
        item_embeddings=item_embeddings,
        counts={
            **{key: value for key, value in reader.counts.items() if value},
            **{key: value for key, value in without_id.items() if value},
            "users": len(user_ids),
            "items": len(item_ids),
            "meta-train scenarios": len(train),
            "validation scenarios": len(validation),
            "meta-test scenarios": len(test),
            "meta-train pairs": sum(len(scenario.users) for scenario in train),
            "validation support pairs": sum(len(s.support_users) for s in validation),
            "validation evaluation pairs": sum(len(s.evaluation_users) for s in validation),
            "meta-test support pairs": sum(len(s.support_users) for s in test),
            "meta-test evaluation pairs": sum(len(s.evaluation_users) for s in test),
        },
        protocol="warm",
        because="the ScenarioMeta layout has its own split and embeddings",
    )


def _held_out(
    reader: "_PairReader", file: Path, name: str, support: Any, evaluation: Any
) -> HeldOutScenario | None:
    support_users, support_items = reader.read(file, name, support)
    users, items = reader.read(file, name, evaluation)
    known = set(zip(support_users.tolist(), support_items.tolist(), strict=True))
    fresh = np.array(
        [pair not in known for pair in zip(users.tolist(), items.tolist(), strict=True)], bool
    )
    reader.counts["evaluation pairs that are support too, dropped"] += int((~fresh).sum())
    candidates = np.union1d(support_items, items)
    users, items = users[fresh], items[fresh]
    if not len(users) or not len(support_users):
        return None
    return HeldOutScenario(name, support_users, support_items, users, items, candidates)


def _carve_validation(
    folder: Path, train: list[Scenario], split: SplitConfig, rng: np.random.Generator
) -> tuple[list[Scenario], list[HeldOutScenario]]:
    wanted = validation_size(len(train), split.validation_fraction)
    eligible = [
        index for index in rng.permutation(len(train)) if len(np.unique(train[index].users)) >= 2
    ]
    if len(eligible) < wanted or len(train) - wanted < 2:
        raise ValueError(
            f"{folder} has {len(train)} meta-training scenarios, too few for {wanted} to steer "
            "training and 2 to learn from. Set validation_fraction to 0 or give more scenarios."
        )
    chosen = sorted(eligible[:wanted])
    validation = [
        halve_users(
            train[index].name,
            train[index].users,
            train[index].items,
            train[index].candidates,
            split.max_support_pairs,
            rng,
        )
        for index in chosen
    ]
    return [s for index, s in enumerate(train) if index not in set(chosen)], validation


class _PairReader:
    """Turns lists of raw pairs into rows and counts what is dropped on the way."""

    def __init__(self, user_rows: dict, item_rows: dict) -> None:
        self._user_rows = user_rows
        self._item_rows = item_rows
        self.counts: Counter[str] = Counter()

    def read(self, file: Path, scenario: str, pairs: Any) -> tuple[np.ndarray, np.ndarray]:
        """int32 [N] user rows and item rows, repeated pairs removed, order kept."""
        if not isinstance(pairs, Iterable) or isinstance(pairs, str | bytes | dict):
            raise ValueError(
                f"Scenario {scenario!r} of {file} must hold a list of (user, item) pairs. "
                f"Received: {type(pairs).__name__}."
            )
        users, items = [], []
        try:
            for pair in pairs:
                users.append(self._user_rows.get(pair[0], -1))
                items.append(self._item_rows.get(pair[1], -1))
        except (TypeError, IndexError, KeyError):
            raise ValueError(
                f"Scenario {scenario!r} of {file} must hold (user, item) pairs. "
                f"Pair {len(items)} is not one."
            ) from None
        rows = np.array([users, items], np.int64).reshape(2, -1)
        self.counts["pairs read"] += rows.shape[1]
        known = (rows >= 0).all(axis=0)
        self.counts["pairs with an id without embedding, dropped"] += int((~known).sum())
        rows = rows[:, known]
        _, first = np.unique(rows[0] * (len(self._item_rows) + 1) + rows[1], return_index=True)
        self.counts["repeated pairs of a scenario, dropped"] += rows.shape[1] - len(first)
        rows = rows[:, np.sort(first)].astype(np.int32)
        return rows[0], rows[1]


def _vocabulary(
    folder: Path, kind: str, counts: dict[str, int]
) -> tuple[np.ndarray, dict, np.ndarray]:
    """Raw ids by row, raw id -> row, and embeddings; rows without an id are left out, counted."""
    embeddings = read_matrix(folder / "embeddings" / f"{kind}_embeddings.npy")
    file = folder / "embeddings" / f"{kind}_dict"
    raw = load_plain_pickle(file)
    if not isinstance(raw, dict) or not raw:
        raise ValueError(
            f"{file} must hold a dictionary of raw id to row. Received: {type(raw).__name__}."
        )
    if not all(isinstance(row, int) and not isinstance(row, bool) for row in raw.values()):
        raise ValueError(f"{file} must map each raw id to a row number (an integer).")
    pairs = sorted(raw.items(), key=lambda pair: pair[1])
    rows = np.array([row for _, row in pairs], np.int64)
    if rows[0] < 0 or rows[-1] >= len(embeddings) or len(np.unique(rows)) != len(rows):
        raise ValueError(
            f"{file} must map each raw id to a row of its own, of the {len(embeddings)} in "
            f"{kind}_embeddings.npy. Received: {len(rows)} ids in {len(np.unique(rows))} rows, "
            f"from {rows[0]} to {rows[-1]}. The two files belong to different data sets."
        )
    counts[f"rows of {kind}_embeddings.npy without an id, left out"] = len(embeddings) - len(rows)
    ids = [raw_id for raw_id, _ in pairs]
    _check_ids(file, ids)
    whole = all(isinstance(raw_id, int) for raw_id in ids)
    array = np.array(ids, np.int64) if whole else np.array([str(raw_id) for raw_id in ids], object)
    return array, {raw_id: row for row, raw_id in enumerate(ids)}, embeddings[rows]


def _check_ids(file: Path, ids: list[Any]) -> None:
    """Raw ids are numbers, or texts that a line of a served vocabulary can hold."""
    for raw_id in ids:
        if isinstance(raw_id, bool) or not isinstance(raw_id, str | int | float):
            raise ValueError(
                f"{file} must have ids that are text or numbers. "
                f"Received: {str(raw_id)[:80]!r} of type {type(raw_id).__name__}."
            )
        if raw_id == "" or (isinstance(raw_id, str) and set(raw_id) & {"\n", "\r", "\0"}):
            raise ValueError(
                f"{file} must have ids that are lines of text, not empty. "
                f"Received: {raw_id[:80]!r}."
            )
    if len({str(raw_id) for raw_id in ids}) < len(ids):
        name, _ = Counter(map(str, ids)).most_common(1)[0]
        raise ValueError(f"{file} has the id {name} twice, as a number and as text.")


def _records(file: Path, form: str, size: int) -> list[tuple]:
    records = load_plain_pickle(file)
    if not isinstance(records, list | tuple):
        raise ValueError(f"{file} must hold a list of {form}. Received: {type(records).__name__}.")
    for number, record in enumerate(records):
        if not isinstance(record, list | tuple) or len(record) < size:
            raise ValueError(f"{file} must hold a list of {form}. Entry {number} is not one.")
        if not isinstance(record[0], str | int | float):
            raise ValueError(f"{file}: the scenario of entry {number} must be a name or a number.")
    return [(str(record[0]), *record[1:size]) for record in records]


def _check_names(folder: Path, names: list[str]) -> None:
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ValueError(
            f"Scenario {name!r} of {folder} stands {times} times in train_data and test_data. "
            "Meta-training and meta-test scenarios must be disjoint; remove the repetition."
        )
