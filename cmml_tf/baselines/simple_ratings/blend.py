"""Two systems and their weighted mean."""

from typing import Any, Protocol

import numpy as np

from cmml_tf.types import Support


class _Adapting(Protocol):
    def adapt(self, support: Support) -> Any: ...

    def score(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> np.ndarray: ...


class Blend:
    """weight * first + (1 - weight) * second. A `Scorer`.

    Args:
      first, second: Two `Scorer`s.
      weight: Between 0 and 1.
    """

    reads_support = True

    def __init__(self, first: _Adapting, second: _Adapting, weight: float) -> None:
        self.settings = {"weight": weight}
        self._both, self._weight = (first, second), weight

    def adapt(self, support: Support) -> tuple[Any, Any]:
        """What both become."""
        first, second = self._both
        return first.adapt(support), second.adapt(support)

    def score(self, adapted: tuple[Any, Any], user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """float64 [B, Q]."""
        first, second = (
            one.score(state, user, item) for one, state in zip(self._both, adapted, strict=True)
        )
        return self._weight * first + (1 - self._weight) * second
