"""Contexts kept by the caller, so that repeated calls for one scenario skip the encoder."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np


def support_digest(parts: Sequence[Sequence[bytes] | np.ndarray]) -> bytes:
    """16 bytes that tell supports apart: their ids and labels in order, lengths included."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            content = part.tobytes()
        else:
            # Lengths first: the strings themselves may hold any separator.
            digest.update(np.fromiter(map(len, part), np.int64, len(part)).tobytes())
            content = b"".join(part)
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.digest()


class ContextCache:
    """Contexts by model version and support content; the least recently used goes first.

    Thread-safe, and may be shared by clients of one model.

    Attributes:
      hits: Lookups answered.
      misses: Lookups that were not.
    """

    def __init__(
        self,
        max_entries: int = 10_000,
        max_age_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Makes an empty cache.

        Args:
          max_entries: Contexts kept; one takes 4 bytes times its width (1 kB for 256),
            which grows with the support where the model matches ids.
          max_age_seconds: Contexts older than this are encoded again. It also bounds how long a
            client keeps asking an old version that the server still serves.
          clock: Seconds that only go forward.

        Raises:
          ValueError: A bound is not positive.
        """
        for name, value in (("max_entries", max_entries), ("max_age_seconds", max_age_seconds)):
            if not value > 0:
                raise ValueError(f"`{name}` must be positive. Received: {name}={value}.")
        self._max_entries = max_entries
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[int, bytes], tuple[float, np.ndarray]] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, version: int, digest: bytes) -> np.ndarray | None:
        """The context, float32 [D], or None."""
        key = (version, digest)
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and self._clock() - entry[0] <= self._max_age_seconds:
                self._entries.move_to_end(key)
                self.hits += 1
                return entry[1]
            self._entries.pop(key, None)
            self.misses += 1
            return None

    def put(self, version: int, digest: bytes, context: np.ndarray) -> None:
        """Keeps a context, float32 [D], that `version` encoded."""
        with self._lock:
            self._entries[version, digest] = (self._clock(), context)
            self._entries.move_to_end((version, digest))
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def drop_version(self, version: int) -> None:
        """Forgets the contexts of a version that is no longer served."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == version]:
                del self._entries[key]
