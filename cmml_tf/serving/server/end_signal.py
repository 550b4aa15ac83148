"""The wish that the server ends, which a signal may express at any moment."""

import contextlib
import queue


class EndSignal:
    """Set once, by a handler of signals or another thread, and waited for by one thread.

    A `threading.Event` will not do: its `set` takes a lock that is not reentrant, which the main
    thread may be holding in `wait` when Python runs the handler in it. Then both wait for ever, and
    the server neither ends nor hears a second signal. `SimpleQueue.put` is reentrant.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """Ends the wait; the first call is enough."""
        self._is_set = True
        self._wakes.put(None)

    def is_set(self) -> bool:
        """Whether the server is to end."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Waits until it is set, at most so long; returns whether it is."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=seconds)
        return self._is_set
