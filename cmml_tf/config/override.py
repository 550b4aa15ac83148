"""Changes of nested options by name."""

from dataclasses import fields, replace
from typing import Any

from cmml_tf.config.checks import shown


def override(config: Any, changes: dict[str, Any]) -> Any:
    """A copy of a (nested) dataclass with the fields of a (nested) dictionary replaced.

    Raises:
      ValueError: A key names no field, or a value does not pass the class's validation.
    """
    names = {f.name for f in fields(config)}
    values = {}
    for name, value in changes.items():
        if name not in names:
            raise ValueError(
                f"`{name}` is not an option of {type(config).__name__}. "
                f"Accepted: {', '.join(sorted(names))}."
            )
        current = getattr(config, name)
        if hasattr(current, "__dataclass_fields__"):
            if not isinstance(value, dict):
                raise ValueError(
                    f"`{name}` must be a group of options. Received: {name}={shown(value)}."
                )
            value = override(current, value)
        values[name] = value
    return replace(config, **values)
