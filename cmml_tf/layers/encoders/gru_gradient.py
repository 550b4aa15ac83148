"""The recurrence of `gru` for training: the same states, with gradients of their own.

The forward pass keeps the states and gates; the backward pass walks back over the state's gradient
alone, and forms the gradients of the weights in one matrix product each. Never export these
functions: they leave a gradient registration in the graph.
"""

from collections.abc import Callable

import tensorflow as tf

from cmml_tf.layers.encoders.gru import (
    Chunk,
    chunked,
    loop_over,
    make_step,
    project_inputs,
    step_shares,
    zero_state,
)

_Gradients = tuple[tf.Tensor | None, ...]


@tf.custom_gradient
def trainable_gru_last_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], _Gradients]]:
    """`gru_last_state` with a gradient of its own."""
    gates, candidates = project_inputs(inputs, mask, kernel, bias)
    kept, last = _all_states(gates, candidates, inputs, recurrent_kernel, bias)

    def gradient(upstream: tf.Tensor) -> _Gradients:
        return _gradients(inputs, kernel, recurrent_kernel, kept, upstream)

    return last, gradient


@tf.custom_gradient
def trainable_gru_mean_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], _Gradients]]:
    """`gru_mean_state` with a gradient of its own."""
    gates, candidates = project_inputs(inputs, mask, kernel, bias)
    kept, last = _all_states(gates, candidates, inputs, recurrent_kernel, bias)
    shares = step_shares(mask)
    mean = tf.reduce_sum(kept[:, :, : recurrent_kernel.shape[0]] * shares, axis=0)

    def gradient(upstream: tf.Tensor) -> _Gradients:
        return _gradients(
            inputs, kernel, recurrent_kernel, kept, tf.zeros_like(last), shares * upstream
        )

    return mean, gradient


def _gradients(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    kept: tf.Tensor,
    of_last: tf.Tensor,
    of_each: tf.Tensor | None = None,
) -> _Gradients:
    """Gradients of all arguments of a recurrence, from those of its states.

    Args:
      inputs, kernel, recurrent_kernel: The recurrence's arguments.
      kept: What `_all_states` left.
      of_last: Gradient of the loss for what is read of the last state [B, H].
      of_each: The same for what is read of every state [S, B, H]; None: nothing is.
    """
    units = recurrent_kernel.shape[0]
    states, u, r, n, product_n = tf.split(kept, 5, axis=-1)
    previous = tf.concat([tf.zeros_like(of_last)[None], states[:-1]], axis=0)  # [S, B, H]
    flat_previous = tf.reshape(previous, [-1, units])

    # d loss / d pre-activation is the state's gradient times these, for z, r and h U_n.
    slope_n = u * (1.0 - n * n)
    slope_z = (previous - n) * u * (1.0 - u)
    slope_r = slope_n * product_n * r * (1.0 - r)
    slopes = tf.stack([slope_z, slope_r, slope_n * r], axis=2)  # [S, B, 3, H]
    at_state = _walk_back(of_last, of_each, slopes, 1.0 - u, recurrent_kernel)  # [S, B, H]

    recurrent = tf.reshape(at_state[:, :, None] * slopes, [-1, 3 * units])
    # The candidate's input product is not multiplied by the reset gate.
    through_input = tf.concat(
        [recurrent[:, : 2 * units], tf.reshape(at_state * slope_n, [-1, units])], axis=1
    )
    time_major = tf.transpose(inputs, [1, 0, 2])
    flat_inputs = tf.reshape(time_major, [-1, inputs.shape[-1]])
    grad_inputs = tf.reshape(
        tf.matmul(through_input, kernel, transpose_b=True), tf.shape(time_major)
    )
    return (
        tf.transpose(grad_inputs, [1, 0, 2]),
        None,
        tf.matmul(flat_inputs, through_input, transpose_a=True),
        tf.matmul(flat_previous, recurrent, transpose_a=True),
        tf.stack([tf.reduce_sum(through_input, 0), tf.reduce_sum(recurrent, 0)]),
    )


def _all_states(
    gates: tf.Tensor,
    candidates: tf.Tensor,
    inputs: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """State, u, r, n and h U_n of all steps [S, B, 5H], and the last state [B, H]."""
    step = make_step(recurrent_kernel, bias)
    initial = zero_state(inputs, recurrent_kernel)

    def chunk(
        i: tf.Tensor, steps: Chunk, state: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        rows = []
        for gate, candidate in zip(*map(tf.unstack, steps), strict=True):
            state, parts = step(state, gate, candidate)
            rows.append((state, *parts))
        columns = [tf.stack(column) for column in zip(*rows, strict=True)]
        return state, kept.write(i, tf.concat(columns, axis=-1))

    def single(
        i: tf.Tensor, steps: Chunk, state: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        state, parts = step(state, *steps)
        return state, kept.write(i, tf.concat([state, *parts], axis=-1))

    chunks, remainder = chunked((gates, candidates))
    state, many = loop_over(chunks, chunk, (initial, _keep(chunks)))
    state, few = loop_over(remainder, single, (state, _keep(remainder)))
    units = recurrent_kernel.shape[0]
    row = tf.tile(initial, [1, 5])
    kept = tf.concat([_rows(many, row), _rows(few, row)], 0)
    # XLA knows the sizes of an argument, but not of what a loop has kept.
    shape = tf.concat([tf.shape(gates)[:2], [5 * units]], 0)
    return tf.reshape(kept, shape), state


def _walk_back(
    of_last: tf.Tensor,
    of_each: tf.Tensor | None,
    slopes: tf.Tensor,
    z: tf.Tensor,
    recurrent_kernel: tf.Tensor,
) -> tf.Tensor:
    """Gradients of the loss at each state [S, B, H]: what is read of it, and what comes back."""
    transposed = tf.transpose(recurrent_kernel)  # [3H, H]
    units = recurrent_kernel.shape[0]

    def step(
        gradient: tf.Tensor, slope: tf.Tensor, z_t: tf.Tensor, *read: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The gradient at this state, and what it hands to the state before."""
        for own in read:
            gradient += own
        recurrent = tf.reshape(gradient[:, None] * slope, [-1, 3 * units])
        return gradient, gradient * z_t + tf.matmul(recurrent, transposed)

    def chunk(
        i: tf.Tensor, steps: Chunk, gradient: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        gradients = []
        for values in zip(*map(tf.unstack, steps), strict=True):
            at_state, gradient = step(gradient, *values)
            gradients.append(at_state)
        return gradient, kept.write(i, tf.stack(gradients))

    def single(
        i: tf.Tensor, steps: Chunk, gradient: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        at_state, gradient = step(gradient, *steps)
        return gradient, kept.write(i, at_state)

    # Reversed in time, so the remainder of the forward pass is again the last piece here.
    sequences = (slopes, z) if of_each is None else (slopes, z, of_each)
    chunks, remainder = chunked(tuple(tf.reverse(sequence, [0]) for sequence in sequences))
    gradient, many = loop_over(chunks, chunk, (of_last, _keep(chunks)))
    _, few = loop_over(remainder, single, (gradient, _keep(remainder)))
    gradients = tf.concat([_rows(many, of_last), _rows(few, of_last)], 0)
    return tf.reverse(gradients, [0])


def _keep(sequences: Chunk) -> tf.TensorArray:
    """An array with a place for what each iteration over `sequences` leaves."""
    return tf.TensorArray(sequences[0].dtype, size=tf.shape(sequences[0])[0])


def _rows(kept: tf.TensorArray, row: tf.Tensor) -> tf.Tensor:
    """All that was kept, [N, B, H] for rows [B, H].

    An array that no iteration wrote to cannot be stacked where B is unknown in the graph.
    """

    def shape(rows: int) -> tf.Tensor:
        # Called in each branch: XLA knows the shape of what a branch is given, but no value.
        return tf.concat([[rows], tf.shape(row)], 0)

    return tf.cond(
        kept.size() > 0,
        lambda: tf.reshape(kept.stack(), shape(-1)),
        lambda: tf.zeros(shape(0), row.dtype),
    )
