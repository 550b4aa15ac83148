"""What a report has to know of a setting."""

from collections.abc import Sequence
from typing import Protocol

from cmml_tf.evaluation.criteria import Gain, Simple


class ReportedForm(Protocol):
    """How a setting is spelled and judged; a `SettingForm` is one."""

    @property
    def name(self) -> str:
        """Of the setting."""

    @property
    def decisive(self) -> Gain:
        """The metric by which systems are compared."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Metrics of a table."""

    @property
    def watched(self) -> str:
        """Validation metric that steers training."""

    @property
    def asked(self) -> tuple[str, str]:
        """What evaluation counts, in words: tasks and rows."""

    @property
    def request(self) -> str:
        """What a request scores, in words."""

    @property
    def simple(self) -> Simple:
        """The controls that are no model."""


def better(form: ReportedForm) -> str:
    """The decisive metric, and which of its ends is the good one."""
    gain = form.decisive
    return f"{gain.metric} ({'higher' if gain.sign > 0 else 'lower'} is better)"


def short(label: str) -> str:
    """`twin` of `twin: never given a support set`."""
    return label.split(":")[0]


def best_first(form: ReportedForm, names: Sequence[str], means: dict[str, float]) -> list[str]:
    """Names with a mean, in the order of the decisive metric."""
    return sorted((n for n in names if n in means), key=lambda n: -form.decisive.sign * means[n])
