"""Serves a model that was trained with the reference PyTorch implementation.

    python pipelines/import_weights.py WEIGHTS.npz --export-dir DIR

WEIGHTS.npz holds the state dict as `state/<name>` and the embedding tables as `in/user_embeddings`
and `in/item_embeddings`. The version folder written into DIR takes int64 row numbers as ids; the
tables' last row (padding) is unknown to it.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from cmml_tf.interop.reference_weights import ReferenceWeights, read_reference_weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 2 with one sentence on stderr and nothing written."""
    parser = argparse.ArgumentParser(
        description="Export weights of the reference PyTorch implementation for serving."
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS.npz")
    parser.add_argument("--export-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--hybrid",
        choices=("dot", "mlp", "none"),
        help="hybrid context of the model, where the weights leave it open",
    )
    options = parser.parse_args(arguments)
    try:
        reference = read_reference_weights(options.weights, hybrid=options.hybrid)
        if reference.note is not None:
            print(reference.note, file=sys.stderr)
        print(_export(reference, options.weights, options.export_dir))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _export(reference: ReferenceWeights, weights: Path, export_dir: Path) -> Path:
    # TensorFlow takes seconds to load; a file that cannot be read is refused before that.
    from cmml_tf.interop.load_reference import model_from_reference
    from cmml_tf.serving.export import export_model

    return export_model(
        model_from_reference(reference),
        export_dir,
        user_ids=range(len(reference.user_embeddings) - 1),
        item_ids=range(len(reference.item_embeddings) - 1),
        manifest={
            "config": asdict(reference.config),
            "source": {
                "file": weights.name,
                "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            },
        },
    )


if __name__ == "__main__":
    sys.exit(main())
