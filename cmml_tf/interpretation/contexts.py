"""Task contexts C (section 3.2), projected to two dimensions and for TensorBoard's projector."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from tensorboard.plugins import projector

from cmml_tf.models.cmml import CMML
from cmml_tf.types import Support

_PERPLEXITY = 30.0


def task_contexts(model: CMML, supports: Iterable[Support]) -> np.ndarray:
    """The context of each support set: float32 [N, D].

    Args:
      model: With a context encoder.
      supports: One task each ([1, S]), as arrays.

    Raises:
      ValueError: The model has no context encoder.
    """
    if model.context_encoder is None:
        raise ValueError("The model must have a context encoder. Received: one without a context.")
    ids = tf.TensorSpec([1, None], tf.int32)
    signature = Support(ids, ids, tf.TensorSpec([1, None]), tf.TensorSpec([1], tf.int32))
    encode = tf.function(model.encode_context, input_signature=[signature])
    return np.concatenate([encode(Support(*map(tf.constant, s))).numpy() for s in supports])


def scenario_group(name: str) -> str:
    """What kind of scenario it is by its name: the part behind its last slash, or its first genre.

    Example:

    >>> scenario_group("Comedy|Romance@1994"), scenario_group("Drama/liked")
    ('Comedy', 'liked')
    """
    return name.rpartition("/")[2] if "/" in name else re.split(r"[|@#]", name)[0]


def choose_tasks(groups: Sequence[str], number: int = 8, kinds: int = 4) -> list[int]:
    """Places of about `number` tasks of the `kinds` largest groups, equally many of each.

    Example:

    >>> choose_tasks(["war", "love", "war", "war", "spies"], number=4, kinds=2)
    [0, 2, 1]
    """
    largest = [group for group, _ in Counter(groups).most_common(kinds)]
    each = max(1, number // len(largest))
    return [
        place
        for group in largest
        for place in [n for n, other in enumerate(groups) if other == group][:each]
    ]


def project(contexts: np.ndarray, seed: int = 0) -> np.ndarray:
    """t-SNE of standardised contexts: float32 [N, 2]; distances between far groups mean nothing.

    Args:
      contexts: [N, D], of N >= 4 support sets.
      seed: Fixes the result.
    """
    scaled = _standardised(contexts)
    perplexity = min(_PERPLEXITY, (len(scaled) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)


def separation(contexts: np.ndarray, labels: Sequence[str]) -> float:
    """How far contexts of different labels lie apart: the mean silhouette, in all D dimensions.

    Near 1: tight and apart; near 0: mixed; below: nearer to others than to their own.

    Args:
      contexts: [N, D].
      labels: N of them, two different ones at least and not all different.
    """
    return float(silhouette_score(_standardised(contexts), list(labels)))


def write_projector(
    folder: Path, contexts: np.ndarray, columns: Mapping[str, Sequence[str]]
) -> None:
    """Writes contexts and their labels for TensorBoard's projector (`tensorboard --logdir`).

    Args:
      folder: Created if it is missing; gets `contexts.tsv`, `metadata.tsv` and the projector's
        configuration.
      contexts: [N, D].
      columns: Column title to N labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "contexts.tsv", contexts, fmt="%.6g", delimiter="\t")
    rows = ["\t".join(row) for row in zip(*columns.values(), strict=True)]
    # The projector takes a file of one column without a title line.
    title = ["\t".join(columns)] if len(columns) > 1 else []
    (folder / "metadata.tsv").write_text("\n".join([*title, *rows]) + "\n")
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "task contexts"
    embedding.tensor_path = "contexts.tsv"
    embedding.metadata_path = "metadata.tsv"
    projector.visualize_embeddings(str(folder), config)


def _standardised(contexts: np.ndarray) -> np.ndarray:
    deviation = contexts.std(axis=0)
    return (contexts - contexts.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
