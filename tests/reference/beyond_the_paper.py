"""What this library has beside the paper's network, in plain NumPy: one task at a time, float64.

Weights are a flat dict by the names of `named_weights`; shapes as in `numpy_reference`.
"""

import numpy as np
from reference.numpy_reference import (
    dense,
    gru_last_state,
    hybrid_context,
    hyper_heads,
    labelled_pairs,
    leaky_relu,
    mlp,
    plain_backbone,
    pooled_context,
    relu,
    soft_routes,
    softmax,
)


def interleaved(sequence, positive, valid):
    """The valid pairs [n, ...]; the i-th of n positives stands at (i - 1/2) / n, negatives too."""
    places = []
    for kind in (True, False):
        (chosen,) = np.nonzero(valid & (positive == kind))
        places += [((i + 0.5) / len(chosen), place) for i, place in enumerate(chosen)]
    return sequence[[place for _, place in sorted(places)]]


def mean_state(sequence, weights):
    """[H]: the mean of the GRU's states after each pair; zeros without any."""
    if len(sequence) == 0:
        return np.zeros(weights["context_encoder/gru/recurrent_kernel"].shape[0])
    everything = np.ones(len(sequence), bool)
    states = [
        gru_last_state(sequence[:end], everything[:end], weights)
        for end in range(1, len(sequence) + 1)
    ]
    return np.mean(states, axis=0)


def attention_context(sequence, weights, vectors):
    """[K D]: each of K points pools the valid pairs once a head, then an MLP."""
    hidden = relu(mlp(sequence, weights, "context_encoder/pair"))
    logits = dense(hidden, weights, "context_encoder/points")  # [n, K heads]
    if len(sequence):
        pooled = softmax(logits, axis=0).T @ hidden
    else:
        pooled = np.zeros((logits.shape[1], hidden.shape[1]))
    return mlp(pooled.reshape(vectors, -1), weights, "context_encoder/vector").reshape(-1)


def query_attention(context, embedding, weights, vectors, heads):
    """[Q, units]: what each pair [Q, d] reads of the context's vectors [K D]."""
    of = context.reshape(vectors, -1)
    query, key, value = (
        np.split(dense(x, weights, f"hybrid/{name}"), heads, axis=1)
        for name, x in (("query", embedding), ("key", of), ("value", of))
    )
    read = [
        softmax(q @ k.T / np.sqrt(q.shape[1]), axis=1) @ v
        for q, k, v in zip(query, key, value, strict=True)
    ]
    return np.concatenate(read, axis=1)


def context(embedding, label, valid, weights, config):
    """[D] of support pairs [S, d]."""
    positive = label == 1
    if config.positives_only:
        valid = valid & positive
    sequence = labelled_pairs(embedding, label)
    if config.encoder in ("mean", "max"):
        return pooled_context(sequence, valid, weights, config.encoder)
    if config.encoder == "attention":
        return attention_context(sequence[valid], weights, config.context_vectors)
    if config.support_order == "interleaved":
        sequence = interleaved(sequence, positive, valid)
    else:
        sequence = sequence[valid]
    if config.gru_state == "mean":
        state = mean_state(sequence, weights)
    else:
        state = gru_last_state(sequence, np.ones(len(sequence), bool), weights)
    return mlp(state, weights, "context_encoder/mlp")


def hybrid(task_context, embedding, weights, config):
    if config.hybrid == "attention":
        vectors, heads = config.context_vectors, config.attention_heads
        read = query_attention(task_context, embedding, weights, vectors, heads)
        return config.hybrid_scale * read
    if config.hybrid != "dot":
        return hybrid_context(task_context, embedding, config.hybrid)
    products = [
        config.hybrid_scale * one * embedding
        for one in np.split(task_context, len(task_context) // embedding.shape[1])
    ]
    return np.concatenate(products, axis=1)


def score_and_hidden(embedding, hybrid_values, weights, config):
    """Scores [Q] without affinity and head, and the last hidden layer [Q, H]."""
    if config.modulation == "none":
        hidden = plain_backbone(embedding, weights)
    elif config.modulation == "film":
        hidden = embedding
        for layer, head in enumerate(hyper_heads(hybrid_values, weights)):
            scale, shift = np.split(head, 2, axis=-1)
            before = dense(hidden, weights, f"backbone/hidden/{layer}")
            hidden = leaky_relu((config.residual_scale + scale) * before + shift)
    else:
        hidden = soft_hidden(embedding, hybrid_values, weights)
    return dense(hidden, weights, "backbone/output")[:, 0], hidden


def soft_hidden(embedding, hybrid_values, weights):
    """[Q, H]: what the routes' last column mixes."""
    kernels = weights["backbone/hidden/0/kernel"]
    inputs = np.repeat(embedding[:, None], len(kernels), axis=1)  # [Q, M, d]
    for layer, route in enumerate(soft_routes(hybrid_values, weights)):
        kernel, bias = (weights[f"backbone/hidden/{layer}/{kind}"] for kind in ("kernel", "bias"))
        outputs = relu(np.einsum("qmi,mio->qmo", inputs, kernel) + bias)
        inputs = np.einsum("qij,qio->qjo", route, outputs)
    return inputs[:, 0]


def affinity(embedding, weights):
    """[Q]: a <u, v>; the number is stored divided by 10."""
    user, item = np.split(embedding, 2, axis=1)
    return 10 * weights["affinity/factor"] * (user * item).sum(axis=1)


def ridge_features(embedding, hidden, weights, inputs):
    """[n, F + 1]: one, then the projection."""
    of = {"item": np.split(embedding, 2, axis=1)[1], "pair": embedding, "hidden": hidden}[inputs]
    return np.column_stack([np.ones(len(of)), of @ weights["head/projection"]])


def ridge_solution(x, base, label, weights):
    """w of min sum c (t - <x, w>)^2 + p |w|^2, as the least squares of stacked rows."""
    names = ("negative_target", "negative_log_weight", "base_share", "log_penalty")
    target, weight, share, penalty = (10 * weights[f"head/{name}"] for name in names)
    t = np.where(label == 1, 1, -target) - share * base
    root = np.sqrt(np.where(label == 1, 1, np.exp(weight)))
    rows = np.sqrt(np.exp(penalty) + 0.1) * np.eye(x.shape[1])
    rows = np.concatenate([root[:, None] * x, rows])
    return np.linalg.lstsq(rows, np.concatenate([root * t, np.zeros(x.shape[1])]))[0]


def scores(query, support, label, valid, weights, config):
    """[Q]: a whole task, of embedded pairs [Q, d] and [S, d]."""
    task_context = None
    if config.encoder != "none":
        task_context = context(support, label, valid, weights, config)

    def base_and_hidden(embedding):
        values = None
        if task_context is not None:
            values = hybrid(task_context, embedding, weights, config)
        score, hidden = score_and_hidden(embedding, values, weights, config)
        return score + (affinity(embedding, weights) if config.affinity else 0), hidden

    base, hidden = base_and_hidden(query)
    if config.head == "none":
        return base
    read = valid & (label == 1) if config.positives_only else valid
    if not read.any():
        return base
    base_support, hidden_support = base_and_hidden(support[read])
    x = ridge_features(support[read], hidden_support, weights, config.ridge_inputs)
    solved = ridge_solution(x, base_support, label[read], weights)
    x = ridge_features(query, hidden, weights, config.ridge_inputs)
    return base + 10 * weights["head/gate"] * (x @ solved)
