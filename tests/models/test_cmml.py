"""The whole model: every preset against the oracle, padding, losses, what training changes."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import MODEL_PRESETS
from models.random_model import (
    ITEMS,
    USERS,
    random_episode,
    random_model,
    reference_scores,
    task_alone,
    tensors,
)
from reference import numpy_reference

from cmml_tf.config import ModelConfig
from cmml_tf.models.weight_names import named_weights
from cmml_tf.tasks.scenario import HingeTask

# Each network once, whatever names it has; dropout would make a training pass another function.
PRESETS = {
    config: name
    for name, config in reversed(MODEL_PRESETS.items())
    if config.encoder != "matching"  # tests/layers/test_matching.py
}
CONFIGS = {
    **{name: replace(config, dropout=0.0) for config, name in PRESETS.items()},
    "max": ModelConfig(encoder="max", encoder_units=8),
    "film-mlp-mean": ModelConfig(encoder="mean", encoder_units=8, hybrid="mlp"),
    "film-last-interleaved": ModelConfig(support_order="interleaved", encoder_units=8),
    "film-mean-given-positives": ModelConfig(
        gru_state="mean", encoder_units=8, positives_only=True, head="ridge", ridge_features=3
    ),
    "attention-mlp": ModelConfig(encoder="attention", context_vectors=2, hybrid="mlp"),
    "head-alone-pair": ModelConfig(
        encoder="none", modulation="none", head="ridge", ridge_inputs="pair", ridge_features=5
    ),
    "head-alone-hidden": ModelConfig(
        encoder="none", modulation="none", head="ridge", ridge_inputs="hidden", affinity=True
    ),
    "film-head-hidden": replace(MODEL_PRESETS["cmml-film-ridge"], ridge_inputs="hidden"),
    "soft-none-mean": ModelConfig(
        encoder="mean", encoder_units=8, hybrid="none", modulation="soft", modules=3
    ),
}
SMALL = {
    "gru": ModelConfig(encoder_units=6, hyper_units=5, backbone_units=(5, 4)),
    "mean": ModelConfig(encoder="mean", encoder_units=6, hyper_units=5, backbone_units=(5, 4)),
    "positives": ModelConfig(
        encoder="gru", encoder_units=6, positives_only=True, modulation="soft", modules=2
    ),
}
LENGTHS = [7, 0, 3, 1]

every_preset = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
small_model = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)


@every_preset
def test_scores_equal_the_reference(config):
    model, episode = random_model(config), random_episode(LENGTHS)
    scores = model(tensors(episode)).numpy()
    assert scores.shape == (4, 6)
    assert np.isfinite(scores).all()  # Task 1 has no support.
    expected = reference_scores(model, config, episode)
    assert expected.std() > 0.01
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


@every_preset
def test_padded_batch_equals_each_task_alone(config):
    model, episode = random_model(config), random_episode(LENGTHS)
    scores = model(tensors(episode))
    for row in range(len(LENGTHS)):
        alone = model(tensors(task_alone(episode, row)))
        np.testing.assert_allclose(alone[0], scores[row], rtol=1e-5, atol=1e-5)


@every_preset
def test_training_pass_equals_inference(config):
    model, episode = random_model(config), random_episode(LENGTHS)
    np.testing.assert_allclose(
        model(tensors(episode), training=True), model(tensors(episode)), rtol=1e-5, atol=1e-5
    )


@every_preset
def test_named_weights_are_all_weights_but_the_tables(config):
    model = random_model(config)
    tables = {id(model.pair_embedding.user_table), id(model.pair_embedding.item_table)}
    parts = {id(variable) for layer in model.parts for variable in layer.weights}
    ours = [id(variable) for variable in named_weights(model).values()]
    assert len(set(ours)) == len(ours)
    in_model = {id(variable) for layer in model.layers for variable in layer.weights}
    assert {*ours} == in_model - tables == parts


@small_model
def test_support_behind_the_length_is_never_read(config):
    """NaN labels and other ids there change neither scores nor gradients."""
    model = random_model(config, task=HingeTask())
    episode = random_episode([4, 0, 2])
    behind = np.arange(7) >= episode.support.length[:, None]
    support = episode.support
    disturbed = support._replace(
        user=np.where(behind, USERS, support.user),
        item=np.where(behind, ITEMS, support.item),
        label=np.where(behind, np.nan, support.label).astype(np.float32),
    )

    def loss_and_gradients(support):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(tensors(episode._replace(support=support)), training=True)
        return [loss, *tape.gradient(loss, model.trainable_variables)]

    np.testing.assert_allclose(
        model.encode_context(tensors(disturbed)), model.encode_context(tensors(support)), atol=1e-6
    )
    for one, other in zip(loss_and_gradients(disturbed), loss_and_gradients(support), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, atol=1e-6)


@small_model
def test_support_changes_the_scores(config):
    model, episode = random_model(config), random_episode([7, 5])
    rolled = tf.nest.map_structure(lambda array: array[::-1].copy(), episode.support)
    scores = model(tensors(episode)).numpy()
    swapped = model(tensors(episode._replace(support=rolled))).numpy()
    assert np.abs(scores - swapped).max() > 1e-3


def test_positives_only_reads_no_negative():
    config = replace(SMALL["mean"], positives_only=True)
    model, episode = random_model(config), random_episode([7, 7])
    support = episode.support
    other_negatives = support._replace(
        item=np.where(support.label == 1, support.item, (support.item + 1) % ITEMS)
    )
    one, other = (model.encode_context(tensors(s)) for s in (support, other_negatives))
    np.testing.assert_array_equal(one, other)
    everything = random_model(replace(config, positives_only=False))
    one, other = (everything.encode_context(tensors(s)) for s in (support, other_negatives))
    assert np.abs(one - other).max() > 1e-3


@small_model
def test_parts_compose_to_the_whole(config):
    """A context made once serves later queries: that is what caching it rests on."""
    model, episode = random_model(config), tensors(random_episode(LENGTHS))
    context = model.encode_context(episode.support)
    assert context.shape.as_list() == [4, model.context_dimension]
    np.testing.assert_array_equal(
        model.score_with_context(context, episode.query_user, episode.query_item), model(episode)
    )


def test_modulation_names_what_the_context_sets():
    episode = tensors(random_episode([3, 5]))
    names = {}
    for kind in ("film", "sigmoid", "linear", "soft"):
        model = random_model(replace(SMALL["mean"], modulation=kind))
        context = model.encode_context(episode.support)
        names[kind] = [*model.modulation(context, episode.query_user, episode.query_item)]
    assert names == {
        "film": ["scale_1", "shift_1", "scale_2", "shift_2"],
        "sigmoid": ["scale_1", "scale_2"],
        "linear": ["output_weight", "output_bias"],
        "soft": ["route_1", "route_2"],
    }


def test_model_without_context_ignores_the_support():
    model = random_model(CONFIGS["no-context"])
    one, other = random_episode([7, 3]), random_episode([2, 5], seed=9)
    np.testing.assert_array_equal(
        model(tensors(one)), model(tensors(one._replace(support=other.support)))
    )
    context = model.encode_context(tensors(one.support))
    np.testing.assert_array_equal(context, np.zeros([2, 1]))
    assert model.context_dimension == 1
    assert model.modulation(context, one.query_user, one.query_item) == {}


@small_model
def test_one_graph_serves_every_size(config):
    model = random_model(config)
    ids, lengths = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
    labels = tf.TensorSpec([None, None])
    spec = type(random_episode([1]))(
        type(random_episode([1]).support)(ids, ids, labels, lengths), ids, ids, labels
    )
    call = tf.function(lambda episode: model(episode), input_signature=[spec])
    for episode in (random_episode([7, 0, 3]), random_episode([33], support=40, query=2)):
        np.testing.assert_allclose(
            call(tensors(episode)), model(tensors(episode)), rtol=1e-5, atol=1e-5
        )


# Losses


def hand_losses(model, config, episode):
    return [numpy_reference.hinge_loss(row) for row in reference_scores(model, config, episode)]


def dataset(episode, sizes):
    """The tasks of an episode in batches of the given sizes, B unknown to the graph."""
    batches, start = [], 0
    for size in sizes:
        end = start + size
        batches.append(tf.nest.map_structure(lambda a, s=start, e=end: a[s:e], episode))
        start = end
    spec = tf.nest.map_structure(lambda a: tf.TensorSpec([None, *a.shape[1:]], a.dtype), batches[0])
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=spec)


def test_steps_of_one_task_have_the_mean_loss_of_one_batch():
    config = SMALL["gru"]
    model, episode = random_model(config, task=HingeTask()), random_episode(LENGTHS)
    model.compile(optimizer="sgd")
    expected = np.mean(hand_losses(model, config, episode))
    for sizes in ([4], [1, 1, 1, 1], [3, 1]):
        loss = model.evaluate(dataset(episode, sizes), verbose=0)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_gradient_of_a_batch_is_the_mean_of_its_tasks():
    model = random_model(SMALL["gru"], task=HingeTask())
    episode = random_episode(LENGTHS)

    def gradients(episode):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(tensors(episode), training=True)
        return tape.gradient(loss, model.trainable_variables)

    alone = [gradients(task_alone(episode, row)) for row in range(len(LENGTHS))]
    for whole, *parts in zip(gradients(episode), *alone, strict=True):
        np.testing.assert_allclose(whole, np.mean(parts, axis=0), rtol=1e-4, atol=1e-6)


def test_fit_reports_the_mean_over_tasks_not_the_last_batch():
    config = SMALL["mean"]
    model, episode = random_model(config, task=HingeTask()), random_episode(LENGTHS)
    # Learning rate 0: both epochs see the same weights.
    model.compile(optimizer=tf.keras.optimizers.SGD(0.0))
    losses = hand_losses(model, config, episode)
    assert abs(losses[-1] - np.mean(losses)) > 0.01
    batches = dataset(episode, [3, 1])
    history = model.fit(batches, validation_data=batches, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], [np.mean(losses)] * 2, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], [np.mean(losses)] * 2, rtol=1e-5)


def test_loss_without_a_task_is_refused():
    with pytest.raises(ValueError, match=r"The model has no `task`: give one"):
        random_model(SMALL["mean"]).compute_loss(tensors(random_episode([3])))


# Training


def train(model, episode, optimizer=None):
    model.compile(optimizer=optimizer or tf.keras.optimizers.SGD(0.1))
    model.fit(dataset(episode, [len(episode.support.length)]), verbose=0)


@pytest.mark.parametrize("trainable", [False, True], ids=["frozen", "trained"])
def test_tables_change_only_when_asked_for(trainable):
    model = random_model(SMALL["mean"], task=HingeTask(), trainable_tables=trainable)
    tables = model.pair_embedding.user_table, model.pair_embedding.item_table
    before = [table.numpy() for table in tables]
    network = named_weights(model)
    # The hinge compares two scores of one task: what adds to all of them has no gradient.
    del network["backbone/output/bias"]
    values_before = {name: variable.numpy() for name, variable in network.items()}
    train(model, random_episode([7, 3]))
    for table, values in zip(tables, before, strict=True):
        assert (np.abs(table.numpy() - values).max() > 0) == trainable
    for name, variable in network.items():
        assert np.abs(variable.numpy() - values_before[name]).max() > 0, name


def test_training_leaves_the_row_for_padding_zero():
    model = random_model(SMALL["mean"], task=HingeTask(), trainable_tables=True)
    episode = random_episode([4, 0])
    behind = np.arange(7) >= episode.support.length[:, None]
    support = episode.support._replace(
        user=np.where(behind, USERS, episode.support.user).astype(np.int32),
        item=np.where(behind, ITEMS, episode.support.item).astype(np.int32),
    )
    train(model, episode._replace(support=support), optimizer=tf.keras.optimizers.Adam(0.1))
    np.testing.assert_array_equal(model.pair_embedding.user_table[USERS], np.zeros(4))
    np.testing.assert_array_equal(model.pair_embedding.item_table[ITEMS], np.zeros(4))


def test_gradient_values_are_clipped():
    """Per element of the whole gradient, of embedding rows read many times too."""
    clip = 1e-3
    model = random_model(SMALL["mean"], task=HingeTask(), trainable_tables=True, gradient_clip=clip)
    before = [variable.numpy() for variable in model.trainable_variables]
    train(model, random_episode([7, 7]), optimizer=tf.keras.optimizers.SGD(1.0))
    steps = [
        np.abs(variable.numpy() - values).max()
        for variable, values in zip(model.trainable_variables, before, strict=True)
    ]
    assert max(steps) > 0.99 * clip
    assert max(steps) <= 1.01 * clip


def test_training_lowers_the_loss():
    model = random_model(SMALL["gru"], task=HingeTask())
    model.compile(optimizer=tf.keras.optimizers.Adam(0.02))
    history = model.fit(dataset(random_episode(LENGTHS), [2, 2]), epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
