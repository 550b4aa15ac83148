"""The recurrence of the sequential context encoder (paper equation 7), for inference.

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
Training has versions with gradients of their own in `gru_gradient`.
"""

from collections.abc import Callable

import tensorflow as tf

_UNROLLED = 32
_CLOSED = 1e4

Chunk = tuple[tf.Tensor, ...]


def gru_last_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """The state after the last valid step (autodiff works, but slowly).

    Args:
      inputs: float32 [B, S, I].
      mask: bool [B, S], which steps are valid; none gives the initial state, zeros.
      kernel: float32 [I, 3H], gates in Keras' order z, r, n.
      recurrent_kernel: float32 [H, 3H].
      bias: float32 [2, 3H], of the input and of the recurrent product.

    Returns:
      float32 [B, H].
    """
    chunks, remainder = chunked(project_inputs(inputs, mask, kernel, bias))
    initial = zero_state(inputs, recurrent_kernel)

    def last_state(fused: bool) -> tf.Tensor:
        step = make_step(recurrent_kernel, bias, fused)

        def advance(state: tf.Tensor, steps: Chunk) -> tf.Tensor:
            for gate, candidate in zip(*map(tf.unstack, steps), strict=True):
                state, _ = step(state, gate, candidate)
            return state

        (state,) = loop_over(chunks, lambda _, steps, h: (advance(h, steps),), (initial,))
        (state,) = loop_over(remainder, lambda _, steps, h: step(h, *steps)[:1], (state,))
        return state

    return _for_batch_size(inputs, last_state)


def gru_mean_state(
    inputs: tf.Tensor,
    mask: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """The mean of the states after each valid step (autodiff works, but slowly).

    No valid step gives zeros. Arguments and result are those of `gru_last_state`.
    """
    gates, candidates = project_inputs(inputs, mask, kernel, bias)
    chunks, remainder = chunked((gates, candidates, step_shares(mask)))
    initial = zero_state(inputs, recurrent_kernel)

    def mean_state(fused: bool) -> tf.Tensor:
        step = make_step(recurrent_kernel, bias, fused)

        def chunk(_: tf.Tensor, steps: Chunk, state: tf.Tensor, mean: tf.Tensor) -> Chunk:
            *parts, share = steps
            states = []
            for gate, candidate in zip(*map(tf.unstack, parts), strict=True):
                state, _ = step(state, gate, candidate)
                states.append(state)
            # Together, for the sake of few and large operations.
            return state, mean + tf.reduce_sum(tf.stack(states) * share, axis=0)

        def single(_: tf.Tensor, steps: Chunk, state: tf.Tensor, mean: tf.Tensor) -> Chunk:
            *parts, share = steps
            state, _ = step(state, *parts)
            return state, mean + state * share

        passed = loop_over(chunks, chunk, (initial, initial))
        return loop_over(remainder, single, passed)[1]

    return _for_batch_size(inputs, mean_state)


def step_shares(mask: tf.Tensor) -> tf.Tensor:
    """What the state of each step counts in the mean: bool [B, S] -> float32 [S, B, 1]."""
    valid = tf.transpose(tf.cast(mask, tf.float32))
    return tf.math.divide_no_nan(valid, tf.reduce_sum(valid, axis=0))[..., None]


def _for_batch_size(inputs: tf.Tensor, compute: Callable[[bool], tf.Tensor]) -> tf.Tensor:
    # A single task is the usual request; its product of a vector is faster outside of the fusion.
    return tf.cond(tf.equal(tf.shape(inputs)[0], 1), lambda: compute(False), lambda: compute(True))


def project_inputs(
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


def make_step(
    recurrent_kernel: tf.Tensor, bias: tf.Tensor, fused: bool = True
) -> Callable[..., tuple[tf.Tensor, Chunk]]:
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


def zero_state(inputs: tf.Tensor, recurrent_kernel: tf.Tensor) -> tf.Tensor:
    """The state before the first step [B, H]."""
    return tf.zeros([tf.shape(inputs)[0], recurrent_kernel.shape[0]], inputs.dtype)


def chunked(sequences: Chunk) -> tuple[Chunk, Chunk]:
    """Time-major [S, ...] as whole chunks [S // K, K, ...] and the S % K steps behind them."""
    count = tf.shape(sequences[0])[0] // _UNROLLED
    whole = []
    for sequence in sequences:
        shape = tf.concat([[count, _UNROLLED], tf.shape(sequence)[1:]], 0)
        chunk = tf.reshape(sequence[: count * _UNROLLED], shape)
        whole.append(tf.ensure_shape(chunk, [None, _UNROLLED, *sequence.shape[1:]]))
    return tuple(whole), tuple(sequence[count * _UNROLLED :] for sequence in sequences)


def loop_over(sequences: Chunk, body: Callable, variables: tuple) -> tuple:
    """`body(i, sequences at i, *variables)` gives the next variables; these behind the last i."""
    count = tf.shape(sequences[0])[0]

    def iteration(i: tf.Tensor, *current: tf.Tensor) -> tuple:
        steps = tuple(tf.gather(sequence, i) for sequence in sequences)
        return (i + 1, *body(i, steps, *current))

    return tf.while_loop(lambda i, *_: i < count, iteration, (0, *variables))[1:]
