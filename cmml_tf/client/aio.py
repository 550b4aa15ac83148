"""The asyncio client: `Client` with awaitable methods."""

import asyncio
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
from cmml_tf.client.context_cache import ContextCache
from cmml_tf.client.plans import Plan, Plans, is_ready
from cmml_tf.client.transport.channel import ChannelOptions, ChannelSettings
from cmml_tf.client.transport.failures import Backoff, explained, may_become_ready, not_ready
from cmml_tf.client.transport.loop_channels import LoopChannels

_Result = TypeVar("_Result")
_PAUSE_SECONDS = 0.1


class AsyncClient:
    """Calls one served CMML model from event loops; see `Client` for what each method takes.

    It may be made anywhere: at module level, in a thread without a loop. A channel opens at the
    first awaited call of each event loop, in that loop.

    ```python
    async with AsyncClient("localhost:8500", "cmml") as client:
        await client.wait_until_ready()
        scores = await client.score(users, items, labels, candidate_users, candidate_items)
    ```
    """

    def __init__(
        self,
        target: str,
        model_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 5.0,
        context_cache: ContextCache | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        max_attempts: int = 4,
        channel_options: ChannelOptions = (),
    ):
        """Opens nothing yet; arguments as for `Client`.

        Raises:
          ValueError: Both `version` and `label`, or `max_attempts` out of range.
        """
        self._model_name = model_name
        self._plans = Plans(model_name, version, label, context_cache)
        self._timeout = timeout
        self._metadata = tuple(metadata)
        self._settings = ChannelSettings(target, credentials, max_attempts, channel_options)
        self._channels = LoopChannels(self._settings)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channels of all loops; calls afterwards raise `ValueError`."""
        await self._channels.close()

    async def _run(self, plan: Plan[_Result], timeout: float | None) -> _Result:
        end = time.monotonic() + (self._timeout if timeout is None else timeout)
        backoff = Backoff(end, self._settings.retries)
        calls = self._channels.stubs()
        try:
            call = next(plan)
            while True:
                try:
                    response = await calls[call.method](
                        call.request,
                        timeout=max(0.0, end - time.monotonic()),
                        metadata=self._metadata,
                    )
                except grpc.RpcError as error:
                    pause = backoff.pause(error)
                    if pause is None:
                        call = plan.throw(explained(error, self._settings.proxy()))
                    else:
                        await asyncio.sleep(pause)
                else:
                    call = plan.send(response)
        except StopIteration as stop:
            return stop.value

    async def score(
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
        """See `Client.score`."""
        plan = self._plans.score(
            support_user_id,
            support_item_id,
            support_label,
            query_user_id,
            query_item_id,
            support_length,
        )
        return await self._run(plan, timeout)

    async def encode_context(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Contexts:
        """See `Client.encode_context`."""
        plan = self._plans.encode_context(
            support_user_id, support_item_id, support_label, support_length
        )
        return await self._run(plan, timeout)

    async def score_with_context(
        self,
        contexts: Contexts,
        query_user_id: Any,
        query_item_id: Any,
        *,
        timeout: float | None = None,
    ) -> Scores:
        """See `Client.score_with_context`."""
        return await self._run(
            self._plans.score_with_context(contexts, query_user_id, query_item_id), timeout
        )

    async def recommend(
        self,
        support_user_id: Any,
        support_item_id: Any,
        support_label: Any,
        user_id: Any,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> Recommendations:
        """See `Client.recommend`."""
        plan = self._plans.recommend(
            support_user_id, support_item_id, support_label, user_id, support_length
        )
        return await self._run(plan, timeout)

    async def explain(
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
        """See `Client.explain`."""
        plan = self._plans.explain(
            support_user_id,
            support_item_id,
            support_label,
            query_user_id,
            query_item_id,
            support_length,
        )
        return await self._run(plan, timeout)

    async def score_features(
        self,
        support_items: Any,
        support_label: Any,
        query_items: Any,
        user: Any = None,
        *,
        support_length: Any = None,
        timeout: float | None = None,
    ) -> FeatureScores:
        """See `Client.score_features`."""
        plan = self._plans.score_features(
            support_items, support_label, query_items, user, support_length
        )
        return await self._run(plan, timeout)

    async def score_examples(
        self, examples: Sequence[Any], *, context: Any = None, timeout: float | None = None
    ) -> ExampleScores:
        """See `Client.score_examples`."""
        return await self._run(self._plans.score_examples(examples, context), timeout)

    async def wait_until_ready(self, timeout: float = 60.0) -> None:
        """See `Client.wait_until_ready`."""
        end, last = time.monotonic() + timeout, "none"
        calls, call = self._channels.stubs(), self._plans.status()
        while (left := end - time.monotonic()) > 0:
            try:
                response = await calls[call.method](
                    call.request, timeout=left, metadata=self._metadata, wait_for_ready=True
                )
            except grpc.RpcError as error:
                if not may_become_ready(error):
                    raise
                last = f"{error.code().name}: {error.details()}"
            else:
                if is_ready(response):
                    return
                last = str(response)
            await asyncio.sleep(_PAUSE_SECONDS)
        raise not_ready(self._model_name, timeout, last, self._settings.proxy())
