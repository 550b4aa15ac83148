"""Networks whose weights may differ from task to task, so that B inner loops are one.

Such a network is a layer called as `layer(pairs, weights)`: `weights` lists kernels and biases as
`layer.trainable_variables` does, each with or without a leading axis B.
"""

from collections.abc import Sequence

import tensorflow as tf

from cmml_tf.layers.mlp import fan_in_uniform


def add_affine(
    layer: tf.keras.layers.Layer, name: str, inputs: int, outputs: int
) -> list[tf.Variable]:
    """Adds a kernel [inputs, outputs] and a bias [outputs] to a layer under construction."""
    kernel = layer.add_weight(
        name=f"{name}/kernel", shape=[inputs, outputs], initializer=fan_in_uniform()
    )
    return [kernel, layer.add_weight(name=f"{name}/bias", shape=[outputs], initializer="zeros")]


def affine(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """inputs W + b for float32 [B, N, I], W [I, O] or [B, I, O], b [O] or [B, O]: [B, N, O]."""
    return tf.matmul(inputs, kernel) + bias[..., None, :]


def per_task(weights: Sequence[tf.Tensor], tasks: tf.Tensor) -> list[tf.Tensor]:
    """A copy of every weight for each of B tasks: [...] -> [B, ...]."""
    return [
        tf.broadcast_to(weight[None], tf.concat([[tasks], tf.shape(weight)], axis=0))
        for weight in weights
    ]
