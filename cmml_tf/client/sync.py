"""The blocking client."""

import time
from collections.abc import Sequence
from typing import Any, TypeVar

import grpc

from cmml_tf.client.answers import (
    Contexts,
    ExampleScores,
    Explanations,
    FeatureScores,
    Recommendations,
    Scores,
)
from cmml_tf.client.base import BaseClient, Steps
from cmml_tf.client.features import Tables
from cmml_tf.client.plans import Plan
from cmml_tf.client.transport.channel import stubs

_Result = TypeVar("_Result")


class Client(BaseClient):
    """Calls one served CMML model; thread-safe.

    Ids are strings or integers, whichever the model's vocabularies are. One task is given as flat
    sequences (lists, NumPy arrays or pandas columns) and answered by flat arrays; several tasks as
    sequences of sequences, which may differ in length, and answered by lists of arrays.

    Every method takes `timeout`, seconds for the whole of it. Wrong arguments are raised as
    `InputError`, before anything is sent where the client can tell, or when the model refuses them
    (INVALID_ARGUMENT, or `valid` false for some tasks: `InputError.tasks`). Other failures of a
    call are raised as `grpc.RpcError`; where an HTTP proxy stands between, as a `ProxyError`.

    ```python
    with Client("localhost:8500", "cmml", context_cache=ContextCache()) as client:
        client.wait_until_ready()
        scores = client.score(users, items, labels, candidate_users, candidate_items)
        best = candidate_items[scores.score.argmax()]
    ```
    """

    def _open(self) -> None:
        self._channel = self._settings.open(grpc)
        self._stubs = stubs(self._channel)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _run(self, plan: Plan[_Result], timeout: float | None) -> _Result:
        return self._carried(self._steps(plan, timeout))

    def _carried(self, steps: Steps[_Result]) -> _Result:
        try:
            step = next(steps)
            while True:
                if isinstance(step, float):
                    time.sleep(step)
                    step = next(steps)
                    continue
                try:
                    response = self._stubs[step.method](
                        step.request, metadata=self._metadata, **step.options
                    )
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as stop:
            return stop.value

    def score(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        query_user_id: Any,
        query_item_id: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Scores:
        """Scores query pairs for tasks given by their support.

        With a context cache, tasks seen before cost a `score_with_context` request only. Contexts
        are scored by the version that encoded them, and encoded again once it is gone.

        Args:
          support_user_id: [S] or B rows: users of the labelled pairs. One id stands for all
            pairs; of several tasks, a flat sequence of B ids for the pairs of each.
          support_item_id: Their items.
          support_label: Scenario setting: 1 positive, 0 negative; user setting: the rating.
          query_user_id: [Q] or B rows: users of the pairs to score; one id for all, or one a task,
            as for the support.
          query_item_id: Their items.
          support_length: int [B], how many leading pairs count; all of them unless given.
          timeout: Seconds.
        """
        plan = self._plans.score(
            support_user_id,
            support_item_id,
            support_label,
            query_user_id,
            query_item_id,
            support_length,
        )
        return self._run(plan, timeout)

    def encode_context(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Contexts:
        """Encodes supports, to be scored by `score_with_context`; arguments as for `score`."""
        plan = self._plans.encode_context(
            support_user_id, support_item_id, support_label, support_length
        )
        return self._run(plan, timeout)

    def score_with_context(
        self,
        contexts: Contexts,
        query_user_id: Any,
        query_item_id: Any,
        *,
        timeout: float | None = None,
    ) -> Scores:
        """Scores query pairs for encoded supports, by the version that encoded them.

        Raises:
          StaleContextError: That version is no longer served.
        """
        return self._run(
            self._plans.score_with_context(contexts, query_user_id, query_item_id), timeout
        )

    def recommend(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        user_id: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Recommendations:
        """The best items of the catalogue for one user a task; K is fixed in the export.

        Args:
          support_user_id: As for `score`.
          support_item_id: As for `score`.
          support_label: As for `score`.
          user_id: One id, or one for each task.
          support_length: As for `score`.
          timeout: Seconds.
        """
        plan = self._plans.recommend(
            support_user_id, support_item_id, support_label, user_id, support_length
        )
        return self._run(plan, timeout)

    def explain(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        query_user_id: Any,
        query_item_id: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Explanations:
        """Scores with the context and what it did to each layer; arguments as for `score`."""
        plan = self._plans.explain(
            support_user_id,
            support_item_id,
            support_label,
            query_user_id,
            query_item_id,
            support_length,
        )
        return self._run(plan, timeout)

    def score_features(
        self,
        support_items: Any,
        support_label: Any,
        query_items: Any,
        user: Any = None,
        *,
        support_users: Any = None,
        query_users: Any = None,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> FeatureScores | Scores:
        """Scores items for users by their features.

        In the user setting there is no id, and `user` describes the task's user; the answer is
        `FeatureScores`. In the scenario setting the tables hold the ids as column `id`, features
        are read where the model does not know the id, and users are those of each pair
        (`support_users`, `query_users`); the answer is `Scores`.

        Tables are mappings from feature to column, or pandas DataFrames with these columns. Strings
        are categories or texts, several categories with | between them; numbers are numbers;
        vectors are lists of numbers or arrays; None and NaN are unknown.

        Args:
          support_items: Features of the support items, [S] or B rows each.
          support_label: Their ratings (1 and 0 in the scenario setting), [S] or B rows.
          query_items: Features of the items to score, [Q] or B rows each.
          user: User setting: features of the task's user, a value each; of several tasks, B values
            each. Left out where the model has none.
          support_users, query_users: Scenario setting: a value for each pair; or one for all of
            them; or, of several tasks, one for each task.
          support_length: As for `score`.
          timeout: Seconds.
        """
        tables = Tables(support_items, query_items, user, support_users, query_users)
        plan = self._plans.score_features(tables, support_label, support_length)
        return self._run(plan, timeout)

    def score_examples(
        self, examples: Sequence[Any], *, context: Any = None, timeout: float | None = None
    ) -> ExampleScores:
        """Scores pairs by the Regress API, one `tf.Example` a pair.

        Args:
          examples: Serialized Examples, or mappings from feature (`support_user_id`,
            `support_item_id`, `support_label`, `query_user_id`, `query_item_id`) to value or
            values.
          context: An Example whose features all others share, the support for instance.
          timeout: Seconds.
        """
        return self._run(self._plans.score_examples(examples, context), timeout)

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Returns as soon as a version answers.

        Raises:
          TimeoutError: None did in `timeout` seconds; says what the server answered last.
          grpc.RpcError: The server refuses to tell.
        """
        return self._carried(self._until_ready(timeout))
