"""Bounds of a layer's sizes."""

from collections.abc import Sequence


def positive(**sizes: int) -> dict[str, int]:
    """The sizes by name, each a positive integer.

    Raises:
      ValueError: One is below 1; the message names it.
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value}.")
    return sizes


def positive_units(units: Sequence[int]) -> list[int]:
    """Widths of layers, of which there is at least one.

    Raises:
      ValueError: There is none, or one is below 1.
    """
    if not units or min(units) < 1:
        raise ValueError(
            f"`units` must be one or more positive integers. Received: units={list(units)}."
        )
    return list(units)
