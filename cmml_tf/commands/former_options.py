"""Files of options as earlier versions wrote them, which kept values that no model reads."""

import json
from dataclasses import asdict, is_dataclass
from types import SimpleNamespace
from typing import Any, get_type_hints

from cmml_tf.config.checks import idle_fields

# Earlier versions wrote every option they knew, and had no limits.
_ALWAYS_WRITTEN = {"data", "preset", "export_dir", "strategy", "model", "episode", "training"}
_NEW = "limits"


def is_former(options: dict[str, Any]) -> bool:
    """Whether an earlier version has written these options of a run."""
    return options.keys() >= _ALWAYS_WRITTEN and _NEW not in options


def without_idle(kind: type, options: dict[str, Any], prefix: str = "") -> tuple[dict, list[str]]:
    """Options without those that mean nothing for the model at hand.

    Args:
      kind: The class of the configuration.
      options: By name, nested.
      prefix: In front of names.

    Returns:
      The options that are left, and the names of the others.
    """
    hints = get_type_hints(kind)
    defaults = json.loads(json.dumps(asdict(kind())))  # as YAML holds them
    given = SimpleNamespace(**{**defaults, **options})
    idle = idle_fields(kind, given) & options.keys()
    dropped = sorted(f"{prefix}{name}" for name in idle if options[name] != defaults[name])
    left = {}
    for name, value in options.items():
        if name in idle:
            continue
        if is_dataclass(hints.get(name)) and isinstance(value, dict):
            value, more = without_idle(hints[name], value, f"{prefix}{name}.")
            dropped += more
        left[name] = value
    return left, dropped
