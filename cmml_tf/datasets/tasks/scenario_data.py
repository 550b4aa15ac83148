"""What every source becomes: scenarios of (user row, item row) pairs, split for meta-learning."""

import hashlib
from dataclasses import dataclass

import numpy as np

from cmml_tf.types import ContentColumn


@dataclass(frozen=True)
class Scenario:
    """A meta-training scenario.

    Attributes:
      name: Its name, unique in the data set.
      users: int32 [N], user rows of its positive pairs.
      items: int32 [N], item rows of its positive pairs.
      candidates: int32 [I], sorted rows of all items of the scenario; negatives come from here.
    """

    name: str
    users: np.ndarray
    items: np.ndarray
    candidates: np.ndarray


@dataclass(frozen=True)
class HeldOutScenario:
    """A validation or meta-test scenario: one half of its users supports, the other is asked.

    Attributes:
      name: Its name, unique in the data set.
      support_users, support_items: int32 [N], the pairs a context may be made of, in sampling
        order.
      evaluation_users, evaluation_items: int32 [E], the pairs that a ranking should find.
      candidates: int32 [I], sorted rows of all items of the scenario: what is ranked.
    """

    name: str
    support_users: np.ndarray
    support_items: np.ndarray
    evaluation_users: np.ndarray
    evaluation_items: np.ndarray
    candidates: np.ndarray


@dataclass(frozen=True)
class ScenarioData:
    """A data set ready for meta-learning.

    Attributes:
      name: Where it comes from, e.g. `movielens-small`.
      user_ids: int64 or object of str [U], raw id of each user row.
      item_ids: int64 or object of str [I], raw id of each item row.
      meta_train: Scenarios to learn from.
      validation: Scenarios that steer training (early stopping, learning rate).
      meta_test: Scenarios of the final evaluation.
      background_users, background_items: int32 [K], pairs that only pre-trained embeddings see.
      history_users, history_items: int32 [H], all pairs known of meta-training users: a negative
        is never drawn from them.
      user_embeddings, item_embeddings: float32 [U, d_u], [I, d_i] where the source ships them.
      counts: What was read, kept and left out, in the order it happened; printed by the pipelines.
      user_features, item_features: What is known of each user row and each item row, as it was
        given; none where nothing is.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    meta_train: tuple[Scenario, ...]
    validation: tuple[HeldOutScenario, ...]
    meta_test: tuple[HeldOutScenario, ...]
    background_users: np.ndarray
    background_items: np.ndarray
    history_users: np.ndarray
    history_items: np.ndarray
    user_embeddings: np.ndarray | None
    item_embeddings: np.ndarray | None
    counts: dict[str, int]
    user_features: tuple[ContentColumn, ...] = ()
    item_features: tuple[ContentColumn, ...] = ()

    def fingerprint(self) -> str:
        """sha256 (hex) over ids, features, every pair, and the embeddings that came along."""
        digest = hashlib.sha256()

        def add(array: np.ndarray | None) -> None:
            if array is None:
                digest.update(b"none")
                return
            array = np.ascontiguousarray(array)
            is_text = array.dtype.kind in "OUT"
            digest.update(f"{'U' if is_text else array.dtype.kind}{array.shape}".encode())
            if is_text:
                digest.update("\n".join(map(str, array)).encode())
            else:
                digest.update(array.data)  # the bytes themselves: tables may be large

        for array in (
            self.user_ids,
            self.item_ids,
            self.background_users,
            self.background_items,
            self.history_users,
            self.history_items,
            self.user_embeddings,
            self.item_embeddings,
        ):
            add(array)
        for part in (self.meta_train, self.validation, self.meta_test):
            for scenario in part:
                for value in vars(scenario).values():
                    if isinstance(value, str):
                        digest.update(value.encode())
                    else:
                        add(value)
        for column in (*self.user_features, *self.item_features):
            digest.update(f"{column.name}\n{column.kind}\n".encode())
            add(column.values)
        return digest.hexdigest()
