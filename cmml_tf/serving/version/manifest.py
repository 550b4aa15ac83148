"""What a version folder says about itself: `assets.extra/cmml_manifest.json`."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import tensorflow as tf

import cmml_tf
from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.version.probes import file_digests
from cmml_tf.serving.version.training_state import training_digests

MANIFEST_FILE = Path("assets.extra") / "cmml_manifest.json"
_WRITTEN_HERE = (
    *("versions", "model", "limits", "recommend", "compiled"),
    *("signatures", "probes", "files", "training"),
)

# At the beginning of a word: not the second half of a relative path or of an address.
_ABSOLUTE = re.compile(r"(?<![^\s=,;'\"(\[{])/[^\s=,;'\"()\[\]{}]+")


def plain_facts(manifest: Mapping[str, Any] | None) -> dict[str, Any]:
    """The caller's facts as JSON holds them; NaN and infinite numbers become null.

    Of absolute paths only the last name is kept: the others tell of the machine.

    Raises:
      ValueError: A key is one that the exporter writes, or a value has no form in JSON.
    """
    facts = dict(manifest or {})
    for name in _WRITTEN_HERE:
        if name in facts:
            raise ValueError(
                f"`manifest` must leave {', '.join(_WRITTEN_HERE)} to the exporter. "
                f"Received: {name!r}."
            )
    return {_plain(str(key)): _plain(value) for key, value in facts.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | PurePath):
        if PurePath(value).is_absolute():
            return PurePath(value).name
        return _ABSOLUTE.sub(lambda path: PurePath(path[0]).name, str(value))
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise ValueError(
        "`manifest` must hold numbers, strings, lists and dictionaries. "
        f"Received: a {type(value).__name__}."
    )


def write_manifest(
    folder: Path,
    facts: Mapping[str, Any],
    model: CMML | MatchingCMML,
    graph: ServingGraph,
    signatures: Mapping[str, Any],
    probes: Mapping[str, Any],
) -> None:
    """Writes the caller's facts and the exporter's own.

    The exporter's are `versions` (cmml_tf, tensorflow), `model` (`context_dimension`, null where
    it grows with the support; `context_width`, numbers of a task and of each support pair;
    `positives_only`, vocabulary sizes and id types, whether user ids are hashed), `limits` (the
    largest request), `recommend` (K; how many items are scored; the share of the K best of the
    whole catalogue that is among them, and of how many tasks it is the mean), `compiled` (the sizes
    that XLA compiles, which warm-up has), `signatures`: inputs and outputs with dtype and shape, -1
    for an axis of any size, `probes` and `files` (see `probes`), and `training` (see
    `training_state`).
    """
    width, catalogue = graph.context_width, graph.catalogue
    document = {
        "versions": {"cmml_tf": cmml_tf.__version__, "tensorflow": tf.__version__},
        "model": {
            "context_dimension": None if width.pair else width.task,
            "context_width": {"task": width.task, "support_pair": width.pair},
            "positives_only": model.positives_only,
            "users": {
                "known": graph.unknown_user,
                "id_dtype": graph.user_id_dtype.name,
                "hashed": graph.user_ids_hashed,
            },
            "items": {"known": graph.unknown_item, "id_dtype": graph.item_id_dtype.name},
        },
        "limits": {
            **asdict(graph.limits),
            "support_pairs_of_a_call": graph.limits.support_pairs_of_a_call,
            "query_pairs_of_a_call": graph.limits.query_pairs_of_a_call,
        },
        "recommend": {
            "top_k": catalogue.top_k,
            "scored_items": catalogue.kept.candidates,
            "recall": catalogue.kept.recall,
            "sample_tasks": catalogue.kept.tasks,
        },
        "compiled": [asdict(size) for size in graph.compiled],
        "signatures": {
            name: {
                "inputs": _table(function.structured_input_signature[1]),
                "outputs": _table(function.structured_outputs),
            }
            for name, function in sorted(signatures.items())
        },
        "probes": probes,
        "files": file_digests(folder),
        "training": training_digests(folder),
        **facts,
    }
    path = folder / MANIFEST_FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _table(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "dtype": tensor.dtype.name,
            "shape": [-1 if size is None else size for size in tensor.shape],
        }
        for name, tensor in sorted(tensors.items())
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a version folder.

    Raises:
      ValueError: There is none, or it cannot be read.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} must be a version folder that this library exported: {MANIFEST_FILE} in it "
            f"cannot be read ({error})."
        ) from error
    if not isinstance(manifest, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(manifest).__name__}.")
    return manifest
