"""Whether a model is better than what it is required to be better than."""

from collections.abc import Sequence
from typing import Any

from cmml_tf.program import UnmetRequirementError


def check_required(required: Sequence[str], verdict: dict[str, Any]) -> None:
    """Refuses a model that is not better than each of these controls, beyond the interval.

    Args:
      required: Names of controls.
      verdict: As `metrics.json` has it.

    Raises:
      ValueError: The run has no such control, as `swapped` with a single task.
      UnmetRequirementError: It is not better than one of them.
    """
    differences = verdict["differences"]
    for name in required:
        if name not in differences:
            raise ValueError(
                f"`require` must name controls of this run: {', '.join(differences)}. "
                f"Received: {name!r}."
            )
    unmet = [name for name in required if name not in verdict["better_than"]]
    if unmet:
        raise UnmetRequirementError(
            f"Nothing is exported: the model is required to be better than {', '.join(required)} "
            f"and is not, beyond the interval: {', '.join(_spelled(differences, unmet))}. "
            "The run is complete; without --require its command exports it."
        )


def _spelled(differences: dict[str, Any], names: Sequence[str]) -> list[str]:
    spelled = []
    for name in names:
        difference, interval = differences[name]["difference"], differences[name]["interval"]
        mean = "undefined" if difference is None else f"{difference:+.4f}"
        width = "no interval" if interval is None else f"± {interval:.4f}"
        spelled.append(f"{name} {mean} ({width})")
    return spelled
