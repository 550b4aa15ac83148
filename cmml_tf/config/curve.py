"""How a model and its controls are asked with support sets of every size."""

from dataclasses import dataclass

from cmml_tf.config.checks import PositiveInt, check


@dataclass(frozen=True)
class CurveConfig:
    """The curve by the size of the support set (docs/runs.md, "Controls")."""

    draws: PositiveInt = 3
    """Support sets of each size that are drawn for a task; results are their means."""
    most_asked: PositiveInt = 2000
    """Rankings (user setting: users) that are asked at each size, at the most."""

    def __post_init__(self) -> None:
        check(self)
