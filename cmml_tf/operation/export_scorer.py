"""An export as a system under evaluation: rows of a log become ids, requests keep to the limits."""

from typing import Any, NamedTuple

import numpy as np

from cmml_tf.episodes.asked.evaluation_episodes import Known
from cmml_tf.hashed_ids import hash_user_ids
from cmml_tf.operation.loaded_export import Answering, Export, without_known
from cmml_tf.operation.log_content import LogContent
from cmml_tf.request_limits import RequestLimits
from cmml_tf.types import Support

_PAIRS_PER_CALL = 8192


class LogIds(NamedTuple):
    """Ids of a log's rows as requests to an export carry them.

    Attributes:
      users: int64 or object of str [U].
      items: int64 or object of str [I].
    """

    users: np.ndarray
    items: np.ndarray


class _Context(NamedTuple):
    """Contexts of some tasks in a row."""

    rows: slice
    context: Any


class ExportScorer:
    """Asks an export as a service would: a support is encoded once, then pairs are scored.

    Of a support that is larger than the export admits, pairs at even distances are sent.

    Args:
      answering: Who answers.
      ids: Of the log.
      limits: The largest request.
    """

    reads_support = True

    def __init__(self, answering: Answering, ids: LogIds, limits: RequestLimits) -> None:
        self._answering = answering
        self._ids = ids
        self._limits = limits

    def adapt(self, support: Support) -> list[_Context]:
        """Contexts of B tasks, a few tasks a request."""
        user, item, label, length = _within(support, self._limits.support_pairs)
        tasks = min(self._limits.tasks, self._limits.support_pairs_of_a_call // user.shape[1])
        made = []
        for first in range(0, len(length), max(1, tasks)):
            rows = slice(first, first + max(1, tasks))
            inputs = {
                "support_user_id": self._ids.users[user[rows]],
                "support_item_id": self._ids.items[item[rows]],
                "support_label": label[rows].astype(np.float32),
                "support_length": length[rows].astype(np.int32),
            }
            made.append(_Context(rows, self._encoded(inputs, user[rows], item[rows])))
        return made

    def _encoded(self, inputs: dict[str, np.ndarray], user: np.ndarray, item: np.ndarray) -> Any:
        """The contexts of support sets, whose pairs are of these rows."""
        del user, item
        return self._answering.encode_context(inputs)

    def _asked(self, context: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """All that is said of pairs of these rows [B, Q]."""
        return self._answering.score_with_context(
            context, self._ids.users[user], self._ids.items[item]
        )

    def score(self, adapted: list[_Context], user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float32 [B, Q]."""
        return self.answers(adapted, user, item)["score"]

    def answers(
        self, adapted: list[_Context], user: np.ndarray, item: np.ndarray
    ) -> dict[str, np.ndarray]:
        """All that the export says of pairs, by name, float32 [B, Q] each."""
        parts = [self._of_tasks(one.context, user[one.rows], item[one.rows]) for one in adapted]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _of_tasks(self, context: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        pairs = min(self._limits.query_pairs, max(1, _PAIRS_PER_CALL // len(user)))
        parts = [
            without_known(
                self._asked(context, user[:, first : first + pairs], item[:, first : first + pairs])
            )
            for first in range(0, user.shape[1], pairs)
        ]
        return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


class DescribedScorer(ExportScorer):
    """The same with what a log's tables say of its rows, which is read where an id is not known.

    No context is made: pairs are scored together with their support sets.

    Args:
      answering, ids, limits: As of `ExportScorer`.
      content: What the tables say.
    """

    def __init__(
        self, answering: Answering, ids: LogIds, limits: RequestLimits, content: LogContent
    ) -> None:
        super().__init__(answering, ids, limits)
        self._content = content

    def _encoded(self, inputs: dict[str, np.ndarray], user: np.ndarray, item: np.ndarray) -> Any:
        return {**inputs, **self._content.inputs("support", user, item)}

    def _asked(self, context: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        query = {"query_user_id": self._ids.users[user], "query_item_id": self._ids.items[item]}
        return self._answering.score_features(
            {**context, **query, **self._content.inputs("query", user, item)}
        )


def log_ids(
    export: Export, user_ids: np.ndarray, item_ids: np.ndarray, user_id_key: bytes | None
) -> LogIds:
    """The ids of a log in the types of an export's requests.

    Args:
      export: Says which types.
      user_ids, item_ids: The raw id of each row of the log.
      user_id_key: What the export's user ids are hashed with; None where they are not.

    Raises:
      ValueError: The export hashes user ids and there is no key, or the other way round; or it
        takes integers, and an id of the log is none.
    """
    if export.hashes_users != (user_id_key is not None):
        raise ValueError(
            f"`hash_user_ids` must be {'the key file' if export.hashes_users else 'left out'}: "
            f"user ids of {export.folder} are {'' if export.hashes_users else 'not '}hashed."
        )
    users = user_ids
    if user_id_key is not None:
        users = np.array(hash_user_ids(user_ids.tolist(), user_id_key), object)
    return LogIds(
        _as_type(users, export.id_dtype("users"), "user"),
        _as_type(item_ids, export.id_dtype("items"), "item"),
    )


def known_rows(answering: Answering, ids: LogIds, limits: RequestLimits) -> Known:
    """Which users and items of a log an export knows, by its own answers."""
    nothing = {
        "support_user_id": ids.users[:1][None],
        "support_item_id": ids.items[:1][None],
        "support_label": np.zeros([1, 1], np.float32),
        "support_length": np.zeros([1], np.int32),
    }
    context = answering.encode_context(nothing)
    step = min(limits.query_pairs, _PAIRS_PER_CALL)
    size = max(len(ids.users), len(ids.items))
    users, items = (np.resize(one, size) for one in ids)
    parts = [
        answering.score_with_context(
            context, users[None, first : first + step], items[None, first : first + step]
        )
        for first in range(0, size, step)
    ]
    user, item = (
        np.concatenate([part[name][0] for part in parts]) for name in ("user_known", "item_known")
    )
    return Known(user[: len(ids.users)].astype(bool), item[: len(ids.items)].astype(bool))


def _as_type(ids: np.ndarray, dtype: str, what: str) -> np.ndarray:
    if dtype == "string":
        return np.array([str(one) for one in ids.tolist()], object)
    try:
        return np.array([int(one) for one in ids.tolist()], np.int64)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"A {what} id of the log must be an integer, as those of the export are: {error}."
        ) from error


def _within(support: Support, most: int) -> Support:
    """The support with at most so many pairs of each task."""
    if support.user.shape[1] <= most:
        return support
    length = np.minimum(support.length, most)
    places = (np.arange(most) * np.maximum(support.length, 1)[:, None]) // np.maximum(length, 1)[
        :, None
    ]
    places = np.minimum(places, support.user.shape[1] - 1)
    user, item, label = (np.take_along_axis(one, places, 1) for one in support[:3])
    return Support(user, item, label, length)
