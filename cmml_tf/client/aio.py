"""The asyncio client: `Client` with awaitable methods."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import grpc

from cmml_tf.client.base import BaseClient, Steps
from cmml_tf.client.plans import Plan
from cmml_tf.client.sync import Client
from cmml_tf.client.transport.loop_channels import LoopChannels

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def _awaitable(
    method: Callable[Concatenate[Any, _Given], _Result],
) -> Callable[Concatenate["AsyncClient", _Given], Coroutine[Any, Any, _Result]]:
    """A method of `Client` for `AsyncClient`, whose `_run` is to be awaited."""

    @functools.wraps(method)
    async def awaited(self: "AsyncClient", *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        return await cast(Awaitable[_Result], method(self, *args, **kwargs))

    return awaited


class AsyncClient(BaseClient):
    """Calls one served CMML model from event loops; its methods are those of `Client`, awaitable.

    It may be made anywhere: at module level, in a thread without a loop. A channel opens at the
    first awaited call of each event loop, in that loop.

    ```python
    async with AsyncClient("localhost:8500", "cmml") as client:
        await client.wait_until_ready()
        scores = await client.score(users, items, labels, candidate_users, candidate_items)
    ```
    """

    def _open(self) -> None:
        self._channels = LoopChannels(self._settings)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channels of all loops; calls afterwards raise `ValueError`."""
        await self._channels.close()

    async def _run(self, plan: Plan[_Result], timeout: float | None) -> _Result:
        return await self._carried(self._steps(plan, timeout))

    async def _carried(self, steps: Steps[_Result]) -> _Result:
        calls = self._channels.stubs()
        try:
            step = next(steps)
            while True:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    step = next(steps)
                    continue
                try:
                    response = await calls[step.method](
                        step.request, metadata=self._metadata, **step.options
                    )
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as stop:
            return stop.value
        finally:
            steps.close()  # now, not when the garbage is collected: a cancelled call has ended

    score = _awaitable(Client.score)
    encode_context = _awaitable(Client.encode_context)
    score_with_context = _awaitable(Client.score_with_context)
    recommend = _awaitable(Client.recommend)
    explain = _awaitable(Client.explain)
    score_features = _awaitable(Client.score_features)
    score_examples = _awaitable(Client.score_examples)
    wait_until_ready = _awaitable(Client.wait_until_ready)
