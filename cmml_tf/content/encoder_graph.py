"""A fitted encoder inside a TensorFlow graph: raw feature values to content, one forward pass."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from cmml_tf.content import token_graph
from cmml_tf.content.blocks import NumberBlock, TokenBlock
from cmml_tf.content.encoder import ContentEncoder, ProjectedBlock

_TOKENS: dict[str, Callable[[tf.Tensor], token_graph.TokenTensors]] = {
    "values": token_graph.whole_values,
    "members": token_graph.members,
    "words": token_graph.words,
    "grams": token_graph.grams,
}


class ContentGraph(tf.Module):
    """What `ContentEncoder.encode` computes, to about 1e-6, of the tensors of a request.

    Args:
      encoder: Fitted.
      name: Of the module's variables.
    """

    def __init__(self, encoder: ContentEncoder, name: str = "content") -> None:
        super().__init__(name=name)
        self.dimension = encoder.dimension
        self.features = encoder.features
        self.blocks = [_block_graph(block) for block in encoder.blocks]
        self._names = tuple(block.feature for block in encoder.blocks)

    def __call__(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """The content of N rows.

        Args:
          features: By name. `categorical`, `text`: string [N], "" unknown. `multi-hot`: string [N]
            with | between the values, "" none. `numeric`: float32 [N], NaN unknown. `vector`:
            float32 [N, w], NaN unknown.

        Returns:
          float32 [N, c].
        """
        rows = tf.shape(next(iter(features.values())))[0]
        content = tf.zeros([rows, self.dimension])
        for name, block in zip(self._names, self.blocks, strict=True):
            content += block(features[name])
        return content


class _Block(tf.Module):
    def __init__(self, one: ProjectedBlock) -> None:
        super().__init__()
        self.table = tf.Variable(one.table, trainable=False)
        self.centre = tf.Variable(one.centre, trainable=False)

    def _dense(self, columns: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        return tf.where(known[:, None], tf.matmul(columns, self.table) - self.centre, 0.0)


class _TokenGraph(_Block):
    def __init__(self, one: ProjectedBlock, block: TokenBlock) -> None:
        super().__init__(one)
        self._tokens = _TOKENS[block.part]
        self._width, self._known = block.width, len(block.keys)
        self.keys = tf.Variable(block.keys, trainable=False)
        self.idf = tf.Variable(block.idf, trainable=False)

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(values)[0]
        found = self._tokens(values)
        keys = self.keys.read_value()
        place = tf.cast(tf.searchsorted(keys, found.key), tf.int64)
        known = tf.equal(tf.gather(keys, tf.minimum(place, self._known - 1)), found.key)
        row = found.of_row
        if self._width > self._known:
            place = tf.where(known, place, self._known)
        else:
            place, row = tf.boolean_mask(place, known), tf.boolean_mask(row, known)
        distinct = tf.unique(row * self._width + place)[0]
        row, place = distinct // self._width, distinct % self._width
        weight = tf.gather(self.idf, place)
        total = tf.math.unsorted_segment_sum(
            weight[:, None] * tf.gather(self.table, place), row, rows
        )
        square = tf.math.unsorted_segment_sum(weight**2, row, rows)[:, None]
        return tf.where(square > 0, tf.math.divide_no_nan(total, tf.sqrt(square)) - self.centre, 0)


class _NumberGraph(_Block):
    def __init__(self, one: ProjectedBlock, block: NumberBlock) -> None:
        super().__init__(one)
        self._block = block

    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        block = self._block
        knots = tf.constant(block.knots)
        known = ~tf.math.is_nan(values)
        number = tf.clip_by_value(tf.where(known, values, knots[0]), knots[0], knots[-1])[:, None]
        passed = tf.clip_by_value((number - knots[:-1]) / (knots[1:] - knots[:-1]), 0.0, 1.0)
        place = tf.pad(passed, [[0, 0], [1, 0]], constant_values=1.0)
        place -= tf.pad(passed, [[0, 0], [0, 1]])
        columns = tf.concat([(number - block.mean) / block.deviation, place], axis=1)
        return self._dense(columns, known)


class _VectorGraph(_Block):
    def __call__(self, values: tf.Tensor) -> tf.Tensor:
        known = ~tf.reduce_any(tf.math.is_nan(values), axis=1)
        return self._dense(tf.where(known[:, None], values, 0.0), known)


def _block_graph(one: ProjectedBlock) -> _Block:
    if isinstance(one.block, TokenBlock):
        return _TokenGraph(one, one.block)
    return _NumberGraph(one, one.block) if isinstance(one.block, NumberBlock) else _VectorGraph(one)
