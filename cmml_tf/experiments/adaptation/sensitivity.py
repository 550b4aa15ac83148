"""Where an encoder forgets: how much each place of the support sequence moves the context."""

import numpy as np
import tensorflow as tf

from cmml_tf.episodes import EvaluationEpisodes
from cmml_tf.models.cmml import CMML


def position_sensitivity(model: CMML, episodes: EvaluationEpisodes) -> list[float]:
    """Root mean square of d context / d support pair at each place s, over the scenarios.

    A random direction of the context stands for all of them, a new one for each scenario.

    Returns:
      S values, scaled so that the largest is 1.
    """
    rng = np.random.default_rng(0)
    squares = []
    for episode in episodes:
        user, item, label, length = map(tf.constant, episode.support)
        pairs = model.pair_embedding(user, item)  # [1, S, d]
        direction = rng.normal(size=model.context_dimension).astype(np.float32)
        with tf.GradientTape() as tape:
            tape.watch(pairs)
            context = model.encode_pairs(pairs, label, length)
            along = tf.reduce_sum(context * direction)
        squares.append(np.mean(tape.gradient(along, pairs).numpy()[0] ** 2, axis=-1))
    root = np.sqrt(np.mean(squares, axis=0))
    return [float(value) for value in root / max(root.max(), 1e-30)]
