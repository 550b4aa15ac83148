"""What the closed-form regression of a scenario's support labels sees of a user-item pair."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from cmml_tf.layers.backbones.backbone import Backbone
from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.learned_number import REACH, learned_number
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.sizes import positive
from cmml_tf.layers.step_noise import StepDropout

# Embeddings have a root mean square of about .25: what is multiplied with this is near 1.
_TO_ONE = 4.0
_TASTE_UNITS = 64
_NETWORKS = 3


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ScenarioBasis(tf.keras.layers.Layer):
    """What regression and score share: a score without context, and features of a pair.

    For user embedding u and item embedding v, which are equally wide:

    tastes = g(u) * h(v); base = MLP(u, v, u * v) + a <u, v> + sum(tastes);
    features = [1, b base, P v, 4 tastes], with two small networks g and h; a, b and P are learned,
    too. P v tells which items a scenario likes, the tastes whose liking counts in it.

    Args:
      units: Hidden units of the MLP.
      features: Columns of P.
      tastes: Width of g(u) and h(v).
      dropout: Share of the networks' inputs left out in training.
      seed: With the training step, fixes which ones.

    Raises:
      ValueError: `features` or `tastes` is below 1, `dropout` not in [0, 1), or `seed` negative.

    Example:

    >>> ScenarioBasis([8], features=3, tastes=2)(tf.ones([2, 5, 4])).shape.as_list()
    [2, 5, 8]
    """

    def __init__(
        self,
        units: Sequence[int] = (64, 64, 64),
        features: int = 64,
        tastes: int = 32,
        dropout: float = 0.4,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        positive(features=features, tastes=tastes)
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be at least 0 and below 1. Received: {dropout}.")
        self.backbone = Backbone(units, bias_initial_value=0.1, name="backbone")
        self.user_tastes = MLP([_TASTE_UNITS, tastes], name="user_tastes")
        self.item_tastes = MLP([_TASTE_UNITS, tastes], name="item_tastes")
        self.features = features
        self.tastes = tastes
        self.dropout = StepDropout(dropout, seed)

    @property
    def width(self) -> int:
        """How many features a pair has."""
        return 2 + self.features + self.tastes

    def build(self, input_shape: Any) -> None:
        d = int(input_shape[-1])
        if d % 2:
            raise ValueError(
                "User and item embeddings must be equally wide here. "
                f"Received: a pair embedding of {d}."
            )
        build_named(self.backbone, [None, None, d + d // 2])
        build_named(self.user_tastes, [None, None, d // 2])
        build_named(self.item_tastes, [None, None, d // 2])
        self.affinity = learned_number(self, "affinity", 4.0)
        self.base_feature = learned_number(self, "base_feature", 1.0)
        self.projection = self.add_weight(
            name="projection",
            shape=[d // 2, self.features],
            initializer=tf.keras.initializers.Identity(gain=_TO_ONE),
        )
        super().build(input_shape)

    def call(self, pairs: tf.Tensor, use: int = 0, training: bool | None = None) -> tf.Tensor:
        """float32 [B, N, d] -> [B, N, 1 + width]: base, then 1, b base, P v, 4 tastes.

        `use` tells the calls of one training step apart: support pairs, query pairs.
        """
        return on_flat_pairs(lambda rows: self._of_rows(rows, use, training), pairs)

    def _of_rows(self, pairs: tf.Tensor, use: int, training: bool | None) -> tf.Tensor:
        user, item = tf.split(pairs, 2, axis=-1)
        product = user * item

        def dropped(inputs: tf.Tensor, network: int) -> tf.Tensor:
            return self.dropout(inputs, use=use * _NETWORKS + network, training=training)

        base = self.backbone(dropped(tf.concat([pairs, _TO_ONE * product], axis=-1), 0))[..., None]
        base += REACH * self.affinity * tf.reduce_sum(product, axis=-1, keepdims=True)
        tastes = self.user_tastes(dropped(_TO_ONE * user, 1)) * self.item_tastes(
            dropped(_TO_ONE * item, 2)
        )  # [B, N, tastes]
        base += tf.reduce_sum(tastes, axis=-1, keepdims=True)
        own = REACH * self.base_feature * base
        projected = tf.matmul(item, self.projection)
        return tf.concat([base, tf.ones_like(base), own, projected, _TO_ONE * tastes], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.backbone.units,
            "features": self.features,
            "tastes": self.tastes,
            "dropout": self.dropout.rate,
            "seed": self.dropout.seed,
        }
