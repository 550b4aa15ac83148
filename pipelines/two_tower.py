"""A small retrieval model as TensorFlow Recommenders users write it: two towers, dot product."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

_BATCH = 1024


class TwoTower(tfrs.Model):
    """User and item embeddings whose product ranks items; trained with an in-batch softmax.

    Args:
      users, items: Rows of the two tables.
      dimension: Width of an embedding.
    """

    def __init__(self, users: int, items: int, dimension: int) -> None:
        super().__init__()
        self.user_tower = tf.keras.layers.Embedding(users, dimension)
        self.item_tower = tf.keras.layers.Embedding(items, dimension)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The loss of a batch: each user's item against the items of the others."""
        return self.task(
            self.user_tower(inputs["user"]),
            self.item_tower(inputs["item"]),
            # Popular items are in more batches: without this they would be learned too low.
            candidate_sampling_probability=inputs["share"],
            compute_metrics=False,
        )


def train_two_tower(
    pairs: tuple[np.ndarray, np.ndarray],
    users: int,
    items: int,
    dimension: int,
    epochs: int,
    seed: int,
) -> TwoTower:
    """Trains on positive (user row, item row) pairs."""
    tf.keras.utils.set_random_seed(seed)
    model = TwoTower(users, items, dimension)
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(3e-3))
    user, item = pairs
    share = np.bincount(item, minlength=items)[item] / len(item)
    columns = {"user": user, "item": item, "share": share.astype(np.float32)}
    batches = tf.data.Dataset.from_tensor_slices(columns).shuffle(len(user), seed=seed)
    model.fit(batches.batch(_BATCH, drop_remainder=len(user) >= _BATCH), epochs=epochs, verbose=0)
    return model


def retrieve(
    model: TwoTower, users: np.ndarray, among: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k items of `among` that suit each user best: scores float32 and rows, both [U, k]."""
    index = tfrs.layers.factorized_top_k.BruteForce(k=min(k, len(among)))
    index.index(model.item_tower(among), tf.constant(among))
    score, item = index(model.user_tower(users))
    return score.numpy(), item.numpy()
