"""Training of a model that matches ids: what it draws follows from seed and step alone."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from training.small_run import planted

from cmml_tf.config import MATCHING, EpisodeConfig, TrainingConfig
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes
from cmml_tf.layers.learned_number import REACH
from cmml_tf.models.build_matching import build_matching
from cmml_tf.settings.scenario.parts import ScenarioParts
from cmml_tf.settings.scenario.setting import ScenarioSetting
from cmml_tf.settings.systems import Recipe
from cmml_tf.settings.training import fit
from cmml_tf.training.checkpoint import restore_best_weights
from cmml_tf.training.fit import CompiledModel

EPISODE = EpisodeConfig(
    *(8, 8), query_positives=8, tasks_per_step=2, loss="softmax", query_negatives=3,
    varied_supports=16,
)  # fmt: skip
TRAINING = TrainingConfig(learning_rate=3e-3, weight_average=0.9, steps_per_epoch=3, max_epochs=2)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    tf.config.experimental.enable_op_determinism()  # as a run does
    data = planted(validation=0, meta_test=2).data
    episodes = EvaluationEpisodes.draw(data.meta_test, EPISODE, seed=2)
    return ScenarioParts(data, None, episodes, tmp_path_factory.mktemp("parts"))


class Straight(NamedTuple):
    """A training that nothing has interrupted."""

    folder: Path
    weights: list
    history: list
    decays: dict
    compiled: CompiledModel

    def again(self, parts, folder, epochs=2, **given):
        """Another training from the first weights, on the same graph: its weights and history."""
        self.compiled.take_first_weights()
        return trained(parts, folder, epochs, compiled=self.compiled, **given)[:2]


def trained(parts, folder, epochs, compiled=None, **given):
    """Weights and history of a training, with what was trained."""
    setting = ScenarioSetting()
    recipe = Recipe(MATCHING, EPISODE, dataclasses.replace(TRAINING, max_epochs=epochs), seed=5)
    model = setting.build_for_training(recipe, parts) if compiled is None else compiled.model
    given = {"verbose": 0, "compiled": compiled, **given}
    result = fit(setting, model, parts, recipe, folder, **given)
    weights = [weight.numpy() for weight in model.trainable_variables]
    return weights, result.history, result.compiled


@pytest.fixture(scope="module")
def straight(parts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    weights, history, compiled = trained(parts, folder, 2)
    decays = dict(compiled.model.optimizer.decays)
    return Straight(folder, weights, history, decays, compiled)


def test_a_model_is_trained_again_from_its_first_weights_on_the_graph_of_its_step(
    parts, straight, tmp_path
):
    _, twin = straight.again(parts, tmp_path / "twin", with_support=False)
    weights, again = straight.again(parts, tmp_path / "again")
    assert straight.history == again != twin
    for one, other in zip(weights, straight.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert straight.compiled.model.train_function.experimental_get_tracing_count() == 1


def test_a_resumed_training_draws_what_the_uninterrupted_one_draws(parts, straight, tmp_path):
    straight.again(parts, tmp_path, epochs=1)
    # As in another process: with a model and a graph of its own.
    resumed, rest, _ = trained(parts, tmp_path, 2)
    assert rest == straight.history
    for one, other in zip(resumed, straight.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_sum_of_a_step_has_terms_whose_order_is_left_to_chance(parts, tmp_path):
    # Of three terms or more, TensorFlow begins with the first whose memory is free just then.
    recipe = Recipe(
        MATCHING, EPISODE, dataclasses.replace(TRAINING, steps_per_epoch=100, max_epochs=1), seed=5
    )
    before = tf.config.optimizer.get_experimental_options()
    context.context().enable_graph_collection()
    try:
        setting = ScenarioSetting()
        model = setting.build_for_training(recipe, parts)
        fit(setting, model, parts, recipe, tmp_path, verbose=0)
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.context().disable_graph_collection()
    as_run = [graph.post_optimization_graph for graph in graphs]
    steps = [one for one in as_run if any(node.op == "ResourceApplyAdam" for node in one.node)]
    terms = [
        sum(not name.startswith("^") for name in node.input)
        for step in steps
        for node in step.node
        if node.op == "AddN"
    ]
    assert len(terms) > 50
    assert set(terms) == {2}
    assert tf.config.optimizer.get_experimental_options() == before


def test_what_is_served_has_the_trained_weights_and_no_row_of_training_alone(parts, straight):
    model = ScenarioSetting().build(Recipe(MATCHING, EPISODE, TRAINING, seed=6), parts)
    restore_best_weights(model, straight.folder / "checkpoints")
    assert model.tables.items == len(parts.data.item_ids) < parts.matching.training.items * 2
    for own, other in zip(model.trainable_variables, straight.weights, strict=True):
        np.testing.assert_array_equal(own, other)


def test_xla_is_refused_by_name_before_the_first_step(parts):
    setting, recipe = ScenarioSetting(), Recipe(MATCHING, EPISODE, TRAINING, seed=5)
    model = setting.build_for_training(recipe, parts)
    model.compile("sgd", jit_compile=True)
    sample = setting.sampler(model, parts, EPISODE, 5)
    data = tf.data.Dataset.from_tensors(sample(tf.constant(0, tf.int64)))
    for method in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="`jit_compile` must be false for MatchingCMML"):
            method(data, verbose=0)


@pytest.mark.parametrize(("width", "times"), [(4, 1), (16, 1), (64, 4)])
def test_weights_decay_more_where_factors_are_wide(width, times):
    rows = np.zeros([5, width + 1], np.float32), np.zeros([5, width + 3], np.float32)
    model = build_matching(MATCHING, *rows, width)
    matching = model.matching
    assert model.decay_of(matching.item_tower.hidden.kernel) == times**3
    assert model.decay_of(matching.user_map.kernel) == times**4
    for dropped in (matching.pair_taste.hidden, matching.user_product, matching.item_tower.product):
        assert model.decay_of(dropped.dense_layers[0].kernel) == times


@pytest.mark.parametrize(("given", "noise", "units"), [(True, 0.0, 32), (False, 0.2, 0)])
def test_noise_is_of_fitted_factors_and_a_correction_of_vectors_that_are_given(
    parts, given, noise, units, tmp_path
):
    data = parts.data
    if not given:
        data = dataclasses.replace(data, user_embeddings=None, item_embeddings=None)
    of_data = ScenarioParts(data, None, None, tmp_path)
    recipe = Recipe(MATCHING, EPISODE, TRAINING, seed=5)
    model = ScenarioSetting().build_for_training(recipe, of_data)
    assert model.matching.item_noise.deviation == noise
    assert model.matching.units == units
    corrected = [one.name for one in model.trainable_variables if "correction" in one.name]
    assert bool(corrected) == given


def test_the_prior_of_a_taste_begins_with_how_far_training_scenarios_differ(parts):
    model = ScenarioSetting().build_for_training(Recipe(MATCHING, EPISODE, TRAINING, seed=5), parts)
    taste, variances = model.matching.scenario_taste, parts.matching.tastes.variances
    first = model.matching.taste_features
    precision = np.exp(REACH * taste.log_precision.numpy()[first : first + len(variances)])
    np.testing.assert_allclose(precision, 1 / variances, rtol=1e-4)


def test_numbers_that_mean_something_and_offsets_do_not_decay():
    rows = np.zeros([5, 65], np.float32), np.zeros([5, 67], np.float32)
    model = build_matching(MATCHING, *rows, 64)
    for number in (
        model.matching.scenario_taste.log_precision,
        model.matching.scenario_taste.log_clicks,
        model.matching.norm_scale,
        model.matching.gates.bias,
    ):
        assert model.decay_of(number) == 0


def test_a_training_decays_weights_as_much_as_its_model_asks(straight):
    model = straight.compiled.model
    assert model.optimizer.weight_decay == TRAINING.weight_decay
    asked = {variable.name: model.decay_of(variable) for variable in model.trainable_variables}
    assert {0, 1} <= {*asked.values()}
    assert straight.decays == asked
