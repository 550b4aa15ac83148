"""Parts of the served graph that XLA compiles, for requests of a few sizes.

XLA compiles anew for each size, which takes seconds. So a request is padded to the first size that
holds it, and one beyond all of them is computed as without XLA. Warm-up requests have every size:
once a version is available, nothing is left to compile.

Networks gain by it: their many small operations become a few. Solving in closed form loses: XLA's
own Cholesky and triangular solves are several times slower than TensorFlow's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.layers.encoders.attention_encoder import AttentionContextEncoder
from cmml_tf.layers.encoders.context_encoder import PoolingContextEncoder, SequentialContextEncoder
from cmml_tf.models.adapting_model import AdaptingModel
from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.requests.task_groups import not_inlined

_NETWORKS = (SequentialContextEncoder, PoolingContextEncoder, AttentionContextEncoder)


def check_compiled(
    model: AdaptingModel, sizes: Sequence[CompiledSize], limits: RequestLimits
) -> None:
    """Refuses a model that XLA does not make faster, and sizes that no request may have.

    Raises:
      ValueError: It is so; the message says why.
    """
    if not sizes:
        return
    if isinstance(model, MatchingCMML):
        why = "its contexts grow with the support, and cannot be padded"
    elif type(model) is CMML and isinstance(model.context_encoder, _NETWORKS):
        why = None
    else:
        why = "what it solves in closed form, or only looks up, takes longer under XLA"
    if why is not None:
        encoder = getattr(model, "context_encoder", None)
        of = "" if encoder is None else f" with a {type(encoder).__name__}"
        raise ValueError(
            f"`compiled` must be empty for a {type(model).__name__}{of}: {why}. "
            f"Received: {', '.join(map(str, sizes))}."
        )
    for size in sizes:
        for name in ("tasks", "support_pairs", "query_pairs"):
            if getattr(size, name) > getattr(limits, name):
                raise ValueError(
                    f"`compiled` must have no size beyond the limits of a request, {name}="
                    f"{getattr(limits, name)}. Received: {size}."
                )


def compiled_for(
    function: Callable[..., Any],
    otherwise: Callable[..., Any],
    sizes: Sequence[tuple[int, int]],
    of_pairs: Sequence[int],
    answers_pairs: bool,
) -> Callable[..., Any]:
    """The same function, compiled for a few sizes.

    Args:
      function: Takes tensors [B, ...] and gives tensors [B, ...]. Each task by itself, and pairs
        that are zeros behind a task's own, or tasks of zeros, change nothing of the others.
      otherwise: Computes the same for any size.
      sizes: (B, N) each.
      of_pairs: Places of the inputs that are [B, N].
      answers_pairs: Whether the answers are [B, N], too.
    """
    compiled = tf.function(function, autograph=False, jit_compile=True)
    beyond = not_inlined(otherwise)
    # The smallest first.
    ordered = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))

    def padded(size: tuple[int, int], *inputs: tf.Tensor) -> Any:
        tasks, pairs = tf.unstack(tf.shape(inputs[of_pairs[0]]))
        given = [
            _padded(value, size if place in of_pairs else size[:1])
            for place, value in enumerate(inputs)
        ]
        own = (slice(None, tasks), slice(None, pairs)) if answers_pairs else slice(None, tasks)
        return tf.nest.map_structure(lambda value: value[own], compiled(*given))

    def call(*inputs: tf.Tensor) -> Any:
        shape = tf.shape(inputs[of_pairs[0]])
        fits = [tf.reduce_all(shape <= size) for size in ordered]
        place = tf.argmax(tf.cast(tf.stack([*fits, True]), tf.int32), output_type=tf.int32)
        branches = [partial(padded, size, *inputs) for size in ordered]
        return tf.switch_case(place, [*branches, lambda: beyond(*inputs)])

    return call


def _padded(value: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """With zeros behind, to this size of the first axes."""
    shape = tf.shape(value)
    behind = [[0, want - shape[axis]] for axis, want in enumerate(size)]
    behind += [[0, 0]] * (value.shape.rank - len(size))
    return tf.ensure_shape(tf.pad(value, behind), [*size, *value.shape[len(size) :]])
