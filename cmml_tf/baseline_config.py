"""Settings of the systems that CMML is compared with, and the paper's values. No TensorFlow."""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

Optimizer = Literal["adam", "sgd"]


def _require(condition: bool, config: Any, name: str, accepted: str) -> None:
    if not condition:
        value = getattr(config, name)
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}.")


def _require_units(config: Any, name: str) -> None:
    object.__setattr__(config, name, tuple(getattr(config, name)))
    units = getattr(config, name)
    positive = len(units) > 0 and all(width >= 1 for width in units)
    _require(positive, config, name, "one or more positive integers")


@dataclass(frozen=True)
class DcnConfig:
    """DCN: a cross network beside a deep one, without adaptation (appendix 7.2.1)."""

    cross_layers: int = 3
    """Layers of the cross network."""
    deep_units: tuple[int, ...] = (64, 64)
    """Hidden units of the deep network, layer by layer."""

    def __post_init__(self) -> None:
        _require(self.cross_layers >= 1, self, "cross_layers", "a positive integer")
        _require_units(self, "deep_units")


@dataclass(frozen=True)
class FineTuningConfig:
    """DCN-F: the trained DCN fine-tuned on each task's support set (appendix 7.2.1)."""

    network: DcnConfig = DcnConfig()
    """The DCN that is fine-tuned."""
    steps: int = 10
    """Gradient steps on a task's support set (MovieLens and hybrid 10, Taobao 5)."""
    learning_rate: float = 1e-3
    """Step size on the support set."""
    optimizer: Optimizer = "adam"
    """`adam` or `sgd`; the paper does not say. 10 plain steps of 0.001 change next to nothing."""

    def __post_init__(self) -> None:
        _require(self.steps >= 1, self, "steps", "a positive integer")
        _require(self.learning_rate > 0, self, "learning_rate", "a positive number")
        choices = get_args(Optimizer)
        _require(self.optimizer in choices, self, "optimizer", f"one of {', '.join(choices)}")


@dataclass(frozen=True)
class CoNetConfig:
    """CoNet: cross-connected networks of a target and a source domain (Hu et al. 2018)."""

    units: tuple[int, ...] = (64, 32, 16, 8)
    """Hidden units of each network, layer by layer (CoNet's paper)."""
    l1: float = 1e-3
    """Factor of the transfer matrices' absolute values in the loss; makes them sparse."""

    def __post_init__(self) -> None:
        _require_units(self, "units")
        _require(self.l1 >= 0, self, "l1", "zero or more")


@dataclass(frozen=True)
class S2MetaConfig:
    """s2Meta: learned initial weights, update controllers and stop controller (Du et al. 2019)."""

    units: tuple[int, ...] = (64, 32, 16)
    """Hidden units of the interaction model (MovieLens-20M; Taobao and hybrid 64, 64, 64)."""
    min_steps: int = 4
    """Inner steps at the least."""
    max_steps: int = 20
    """Inner steps at the most."""
    controller_units: int = 16
    """Hidden units of the LSTM that updates weights."""
    stop_units: int = 16
    """Hidden units of the LSTM that decides to stop."""
    batch_pairs: int = 64
    """Positive pairs of an inner step, each with a random negative."""
    second_order: bool = False
    """Whether training goes through the inner gradients; the authors' code takes them as given."""
    seed: int = 0
    """Fixes inner batches and random stops."""

    def __post_init__(self) -> None:
        _require_units(self, "units")
        for name in ("max_steps", "controller_units", "stop_units", "batch_pairs"):
            _require(getattr(self, name) >= 1, self, name, "a positive integer")
        _require(self.min_steps >= 0, self, "min_steps", "zero or more")
        _require(self.min_steps <= self.max_steps, self, "min_steps", "at most max_steps")


BaselineConfig = DcnConfig | FineTuningConfig | CoNetConfig | S2MetaConfig
"""Any of the baselines."""

BASELINES: dict[str, BaselineConfig] = {
    "dcn": DcnConfig(),
    "dcn-f": FineTuningConfig(),
    "dcn-f-taobao": replace(FineTuningConfig(), steps=5),
    "conet": CoNetConfig(),
    "s2meta": S2MetaConfig(),
    "s2meta-taobao": S2MetaConfig(units=(64, 64, 64)),
    "s2meta-hybrid": S2MetaConfig(units=(64, 64, 64)),
}
"""Baselines of the scenario setting by name: MovieLens-20M, and by suffix the other data sets."""


def baseline_preset(name: str) -> BaselineConfig:
    """The configuration of a baseline.

    Args:
      name: For example `dcn-f`; case and underscores do not matter.

    Raises:
      ValueError: No baseline has this name; the message lists them.

    Example:

    >>> baseline_preset("DCN-F").steps
    10
    """
    key = name.lower().replace("_", "-")
    if key not in BASELINES:
        raise ValueError(
            f"`baseline` must be one of {', '.join(BASELINES)}. Received: baseline={name!r}."
        )
    return BASELINES[key]
