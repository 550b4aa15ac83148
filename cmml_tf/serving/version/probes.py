"""What an export answered when it was made, so that anybody can see whether it still does.

The manifest holds a few requests with their scores under `probes`, and under `files` sha256 of
every file that answers come from and of the list of learned tasks. Requests tell whether this
machine computes what the other did, files whether anything at all has changed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.version.learned_tasks import LEARNED_FILE
from cmml_tf.serving.vocabulary import Vocabulary

SIGNATURE = "serving_default"
_B, _S, _Q = 3, 6, 4
# Scores of the same weights on another processor differ in their last digits.
_RELATIVE, _ABSOLUTE, _DIGITS = 1e-3, 1e-4, 6
_FILES = ("saved_model.pb", "variables/*", "assets/*", str(LEARNED_FILE))


def probe_requests(
    signatures: Mapping[str, Any],
    users: Vocabulary,
    items: Vocabulary,
    labels: Sequence[float],
    limits: RequestLimits,
) -> dict[str, Any]:
    """A request of several tasks with ids from all over the vocabularies, and its scores.

    Args:
      signatures: Of the graph that is saved.
      users, items: Its vocabularies.
      labels: Support labels, again and again.
      limits: The largest request.
    """
    B, S, Q = map(min, (_B, _S, _Q), (limits.tasks, limits.support_pairs, limits.query_pairs))
    inputs = {
        "support_user_id": _spread(users, (B, S), 0),
        "support_item_id": _spread(items, (B, S), 0),
        "support_label": np.resize(np.array(labels, np.float32), (B, S)).tolist(),
        "support_length": [S] * B,
        "query_user_id": _spread(users, (B, Q), 1),
        "query_item_id": _spread(items, (B, Q), 1),
    }
    scores = answers(signatures[SIGNATURE], inputs)
    return {
        "signature": SIGNATURE,
        "inputs": inputs,
        "score": [[float(f"{score:.{_DIGITS}g}") for score in row] for row in scores.tolist()],
    }


def answers(signature: Any, inputs: Mapping[str, Any]) -> np.ndarray:
    """The scores of probe inputs, float32 [B, Q]."""
    specs = signature.structured_input_signature[1]
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    return signature(**tensors)["score"].numpy()


def same_scores(found: np.ndarray, recorded: Any) -> bool:
    """Whether scores are those that were recorded, up to rounding."""
    recorded = np.asarray(recorded, np.float64)
    if found.shape != recorded.shape:
        return False
    return bool(np.allclose(found, recorded, _RELATIVE, _ABSOLUTE))


def file_digests(folder: Path, patterns: Sequence[str] = _FILES) -> dict[str, str]:
    """sha256 (hex) of files, by relative path.

    Args:
      folder: A version folder.
      patterns: Which files: those that answers, or what may be asked, come from.
    """
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _spread(vocabulary: Vocabulary, shape: tuple[int, int], offset: int) -> list[list[Any]]:
    """Ids at even distances in a vocabulary; other ones with another offset."""
    count, known = shape[0] * shape[1], len(vocabulary.lines)
    places = (np.arange(count) * known // count + offset) % known
    lines = [vocabulary.lines[place] for place in places.tolist()]
    ids: list[Any] = lines if vocabulary.dtype == tf.string else [int(line) for line in lines]
    return [ids[first : first + shape[1]] for first in range(0, count, shape[1])]
