"""What the model makes of an item's row before any support is read."""

from typing import Any, NamedTuple

import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.flat_pairs import on_flat_pairs
from cmml_tf.layers.mlp import MLP
from cmml_tf.layers.sizes import positive
from cmml_tf.layers.step_noise import StepDropout

_PRODUCT_UNITS = 64
# Of random numbers within a training step.
_USE = 2


class ItemView(NamedTuple):
    """An item as matching sees it.

    Attributes:
      base: float32 [..., 1], how much it is expected to be liked by anybody.
      taste: float32 [..., T], features in which scenarios may differ.
      factor: float32 [..., d], what meets a user's factor.
      product: float32 [..., K], what meets a user's `product`: directions in whose taste scenarios
        may differ.
      known: float32 [..., k], `known` and the statistics, which stand in the row behind its factor.
    """

    base: tf.Tensor
    taste: tf.Tensor
    factor: tf.Tensor
    product: tf.Tensor
    known: tf.Tensor


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class ItemTower(tf.keras.layers.Layer):
    """Row of the item table -> `ItemView`: a linear map and a hidden layer beside it.

    Args:
      dimension: d, the first values of a row.
      features: T - d, learned taste features; the factors themselves are the others.
      products: K.
      units: Of the hidden layer.
      dropout: Share of what the products are made of that is left out in training.
      seed: With the training step, fixes which.
    """

    def __init__(
        self,
        dimension: int,
        features: int = 8,
        products: int = 8,
        units: int = 48,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._sizes = positive(
            dimension=dimension,
            features=features,
            products=products,
            units=units,
        )
        self.dimension = dimension
        self.features = features
        self.units = units
        self.hidden = tf.keras.layers.Dense(units, "relu", name="hidden")
        zeros = tf.keras.initializers.Zeros()
        self.base = tf.keras.layers.Dense(1, kernel_initializer=zeros, name="base")
        self.taste = tf.keras.layers.Dense(features, name="taste")
        self.product = MLP([_PRODUCT_UNITS, products], name="product")
        self.factor = tf.keras.layers.Dense(dimension, kernel_initializer=zeros, name="factor")
        self.dropout = StepDropout(dropout, seed)

    def build(self, input_shape: Any) -> None:
        row = int(input_shape[-1])
        build_named(self.hidden, [None, row])
        build_named(self.base, [None, row + self.units])
        build_named(self.taste, [None, row + self.units])
        build_named(self.factor, [None, self.units])
        build_named(self.product, [None, self.dimension])
        self.row = row
        super().build(input_shape)

    def with_view(self, rows: tf.Tensor) -> tf.Tensor:
        """Rows with their view, which need no computing: float32 [..., row and view]."""
        view = self(rows)
        # The last of the taste, the factor before, are the first values of the row.
        taste, *others = view.taste[..., : self.features], view.base, view.factor, view.product
        return tf.concat([taste, rows, *others], axis=-1)

    def call(self, rows: tf.Tensor, training: bool | None = None) -> ItemView:
        """float32 [..., row], or what `with_view` made of it -> `ItemView`."""
        if rows.shape[-1] == self.row:
            return on_flat_pairs(lambda flat: self._of_rows(flat, training), rows)
        d, products = self.dimension, self._sizes["products"]
        sizes = [self.features + d, self.row - d, 1, d, products]
        taste, known, base, factor, product = tf.split(rows, sizes, axis=-1)
        return ItemView(base, taste, factor, product, known)

    def _of_rows(self, rows: tf.Tensor, training: bool | None) -> ItemView:
        hidden = self.hidden(rows)
        both, factor = tf.concat([rows, hidden], axis=-1), rows[..., : self.dimension]
        moved = factor + self.factor(hidden)
        return ItemView(
            base=self.base(both),
            taste=tf.concat([self.taste(both), factor], axis=-1),
            factor=moved,
            product=self.product(self.dropout(moved, use=_USE, training=training)),
            known=rows[..., self.dimension :],
        )

    def get_config(self) -> dict[str, Any]:
        dropout = {"dropout": self.dropout.rate, "seed": self.dropout.seed}
        return {**super().get_config(), **self._sizes, **dropout}
