"""AdamL2 against the NumPy oracle, and against recorded steps of the reference implementation."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from reference import numpy_reference

from cmml_tf.interop.load_reference import model_from_reference
from cmml_tf.interop.reference_weights import read_reference_weights
from cmml_tf.models.weight_names import named_weights
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.types import Episode, Support

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
# The optimiser does not ask which encoder it trains: pooling ones are quick, two are sequential.
FILES = sorted(GOLDEN.glob("scenario_*_mean_*.npz")) + sorted(
    path
    for path in GOLDEN.glob("scenario_*_gru_*.npz")
    if path.stem in ("scenario_film_dot_gru_seed1", "scenario_softm_dot_gru_seed0")
)


@pytest.mark.parametrize("weight_decay", [0.0, 1e-5, 0.3])
# Tiny gradients: the place of epsilon shows.
@pytest.mark.parametrize("scale", [1.0, 1e-7])
def test_steps_are_those_of_the_oracle(weight_decay, scale):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)) * scale
    gradients = [rng.normal(size=(4, 3)) * scale for _ in range(12)]
    variable = tf.Variable(start, dtype=tf.float64)
    optimizer = AdamL2(0.01, weight_decay)
    for step, gradient in enumerate(gradients, start=1):
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        expected = numpy_reference.adam(start, gradients[:step], 0.01, weight_decay)
        np.testing.assert_allclose(variable, expected, rtol=1e-6, atol=1e-8)


def test_decay_passes_through_the_moments():
    # AdamW would shrink by learning_rate * weight_decay * value; Adam's step does not know sizes.
    variable = tf.Variable([100.0, 1.0])
    AdamL2(0.01, 0.1).apply_gradients([(tf.zeros(2), variable)])
    np.testing.assert_allclose(variable, [99.99, 0.99], rtol=1e-6)


def test_rows_of_a_table_decay_where_they_are_touched():
    start = np.random.default_rng(0).normal(size=(5, 2))
    table = tf.Variable(start)
    gradient = np.array([[0.5, -1.0], [2.0, 0.1]])
    sparse = tf.IndexedSlices(tf.constant(gradient), tf.constant([3, 1]), tf.constant([5, 2]))
    AdamL2(0.01, 0.3).apply_gradients([(sparse, table)])
    expected = start.copy()
    expected[[3, 1]] = numpy_reference.adam(start[[3, 1]], [gradient], 0.01, 0.3)
    np.testing.assert_allclose(table, expected, rtol=1e-6)


def test_learning_rate_can_fall_in_between():
    start, gradient = np.array([1.0, -2.0]), np.array([0.3, 0.2])
    variable = tf.Variable(start)
    optimizer = AdamL2(0.01, 0.0)
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
    optimizer.learning_rate = 0.001
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
    # Constant gradients: each step is the learning rate.
    np.testing.assert_allclose(variable, start - 0.011, rtol=1e-6)


def test_config_restores_it():
    given = AdamL2(0.02, 0.5, epsilon=1e-6, decays={"a:0": 3.0})
    again = AdamL2.from_config(given.get_config())
    assert (again.weight_decay, again.epsilon, again.decays) == (0.5, 1e-6, {"a:0": 3.0})
    assert again.get_config()["learning_rate"] == pytest.approx(0.02)


def test_negative_weight_decay_is_refused():
    with pytest.raises(ValueError, match=r"`weight_decay` must be zero.*weight_decay=-0\.1"):
        AdamL2(weight_decay=-0.1)
    with pytest.raises(ValueError, match=r"`decays` must be zero or more.*'a:0': -2"):
        AdamL2(decays={"a:0": -2.0})


def test_variables_that_are_named_decay_as_many_times_as_much():
    start, gradient = np.array([1.0, -2.0]), np.array([0.3, 0.2])
    for name, times in (("none", 0.0), ("more", 4.0), ("other", 1.0)):
        optimizer = AdamL2(0.01, 0.5, decays={"none:0": 0.0, "more:0": 4.0})
        variable = tf.Variable(start, name=name)
        for _ in range(2):
            optimizer.apply_gradients([(tf.constant(gradient), variable)])
        expected = numpy_reference.adam(start, [gradient] * 2, 0.01, 0.5 * times)
        np.testing.assert_allclose(variable, expected, rtol=1e-6)


COPIES = """
import tensorflow as tf
from cmml_tf.training.optimizer import AdamL2
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
with strategy.scope():
    variable = tf.Variable([1.0, -2.0], name="weight")
    optimizer = AdamL2(0.01, 0.5, decays={"weight:0": 0.0})
strategy.run(lambda: optimizer.apply_gradients([(tf.zeros(2), variable)]))
for copy in strategy.experimental_local_results(variable):
    print(copy.numpy().tolist())
"""


def test_all_copies_of_a_variable_decay_as_its_name_says():
    done = subprocess.run(
        [sys.executable, "-c", COPIES], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[1.0, -2.0]"] * 2


def _episode(recorded):
    def ids(*names):
        return tf.constant(np.concatenate([recorded[f"in/{n}"] for n in names])[None], tf.int32)

    user = ids("support_pos_users", "support_neg_users")
    item = ids("support_pos_items", "support_neg_items")
    label = np.zeros(user.shape, np.float32)
    label[:, : len(recorded["in/support_pos_users"])] = 1.0
    support = Support(user, item, tf.constant(label), tf.constant([user.shape[1]]))
    query = ids("query_users")
    return Episode(support, query, ids("query_items"), tf.zeros(query.shape))


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path.stem if path else "absent")
def test_training_steps_of_the_reference_implementation(path, tmp_path):
    if path is None:
        pytest.skip("../shared is not beside the checkout")
    with np.load(path) as archive:
        recorded = dict(archive)
    model = model_from_reference(read_reference_weights(path))
    model.task = HingeTask()
    episode = _episode(recorded)
    model.compile(optimizer=AdamL2(1e-4, 1e-5))
    step = tf.function(model.train_step, autograph=False)
    step(episode)
    _same_ranking_scores(model, episode, recorded["out/scores_after_1_adam_step"])
    for name, values in _after_one_step(path, recorded, tmp_path).items():
        np.testing.assert_allclose(named_weights(model)[name], values, atol=1e-5, err_msg=name)
    step(episode)
    step(episode)
    scores = _same_ranking_scores(model, episode, recorded["out/scores_after_3_adam_steps"])
    loss = numpy_reference.hinge_loss(scores)
    np.testing.assert_allclose(loss, recorded["out/hinge_loss_after_3_adam_steps"], atol=1e-5)


def _same_ranking_scores(model, episode, expected):
    # The last bias moves all scores together. Its gradient is the rounding error of a zero, which
    # Adam makes a step of whatever its size; so what all scores share is taken out.
    scores = model(episode)[0].numpy()
    np.testing.assert_allclose(scores - scores.mean(), expected - expected.mean(), atol=1e-5)
    return scores


def _after_one_step(path, recorded, folder):
    """The recorded parameters by our names: the weights file with them, against the one without."""
    changed = {name: array for name, array in recorded.items() if name.startswith(("in/", "state"))}
    changed["out/hypernet_input"] = recorded["out/hypernet_input"]
    steps = {
        name.replace("after_adam/", "state/"): array
        for name, array in recorded.items()
        if name.startswith("after_adam/")
    }
    assert steps
    assert steps.keys() <= changed.keys()
    marked = {name: np.full_like(array, 1e3) for name, array in steps.items()}
    np.savez(folder / path.name, **{**changed, **steps})
    values = read_reference_weights(folder / path.name).weights
    np.savez(folder / path.name, **{**changed, **marked})
    is_recorded = read_reference_weights(folder / path.name).weights
    return {name: values[name] for name in values if (is_recorded[name] == 1e3).all()}
