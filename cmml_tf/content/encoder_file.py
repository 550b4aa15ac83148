"""A fitted encoder as one .npz file: numbers, and a description in JSON; nothing that runs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.content.blocks import Block, NumberBlock, TokenBlock, VectorBlock
from cmml_tf.content.encoder import ContentEncoder, ContentFeature, ProjectedBlock
from cmml_tf.files import write_whole
from cmml_tf.plain_arrays import open_archive

_ABOUT = "about"


def save_encoder(path: Path, encoder: ContentEncoder) -> None:
    """Writes a file that appears whole."""
    arrays: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {
        "features": [asdict(feature) for feature in encoder.features],
        "dimension": encoder.dimension,
        "share": encoder.share,
        "blocks": [],
    }
    for place, one in enumerate(encoder.blocks):
        arrays |= {f"{place}/table": one.table, f"{place}/centre": one.centre}
        described: dict[str, Any] = {"feature": one.feature}
        for name, value in vars(one.block).items():
            if isinstance(value, np.ndarray):
                arrays[f"{place}/{name}"] = value
            else:
                described[name] = value
        about["blocks"].append(described)
    arrays[_ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    write_whole(path, lambda file: np.savez(file, **arrays))


def load_encoder(path: Path) -> ContentEncoder:
    """Reads what `save_encoder` wrote.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is not a file of an encoder; the message names it.
    """
    try:
        with open_archive(path) as archive:
            arrays = archive.read(lambda name: True)
        about = json.loads(arrays[_ABOUT].tobytes())
        features = [
            ContentFeature(**{**one, "examples": _tuples(one["examples"])})
            for one in about["features"]
        ]
        blocks = [
            _block(one, {name: arrays.get(f"{place}/{name}") for name in _ARRAYS})
            for place, one in enumerate(about["blocks"])
        ]
        return ContentEncoder(tuple(features), tuple(blocks), about["dimension"], about["share"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a file of a content encoder ({error}). Remove it to fit one anew."
        ) from error


_ARRAYS = ("table", "centre", "keys", "idf", "knots")


def _block(about: dict[str, Any], arrays: dict[str, Any]) -> ProjectedBlock:
    block: Block
    if arrays["keys"] is not None:
        block = TokenBlock(about["part"], arrays["keys"], arrays["idf"])
    elif arrays["knots"] is not None:
        block = NumberBlock(arrays["knots"], about["mean"], about["deviation"])
    else:
        block = VectorBlock(about["width"])
    return ProjectedBlock(about["feature"], block, arrays["table"], arrays["centre"])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
