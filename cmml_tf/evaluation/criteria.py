"""What a setting is judged by: its metrics, and the controls that are no model."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Gain(NamedTuple):
    """A metric by which systems are compared.

    Attributes:
      metric: Its name.
      sign: 1 where higher is better, -1 where lower is.
    """

    metric: str
    sign: float = 1.0


class Simple(NamedTuple):
    """The controls of a setting that are no model.

    Attributes:
      labels: How tables spell each, by its name in `metrics.json`.
      in_curve: Those that a printed curve shows.
      chance: The one that knows nothing.
      floor: The one that a model has to reach to be served; "": chance.
      first: Those that the first version to be served must not be worse than, beside the floor.
      of_log: Those that need nothing but the log that is asked; None: all.
    """

    labels: Mapping[str, str]
    in_curve: Sequence[str]
    chance: str
    floor: str = ""
    first: Sequence[str] = ()
    of_log: Sequence[str] | None = None

    def without_training(self) -> "Simple":
        """Those that need nothing but the log that is asked."""
        names = self.labels if self.of_log is None else self.of_log
        return self._replace(
            labels={name: self.labels[name] for name in names},
            in_curve=[name for name in self.in_curve if name in names],
            floor=self.floor or self.chance,
        )
