"""Embedding tables kept as .npy files."""

from pathlib import Path

import numpy as np

_BLOCK_ROWS = 65_536


def read_matrix(path: str | Path) -> np.ndarray:
    """Reads a .npy file of one embedding a row.

    Args:
      path: The file.

    Returns:
      float32 [rows, d]; of a float32 file a read-only map, whose pages are read when needed.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: The file is no complete .npy file, not a matrix of real numbers, or holds NaN or
        infinite values; the message names the first row that does.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"The embedding file {path} is missing. Give an existing .npy file."
        )
    try:
        # Mapped first, so that a header that claims more than the file has is refused unread.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"The embedding file {path} is not a complete .npy file of numbers ({error}). Write it "
            "again with numpy.save."
        ) from error
    if not isinstance(mapped, np.ndarray) or mapped.ndim != 2 or mapped.dtype.kind not in "fiu":
        form = f"{mapped.dtype} {mapped.shape}" if isinstance(mapped, np.ndarray) else "an archive"
        raise ValueError(
            f"The embedding file {path} must hold a matrix of real numbers, one embedding a row. "
            f"Received: {form}."
        )
    matrix = mapped if mapped.dtype == np.float32 else np.array(mapped, dtype=np.float32)
    for first in range(0, len(matrix), _BLOCK_ROWS):
        finite = np.isfinite(matrix[first : first + _BLOCK_ROWS]).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"The embedding file {path} must hold finite numbers. Row "
                f"{first + int(np.argmin(finite))} has NaN or infinite values; replace them, with "
                "zeros for an unknown row."
            )
    return matrix
