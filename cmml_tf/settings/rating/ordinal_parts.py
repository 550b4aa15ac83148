"""An ordinal model of given users and items, with what was fitted for it."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config import TrainingConfig
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData
from cmml_tf.embeddings.ratings.ordinal_tables import OrdinalTables, RatingScale, fit_ordinal_tables
from cmml_tf.files import write_whole
from cmml_tf.models.build_ordinal import build_ordinal_model, set_ordinal_tables
from cmml_tf.models.ordinal_cmml import OrdinalCMML
from cmml_tf.plain_arrays import open_archive
from cmml_tf.tasks.ordinal import OrdinalTask

_FITTED_WITH = ("factor_sizes", "factor_sweeps", "kernel_items")


def ordinal_model(
    config: RatingModelConfig, data: RatingData, tables: OrdinalTables, training: TrainingConfig
) -> OrdinalCMML:
    """The model with these tables; its trained weights are as Keras' seed says."""
    scale = tables.scale
    items = len(data.item_ids)
    model = build_ordinal_model(
        config,
        len(data.user_ids),
        items,
        tables.kernel.shape[1] - 1,
        tables.item_content.shape[1],
        scale.levels.tolist(),
        scale.share.tolist(),
        scale.mean,
        scale.deviation,
        len(tables.item_rows) // (items + 1),
        OrdinalTask((scale.scaled(scale.levels)).tolist()),
        training.gradient_clip,
    )
    set_ordinal_tables(
        model,
        tables.user_priors,
        tables.user_group,
        tables.item_rows,
        tables.item_place,
        tables.kernel,
        tables.item_content,
    )
    return model


class FittedTables:
    """The tables of one seed, fitted when first asked for and kept in a run's folder.

    Args:
      data: Users and items.
      folder: Where they are kept.
      seed: Of the fit.
    """

    def __init__(self, data: RatingData, folder: Path, seed: int) -> None:
        self._data, self._folder, self._seed = data, folder, seed
        self._found: dict[str, OrdinalTables] = {}

    def served(self, config: RatingModelConfig) -> OrdinalTables:
        """Fitted on everyone who is learned from."""
        return self._kept(config, 0)

    def training(self, config: RatingModelConfig) -> OrdinalTables:
        """The same and, behind them, a group of rows without each fold of the users."""
        return self._kept(config, config.folds)

    def _kept(self, config: RatingModelConfig, folds: int) -> OrdinalTables:
        fitted_with = [getattr(config, name) for name in _FITTED_WITH]
        key = hashlib.sha256(repr([*fitted_with, folds, self._seed]).encode()).hexdigest()[:12]
        if key not in self._found:
            file = self._folder / f"ordinal-{key}.npz"
            if not file.exists():
                _write(file, fit_ordinal_tables(self._data, config, self._seed, folds))
            self._found[key] = _read(file)
        return self._found[key]


def _write(file: Path, tables: OrdinalTables) -> None:
    *arrays, scale = tables
    named: dict[str, Any] = dict(zip(OrdinalTables._fields, arrays, strict=False))
    named |= {f"scale_{name}": np.asarray(one) for name, one in scale._asdict().items()}
    write_whole(file, lambda out: np.savez(out, **named))


def _read(file: Path) -> OrdinalTables:
    with open_archive(file) as archive:
        arrays = archive.read(lambda name: True)
    levels, share, mean, deviation = (arrays.pop(f"scale_{name}") for name in RatingScale._fields)
    return OrdinalTables(**arrays, scale=RatingScale(levels, share, float(mean), float(deviation)))
