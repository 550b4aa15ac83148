"""The NumPy oracle agrees with the reference implementation's numbers and with hand calculation."""

import re
from pathlib import Path

import numpy as np
import pytest
from reference import numpy_reference as reference

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
FILES = sorted(GOLDEN.glob("scenario_*.npz"))
MODULATIONS = {"film": "film", "sigmoid": "sigmoid", "linear": "linear", "softm": "soft"}
HYBRIDS = {"dot": "dot", "mlp": "mlp", "no": "none"}
TOLERANCE = 1e-5

golden_file = pytest.mark.parametrize(
    "path",
    FILES or [pytest.param(None, marks=pytest.mark.skip(reason="../shared is not here"))],
    ids=lambda path: path.stem if path else "absent",
)

PLAIN = {
    "film": ("hypernet.f{n}", "hypernet.f{n}1", "mlp.f{n}", "final_layer"),
    "sigmoid": ("hypernet.f{n}", "hypernet.f{n}1", "mlp.f{n}", "final_layer"),
    "soft": ("hypernet.fc{n}", "hypernet.fc{n}2", "mlp.fc{n}", "mlp.final_layer"),
}


def flat_weights(state, modulation):
    """PyTorch's names and (out, in) matrices as the flat dict of the oracle."""
    weights = {}

    def linear(target, source):
        weights[f"{target}/kernel"] = state[f"{source}.weight"].T.astype(np.float64)
        weights[f"{target}/bias"] = state[f"{source}.bias"].astype(np.float64)

    def chain(target, source):
        for layer in range(3):
            if f"{source}.{2 * layer}.weight" in state:
                linear(f"{target}/{layer}", f"{source}.{2 * layer}")

    def gates(array):  # r, z, n -> z, r, n
        r, z, n = np.split(array.astype(np.float64), 3)
        return np.concatenate([z, r, n])

    if "context_encoder.gru.weight_ih_l0" in state:
        gru = "context_encoder.gru."
        weights["context_encoder/gru/kernel"] = gates(state[gru + "weight_ih_l0"]).T
        weights["context_encoder/gru/recurrent_kernel"] = gates(state[gru + "weight_hh_l0"]).T
        weights["context_encoder/gru/bias"] = np.stack(
            [gates(state[gru + "bias_ih_l0"]), gates(state[gru + "bias_hh_l0"])]
        )
    chain("context_encoder/mlp", "context_encoder.mlp")
    if modulation == "linear":
        chain("modulation/hyper", "hypernet")
        chain("backbone/hidden", "mlp")
        return weights
    hyper, head, hidden, output = PLAIN[modulation]
    for layer in range(3):
        linear(f"modulation/hyper/{layer}", hyper.format(n=layer + 1))
        linear(f"modulation/head/{layer}", head.format(n=layer + 1))
        name = hidden.format(n=layer + 1)
        if modulation == "soft":
            modules = [f"{name}.{module}" for module in range(4)]
            weights[f"backbone/hidden/{layer}/kernel"] = np.stack(
                [state[f"{module}.weight"].T for module in modules]
            ).astype(np.float64)
            weights[f"backbone/hidden/{layer}/bias"] = np.stack(
                [state[f"{module}.bias"] for module in modules]
            ).astype(np.float64)
        else:
            linear(f"backbone/hidden/{layer}", name)
    linear("backbone/output", output)
    return weights


class Golden:
    """One file: its arrays, its variant, and the oracle's forward pass on its inputs."""

    def __init__(self, path):
        with np.load(path) as archive:
            self.arrays = {name: archive[name] for name in archive.files}
        modulation, hybrid, self.encoder = re.match(
            r"scenario_([a-z]+)_([a-z]+)_([a-z]+)_seed", path.name
        ).groups()
        self.modulation, self.hybrid = MODULATIONS[modulation], HYBRIDS[hybrid]
        self.state = {
            name.removeprefix("state/"): array
            for name, array in self.arrays.items()
            if name.startswith("state/")
        }

    def __getitem__(self, name):
        return self.arrays[name]

    def pairs(self, users, items):
        tables = self["in/user_embeddings"], self["in/item_embeddings"]
        return reference.pair_embedding(*tables, self[f"in/{users}"], self[f"in/{items}"])

    def context(self, weights):
        positive = self.pairs("support_pos_users", "support_pos_items")
        negative = self.pairs("support_neg_users", "support_neg_items")
        support = np.concatenate([positive, negative])
        label = np.repeat([1, 0], [len(positive), len(negative)])
        valid = np.ones(len(label), bool)
        return reference.scenario_context(
            support, label, valid, weights, self.encoder, positives_only=self.encoder == "mean"
        )

    def scores(self, weights, query=None):
        query = self.pairs("query_users", "query_items") if query is None else query
        context = self.context(weights)
        return reference.query_scores(query, context, weights, self.modulation, self.hybrid)


@golden_file
def test_forward_pass_agrees_with_the_reference_implementation(path):
    golden = Golden(path)
    weights = flat_weights(golden.state, golden.modulation)
    query = golden.pairs("query_users", "query_items")
    context = golden.context(weights)
    hybrid = reference.hybrid_context(context, query, golden.hybrid)
    scores = golden.scores(weights)

    np.testing.assert_allclose(context, golden["out/context_float64"][0], atol=1e-9)
    np.testing.assert_allclose(hybrid, golden["out/hypernet_input"], atol=TOLERANCE)
    np.testing.assert_allclose(scores, golden["out/scores_float64"], atol=1e-9)
    np.testing.assert_allclose(scores, golden["out/scores"], atol=TOLERANCE)
    np.testing.assert_allclose(
        reference.hinge_loss(scores), golden["out/hinge_loss"], atol=TOLERANCE
    )
    if golden.modulation == "linear":
        made = reference.mlp(hybrid, weights, "modulation/hyper")
        np.testing.assert_allclose(made, golden["out/hypernet"], atol=TOLERANCE)
    else:
        heads = (
            reference.soft_routes(hybrid, weights)
            if golden.modulation == "soft"
            else reference.hyper_heads(hybrid, weights)
        )
        for layer, head in enumerate(heads, start=1):
            np.testing.assert_allclose(head, golden[f"out/hypernet_{layer}"], atol=TOLERANCE)


@golden_file
def test_serving_scores_agree_with_the_reference_implementation(path):
    golden = Golden(path)
    weights = flat_weights(golden.state, golden.modulation)
    items = golden["in/serve_items"]
    query = reference.pair_embedding(
        golden["in/user_embeddings"],
        golden["in/item_embeddings"],
        np.broadcast_to(golden["in/serve_user"], items.shape),
        items,
    )
    np.testing.assert_allclose(
        golden.scores(weights, query), golden["out/serve_scores"], atol=TOLERANCE
    )


@golden_file
def test_adam_step_agrees_with_the_reference_implementation(path):
    golden = Golden(path)
    names = [name for name in golden.state if f"grad/{name}" in golden.arrays]
    if not names:
        pytest.skip("this file holds no gradients")
    stepped = dict(golden.state)
    for name in names:
        stepped[name] = reference.adam(golden.state[name], [golden[f"grad/{name}"]])
        if f"after_adam/{name}" in golden.arrays:
            np.testing.assert_allclose(stepped[name], golden[f"after_adam/{name}"], atol=1e-7)
    scores = golden.scores(flat_weights(stepped, golden.modulation))
    np.testing.assert_allclose(scores, golden["out/scores_after_1_adam_step"], atol=TOLERANCE)


# By hand


def one_unit_gru():
    return {
        "context_encoder/gru/kernel": np.array([[1.0, 2.0, 3.0]]),
        "context_encoder/gru/recurrent_kernel": np.array([[0.5, -1.0, 2.0]]),
        "context_encoder/gru/bias": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
    }


def test_gru_by_hand():
    # x = 1: z = sigmoid(1.5), r = sigmoid(2.7), n = tanh(3.3 + 0.6 r); h = (1 - z) n
    z, r = 1 / (1 + np.exp(-1.5)), 1 / (1 + np.exp(-2.7))
    first = (1 - z) * np.tanh(3.3 + 0.6 * r)
    # x = -1: the reset gate multiplies the recurrent product WITH its bias
    z = 1 / (1 + np.exp(-(-1 + 0.1 + 0.5 * first + 0.4)))
    r = 1 / (1 + np.exp(-(-2 + 0.2 - first + 0.5)))
    second = z * first + (1 - z) * np.tanh(-3 + 0.3 + r * (2 * first + 0.6))
    state = reference.gru_last_state(np.array([[1.0], [-1.0]]), [1, 1], one_unit_gru())
    np.testing.assert_allclose(state, [second], rtol=1e-12)


def test_gru_passes_over_invalid_pairs():
    valid = [True, False, True, False]
    whole = reference.gru_last_state(
        np.array([[1.0], [9.0], [-1.0], [np.nan]]), valid, one_unit_gru()
    )
    short = reference.gru_last_state(np.array([[1.0], [-1.0]]), [True, True], one_unit_gru())
    np.testing.assert_array_equal(whole, short)
    np.testing.assert_array_equal(
        reference.gru_last_state(np.ones((2, 1)), [False, False], one_unit_gru()), [0.0]
    )


def test_pooling_by_hand():
    weights = {
        "context_encoder/mlp/0/kernel": np.array([[1.0, -1.0]]),
        "context_encoder/mlp/0/bias": np.array([0.0, 1.0]),
    }
    pairs, valid = np.array([[1.0], [3.0], [100.0]]), [True, True, False]
    np.testing.assert_allclose(reference.pooled_context(pairs, valid, weights), [2.0, -1.0])
    np.testing.assert_allclose(reference.pooled_context(pairs, valid, weights, "max"), [3.0, 0.0])
    np.testing.assert_allclose(reference.pooled_context(pairs, [False] * 3, weights), [0.0, 0.0])


def test_hybrid_context_by_hand():
    context, pairs = np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(
        reference.hybrid_context(context, pairs, "dot"), [[3.0, 8.0], [5.0, 12.0]]
    )
    np.testing.assert_array_equal(
        reference.hybrid_context(context, pairs, "mlp"),
        [[3.0, 4.0, 1.0, 2.0], [5.0, 6.0, 1.0, 2.0]],
    )
    np.testing.assert_array_equal(
        reference.hybrid_context(context, pairs, "none"), [[1.0, 2.0], [1.0, 2.0]]
    )


def one_layer(head_kernel):
    return {
        "modulation/hyper/0/kernel": np.array([[1.0]]),
        "modulation/hyper/0/bias": np.array([0.0]),
        "modulation/head/0/kernel": np.array(head_kernel),
        "modulation/head/0/bias": np.zeros(len(head_kernel[0])),
        "backbone/hidden/0/kernel": np.array([[2.0]]),
        "backbone/hidden/0/bias": np.array([1.0]),
        "backbone/output/kernel": np.array([[10.0]]),
        "backbone/output/bias": np.array([0.5]),
    }


def test_modulation_by_hand():
    pairs, hybrid = np.array([[1.0]]), np.array([[2.0]])
    # pre-activation 3; scale 2 * 4, shift 2 * -20: LeakyReLU(24 - 40) = -0.16
    film = reference.film_scores(pairs, hybrid, one_layer([[4.0, -20.0]]))
    np.testing.assert_allclose(film, [10 * -0.16 + 0.5])
    gated = reference.sigmoid_scores(pairs, hybrid, one_layer([[0.5]]))
    np.testing.assert_allclose(gated, [10 * 3 / (1 + np.exp(-1.0)) + 0.5])
    weights = one_layer([[1.0]]) | {
        "modulation/hyper/0/kernel": np.array([[3.0, 7.0]]),
        "modulation/hyper/0/bias": np.zeros(2),
    }
    np.testing.assert_allclose(reference.linear_scores(pairs, hybrid, weights), [3 * 6 + 14.0])


def test_soft_modules_by_hand():
    weights = {
        "modulation/hyper/0/kernel": np.eye(1),
        "modulation/hyper/0/bias": np.zeros(1),
        "modulation/hyper/1/kernel": np.eye(1),
        "modulation/hyper/1/bias": np.zeros(1),
        # logits [[0, ln 3], [ln 3, 0]]: column 0 is (1/4, 3/4), column 1 is (3/4, 1/4)
        "modulation/head/0/kernel": np.log([[1.0, 3.0, 3.0, 1.0]]),
        "modulation/head/0/bias": np.zeros(4),
        "modulation/head/1/kernel": np.log([[1.0, 4.0]]),
        "modulation/head/1/bias": np.zeros(2),
        "backbone/hidden/0/kernel": np.array([[[1.0]], [[2.0]]]),
        "backbone/hidden/0/bias": np.zeros((2, 1)),
        "backbone/hidden/1/kernel": np.array([[[1.0]], [[-1.0]]]),
        "backbone/hidden/1/bias": np.array([[0.0], [10.0]]),
        "backbone/output/kernel": np.array([[1.0]]),
        "backbone/output/bias": np.array([0.0]),
    }
    hybrid = np.array([[1.0]])
    routes = reference.soft_routes(hybrid, weights)
    np.testing.assert_allclose(routes[0][0], [[0.25, 0.75], [0.75, 0.25]])
    np.testing.assert_allclose(routes[1][0], [[0.2], [0.8]])
    # outputs 4, 8 -> inputs 0.25*4 + 0.75*8 = 7 and 0.75*4 + 0.25*8 = 5 -> outputs 7, 5
    scores = reference.soft_scores(np.array([[4.0]]), hybrid, weights)
    np.testing.assert_allclose(scores, [0.2 * 7 + 0.8 * 5])


def test_losses_by_hand():
    assert reference.hinge_loss([2.0, 0.0, 0.5, 3.0]) == pytest.approx((0 + 4) / 2)
    assert reference.squared_error([1.0, 4.0], [3.0, 4.0]) == pytest.approx(2.0)


def test_adam_by_hand():
    # Step 1 moves by lr * g / (|g| + eps), whatever the size of the gradient.
    after = reference.adam(5.0, [0.3], learning_rate=0.1, weight_decay=0.0)
    assert after == pytest.approx(4.9)
    # The decay goes INTO the gradient: -0.5 + 0.2 * 5 = 0.5 turns the direction.
    after = reference.adam(5.0, [-0.5], learning_rate=0.1, weight_decay=0.2)
    assert after == pytest.approx(4.9)
    # Step 2 of gradients 1, -1: m = -0.01/0.19, v = 1.
    after = reference.adam(0.0, [1.0, lambda _: -1.0], learning_rate=1.0, weight_decay=0.0, eps=0.0)
    assert after == pytest.approx(-1.0 + 0.01 / 0.19)
