"""Adam as the paper's experiments ran it: L2 in the gradient, epsilon outside the correction."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

# What a strategy adds to the names of copies of a variable.
_COPY = re.compile(r"/replica_\d+")


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class AdamL2(tf.keras.optimizers.legacy.Adam):
    """Adam with weight decay added to the gradient, as PyTorch's `Adam(weight_decay=...)`.

    Not AdamW: the decay passes through the moments. PyTorch adds epsilon to the bias-corrected
    root, TensorFlow to the raw one; epsilon is rescaled each step so that both agree.

    Args:
      learning_rate: Step size.
      weight_decay: L2 factor; variables reached by sparse gradients decay where they are touched.
      epsilon: PyTorch's default.
      decays: Names of variables that decay another number of times as much, zero or more.

    Raises:
      ValueError: `weight_decay`, or one of `decays`, is negative.
    """

    def __init__(
        self,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-5,
        epsilon: float = 1e-8,
        name: str = "AdamL2",
        decays: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, epsilon=epsilon, name=name, **kwargs)
        if weight_decay < 0:
            raise ValueError(
                f"`weight_decay` must be zero or more. Received: weight_decay={weight_decay}."
            )
        negative = {of: times for of, times in (decays or {}).items() if times < 0}
        if negative:
            raise ValueError(f"`decays` must be zero or more. Received: {negative}.")
        self.weight_decay = weight_decay
        self.decays = dict(decays or {})

    def create_variables(self, variables: Sequence[tf.Variable]) -> None:
        """Creates what it remembers of these; created within a step, it is traced twice."""
        self._create_all_weights(variables)

    def forget(self) -> None:
        """Sets what it remembers, the steps counted among it, to what it was before the first."""
        for variable in self.weights:
            variable.assign(tf.zeros_like(variable))

    def _prepare_local(self, var_device: Any, var_dtype: Any, apply_state: Any) -> None:
        super()._prepare_local(var_device, var_dtype, apply_state)
        coefficients = apply_state[(var_device, var_dtype)]
        correction = tf.sqrt(1.0 - coefficients["beta_2_power"])
        coefficients["epsilon"] = self.epsilon * correction

    def _resource_apply_dense(
        self, grad: tf.Tensor, var: tf.Variable, apply_state: Any = None
    ) -> tf.Operation:
        return super()._resource_apply_dense(grad + self._decay(var) * var, var, apply_state)

    def _resource_apply_sparse(
        self, grad: tf.Tensor, var: tf.Variable, indices: tf.Tensor, apply_state: Any = None
    ) -> tf.Operation:
        decayed = grad + self._decay(var) * tf.gather(var, indices)
        return super()._resource_apply_sparse(decayed, var, indices, apply_state)

    def _decay(self, var: tf.Variable) -> float:
        return self.weight_decay * self.decays.get(_COPY.sub("", var.name), 1.0)

    def get_config(self) -> dict[str, Any]:
        own = {"weight_decay": self.weight_decay, "decays": self.decays}
        return {**super().get_config(), **own}
