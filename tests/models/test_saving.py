"""A model that is saved, copied or pickled and read again gives the same scores."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import RATING_PRESETS

from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.config.baselines import BASELINES, RATING_BASELINES
from cmml_tf.experiments.forms import model_preset
from cmml_tf.models.build import build_model
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.tasks.rating import RatingTask
from cmml_tf.tasks.scenario import HingeTask
from cmml_tf.training.optimizer import AdamL2
from cmml_tf.types import Episode, Feature, FeatureColumn, Support

USERS, ITEMS, HALF = 7, 9, 4
SIZES = (USERS, ITEMS, HALF, HALF)
ITEM_COLUMNS = [
    FeatureColumn(Feature("id", "id", tuple("abcdefghi")), np.arange(10, dtype=np.int32)),
    FeatureColumn(
        Feature("genre", "multi-hot", ("x", "y")),
        np.int32([0, 1, 1, 0]),
        np.int64([0, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4]),
    ),
    FeatureColumn(Feature("a name", "numeric"), np.linspace(-1, 1, 10, dtype=np.float32)),
]
# Of the same name as an item's.
USER_COLUMNS = [FeatureColumn(Feature("a name", "categorical", ("m",)), np.zeros(8, np.int32))]


def scenario(preset):
    return build_model(model_preset(preset), *SIZES, task=HingeTask())


def rating(preset):
    config = RATING_PRESETS[preset].model
    return build_rating_model(config, ITEM_COLUMNS, USER_COLUMNS, task=RatingTask())


def baseline(name):
    return build_baseline(BASELINES[name], *SIZES, task=HingeTask())


def rating_baseline(name):
    config = RATING_BASELINES[name].model
    return build_rating_baseline(config, ITEM_COLUMNS, USER_COLUMNS, task=RatingTask())


MODELS = {
    "scenario-cmml-film": scenario,
    "scenario-cmml-ridge": scenario,
    "scenario-cmml-soft-m-ridge": scenario,
    "scenario-cmml-linear": scenario,
    "scenario-cmml-attention-query": scenario,
    "scenario-no-context": scenario,
    "rating-cmml-film-prior": rating,
    "rating-cmml-linear": rating,
    "rating-ridge": rating,
    "baseline-dcn-f": baseline,
    "baseline-conet": baseline,
    "baseline-s2meta": baseline,
    "rating_baseline-metacs-dnn": rating_baseline,
    "rating_baseline-dcn-f": rating_baseline,
}
every_model = pytest.mark.parametrize("name", MODELS)
few_models = pytest.mark.parametrize("name", ["scenario-cmml-ridge", "rating-cmml-film-prior"])


def made(name, seed=0):
    """A model with a random value in every float weight, tables too."""
    model = MODELS[name](name.partition("-")[2])
    rng = np.random.default_rng(seed)
    for variable in (model.dcn if hasattr(model, "dcn") else model).weights:
        if variable.dtype == tf.float32 and variable.shape.rank and "values" not in variable.name:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def episode():
    rng = np.random.default_rng(2)

    def rows(size, known):
        return tf.constant(rng.integers(0, known + 1, (2, size)), tf.int32)

    label = tf.constant(rng.integers(0, 2, (2, 5)), tf.float32)
    support = Support(rows(5, USERS), rows(5, ITEMS), label, tf.constant([5, 2]))
    return Episode(support, rows(4, USERS), rows(4, ITEMS), tf.ones([2, 4]))


def gives_the_same(model, again):
    assert type(again) is type(model)
    np.testing.assert_array_equal(model(episode()), again(episode()))


@every_model
def test_saved_as_keras_it_is_read_again(name, tmp_path):
    model = made(name)
    model.save(tmp_path / "model.keras")
    gives_the_same(model, tf.keras.models.load_model(tmp_path / "model.keras"))


@every_model
def test_configuration_is_plain_data_and_small(name):
    model = made(name)
    text = json.dumps(tf.keras.utils.serialize_keras_object(model))
    assert len(text) < 12_000  # no table and no column of values
    again = tf.keras.utils.deserialize_keras_object(json.loads(text))
    assert [w.name for w in again.weights] == [w.name for w in model.weights]
    again.set_weights(model.get_weights())
    gives_the_same(model, again)


@every_model
def test_h5_weights_are_read_again(name, tmp_path):
    model, again = made(name), made(name, seed=1)
    names = [weight.name for weight in model.weights]
    assert len(set(names)) == len(names)
    for by_name in (False, True):
        model.save_weights(tmp_path / "weights.h5")
        again.load_weights(tmp_path / "weights.h5", by_name=by_name)
        gives_the_same(model, again)


@few_models
def test_copied_and_pickled_before_any_call(name):
    model = made(name)
    gives_the_same(model, copy.deepcopy(model))
    gives_the_same(model, pickle.loads(pickle.dumps(model)))


@few_models
def test_a_clone_has_first_weights_of_its_own(name):
    model = made(name)
    clone = tf.keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    gives_the_same(model, clone)
    clone.pair_embedding.weights[0].assign(tf.zeros_like(clone.pair_embedding.weights[0]))
    assert np.abs(model.pair_embedding.weights[0]).max() > 0


@pytest.mark.parametrize(
    "name",
    ["rating-cmml-film-prior", pytest.param("scenario-cmml-ridge", marks=pytest.mark.slow)],
)
def test_saved_as_folder_it_is_read_again(name, tmp_path):
    model = made(name)
    scores = model(episode())
    model.save(tmp_path / "folder")
    again = tf.keras.models.load_model(tmp_path / "folder")
    np.testing.assert_array_equal(again(episode()), scores)


def test_training_goes_on_where_it_was_saved(tmp_path):
    model = made("rating-cmml-film-prior")
    model.compile("adam")
    data = tf.data.Dataset.from_tensors(episode())
    path = str(tmp_path / "{epoch}.h5")
    keep = tf.keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    model.fit(data, callbacks=[keep], verbose=0)
    again = pickle.loads(pickle.dumps(model))
    assert model.fit(data, verbose=0).history == again.fit(data, verbose=0).history
    at_first = made("rating-cmml-film-prior")
    at_first.load_weights(tmp_path / "1.h5")
    third = pickle.loads(pickle.dumps(at_first))
    gives_the_same(at_first, third)


def test_the_library_s_optimiser_is_saved_too(tmp_path):
    model = made("scenario-no-context")
    model.compile(AdamL2(1e-3, weight_decay=0.5))
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, AdamL2)
    assert again.optimizer.weight_decay == 0.5


def test_a_new_process_reads_it_with_the_package_alone(tmp_path):
    model = made("scenario-cmml-ridge")
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, cmml_tf, tensorflow as tf; "
        "print(type(tf.keras.models.load_model(sys.argv[1])).__module__)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cmml_tf.models.cmml"


@few_models
def test_predict_gives_the_scores_of_a_call(name):
    model = made(name)
    data = tf.data.Dataset.from_tensors(episode()).repeat(2)
    scores = model.predict(data, verbose=0)
    np.testing.assert_allclose(scores, np.tile(model(episode()), (2, 1)), rtol=1e-4, atol=1e-5)
