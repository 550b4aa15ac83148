"""What a run knows of users or items beside who took what: features as numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cmml_tf.content.encoder import ContentEncoder, fit_content
from cmml_tf.content.encoder_file import load_encoder, save_encoder
from cmml_tf.datasets.feature_table import Side
from cmml_tf.types import ContentColumn


class SideContent(NamedTuple):
    """The content of users or of items.

    Attributes:
      encoder: Fitted on all rows of the data, in no interaction or in many.
      matrix: float32 [N, c], c at most 64; rows without a known feature are zero.
    """

    encoder: ContentEncoder
    matrix: np.ndarray


def side_content(folder: Path, side: Side, columns: Sequence[ContentColumn]) -> SideContent | None:
    """Features of a side encoded; None where none says anything.

    Args:
      folder: Of the run: the encoder is fitted and kept there, or read if that was done before.
      side: Of what.
      columns: Its features.
    """
    if not columns:
        return None
    file = folder / f"{side}_content.npz"
    if not file.exists():
        save_encoder(file, fit_content(columns))
    encoder = load_encoder(file)
    return SideContent(encoder, encoder.encode(columns)) if encoder.dimension else None
