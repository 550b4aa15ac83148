"""Controls that a model is its own: asked without its support, or with all labels flipped."""

from typing import Any

import numpy as np

from cmml_tf.evaluation.scorer import Scorer, answers_of, grid_of
from cmml_tf.types import Support, empty_support


class _AlteredSupport:
    """A system that is shown another support than the one that is there."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def score(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> np.ndarray:
        """As the system scores, float [B, Q]."""
        return self._scorer.score(adapted, user, item)

    def score_grid(self, adapted: Any, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """As the system scores, float [U, I]."""
        return grid_of(self._scorer, adapted, users, items)

    def answers(self, adapted: Any, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """As the system answers, float [B, Q] each, by name."""
        return answers_of(self._scorer, adapted, user, item)


class WithoutSupport(_AlteredSupport):
    """A system that is never shown its support: what a new task gets on its first request.

    Args:
      scorer: The system.
    """

    reads_support = False

    def adapt(self, support: Support) -> Any:
        """What the system becomes after reading nothing."""
        return self._scorer.adapt(empty_support(support))


class FlippedLabels(_AlteredSupport):
    """A system that is shown its support with each label mirrored on the scale.

    1 becomes 0 and 0 becomes 1; of ratings from 0.5 to 5 a 4 becomes 1.5.

    Args:
      scorer: The system.
      scale: The lowest and the highest label.
    """

    def __init__(self, scorer: Scorer, scale: tuple[float, float]) -> None:
        super().__init__(scorer)
        self.reads_support = scorer.reads_support
        self._sum = np.float32(sum(scale))

    def adapt(self, support: Support) -> Any:
        """What the system becomes after reading the flipped labels."""
        return self._scorer.adapt(support._replace(label=self._sum - support.label))
