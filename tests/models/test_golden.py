"""The Keras model reproduces the reference implementation's recorded numbers, gradients too."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.interop.reference_layout import dense_layers
from cmml_tf.interop.reference_weights import read_reference_weights
from cmml_tf.models.build import build_model
from cmml_tf.models.weight_names import named_weights
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.types import Episode, Support

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
FILES = sorted(GOLDEN.glob("scenario_*.npz"))
TOLERANCE = 1e-5


class Golden:
    """One file: its recorded arrays, and our model with its weights."""

    def __init__(self, path):
        self.path = path
        with np.load(path) as archive:
            self.arrays = {name: archive[name] for name in archive.files}
        read = read_reference_weights(path)
        self.config = read.config
        users, items = read.user_embeddings[:-1], read.item_embeddings[:-1]
        self.d = users.shape[1] + items.shape[1]
        self.model = build_model(
            read.config, len(users), len(items), users.shape[1], items.shape[1], task=HingeTask()
        )
        self.model.pair_embedding.set_tables(users, items)
        self.variables = named_weights(self.model)
        assert self.variables.keys() == read.weights.keys()
        for name, variable in self.variables.items():
            variable.assign(read.weights[name])

    def __getitem__(self, name):
        return self.arrays[name]

    def ids(self, *names):
        values = [self[f"in/{name}"].astype(np.int32) for name in names]
        return tf.constant(np.concatenate(values)[None])

    @property
    def support(self):
        user = self.ids("support_pos_users", "support_neg_users")
        positives = len(self["in/support_pos_users"])
        label = tf.cast(tf.range(user.shape[1]) < positives, tf.float32)[None]
        item = self.ids("support_pos_items", "support_neg_items")
        return Support(user, item, label, tf.constant([user.shape[1]]))

    @property
    def episode(self):
        user = self.ids("query_users")
        return Episode(self.support, user, self.ids("query_items"), tf.zeros(user.shape))

    def gradients(self):
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(self.episode, training=True)
        values = tape.gradient(loss, [*self.variables.values()])
        return loss, dict(zip(self.variables, values, strict=True))

    def our_layout(self, prefix, folder):
        """Recorded arrays `<prefix>/<name>` of every parameter, by our names and orientation."""
        path = folder / self.path.name
        recorded = {n: a for n, a in self.arrays.items() if n.startswith("in/")}
        recorded["out/hypernet_input"] = self["out/hypernet_input"]
        recorded |= {
            f"state/{name.removeprefix(prefix)}": array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }
        np.savez(path, **recorded)
        return read_reference_weights(path).weights


def golden_files(files):
    """Runs a test on each file through the fixture `golden`; skips where there is none."""
    return pytest.mark.parametrize(
        "golden",
        files or [None],
        ids=lambda path: path.stem if path else "absent",
        indirect=True,
    )


every_file = golden_files(FILES)
files_with_gradients = golden_files([path for path in FILES if path.stem.endswith("_seed1")])


@pytest.fixture(scope="module")
def golden(request):
    if request.param is None:
        pytest.skip("../shared is not here")
    return Golden(request.param)


@every_file
def test_forward_pass(golden):
    model, episode = golden.model, golden.episode
    context = model.encode_context(episode.support)
    np.testing.assert_allclose(context, golden["out/context"], atol=TOLERANCE)
    np.testing.assert_allclose(model(episode)[0], golden["out/scores"], atol=TOLERANCE)
    items = golden.ids("serve_items")
    user = tf.broadcast_to(golden.ids("serve_user"), items.shape)
    served = model.score_with_context(context, user, items)
    np.testing.assert_allclose(served[0], golden["out/serve_scores"], atol=TOLERANCE)


@every_file
def test_what_the_context_sets(golden):
    model, episode = golden.model, golden.episode
    context = model.encode_context(episode.support)
    ours = model.modulation(context, episode.query_user, episode.query_item)
    kind = golden.config.modulation
    layers = range(1, 4)
    if kind == "linear":
        parts = np.split(golden["out/hypernet"], [64], axis=-1)
        expected = dict(zip(("output_weight", "output_bias"), parts, strict=True))
    elif kind == "soft":
        expected = {f"route_{n}": golden[f"out/hypernet_{n}"] for n in layers}
    elif kind == "sigmoid":
        expected = {f"scale_{n}": 1 / (1 + np.exp(-golden[f"out/hypernet_{n}"])) for n in layers}
    else:
        halves = {n: np.split(golden[f"out/hypernet_{n}"], 2, axis=-1) for n in layers}
        expected = {f"scale_{n}": halves[n][0] for n in layers}
        expected |= {f"shift_{n}": halves[n][1] for n in layers}
    assert ours.keys() == expected.keys()
    for name, values in expected.items():
        one = np.broadcast_to(ours[name][0], values.shape)
        np.testing.assert_allclose(one, values, atol=TOLERANCE, err_msg=name)


@every_file
def test_loss_and_gradient_norms(golden):
    loss, gradients = golden.gradients()
    np.testing.assert_allclose(loss, golden["out/hinge_loss"], atol=TOLERANCE)
    norms = {}
    gru = "context_encoder/gru"
    if f"{gru}/kernel" in gradients:
        bias = gradients[f"{gru}/bias"]
        for name, gradient in {
            "weight_ih_l0": gradients[f"{gru}/kernel"],
            "weight_hh_l0": gradients[f"{gru}/recurrent_kernel"],
            "bias_ih_l0": bias[0],
            "bias_hh_l0": bias[1],
        }.items():
            norms[f"context_encoder.gru.{name}"] = np.linalg.norm(gradient)
    seen = {}
    for layer in dense_layers(golden.config, golden.d):
        module = seen[layer.target] = seen.get(layer.target, -1) + 1
        for ours, theirs in (("kernel", "weight"), ("bias", "bias")):
            gradient = gradients[f"{layer.target}/{ours}"].numpy()
            is_modular = gradient.ndim == (3 if ours == "kernel" else 2)
            gradient = gradient[module] if is_modular else gradient
            norms[f"{layer.source}.{theirs}"] = np.linalg.norm(gradient)
    recorded = {
        name.removeprefix("gradnorm/"): float(value)
        for name, value in golden.arrays.items()
        if name.startswith("gradnorm/")
    }
    assert norms.keys() == recorded.keys()
    for name, norm in norms.items():
        np.testing.assert_allclose(norm, recorded[name], rtol=1e-3, atol=1e-6, err_msg=name)


@files_with_gradients
def test_gradients(golden, tmp_path):
    recorded = golden.our_layout("grad/", tmp_path)
    _, gradients = golden.gradients()
    assert gradients.keys() == recorded.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, recorded[name], atol=TOLERANCE, err_msg=name)
