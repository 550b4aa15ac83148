"""From a trained model of the user setting to a version folder that TensorFlow Serving loads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.models.cmml import CMML
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits
from cmml_tf.serving.endpoints import add_endpoints
from cmml_tf.serving.export import check_finite, check_model, publish
from cmml_tf.serving.feature_inputs import SEPARATOR
from cmml_tf.serving.feed_forward import check_feed_forward
from cmml_tf.serving.manifest import plain_facts, write_manifest
from cmml_tf.serving.rating_graph import (
    FEATURE_SIGNATURE,
    RatingServingGraph,
    rating_signatures,
)
from cmml_tf.serving.reproducible import make_reproducible
from cmml_tf.serving.signatures import name_methods
from cmml_tf.serving.vocabulary import vocabulary
from cmml_tf.serving.warmup import write_warmup_requests
from cmml_tf.serving.warmup_check import check_warmup_rows


def export_rating_model(
    model: CMML,
    export_dir: str | Path,
    user_ids: Sequence[int] | Sequence[str] | np.ndarray,
    item_ids: Sequence[int] | Sequence[str] | np.ndarray,
    *,
    scale: tuple[float, float] = (0.5, 5.0),
    manifest: Mapping[str, Any] | None = None,
    limits: RequestLimits = DEFAULT_LIMITS,
    user_id_key: bytes | None = None,
) -> Path:
    """Writes the next version of a model base path.

    The signatures are those of the scenario setting, with ratings as labels and features looked up
    by id, and `score_features`, which takes features instead of ids. The manifest lists every
    feature with its kind and input names under `features`.

    Args:
      model: A CMML from `build_rating_model`, its weights as they are.
      export_dir: The model base path, created where it does not exist.
      user_ids, item_ids: The ids of the catalogues' rows: all integers or all strings.
      scale: Lowest and highest rating; a support rating outside is refused.
      manifest: Facts to keep with the model.
      limits: The largest request that the export admits; in the manifest under `limits`.
      user_id_key: A secret. The export then holds keyed hashes of the user ids instead of the ids.

    Returns:
      The version folder `export_dir/N`.

    Raises:
      ValueError: Ids that do not fit the catalogues, weights that are not finite, or a model that
        is not feed-forward; the message names its first gradient operation.
      TypeError: A feed-forward model that is no CMML.
      OSError: The folder could not be written; nothing is left of it.
    """
    check_model(model)
    users = vocabulary("user_ids", user_ids, model.pair_embedding.users, user_id_key)
    items = vocabulary("item_ids", item_ids, model.pair_embedding.items)
    facts = plain_facts({**(manifest or {}), "features": _declared(model), "scale": scale})
    check_finite(model.trainable_variables)

    def write(content: Path, scratch: Path) -> None:
        graph = RatingServingGraph(model, users, items, scratch, scale, limits, user_id_key)
        signatures = rating_signatures(graph)
        add_endpoints(graph, signatures)
        tf.saved_model.save(graph, str(content), signatures=signatures)
        name_methods(content)
        make_reproducible(content, scratch)
        check_feed_forward(content)
        features = {FEATURE_SIGNATURE: graph.example_features}
        write_warmup_requests(content, graph, users, items, signatures, scale, features)
        check_warmup_rows(content, Path(export_dir))
        write_manifest(content, facts, model, graph, signatures)

    return publish(export_dir, write)


def _declared(model: CMML) -> dict[str, list[dict[str, Any]]]:
    """The features of items and users as people and clients read them."""
    declared = {}
    for side in ("item", "user"):
        declared[side] = []
        for field in getattr(model.pair_embedding, f"{side}_fields"):
            feature = field.feature
            entry: dict[str, Any] = {"name": feature.name, "kind": feature.kind}
            if feature.kind == "numeric":
                entry |= {"mean": feature.mean, "deviation": feature.deviation}
            else:
                entry["values"] = len(feature.vocabulary)
            if feature.kind == "multi-hot":
                entry["separator"] = SEPARATOR
            declared[side].append(entry)
    return declared
