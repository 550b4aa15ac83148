"""A small retrieval model as TensorFlow Recommenders users write it: two towers, dot product."""

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

_BATCH = 1024


class TwoTower(tfrs.Model):
    """User and item towers whose product ranks items; trained with an in-batch softmax.

    Each tower is a linear map of given embeddings, so that items without a training pair have a
    place too.

    Args:
      users, items: float32 [U, d_u], [I, d_i]: the embeddings of both tables, kept as they are.
      dimension: Width of a tower's output.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, dimension: int) -> None:
        super().__init__()
        self.user_tower = _tower(users, dimension)
        self.item_tower = _tower(items, dimension)
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


def _tower(embeddings: np.ndarray, dimension: int) -> tf.keras.Sequential:
    table = tf.keras.layers.Embedding(
        *embeddings.shape,
        embeddings_initializer=tf.keras.initializers.Constant(embeddings),
        trainable=False,
    )
    return tf.keras.Sequential([table, tf.keras.layers.Dense(dimension)])


def train_two_tower(
    pairs: tuple[np.ndarray, np.ndarray],
    embeddings: tuple[np.ndarray, np.ndarray],
    dimension: int,
    epochs: int,
    seed: int,
) -> TwoTower:
    """Trains on positive (user row, item row) pairs, given user and item embeddings."""
    tf.keras.utils.set_random_seed(seed)
    model = TwoTower(*embeddings, dimension)
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(3e-3))
    user, item = pairs
    share = np.bincount(item)[item] / len(item)
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
