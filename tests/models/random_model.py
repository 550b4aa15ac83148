"""Small models with random weights, random episodes, and the oracle's answer to them."""

import numpy as np
import tensorflow as tf
from reference import beyond_the_paper, numpy_reference

from cmml_tf.models.build import build_model
from cmml_tf.models.weight_names import named_weights
from cmml_tf.types import Episode, Support, lengths_mask

USERS, ITEMS, HALF = 9, 11, 4


def random_model(config, seed=0, **options):
    """A model whose every weight is random, biases too; tables of d_u = d_i = 4."""
    model = build_model(config, USERS, ITEMS, HALF, HALF, **options)
    rng = np.random.default_rng(seed)
    for variable in named_weights(model).values():
        # Scaled by the inputs of a layer, so that scores are about 1 at any width.
        fan_in = variable.shape[-2] if len(variable.shape) > 1 else 4
        # Single numbers of the closed-form head count tenfold, and two stand in an exponent.
        spread = fan_in**-0.5 if len(variable.shape) else 0.05
        variable.assign(rng.normal(0, spread, variable.shape).astype(np.float32))
    model.pair_embedding.set_tables(rng.normal(size=(USERS, HALF)), rng.normal(size=(ITEMS, HALF)))
    return model


def random_episode(lengths, support=7, query=6, seed=1):
    """Random ids and labels, behind the lengths too. NumPy arrays."""
    rng = np.random.default_rng(seed)
    B = len(lengths)
    return Episode(
        Support(
            rng.integers(0, USERS, (B, support)).astype(np.int32),
            rng.integers(0, ITEMS, (B, support)).astype(np.int32),
            rng.integers(0, 2, (B, support)).astype(np.float32),
            np.array(lengths, np.int32),
        ),
        rng.integers(0, USERS, (B, query)).astype(np.int32),
        rng.integers(0, ITEMS, (B, query)).astype(np.int32),
        np.repeat([[1.0, 0.0]], B, axis=0).repeat(query // 2, axis=1).astype(np.float32),
    )


def tensors(episode):
    return tf.nest.map_structure(tf.constant, episode)


def task_alone(episode, row):
    """Task `row` as a batch of one, its support cut to its length (one pair at the least)."""
    size = max(int(episode.support.length[row]), 1)
    one = tf.nest.map_structure(lambda array: array[row : row + 1], episode)
    pairs = [array[:, :size] for array in one.support[:3]]
    return one._replace(support=Support(*pairs, one.support.length))


def beyond(config):
    """Whether an option is used that the paper does not have, the ridge preset's left out."""
    extra = (config.encoder, config.gru_state, config.support_order, config.hybrid_scale)
    return (
        extra
        not in [(kind, "last", "given", 1) for kind in ("gru", "mean", "max", "ridge", "none")]
        or config.residual_scale
        or config.affinity
        or config.head != "none"
    )


def reference_scores(model, config, episode):
    """[B, Q] by the oracle, task by task, from `named_weights` and the tables."""
    weights = {name: v.numpy().astype(np.float64) for name, v in named_weights(model).items()}
    tables = model.pair_embedding.user_table.numpy(), model.pair_embedding.item_table.numpy()
    support = episode.support
    valid = lengths_mask(support.length, support.user.shape[1])
    scores = []
    for row in range(len(support.length)):
        query = numpy_reference.pair_embedding(
            *tables, episode.query_user[row], episode.query_item[row]
        )
        if beyond(config):
            pairs = numpy_reference.pair_embedding(*tables, support.user[row], support.item[row])
            scores.append(
                beyond_the_paper.scores(
                    query, pairs, support.label[row], valid[row], weights, config
                )
            )
            continue
        if config.encoder == "none":
            hidden = numpy_reference.plain_backbone(query, weights)
            scores.append(numpy_reference.dense(hidden, weights, "backbone/output")[:, 0])
            continue
        if config.encoder == "ridge":
            pairs = numpy_reference.pair_embedding(*tables, support.user[row], support.item[row])
            context = numpy_reference.ridge_context(pairs, support.label[row], valid[row], weights)
            scores.append(numpy_reference.ridge_scores(query, context, weights))
            continue
        context = numpy_reference.scenario_context(
            numpy_reference.pair_embedding(*tables, support.user[row], support.item[row]),
            support.label[row],
            valid[row],
            weights,
            config.encoder,
            config.positives_only,
        )
        scores.append(
            numpy_reference.query_scores(query, context, weights, config.modulation, config.hybrid)
        )
    return np.array(scores)
