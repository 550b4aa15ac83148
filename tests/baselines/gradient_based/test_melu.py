"""MeLU and MetaCS-DNN: all users adapt at once, each as if alone, and training sees through it."""

import numpy as np
import pytest
import tensorflow as tf
from baselines.small_ratings import built, tasks
from baselines.small_tasks import one_task

from cmml_tf.config.baselines import RATING_BASELINES, MeluConfig
from cmml_tf.config.rating import RatingEpisodeConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingTasks
from cmml_tf.episodes import sampled_steps
from cmml_tf.episodes.rating_episodes import RatingEpisodeSampler

RATE = 0.05
both = pytest.mark.parametrize("adapt_embeddings", [False, True], ids=["melu", "metacs"])


def config(adapt_embeddings, **changes):
    return MeluConfig(
        units=(6, 5),
        feature_dimension=3,
        adapt_embeddings=adapt_embeddings,
        inner_learning_rate=RATE,
        **changes,
    )


def alone(model, task, steps):
    """One task's scores: plain descent on the model's own variables, undone behind it."""
    adapted = list(model.network.trainable_variables)
    if model.config.adapt_embeddings:
        adapted += model.pair_embedding.trainable_variables
    before = [variable.numpy() for variable in adapted]
    support = tf.nest.map_structure(lambda x: x[:, : int(task.support.length[0])], task.support[:3])
    for _ in range(steps):
        with tf.GradientTape() as tape:
            scores = model.network(model.pair_embedding(*support[:2]))
            loss = tf.reduce_mean(tf.square(scores - support[2]))
        gradients = tape.gradient(loss, adapted)
        for variable, gradient in zip(adapted, gradients, strict=True):
            variable.assign_sub(RATE * tf.convert_to_tensor(gradient))
    scores = model.network(model.pair_embedding(task.query_user, task.query_item)).numpy()
    for variable, value in zip(adapted, before, strict=True):
        variable.assign(value)
    return scores


@both
@pytest.mark.parametrize("steps", [1, 4])
def test_a_batch_adapts_as_each_task_alone(adapt_embeddings, steps):
    model = built(config(adapt_embeddings))
    model.steps = steps
    episode = tasks(lengths=[7, 3, 1])
    label = episode.support.label.numpy()
    label[1, 3:] = np.nan  # behind the length
    episode = episode._replace(support=episode.support._replace(label=tf.constant(label)))
    scores = tf.function(model, autograph=False)(episode)
    for row in range(3):
        task = one_task(episode, row)
        expected = alone(model, task, steps)
        np.testing.assert_allclose(scores[row : row + 1], expected, atol=1e-4)
        assert np.abs(expected - alone(model, task, 0)).max() > 0.05


@both
def test_without_ratings_the_model_stays_as_it_is(adapt_embeddings):
    model = built(config(adapt_embeddings))
    episode = tasks(lengths=[0, 7, 0])
    before = model.get_weights()
    scores = model(episode)
    np.testing.assert_allclose(scores[0:1], alone(model, one_task(episode, 0), 0), atol=1e-5)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def meta_gradient(model, episode):
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        loss = model.compute_loss(episode, training=True)
    return [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]


@both
def test_the_second_order_gradient_is_the_slope_of_the_loss_behind_the_steps(adapt_embeddings):
    model = built(config(adapt_embeddings, training_steps=3))
    episode = tasks(lengths=[7, 4, 2])
    gradient = meta_gradient(model, episode)
    rng = np.random.default_rng(3)
    for _ in range(3):
        direction = [rng.normal(size=v.shape).astype("f") for v in model.trainable_variables]
        slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradient, direction, strict=True))
        loss = []
        for sign in (1, -1):
            for variable, d in zip(model.trainable_variables, direction, strict=True):
                variable.assign_add(sign * 1e-3 * d)
            loss.append(float(model.compute_loss(episode, training=True)))
            for variable, d in zip(model.trainable_variables, direction, strict=True):
                variable.assign_sub(sign * 1e-3 * d)
        np.testing.assert_allclose((loss[0] - loss[1]) / 2e-3, slope, rtol=0.03, atol=0.05)


def test_the_first_order_gradient_is_that_at_the_adapted_weights():
    model = built(config(False, training_steps=3, second_order=False))
    episode = tasks()
    count = len(model.network.trainable_variables)
    names = [v.ref() for v in model.trainable_variables]
    adapted = model.adapt(episode.support, training=True)
    with tf.GradientTape() as tape:
        tape.watch(adapted)
        scores = model.score_adapted(adapted, episode.query_user, episode.query_item)
        loss = tf.reduce_mean(tf.square(scores - episode.query_label))
    gradient = meta_gradient(model, episode)
    for variable, per_task in zip(
        model.network.trainable_variables, tape.gradient(loss, adapted), strict=True
    ):
        received = gradient[names.index(variable.ref())]
        np.testing.assert_allclose(received, tf.reduce_sum(per_task, axis=0), atol=1e-4)
    second = meta_gradient(built(config(False, training_steps=3)), episode)
    assert max(np.abs(a - b).max() for a, b in zip(gradient, second, strict=True)) > 0.01
    assert count == 6


@both
def test_training_steps_and_steps_of_a_question_are_two_numbers(adapt_embeddings):
    model, episode = built(config(adapt_embeddings)), tasks()
    training, asked = model(episode, training=True), model(episode)
    np.testing.assert_allclose(training[:1], alone(model, one_task(episode, 0), 5), atol=1e-4)
    np.testing.assert_allclose(asked[:1], alone(model, one_task(episode, 0), 1), atol=1e-4)


@pytest.mark.parametrize(
    "adapt_embeddings",
    [pytest.param(False, id="melu"), pytest.param(True, id="metacs", marks=pytest.mark.slow)],
)
def test_meta_training_lowers_the_loss(adapt_embeddings):
    model = built(config(adapt_embeddings, training_steps=2))
    episode = tasks()
    model.compile(optimizer=tf.keras.optimizers.legacy.Adam(0.02))
    data = tf.data.Dataset.from_tensors(episode).repeat()
    history = model.fit(data, steps_per_epoch=20, epochs=3, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


def test_episodes_of_the_pipeline_fit():
    ratings = RatingTasks(
        np.int32([0, 1, 2]),
        np.int64([0, 9, 17, 26]),
        np.tile(np.arange(12), 3)[:26].astype(np.int32),
        np.ones(26, np.float32),
    )
    episodes = sampled_steps(
        RatingEpisodeSampler(ratings, 4, RatingEpisodeConfig(tasks_per_step=2), 0).sample
    )
    scores = built(config(True))(next(iter(episodes)))
    assert scores.shape == (2, 4)
    assert np.isfinite(scores).all()


def test_the_papers_settings():
    melu, metacs = RATING_BASELINES["melu"], RATING_BASELINES["metacs-dnn"]
    assert (melu.model.units, melu.model.inner_learning_rate) == ((64, 64), 0.01)
    assert (melu.model.training_steps, melu.model.steps) == (5, 1)
    assert (melu.training.learning_rate, melu.episode.tasks_per_step) == (3e-4, 32)
    assert not melu.model.adapt_embeddings
    assert metacs.model.adapt_embeddings
    for name, value in (("units", ()), ("steps", 0), ("inner_learning_rate", 0.0)):
        with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
            MeluConfig(**{name: value})
