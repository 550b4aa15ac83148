"""Embedding of users and items by what is known of them (paper section 3.1, user setting)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.layers.building import build_named
from cmml_tf.layers.sizes import positive
from cmml_tf.types import Feature, FeatureColumn


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class FieldEmbedding(tf.keras.layers.Layer):
    """One feature: its embedding table and its values for every known row of a catalogue.

    A categorical value or id has its table row, an unknown one the last row; several values have
    the mean of their rows and no value gives zeros; a number scales one learned vector.

    Args:
      column: The feature and its values, kept with the layer as weights that are not trained. The
        configuration tells how many they are, the weights what they are.
      dimension: Size of the embedding.
    """

    def __init__(self, column: FeatureColumn, dimension: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        positive(dimension=dimension)
        self.feature = column.feature
        self.dimension = dimension
        self._column = column

    def build(self, input_shape: Any) -> None:
        column = self._column
        numeric = self.feature.kind == "numeric"
        self.values = self._constant("values", column.values, tf.float32 if numeric else tf.int32)
        self.starts = None
        if column.starts is not None:
            self.starts = self._constant("starts", column.starts, tf.int64)
        self.table = self.add_weight(
            name="table",
            shape=[1 if numeric else len(self.feature.vocabulary) + 1, self.dimension],
            initializer=_first_table(self.feature.kind),
        )
        super().build(input_shape)

    def _constant(self, name: str, values: np.ndarray, dtype: tf.DType) -> tf.Variable:
        return self.add_weight(
            name=name,
            shape=values.shape,
            dtype=dtype,
            initializer=lambda *args, **kwargs: tf.constant(values, dtype),
            trainable=False,
        )

    def call(self, rows: tf.Tensor) -> tf.Tensor:
        """int [n] catalogue rows -> float32 [n, dimension]."""
        if self.starts is None:
            return self.embed(tf.gather(self.values, rows))
        return self._mean(*self._several(rows))

    def members(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What the embeddings of int [n] catalogue rows are weighted sums of.

        Returns:
          int32 [m] table rows, int32 [m] which of the n each belongs to (ascending), float32 [m]
          weights.
        """
        if self.starts is not None:
            member, of_row, count = self._several(rows)
            return member, of_row, 1.0 / tf.cast(tf.gather(count, of_row), tf.float32)
        values, of_row = tf.gather(self.values, rows), tf.range(tf.size(rows))
        if self.feature.kind == "numeric":
            return tf.zeros_like(of_row), of_row, values
        return values, of_row, tf.ones(tf.shape(rows))

    def _several(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Multi-hot: members of int [n] rows, which row each is of, members of each row."""
        first = tf.gather(self.starts, rows)
        count = tf.gather(self.starts, tf.cast(rows, tf.int64) + 1) - first  # [n]
        of_row = tf.repeat(tf.range(tf.shape(rows)[0]), count)  # [members]
        # Where each member stands: its row's first place, and how many of the row came before.
        before = tf.cumsum(count, exclusive=True)
        places = tf.range(tf.reduce_sum(count)) + tf.gather(first - before, of_row)
        return tf.gather(self.values, places), of_row, count

    def embed(self, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
        """Given values instead of a catalogue row's.

        Args:
          values: Numeric: float32 [n], standardised; categorical and id: int [n], table rows;
            multi-hot: ragged int [n, None].

        Returns:
          float32 [n, dimension].
        """
        if self.feature.kind == "numeric":
            return values[:, None] * self.table
        if self.feature.kind == "multi-hot":
            return self._mean(values.values, values.value_rowids(), values.row_lengths())
        return tf.gather(self.table, values)

    def _mean(self, members: tf.Tensor, of_row: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        rows = tf.gather(self.table, members)  # [members, dimension]
        total = tf.math.unsorted_segment_sum(rows, of_row, tf.shape(count)[0])
        return tf.math.divide_no_nan(total, tf.cast(count, tf.float32)[:, None])

    def get_config(self) -> dict[str, Any]:
        own = {"column": _column_config(self._column), "dimension": self.dimension}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FieldEmbedding":
        """A layer whose values are zeros until its weights are set."""
        return cls(**{**config, "column": _zero_column(config["column"])})


@tf.keras.utils.register_keras_serializable(package="cmml_tf")
class FeaturePairEmbedding(tf.keras.layers.Layer):
    """The pair embedding e = concat(item features, user features), in this order.

    Every feature has a table of its own, learned end to end. Rows `users` and `items` of the
    catalogues stand for unknown ones: no multi-hot value, and the unknown row of the other tables.

    Args:
      item_columns: The item's features, in order; all of the same catalogue.
      user_columns: The user's features; may be none, where nothing is known of users.
      dimension: Size of each feature's embedding.
      users: Known users; needed where there is no user column to tell.
      id_dimension: Size of the embedding of features of the kind `id`; None: `dimension`.

    Raises:
      ValueError: There is no item feature, or columns belong to catalogues of different sizes.
    """

    def __init__(
        self,
        item_columns: Sequence[FeatureColumn],
        user_columns: Sequence[FeatureColumn],
        dimension: int = 32,
        users: int = 1,
        id_dimension: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not item_columns:
            raise ValueError("`item_columns` must have at least one feature. Received: none.")
        for name, columns in (("item_columns", item_columns), ("user_columns", user_columns)):
            sizes = {column.rows for column in columns}
            if len(sizes) > 1:
                raise ValueError(
                    f"`{name}` must belong to one catalogue. Received: {sorted(sizes)} rows."
                )

        of_id = dimension if id_dimension is None else id_dimension

        def field(name: str, column: FeatureColumn) -> FieldEmbedding:
            width = of_id if column.feature.kind == "id" else dimension
            return FieldEmbedding(column, width, name=name)

        self._sizes = {"dimension": dimension, "users": users, "id_dimension": id_dimension}
        self.items = item_columns[0].rows
        self.users = user_columns[0].rows if user_columns else users
        # Numbered, since users and items may have features of one name, and names any letters.
        self.item_fields = [field(f"item_{n}", column) for n, column in enumerate(item_columns)]
        self.user_fields = [field(f"user_{n}", column) for n, column in enumerate(user_columns)]
        self.item_dimension = sum(layer.dimension for layer in self.item_fields)
        self.dimension = self.item_dimension + sum(layer.dimension for layer in self.user_fields)

    def build(self, input_shape: Any) -> None:
        for layer in (*self.item_fields, *self.user_fields):
            build_named(layer, [None])
        super().build(input_shape)

    def call(self, user: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """int [B, N] user and item rows -> float32 [B, N, d]."""
        shape = tf.shape(item)
        flat = [layer(tf.reshape(item, [-1])) for layer in self.item_fields]
        flat += [layer(tf.reshape(user, [-1])) for layer in self.user_fields]
        pairs = tf.concat(flat, axis=-1)
        return tf.reshape(pairs, [shape[0], shape[1], self.dimension])

    def item_rows(self, item: tf.Tensor) -> tf.Tensor:
        """int [N] rows -> float32 [N, d_i], the part of a pair embedding that is the item's."""
        return tf.concat([layer(item) for layer in self.item_fields], axis=-1)

    def get_config(self) -> dict[str, Any]:
        columns = {
            side: [field.get_config()["column"] for field in fields]
            for side, fields in (
                ("item_columns", self.item_fields),
                ("user_columns", self.user_fields),
            )
        }
        return {**super().get_config(), **columns, **self._sizes}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "FeaturePairEmbedding":
        """A layer whose columns hold zeros until its weights are set."""
        columns = {
            side: [_zero_column(column) for column in config[side]]
            for side in ("item_columns", "user_columns")
        }
        return cls(**{**config, **columns})


def _column_config(column: FeatureColumn) -> dict[str, Any]:
    """What a column is, without its values, which are weights."""
    feature = column.feature
    return {
        "name": feature.name,
        "kind": feature.kind,
        "vocabulary": list(feature.vocabulary),
        "mean": float(feature.mean),
        "deviation": float(feature.deviation),
        "values": len(column.values),
        "starts": None if column.starts is None else len(column.starts),
    }


def _zero_column(config: dict[str, Any]) -> FeatureColumn:
    """A column of these sizes; its zeros take no memory."""
    feature = {name: config[name] for name in ("name", "kind", "mean", "deviation")}
    vocabulary, starts = tuple(config["vocabulary"]), config["starts"]
    return FeatureColumn(
        Feature(vocabulary=vocabulary, **feature),
        _zeros(config["values"]),
        None if starts is None else _zeros(starts),
    )


def _zeros(size: int) -> np.ndarray:
    return np.broadcast_to(np.int32(0), [size])


def _first_table(kind: str) -> Any:
    """Random rows; the row for unknown values, which may never be trained, is zero.

    One value has a row of deviation 1; those of many values begin near zero, uniform in
    +-1/sqrt(values), so that a rare name says nothing before it has been learned.
    """

    def initial(shape: Any, dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        del kwargs
        rows, dimension = int(shape[0]), int(shape[1])
        if kind == "numeric":
            return _near_zero(1)([rows, dimension], dtype)
        drawn = _near_zero(rows - 1) if kind == "multi-hot" else _unit_normal()
        return tf.concat([drawn([rows - 1, dimension], dtype), tf.zeros([1, dimension])], axis=0)

    return initial


def _near_zero(values: int) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomUniform(-(values**-0.5), values**-0.5)


def _unit_normal() -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomNormal(stddev=1.0)
