"""CMML written out in plain NumPy, one function an equation: the oracle of the layer tests.

One task at a time, float64, nothing clever. Weights are a flat dict: `<layer>/kernel` [in, units]
and `<layer>/bias` [units], where a chain of dense layers counts 0, 1, 2, ...:

  context_encoder/gru/kernel [in, 3H], recurrent_kernel [H, 3H], bias [2, 3H]   gates z, r, n
  context_encoder/mlp/<l>    modulation/hyper/<l>    modulation/head/<l>
  backbone/hidden/<l> (soft modularisation: kernel [M, in, units], bias [M, units])  backbone/output

Shapes: S support pairs, Q query pairs, d pair embedding, D context, H hidden, M modules.
"""

import numpy as np

RIDGE_NUMBERS = ("negative_target", "negative_log_weight", "base_share", "log_penalty")


def relu(x):
    return np.maximum(x, 0.0)


def leaky_relu(x):
    return np.where(x > 0, x, 0.01 * x)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def dense(x, weights, name):
    """x W + b."""
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def depth(weights, name):
    """How many layers `<name>/0`, `<name>/1`, ... there are."""
    layer = 0
    while f"{name}/{layer}/kernel" in weights:
        layer += 1
    return layer


def mlp(x, weights, name):
    """Dense layers with ReLU between them; the last one is linear."""
    last = depth(weights, name) - 1
    for layer in range(last):
        x = relu(dense(x, weights, f"{name}/{layer}"))
    return dense(x, weights, f"{name}/{last}")


# Section 3.1


def pair_embedding(user_table, item_table, user, item):
    """[n, d]: user embedding, then item embedding."""
    return np.concatenate([user_table[user], item_table[item]], axis=-1).astype(np.float64)


def labelled_pairs(embedding, label):
    """[S, d + 2]: the pair embedding, then one-hot [positive, negative]."""
    label = np.asarray(label, np.float64)[:, None]
    return np.concatenate([embedding, label, 1.0 - label], axis=-1)


# Section 3.2


def gru_last_state(sequence, valid, weights, name="context_encoder/gru"):
    """[H]: the state after the last valid pair; invalid pairs are passed over (equation 7).

    The reset gate acts after the recurrent product and its bias:
    z = sigmoid(x Wz + bz + h Uz + cz),  r = sigmoid(x Wr + br + h Ur + cr),
    n = tanh(x Wn + bn + r * (h Un + cn)),  h' = z * h + (1 - z) * n.
    """
    W_z, W_r, W_n = np.split(weights[f"{name}/kernel"], 3, axis=1)
    U_z, U_r, U_n = np.split(weights[f"{name}/recurrent_kernel"], 3, axis=1)
    b_z, b_r, b_n = np.split(weights[f"{name}/bias"][0], 3)
    c_z, c_r, c_n = np.split(weights[f"{name}/bias"][1], 3)
    h = np.zeros(U_z.shape[0])
    for x, is_valid in zip(sequence, valid, strict=True):
        if is_valid:
            z = sigmoid(x @ W_z + b_z + h @ U_z + c_z)
            r = sigmoid(x @ W_r + b_r + h @ U_r + c_r)
            n = np.tanh(x @ W_n + b_n + r * (h @ U_n + c_n))
            h = z * h + (1.0 - z) * n
    return h


def sequential_context(sequence, valid, weights):
    """[D]: SE, C = MLP(GRU(c_1 .. c_S)) (equation 7)."""
    return mlp(gru_last_state(sequence, valid, weights), weights, "context_encoder/mlp")


def pooled_context(sequence, valid, weights, pooling="mean"):
    """[D]: PE, the MLP of each pair, then mean or max over the valid ones (equation 6).

    No valid pair gives zeros.
    """
    encoded = mlp(sequence, weights, "context_encoder/mlp")[np.asarray(valid, bool)]
    if len(encoded) == 0:
        return np.zeros(encoded.shape[1])
    return encoded.mean(axis=0) if pooling == "mean" else encoded.max(axis=0)


# Section 3.3


def hybrid_context(context, embedding, kind):
    """[Q, D] (`dot`, `none`) or [Q, d + D] (`mlp`) from context [D], pairs [Q, d] (eq. 8)."""
    repeated = np.broadcast_to(context, (len(embedding), len(context)))
    if kind == "dot":
        return repeated * embedding
    if kind == "mlp":
        return np.concatenate([embedding, repeated], axis=-1)
    return repeated


# Section 3.4


def hyper_heads(hybrid, weights):
    """One [Q, ...] output a depth: a chain of ReLU layers, a linear head on each."""
    outputs = []
    for layer in range(depth(weights, "modulation/hyper")):
        hybrid = relu(dense(hybrid, weights, f"modulation/hyper/{layer}"))
        outputs.append(dense(hybrid, weights, f"modulation/head/{layer}"))
    return outputs


def plain_backbone(embedding, weights):
    """[Q, units]: hidden layers with LeakyReLU, not modulated."""
    for layer in range(depth(weights, "backbone/hidden")):
        embedding = leaky_relu(dense(embedding, weights, f"backbone/hidden/{layer}"))
    return embedding


def linear_scores(embedding, hybrid, weights):
    """[Q]: the hyper-network makes weights and bias of the output layer (equation 9)."""
    made = mlp(hybrid, weights, "modulation/hyper")
    hidden = plain_backbone(embedding, weights)
    return (hidden * made[:, :-1]).sum(axis=-1) + made[:, -1]


def sigmoid_scores(embedding, hybrid, weights):
    """[Q]: each pre-activation is gated by sigmoid(head) (equation 10)."""
    for layer, head in enumerate(hyper_heads(hybrid, weights)):
        before = dense(embedding, weights, f"backbone/hidden/{layer}")
        embedding = leaky_relu(sigmoid(head) * before)
    return dense(embedding, weights, "backbone/output")[:, 0]


def film_scores(embedding, hybrid, weights):
    """[Q]: each pre-activation is scaled and shifted; head = [scale, shift] (equation 11)."""
    for layer, head in enumerate(hyper_heads(hybrid, weights)):
        before = dense(embedding, weights, f"backbone/hidden/{layer}")
        scale, shift = np.split(head, 2, axis=-1)
        embedding = leaky_relu(scale * before + shift)
    return dense(embedding, weights, "backbone/output")[:, 0]


def soft_routes(hybrid, weights):
    """One [Q, M, M] a depth, the last [Q, M, 1]: softmax over the source modules (equation 12)."""
    heads = hyper_heads(hybrid, weights)
    modules = heads[-1].shape[-1]
    return [softmax(head.reshape(len(hybrid), modules, -1), axis=1) for head in heads]


def soft_scores(embedding, hybrid, weights):
    """[Q]: M modules a layer; input j of the next = sum_i route[i, j] * output_i (eq. 13)."""
    routes = soft_routes(hybrid, weights)
    inputs = [embedding] * len(weights["backbone/hidden/0/kernel"])
    for layer, route in enumerate(routes):
        kernel = weights[f"backbone/hidden/{layer}/kernel"]
        bias = weights[f"backbone/hidden/{layer}/bias"]
        outputs = [relu(x @ W + b) for x, W, b in zip(inputs, kernel, bias, strict=True)]
        inputs = [
            sum(route[:, i, j, None] * output for i, output in enumerate(outputs))
            for j in range(route.shape[2])
        ]
    return dense(inputs[0], weights, "backbone/output")[:, 0]


SCORES = {
    "linear": linear_scores,
    "sigmoid": sigmoid_scores,
    "film": film_scores,
    "soft": soft_scores,
}


def scenario_context(support_embedding, label, valid, weights, encoder, positives_only=False):
    """[D]: the task context of support pairs [S, d] with labels [S] (1 positive, 0 negative)."""
    sequence = labelled_pairs(support_embedding, label)
    if positives_only:
        valid = np.logical_and(valid, np.asarray(label) == 1)
    if encoder == "gru":
        return sequential_context(sequence, valid, weights)
    return pooled_context(sequence, valid, weights, encoder)


def query_scores(query_embedding, context, weights, modulation, hybrid):
    """[Q]: scores of query pairs [Q, d] given the task context [D]."""
    hybrid_input = hybrid_context(context, query_embedding, hybrid)
    return SCORES[modulation](query_embedding, hybrid_input, weights)


# Losses and optimiser (equation 4, algorithm 1)


def ridge_basis(embedding, weights):
    """[N, d] -> base [N] and the features [N, F] of the closed-form head (not in the paper)."""
    user, item = np.split(embedding, 2, axis=-1)
    chain = {name.removeprefix("basis/"): value for name, value in weights.items()}
    hidden = plain_backbone(np.concatenate([user, item, 4 * user * item], axis=-1), chain)
    base = dense(hidden, chain, "backbone/output")[..., 0]
    base = base + 10 * weights["basis/affinity"] * (user * item).sum(axis=-1)
    tastes = np.ones(())
    for name, side in (("user_tastes", user), ("item_tastes", item)):
        hidden = np.maximum(dense(4 * side, chain, f"{name}/0"), 0)
        tastes = tastes * dense(hidden, chain, f"{name}/1")
    base = base + tastes.sum(axis=-1)
    own = 10 * weights["basis/base_feature"] * base
    ones = np.ones_like(base)
    return base, np.column_stack([ones, own, item @ weights["basis/projection"], 4 * tastes])


def ridge_context(embedding, label, valid, weights):
    """w of min sum c (t - <x, w>)^2 + p |w|^2, as the least squares of stacked rows."""
    base, x = ridge_basis(embedding[valid], weights)
    positive = label[valid] == 1
    number = {name: 10 * weights[f"context_encoder/{name}"] for name in RIDGE_NUMBERS}
    target = np.where(positive, 1, -number["negative_target"]) - number["base_share"] * base
    root = np.sqrt(np.where(positive, 1, np.exp(number["negative_log_weight"])))
    penalty = np.exp(number["log_penalty"]) + 0.1
    rows = np.concatenate([root[:, None] * x, np.sqrt(penalty) * np.eye(x.shape[1])])
    return np.linalg.lstsq(rows, np.concatenate([root * target, np.zeros(x.shape[1])]))[0]


def ridge_scores(embedding, context, weights):
    base, x = ridge_basis(embedding, weights)
    return base + 10 * weights["recommender/gate"] * (x @ context)


def hinge_loss(scores):
    """Mean of max(0, 1 - s+ + s-): first half positives, second half their negatives (eq. 4)."""
    positive, negative = np.split(np.asarray(scores, np.float64), 2)
    return np.maximum(0.0, 1.0 - positive + negative).mean()


def squared_error(scores, ratings):
    """Mean squared error over the query set (user setting)."""
    return np.mean((np.asarray(scores, np.float64) - np.asarray(ratings, np.float64)) ** 2)


def adam(parameter, gradients, learning_rate=1e-4, weight_decay=1e-5, b1=0.9, b2=0.999, eps=1e-8):
    """The parameter after one step for each gradient; a gradient is an array or a function of it.

    Weight decay is L2: added to the gradient before the moments, as PyTorch's Adam does.
    """
    parameter = np.asarray(parameter, np.float64)
    first, second = np.zeros_like(parameter), np.zeros_like(parameter)
    for step, gradient in enumerate(gradients, start=1):
        g = gradient(parameter) if callable(gradient) else np.asarray(gradient, np.float64)
        g = g + weight_decay * parameter
        first = b1 * first + (1 - b1) * g
        second = b2 * second + (1 - b2) * g**2
        corrected = np.sqrt(second / (1 - b2**step)) + eps
        parameter = parameter - learning_rate * (first / (1 - b1**step)) / corrected
    return parameter
