"""Checks of what the metrics are given, before any sum is made."""

from collections.abc import Sequence

import numpy as np


def as_matrix(name: str, array: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The argument as an array of real numbers [R, C].

    Raises:
      ValueError: It has not two axes, is not of `shape` if there is one, or is not numeric.
    """
    array = np.asarray(array)
    fits = array.ndim == 2 if shape is None else array.shape == shape
    if not fits or array.dtype.kind not in "fiu":
        wanted = "[rows, candidates]" if shape is None else f"{shape}, as the scores"
        raise ValueError(
            f"`{name}` must hold real numbers of shape {wanted}. "
            f"Received: shape {array.shape}, dtype {array.dtype}."
        )
    return array


def as_mask(name: str, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The mask as an array; raises ValueError unless it is bool and of the shape of the scores."""
    mask = np.asarray(mask)
    if mask.shape != shape or mask.dtype != bool:
        raise ValueError(
            f"`{name}` must be bool of shape {shape}, as the scores. "
            f"Received: shape {mask.shape}, dtype {mask.dtype}."
        )
    return mask


def check_cutoffs(ks: Sequence[int]) -> None:
    """Raises ValueError unless all cut-offs are positive integers."""
    for k in ks:
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
            raise ValueError(f"`ks` must hold positive integers. Received: ks={list(ks)!r}.")
