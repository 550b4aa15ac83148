"""One asyncio channel for each event loop that calls: gRPC ties a channel to its loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc.aio

from cmml_tf.client.transport.channel import ChannelSettings, stubs

_Stubs = dict[str, Callable[..., Any]]


class LoopChannels:
    """Channels by event loop, opened at the first call in each; may be made without a loop."""

    def __init__(self, settings: ChannelSettings):
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: dict[asyncio.AbstractEventLoop, tuple[Any, _Stubs]] = {}
        self._closed = False

    def stubs(self) -> _Stubs:
        """Methods of the running loop's channel.

        Raises:
          ValueError: After `close`.
          RuntimeError: No event loop runs in this thread.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._closed:
                raise ValueError("This AsyncClient is closed: make another one.")
            if loop not in self._opened:
                # A loop that has ended, as that of `asyncio.run`, calls no more.
                self._opened = {
                    other: opened for other, opened in self._opened.items() if not other.is_closed()
                }
                channel = self._settings.open(grpc.aio)
                self._opened[loop] = channel, stubs(channel)
            return self._opened[loop][1]

    async def close(self) -> None:
        """Closes every channel, in its own loop where that still runs."""
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, {}
        running = asyncio.get_running_loop()
        for loop, (channel, _) in opened.items():
            if loop is running:
                await channel.close()
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(channel.close(), loop)
                await asyncio.wrap_future(closing)
            # That of a loop which does not run has no calls under way and closes as it is dropped.
