"""The recurrence of the sequential context encoder (paper equation 7): a GRU's last valid state.

The convention is PyTorch's, which is Keras' `reset_after=True`. With input x, state h:

    z = sigmoid(x W_z + h U_z + b_z)
    r = sigmoid(x W_r + h U_r + b_r)
    n = tanh(x W_n + b_n + r * (h U_n + b'_n))
    h <- z * h + (1 - z) * n

Everything that does not depend on the state is computed once for the whole sequence, and
`_UNROLLED` steps are laid out in each iteration of the loop, so that a step is one small matrix
product and little else. The update gate is computed as its complement `u = 1 - z` (the sigmoid of
the negated pre-activation), which makes the update `h + u * (n - h)`. A padded step lowers that
pre-activation by `_CLOSED`: u is then exactly 0 and the state passes, for any padding of ordinary
size (NaN, infinities and pre-activations near `_CLOSED` itself are the caller's to remove).
"""

from collections.abc import Callable

import tensorflow as tf

_UNROLLED = 32
_CLOSED = 1e4

_Chunk = tuple[tf.Tensor, ...]


def gru_last_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """The state after the last valid step, for inference (autodiff works, but slowly).

    Args:
      inputs: float32 [B, S, I].
      mask: bool [B, S], which steps are valid; none gives the initial state, zeros.
      kernel: float32 [I, 3H], gates in Keras' order z, r, n.
      recurrent_kernel: float32 [H, 3H].
      bias: float32 [2, 3H], of the input and of the recurrent product.

    Returns:
      float32 [B, H].
    """
    gates, candidates = _project(inputs, mask, kernel, bias)
    initial = _zero_state(inputs, recurrent_kernel)
    chunks, remainder = _chunked((gates, candidates))

    def last_state(fused: bool) -> tf.Tensor:
        step = _step(recurrent_kernel, bias, fused)

        def advance(state: tf.Tensor, steps: _Chunk) -> tf.Tensor:
            for gate, candidate in zip(*map(tf.unstack, steps), strict=True):
                state, _ = step(state, gate, candidate)
            return state

        (state,) = _loop(chunks, lambda _, steps, h: (advance(h, steps),), (initial,))
        (state,) = _loop(remainder, lambda _, steps, h: step(h, *steps)[:1], (state,))
        return state

    # A single task is the usual request; its product of a vector is faster outside of the fusion.
    return tf.cond(
        tf.equal(tf.shape(inputs)[0], 1), lambda: last_state(False), lambda: last_state(True)
    )


@tf.custom_gradient
def trainable_gru_last_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, Callable]:
    """`gru_last_state` with a gradient of its own.

    The forward pass keeps the states and gates; the backward pass walks back over the state's
    gradient alone, and forms the gradients of the weights in one matrix product each. Never export
    this function: it leaves a gradient registration in the graph.
    """
    gates, candidates = _project(inputs, mask, kernel, bias)
    kept, last = _all_states(gates, candidates, inputs, recurrent_kernel, bias)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        units = recurrent_kernel.shape[0]
        states, u, r, n, product_n = tf.split(kept, 5, axis=-1)
        previous = tf.concat([tf.zeros_like(last)[None], states[:-1]], axis=0)  # [S, B, H]
        flat_previous = tf.reshape(previous, [-1, units])

        # d loss / d pre-activation is the state's gradient times these, for z, r and h U_n.
        slope_n = u * (1.0 - n * n)
        slope_z = (previous - n) * u * (1.0 - u)
        slope_r = slope_n * product_n * r * (1.0 - r)
        slopes = tf.stack([slope_z, slope_r, slope_n * r], axis=2)  # [S, B, 3, H]
        state_gradients = _walk_back(upstream, slopes, 1.0 - u, recurrent_kernel)  # [S, B, H]

        recurrent = tf.reshape(state_gradients[:, :, None] * slopes, [-1, 3 * units])
        # The candidate's input product is not multiplied by the reset gate.
        through_input = tf.concat(
            [recurrent[:, : 2 * units], tf.reshape(state_gradients * slope_n, [-1, units])], axis=1
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

    return last, gradient


def _project(
    inputs: tf.Tensor, mask: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """What does not depend on the state: gates u, r [S, B, 2H] and candidate [S, B, H]."""
    units = kernel.shape[-1] // 3
    batch, steps = tf.shape(inputs)[0], tf.shape(inputs)[1]
    # One more input closes the gate: cheaper than a pass over the gates of all steps.
    closing = tf.transpose(tf.where(mask, 0.0, _CLOSED))[:, :, None]  # [S, B, 1]
    time_major = tf.concat([tf.transpose(inputs, [1, 0, 2]), closing], axis=-1)
    flat = tf.reshape(time_major, [-1, inputs.shape[-1] + 1])
    closing_row = tf.concat([tf.ones([1, units]), tf.zeros([1, 2 * units])], axis=1)
    signs = _signs(units)
    kernel = tf.concat([kernel, closing_row], axis=0) * signs
    # The recurrent bias of u and r stands outside of any gate and joins the input's.
    gate_bias = ((bias[0] + bias[1]) * signs)[: 2 * units]
    gates = tf.nn.bias_add(tf.matmul(flat, kernel[:, : 2 * units]), gate_bias)
    candidates = tf.matmul(flat, kernel[:, 2 * units :])
    candidates = tf.nn.bias_add(candidates, bias[0, 2 * units :])
    return (
        tf.reshape(gates, [steps, batch, 2 * units]),
        tf.reshape(candidates, [steps, batch, units]),
    )


def _signs(units: int) -> tf.Tensor:
    """[3H]: -1 for the update gate, whose complement is computed; 1 for the others."""
    return tf.concat([-tf.ones([units]), tf.ones([2 * units])], axis=0)


def _step(
    recurrent_kernel: tf.Tensor, bias: tf.Tensor, fused: bool = True
) -> Callable[..., tuple[tf.Tensor, _Chunk]]:
    """One step: the new state, and what its gradient needs (u, r, n and the product h U_n)."""
    units = recurrent_kernel.shape[0]
    signed_kernel = recurrent_kernel * _signs(units)
    bias_n = bias[1, 2 * units :]
    padded_bias = tf.concat([tf.zeros([2 * units]), bias_n], axis=0)

    def step(state: tf.Tensor, gate: tf.Tensor, candidate: tf.Tensor) -> tf.Tensor:
        product = tf.matmul(state, signed_kernel)
        if fused:
            # Product and bias become one kernel, which at B=32 is a sixth faster.
            product = tf.nn.bias_add(product, padded_bias)
        product_ur, product_n = tf.split(product, [2 * units, units], axis=-1)
        if not fused:
            product_n += bias_n
        u, r = tf.split(tf.sigmoid(gate + product_ur), 2, axis=-1)
        n = tf.tanh(candidate + r * product_n)
        return state + u * (n - state), (u, r, n, product_n)

    return step


def _all_states(
    gates: tf.Tensor,
    candidates: tf.Tensor,
    inputs: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """State, u, r, n and h U_n of all steps [S, B, 5H], and the last state [B, H]."""
    step = _step(recurrent_kernel, bias)
    initial = _zero_state(inputs, recurrent_kernel)

    def chunk(
        i: tf.Tensor, steps: _Chunk, state: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        rows = []
        for gate, candidate in zip(*map(tf.unstack, steps), strict=True):
            state, parts = step(state, gate, candidate)
            rows.append((state, *parts))
        columns = [tf.stack(column) for column in zip(*rows, strict=True)]
        return state, kept.write(i, tf.concat(columns, axis=-1))

    def single(
        i: tf.Tensor, steps: _Chunk, state: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        state, parts = step(state, *steps)
        return state, kept.write(i, tf.concat([state, *parts], axis=-1))

    chunks, remainder = _chunked((gates, candidates))
    state, many = _loop(chunks, chunk, (initial, _keep(chunks)))
    state, few = _loop(remainder, single, (state, _keep(remainder)))
    units = recurrent_kernel.shape[0]
    row = tf.tile(initial, [1, 5])
    kept = tf.concat([_rows(many, row), _rows(few, row)], 0)
    return tf.ensure_shape(kept, [None, None, 5 * units]), state


def _walk_back(
    upstream: tf.Tensor, slopes: tf.Tensor, z: tf.Tensor, recurrent_kernel: tf.Tensor
) -> tf.Tensor:
    """Gradients of the loss at each state [S, B, H], from that of the last one [B, H]."""
    transposed = tf.transpose(recurrent_kernel)  # [3H, H]
    units = recurrent_kernel.shape[0]

    def step(gradient: tf.Tensor, slope: tf.Tensor, z_t: tf.Tensor) -> tf.Tensor:
        recurrent = tf.reshape(gradient[:, None] * slope, [-1, 3 * units])
        return gradient * z_t + tf.matmul(recurrent, transposed)

    def chunk(
        i: tf.Tensor, steps: _Chunk, gradient: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        gradients = []
        for slope, z_t in zip(*map(tf.unstack, steps), strict=True):
            gradients.append(gradient)
            gradient = step(gradient, slope, z_t)
        return gradient, kept.write(i, tf.stack(gradients))

    def single(
        i: tf.Tensor, steps: _Chunk, gradient: tf.Tensor, kept: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.TensorArray]:
        kept = kept.write(i, gradient)
        return step(gradient, *steps), kept

    # Reversed in time, so the remainder of the forward pass is again the last piece here.
    chunks, remainder = _chunked((tf.reverse(slopes, [0]), tf.reverse(z, [0])))
    gradient, many = _loop(chunks, chunk, (upstream, _keep(chunks)))
    _, few = _loop(remainder, single, (gradient, _keep(remainder)))
    gradients = tf.concat([_rows(many, upstream), _rows(few, upstream)], 0)
    return tf.reverse(gradients, [0])


def _zero_state(inputs: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
    return tf.zeros([tf.shape(inputs)[0], recurrent_kernel.shape[0]], inputs.dtype)


def _chunked(sequences: _Chunk) -> tuple[_Chunk, _Chunk]:
    """Time-major [S, ...] as whole chunks [S // K, K, ...] and the S % K steps behind them."""
    count = tf.shape(sequences[0])[0] // _UNROLLED
    whole = []
    for sequence in sequences:
        shape = tf.concat([[count, _UNROLLED], tf.shape(sequence)[1:]], 0)
        chunk = tf.reshape(sequence[: count * _UNROLLED], shape)
        whole.append(tf.ensure_shape(chunk, [None, _UNROLLED, *sequence.shape[1:]]))
    return tuple(whole), tuple(sequence[count * _UNROLLED :] for sequence in sequences)


def _keep(sequences: _Chunk) -> tf.TensorArray:
    """An array with a place for what each iteration over `sequences` leaves."""
    return tf.TensorArray(sequences[0].dtype, size=tf.shape(sequences[0])[0])


def _rows(kept: tf.TensorArray, row: tf.Tensor) -> tf.Tensor:
    """All that was kept, [N, B, H] for rows [B, H].

    An array that no iteration wrote to cannot be stacked where B is unknown in the graph.
    """
    shape = tf.shape(row)
    return tf.cond(
        kept.size() > 0,
        lambda: tf.reshape(kept.stack(), tf.concat([[-1], shape], 0)),
        lambda: tf.zeros(tf.concat([[0], shape], 0), row.dtype),
    )


def _loop(sequences: _Chunk, body: Callable, variables: tuple) -> tuple:
    count = tf.shape(sequences[0])[0]

    def iteration(i: tf.Tensor, *current: tf.Tensor) -> tuple:
        steps = tuple(tf.gather(sequence, i) for sequence in sequences)
        return (i + 1, *body(i, steps, *current))

    return tf.while_loop(lambda i, *_: i < count, iteration, (0, *variables))[1:]
