"""Memory that requests may take together."""

import contextlib
import threading
from collections.abc import Iterator

from cmml_tf.serving.server.status import Code, ServingError


class Budget:
    """Bytes that are lent to requests and given back.

    Args:
      total: Bytes at a time.
      what: What they are for, in the refusal.
    """

    def __init__(self, total: int, what: str) -> None:
        self._total = total
        self._what = what
        self._lent = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self, size: int) -> Iterator[None]:
        """Takes `size` bytes for the time of the block; never waits.

        Raises:
          ServingError: RESOURCE_EXHAUSTED, when so much is not left.
        """
        with self._lock:
            lent = self._lent
            fits = lent + size <= self._total
            if fits:
                self._lent += size
        if not fits:
            raise ServingError(
                Code.RESOURCE_EXHAUSTED,
                f"{self._what} may take {self._total} bytes at a time. Received: one that takes "
                f"{size} while others take {lent}.",
            )
        try:
            yield
        finally:
            with self._lock:
                self._lent -= size
