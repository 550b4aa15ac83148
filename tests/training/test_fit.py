"""Training goes on where it was, stops when it should, and ends with the best weights."""

import csv
import dataclasses
import gc
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from training.small_run import NO_CONTEXT, POOLING, build, fit, planted, validator

from cmml_tf.config import ModelConfig, TrainingConfig
from cmml_tf.models.build import build_model
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.checkpoint import restore_best_weights

MODEL = dataclasses.replace(POOLING, encoder_units=8, hyper_units=8, backbone_units=(8, 8))
# Where the outcomes of epochs decide, whatever is trained: the quickest to trace.
PLAIN = dataclasses.replace(NO_CONTEXT, backbone_units=(8, 8))
TRAINING = TrainingConfig(steps_per_epoch=3, max_epochs=4, plateau_patience=1)
VALIDATED = "val_recall@20"


@pytest.fixture(scope="module")
def data():
    return planted(meta_train=10, users_per_scenario=20, users=50, dimension=4).data


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """Four epochs in one process: weights, result, and how graphs call before and behind it."""
    before = _options_of_calls()
    trained = _fit(data, tmp_path_factory.mktemp("straight"), "real")
    return *trained, (before, _options_of_calls())


def _options_of_calls():
    inner = tf.function(lambda value: value + 1.0)
    outer = tf.function(lambda value: inner(value))
    graph = outer.get_concrete_function(tf.TensorSpec([])).graph
    calls = [each for each in graph.get_operations() if "PartitionedCall" in each.type]
    assert calls
    return [each.get_attr("config_proto") for each in calls]


@pytest.fixture(scope="module")
def resumed(data, tmp_path_factory):
    """Two epochs, then two more with another model object: folder, weights, both results."""
    folder = tmp_path_factory.mktemp("resumed")
    _, first = _fit(data, folder, "real", max_epochs=2)
    weights, rest = _fit(data, folder, "real")
    return folder, weights, first, rest


class Validation:
    """Stands for validation scenarios: gives what the test wants to happen."""

    def __init__(self, recalls):
        self.recalls = iter(recalls)
        self.seen = []

    def __call__(self):
        recall = next(self.recalls)
        self.seen.append(recall)
        return {"recall@20": recall}


def _fit(data, folder, validate=None, seed=0, max_minutes=None, config=MODEL, **changes):
    model = build(config, data, seed)
    if validate == "real":
        validate = validator(model, data)
    training = dataclasses.replace(TRAINING, **changes)
    result = fit(model, data, validate, training, folder, max_minutes, seed=seed)
    return [weight.numpy() for weight in model.trainable_variables], result


def _same_weights(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_short_training_leaves_no_mark_on_graphs_that_are_traced_later(straight):
    """Else an export would depend on what its process had done before."""
    before, behind = straight[2]
    assert behind == before


def test_resumed_training_is_the_uninterrupted_one(data, straight, resumed):
    folder, weights, first, rest = resumed
    # Adam's moments and the tasks of the steps went on too: else the weights would be others.
    _same_weights(weights, straight[0])
    whole = straight[1]
    assert (whole.resumed_from, first.resumed_from, rest.resumed_from) == (0, 0, 2)
    assert first.history == rest.history[:2]
    assert [entry["epoch"] for entry in rest.history] == [1, 2, 3, 4]
    assert rest.history == [pytest.approx(entry, abs=1e-6) for entry in whole.history]
    # What is done is not done again.
    weights, done = _fit(data, folder, "real")
    _same_weights(weights, straight[0])
    assert (done.history, done.resumed_from) == (rest.history, 4)


RIDGE = ModelConfig(
    encoder="ridge",
    hybrid="none",
    modulation="ridge",
    dropout=0.4,
    backbone_units=(8, 8),
    ridge_features=3,
    ridge_tastes=2,
)


def _fit_random(data, folder, epochs):
    """Trains the closed form, whose dropout draws in each step; its weights and history."""
    tf.keras.utils.set_random_seed(0)
    size = data.user_embeddings.shape[1]
    sizes = (len(data.user_ids), len(data.item_ids), size, size)
    model = build_model(RIDGE, *sizes, task=HingeTask(), seed=7)
    model.pair_embedding.set_tables(data.user_embeddings, data.item_embeddings)
    training = dataclasses.replace(TRAINING, max_epochs=epochs)
    result = fit(model, data, None, training, folder, seed=7)
    return [weight.numpy() for weight in model.trainable_variables], result.history


@pytest.fixture(scope="module")
def drawn(data, tmp_path_factory):
    """The folder of an uninterrupted training, its weights and history."""
    folder = tmp_path_factory.mktemp("drawn")
    return folder, *_fit_random(data, folder, 2)


# With smaller steps of the recommended preset: test_matching_training.
@pytest.mark.slow
def test_a_resumed_training_draws_what_the_uninterrupted_one_draws(data, drawn, tmp_path):
    _, straight, history = drawn
    for epochs in (1, 2):
        resumed, rest = _fit_random(data, tmp_path / "resumed", epochs)
    assert rest == history
    for one, other in zip(resumed, straight, strict=True):
        np.testing.assert_array_equal(one, other)


# As the command finds its own: tests/cli/test_run_end.
@pytest.mark.slow
def test_a_finished_training_is_found_without_a_warning(data, drawn, caplog):
    folder, _, history = drawn
    caplog.clear()
    assert _fit_random(data, folder, 2)[1] == history
    gc.collect()
    assert caplog.text == ""


def test_logs_hold_each_epoch_once(resumed):
    folder, _, _, result = resumed
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == result.history
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [entry["loss"] for entry in result.history]
    assert {"epoch", "loss", "lr", VALIDATED} <= rows[0].keys()
    tags = {
        value.tag
        for path in (folder / "tensorboard").glob("*/events.out.tfevents.*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"epoch_loss", "epoch_recall@20"} <= tags


def test_another_seed_is_another_training_and_without_validation_the_last_weights_stay(
    data, straight, tmp_path
):
    last, result = _fit(data, tmp_path, seed=1, max_epochs=2)
    assert [set(entry) for entry in result.history] == [{"epoch", "loss", "gradient_norm"}] * 2
    assert result.history[0]["loss"] != straight[1].history[0]["loss"]
    saved = build(MODEL, data)
    restore_best_weights(saved, tmp_path / "checkpoints")
    _same_weights([weight.numpy() for weight in saved.trainable_variables], last)
    assert (tmp_path / "checkpoints" / "best" / "ckpt-2.index").exists()


def test_best_weights_come_back_even_from_an_earlier_process(data, tmp_path):
    after_two, _ = _fit(data, tmp_path, Validation([0.1, 0.5]), config=PLAIN, max_epochs=2)
    # A tie keeps the earlier weights.
    best, result = _fit(data, tmp_path, Validation([0.3, 0.5]), config=PLAIN)
    _same_weights(best, after_two)
    assert [entry[VALIDATED] for entry in result.history] == [0.1, 0.5, 0.3, 0.5]
    another = build(PLAIN, data, seed=5)
    restore_best_weights(another, tmp_path / "checkpoints")
    _same_weights([weight.numpy() for weight in another.trainable_variables], best)


# Best in epoch 2. Patience 1: the rate falls behind 3, 4 and 5; patience 3: the end is behind 5.
RECALLS = (0.1, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
STOPPING = {
    "config": PLAIN,
    "max_epochs": 7,
    "early_stopping_patience": 3,
    "learning_rate": 1e-2,
    "min_learning_rate": 1e-3,
}


def test_early_stopping_and_plateau_also_across_a_resume(data, tmp_path):
    validation = Validation(RECALLS)
    straight, whole = _fit(data, tmp_path / "straight", validation, **STOPPING)
    assert validation.seen == [0.1, 0.5, 0.4, 0.3, 0.2]
    rates = [entry["lr"] for entry in whole.history]
    assert rates == pytest.approx([1e-2, 1e-2, 1e-2, 2e-3, 1e-3])

    folder = tmp_path / "resumed"
    _fit(data, folder, Validation(RECALLS), **{**STOPPING, "max_epochs": 3})
    resumed, rest = _fit(data, folder, Validation(RECALLS[3:]), **STOPPING)
    assert rest.history == [pytest.approx(entry, abs=1e-6) for entry in whole.history]
    _same_weights(resumed, straight)
    # What has stopped is not begun again.
    _, again = _fit(data, folder, Validation([]), **STOPPING)
    assert again.history == rest.history


def test_time_limit_stops_within_an_epoch_which_is_still_validated_and_saved(data, tmp_path):
    weights, result = _fit(data, tmp_path, "real", max_minutes=1e-9, steps_per_epoch=10**6)
    assert len(result.history) == 1
    assert VALIDATED in result.history[0]
    restored = build(MODEL, data)
    restore_best_weights(restored, tmp_path / "checkpoints")
    _same_weights([weight.numpy() for weight in restored.trainable_variables], weights)


def test_a_training_of_another_model_is_not_resumed_but_named(data, resumed, tmp_path):
    folder = shutil.copytree(resumed[0], tmp_path / "copy")
    other = build(dataclasses.replace(MODEL, encoder_units=9), data)
    sentence = r"copy/.*is of a model with other weights.*cannot be resumed.*another folder"
    with pytest.raises(ValueError, match=sentence):
        fit(other, data, validator(other, data), TRAINING, folder)


def test_folder_without_weights_or_with_another_models_is_named(data, resumed, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no weights: no epoch has been completed"):
        restore_best_weights(build(MODEL, data), tmp_path)
    for changes in ({"encoder_units": 9}, {"backbone_units": (8, 8, 8)}):
        other = build(dataclasses.replace(MODEL, **changes), data)
        with pytest.raises(ValueError, match=r"The weights in .* do not fit this model"):
            restore_best_weights(other, resumed[0] / "checkpoints")
