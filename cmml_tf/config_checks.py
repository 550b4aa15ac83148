"""What the configuration classes check on construction."""

from typing import Any, get_args


def require(condition: bool, config: Any, name: str, accepted: str) -> None:
    """Raises ValueError, which names the field, its value and what is accepted."""
    if not condition:
        value = getattr(config, name)
        raise ValueError(f"`{name}` must be {accepted}. Received: {name}={value!r}.")


def require_choice(config: Any, name: str, choices: Any) -> None:
    """The field must hold one of the strings of the Literal `choices`."""
    options = get_args(choices)
    require(getattr(config, name) in options, config, name, f"one of {', '.join(options)}")
