"""Small models with filled tables, and requests to them by id."""

import numpy as np
import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.models.build import build_model

USERS, ITEMS, DIMENSION = 6, 9, 4
USER_IDS = [70, 10, -3, 40, 9_000_000_000, 0]
ITEM_IDS = [f"film {letter} ü" for letter in "abcdefghi"]
SMALL_POOLING = ModelConfig(encoder="mean", encoder_units=8, hyper_units=8, backbone_units=(8, 8))
# The quickest to trace, where any model will do.
PLAIN = ModelConfig(encoder="none", modulation="none", hybrid="none", backbone_units=(8,))


def filled_model(config, users=USERS, items=ITEMS, dimension=DIMENSION, seed=0):
    """A model whose every weight is random, so that none can be forgotten unseen."""
    tf.keras.utils.set_random_seed(seed)
    model = build_model(config, users, items, dimension, dimension)
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    tables = [rng.normal(size=(rows, dimension)) for rows in (users, items)]
    model.pair_embedding.set_tables(*tables)
    return model


def request_by_id(B=2, S=5, Q=4, seed=0, user_ids=USER_IDS, item_ids=ITEM_IDS):
    """A request with known ids, every support pair valid."""
    rng = np.random.default_rng(seed)
    return {
        "support_user_id": rng.choice(user_ids, (B, S)),
        "support_item_id": rng.choice(item_ids, (B, S)),
        "support_label": rng.integers(0, 2, (B, S)).astype(np.float32),
        "support_length": np.full([B], S, np.int32),
        "query_user_id": rng.choice(user_ids, (B, Q)),
        "query_item_id": rng.choice(item_ids, (B, Q)),
    }


def call(signature, inputs):
    """A signature's answer to the inputs it takes, as NumPy arrays."""
    names = signature.structured_input_signature[1]
    answer = signature(**{name: tf.constant(inputs[name]) for name in names})
    return {name: value.numpy() for name, value in answer.items()}
