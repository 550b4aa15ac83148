"""How long each part of a run takes."""

import time


class Clock:
    """Wall-clock seconds of each part, and in total.

    Attributes:
      seconds: By part, as `metrics.json` has them; `total` since the clock was made.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """Ends a part."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 3)
        self.seconds["total"] = round(now - self._start, 3)
        self._last = now
