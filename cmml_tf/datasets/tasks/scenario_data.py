"""What every source becomes: scenarios of (user row, item row) pairs, split for meta-learning."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from cmml_tf.config import Protocol
from cmml_tf.datasets.tasks.protocols import described_protocol
from cmml_tf.types import ContentColumn


def _no_rows() -> np.ndarray:
    return np.zeros(0, np.int32)


@dataclass(frozen=True)
class Scenario:
    """A meta-training scenario.

    Attributes:
      name: Its name, unique in the data set.
      users: int32 [N], user rows of its positive pairs.
      items: int32 [N], item rows of its positive pairs.
      candidates: int32 [I], sorted rows of all items of the scenario; negatives come from here.
      aside_users, aside_items: int32 [M], the scenario's other pairs, of users set aside in it and
        of evaluation users, which only the pre-trained embeddings see. Embeddings that know nothing
        of this scenario are fitted without these pairs and without the above.
    """

    name: str
    users: np.ndarray
    items: np.ndarray
    candidates: np.ndarray
    aside_users: np.ndarray = field(default_factory=_no_rows)
    aside_items: np.ndarray = field(default_factory=_no_rows)


@dataclass(frozen=True)
class HeldOutScenario:
    """A validation or meta-test scenario: some of its pairs support, others are asked.

    Attributes:
      name: Its name, unique in the data set.
      support_users, support_items: int32 [N], the pairs a context may be made of. The first n of
        them are the support of n pairs: in the order of time where the protocol is `time`, else in
        an order that is drawn, of other users than those who are asked.
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
    """A data set ready for meta-learning; what is left out of it is nothing.

    Attributes:
      name: Where it comes from, e.g. `movielens-small`.
      user_ids: int64 or object of str [U], raw id of each user row.
      item_ids: int64 or object of str [I], raw id of each item row.
      meta_train: Scenarios to learn from.
      validation: Scenarios that steer training (early stopping, learning rate).
      meta_test: Scenarios of the final evaluation.
      background_users, background_items: int32 [K], pairs that only pre-trained embeddings see.
      history_users, history_items: int32 [H], what training knows of the users who are trained on
        (`warm`: all their pairs): a negative is never drawn from it.
      user_embeddings, item_embeddings: float32 [U, d_u], [I, d_i] where the source ships them.
      counts: What was read, kept and left out, in the order it happened; printed by the pipelines.
      user_features, item_features: What is known of each user row and each item row, as it was
        given; none where nothing is.
      protocol: What may be known of a held-out scenario: `strict` nothing but its support, `warm`
        what other users took in it, `time` what was before it.
      because: Why it is this protocol, in a few words; "" where it was asked for.
      moment: `time`: when the held-out scenarios begin, as ISO 8601 in UTC.
      evaluation_users: int32 [E], sorted rows of users who are only ever asked: no pair of theirs
        is trained on.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    meta_train: tuple[Scenario, ...]
    validation: tuple[HeldOutScenario, ...]
    meta_test: tuple[HeldOutScenario, ...]
    background_users: np.ndarray = field(default_factory=_no_rows)
    background_items: np.ndarray = field(default_factory=_no_rows)
    history_users: np.ndarray = field(default_factory=_no_rows)
    history_items: np.ndarray = field(default_factory=_no_rows)
    user_embeddings: np.ndarray | None = None
    item_embeddings: np.ndarray | None = None
    counts: dict[str, int] = field(default_factory=dict)
    user_features: tuple[ContentColumn, ...] = ()
    item_features: tuple[ContentColumn, ...] = ()
    protocol: Protocol = "strict"
    because: str = ""
    moment: str | None = None
    evaluation_users: np.ndarray = field(default_factory=_no_rows)

    def training_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """User and item rows, int32 [T] each, of all pairs that training knows, each once."""
        users, items = self._training_rows("users"), self._training_rows("items")
        keys = np.unique(users.astype(np.int64) * max(1, len(self.item_ids)) + items)
        users, items = np.divmod(keys, max(1, len(self.item_ids)))
        return users.astype(np.int32), items.astype(np.int32)

    def known_users(self) -> np.ndarray:
        """bool [U]: of whom something is known: a training pair, or an embedding that was given."""
        return _known(self._training_rows("users"), len(self.user_ids), self.user_embeddings)

    def known_items(self) -> np.ndarray:
        """bool [I]: of which something is known, as `known_users`."""
        return _known(self._training_rows("items"), len(self.item_ids), self.item_embeddings)

    def known_shares(self) -> dict[str, float]:
        """Shares of the pairs asked of meta-test whose `item`, `user`, and `both` are known."""
        none = _no_rows()
        users = np.concatenate([none, *(s.evaluation_users for s in self.meta_test)])
        items = np.concatenate([none, *(s.evaluation_items for s in self.meta_test)])
        user, item = self.known_users()[users], self.known_items()[items]
        asked = max(1, len(users))
        return {
            "item": float(item.sum() / asked),
            "user": float(user.sum() / asked),
            "both": float((user & item).sum() / asked),
        }

    def described(self) -> list[str]:
        """How new held-out scenarios are, and how much of what is asked is known, for people."""
        known = self.known_shares()
        return [
            described_protocol(self.protocol, self.because, self.moment),
            f"asked pairs whose item is known: {known['item']:.0%}, whose user is: "
            f"{known['user']:.0%}, both: {known['both']:.0%}",
        ]

    def _training_rows(self, side: str) -> np.ndarray:
        of_scenarios = (getattr(scenario, side) for scenario in self.meta_train)
        return np.concatenate([getattr(self, f"background_{side}"), *of_scenarios])

    def fingerprint(self) -> str:
        """sha256 (hex) over ids, protocol, features, every pair, and embeddings that came along."""
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
            self.evaluation_users,
        ):
            add(array)
        digest.update(f"{self.protocol} {self.moment}".encode())
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


def _known(rows: np.ndarray, size: int, embeddings: np.ndarray | None) -> np.ndarray:
    known = np.zeros(size, bool)
    known[rows] = True
    return known if embeddings is None else known | (embeddings != 0).any(axis=1)
