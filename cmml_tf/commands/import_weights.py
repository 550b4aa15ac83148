"""Serves a model that was trained with the reference PyTorch implementation.

    cmml import-weights WEIGHTS.npz --export-dir DIR
    cmml import-weights USER.npz --catalogue FEATURES.npz --export-dir DIR

WEIGHTS.npz holds the state dict as `state/<name>`; what it is a model of is told by its names.
Scenario setting: the embedding tables stand beside it as `in/user_embeddings` and
`in/item_embeddings`, and the version folder written into DIR takes int64 row numbers as ids; the
tables' last row (padding) is unknown to it. User setting: FEATURES.npz holds the features of users
and movies as numbers (`movie_id`, `rate`, `genre`, `director`, `actor`; `user_id`, `gender`, `age`,
`occupation`, `zip`), and the tables are part of the state dict or stand in a file of their own,
`--tables TABLES.npz`.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from cmml_tf.hashed_ids import read_user_id_key
from cmml_tf.interop.reference_user_catalogue import read_reference_catalogue
from cmml_tf.interop.reference_user_weights import (
    ReferenceUserWeights,
    holds_user_model,
    read_reference_user_weights,
)
from cmml_tf.interop.reference_weights import ReferenceWeights, read_reference_weights
from cmml_tf.program import Arguments
from cmml_tf.request_limits import RequestLimits


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    parser.add_argument("--export-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--hybrid",
        choices=("dot", "mlp", "none"),
        help="hybrid context of the model, where the weights leave it open",
    )
    parser.add_argument(
        "--catalogue", type=Path, metavar="FEATURES.npz", help="user setting: ids and features"
    )
    parser.add_argument(
        "--tables", type=Path, metavar="TABLES.npz", help="user setting: a file of the tables"
    )
    parser.add_argument(
        "--hash-user-ids",
        type=Path,
        metavar="KEYFILE",
        help="export keyed hashes of the user ids instead of the ids",
    )
    for field in fields(RequestLimits):
        parser.add_argument(
            f"--limits.{field.name.replace('_', '-')}",
            dest=field.name,
            type=int,
            default=field.default,
            help=f"{field.name.replace('_', ' ')} of the largest request (default %(default)s)",
        )
    options = parser.parse_args(argv)
    limits = {field.name: getattr(options, field.name) for field in fields(RequestLimits)}
    options.export = {
        "limits": RequestLimits(**limits),
        "user_id_key": read_user_id_key(options.hash_user_ids),
    }
    if holds_user_model(options.weights):
        print(_export_user_model(options))
        return 0
    for name in ("catalogue", "tables"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"`--{name}` belongs to a model of the user setting, which {options.weights} "
                "is not."
            )
    reference = read_reference_weights(options.weights, hybrid=options.hybrid)
    if reference.note is not None:
        print(reference.note, file=sys.stderr)
    print(_export(reference, options))
    return 0


def _export_user_model(options: argparse.Namespace) -> Path:
    if options.hybrid is not None:
        raise ValueError("`--hybrid` belongs to the scenario setting; a user model's is dot.")
    if options.catalogue is None:
        raise ValueError(
            f"{options.weights} holds a model of the user setting: give `--catalogue`, the "
            "features of users and movies."
        )
    reference = read_reference_user_weights(options.weights, options.tables)
    catalogue = read_reference_catalogue(options.catalogue, reference)

    # TensorFlow takes seconds to load; a file that cannot be read is refused before that.
    from cmml_tf.interop.load_reference import user_model_from_reference
    from cmml_tf.serving.export import export_model

    return export_model(
        user_model_from_reference(reference, catalogue.item_columns, catalogue.user_columns),
        options.export_dir,
        catalogue.user_ids,
        catalogue.item_ids,
        manifest=_facts(reference, options.weights),
        **options.export,
    )


def _export(reference: ReferenceWeights, options: argparse.Namespace) -> Path:
    from cmml_tf.interop.load_reference import model_from_reference
    from cmml_tf.serving.export import export_model

    return export_model(
        model_from_reference(reference),
        options.export_dir,
        user_ids=range(len(reference.user_embeddings) - 1),
        item_ids=range(len(reference.item_embeddings) - 1),
        manifest=_facts(reference, options.weights),
        **options.export,
    )


def _facts(reference: ReferenceWeights | ReferenceUserWeights, weights: Path) -> dict[str, Any]:
    return {
        "config": asdict(reference.config),
        "source": {
            "file": weights.name,
            "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        },
    }
