"""The exported user model: by id as by features, unknown ones, refused requests."""

import json
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.models.rating_model import build_rating_model
from cmml_tf.serving.export import export_model
from cmml_tf.types import Feature, FeatureColumn, Support

ITEM_ID = FeatureColumn(Feature("id", "id", ("10", "11")), np.int32([0, 1, 2, 2]))
GENRE = FeatureColumn(
    Feature("genre", "multi-hot", ("Drama", "War")), np.int32([1, 0, 1]), np.int64([0, 2, 2, 3, 3])
)
PRICE = FeatureColumn(Feature("price", "numeric", (), 10.0, 4.0), np.float32([1, -1, 0, 0]))
AGE = FeatureColumn(Feature("age", "categorical", ("18", "25")), np.int32([1, 0, 2]))
USERS, ITEMS = [7, 8], [10, 11, 12]
S = 3
LABEL = np.float32([[5, 1, 3], [2, 4, 4]])
# By features: item 12's id was never trained, so it has the unknown row.
WORDS = {"id": ["10", "11", "12"], "genre": ["War|Drama", "", "War"], "price": [14.0, 6.0, 10.0]}
RATING_MODELS = {"ridge": {"kind": "ridge", "ridge_features": 3}, "film": {}, "compiled film": {}}
# Scores by id are then XLA's.
COMPILED = {"compiled film": [CompiledSize(2, 3, 3)]}


@pytest.fixture(
    scope="module",
    params=["ridge", "film", pytest.param("compiled film", marks=pytest.mark.slow)],
)
def exported(request, tmp_path_factory):
    tf.keras.utils.set_random_seed(0)
    config = RatingModelConfig(feature_dimension=4, **RATING_MODELS[request.param])
    model = build_rating_model(config, [ITEM_ID, GENRE, PRICE], [AGE])
    for variable in model.trainable_variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.1))
    base, compiled = tmp_path_factory.mktemp("export"), COMPILED.get(request.param, ())
    folder = export_model(model, base, USERS, ITEMS, scale=(0.5, 5.0), compiled=compiled)
    return model, folder, tf.saved_model.load(str(folder)).signatures


def by_id(length, items=(10, 11, 12), users=(7, 8)):
    B, Q = len(users), len(items)
    users = np.array(users, np.int64)[:, None]
    return {
        "support_user_id": tf.constant(np.repeat(users, S, 1)),
        "support_item_id": tf.constant(np.tile(np.int64(ITEMS), (B, 1))),
        "support_label": tf.constant(LABEL[:B]),
        "support_length": tf.constant(length, tf.int32),
        "query_user_id": tf.constant(np.repeat(users, Q, 1)),
        "query_item_id": tf.constant(np.tile(np.int64(items), (B, 1))),
    }


def by_features(length, ages=("25", "18")):
    B = len(ages)
    inputs = {"user_age": tf.constant(ages), "support_length": tf.constant(length, tf.int32)}
    inputs["support_label"] = tf.constant(LABEL[:B])
    for name, values in WORDS.items():
        array = np.tile(np.array(values, np.float32 if name == "price" else object), (B, 1))
        inputs[f"support_item_{name}"] = inputs[f"query_item_{name}"] = tf.constant(array)
    return inputs


@pytest.mark.parametrize("length", [[3, 3], [1, 2], [0, 0]])
def test_by_id_and_by_features_the_model_s_own_scores(exported, length):
    model, _, signatures = exported
    rows = tf.constant([[0, 1, 2]] * 2)
    user = tf.constant([[0] * 3, [1] * 3])
    context = model.encode_context(Support(user, rows, LABEL, tf.constant(length)))
    expected = model.score_with_context(context, user, rows)
    assert np.isfinite(expected).all()
    answer = signatures["serving_default"](**by_id(length))
    np.testing.assert_allclose(answer["score"], expected, atol=1e-5)
    assert answer["query_known"].numpy().all()
    answer = signatures["score_features"](**by_features(length))
    np.testing.assert_allclose(answer["score"], expected, atol=1e-5)
    np.testing.assert_allclose(answer["context"], context, atol=1e-5)


def test_unknown_ids_and_values_are_the_unknown_row(exported):
    _, _, signatures = exported
    answer = signatures["serving_default"](**by_id([2], items=(10, 99), users=(999,)))
    assert answer["query_known"].numpy().tolist() == [[False, False]]
    assert np.isfinite(answer["score"]).all()
    # Someone the export never saw, a genre it never saw: as unknown as an empty value.
    strange, empty = by_features([2], ["77"]), by_features([2], [""])
    for inputs, genre, number in ((strange, "Anime", np.nan), (empty, "??", 10.0)):
        inputs["query_item_genre"] = tf.constant([[genre] * 3])
        inputs["query_item_price"] = tf.constant([[number] * 3], tf.float32)
    scores = [signatures["score_features"](**inputs)["score"] for inputs in (strange, empty)]
    np.testing.assert_allclose(*scores, atol=1e-6)


def test_what_lies_behind_the_length_is_never_read(exported):
    _, _, signatures = exported
    for name, inputs in (
        ("serving_default", by_id([1, 2])),
        ("score_features", by_features([1, 2])),
    ):
        expected = signatures[name](**inputs)["score"]
        label = LABEL.copy()
        label[0, 1:], label[1, 2:] = np.nan, 77.0
        inputs["support_label"] = tf.constant(label)
        np.testing.assert_array_equal(signatures[name](**inputs)["score"], expected)


@pytest.mark.parametrize("signature", ["serving_default", "encode_context", "score_features"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"support_label": tf.constant(LABEL + 3)}, "`support_label` must lie between 0.5 and 5"),
        ({"support_label": tf.constant(LABEL * np.nan)}, "`support_label` must"),
        ({"support_length": tf.constant([4, -1])}, "`support_length` must lie between 0 and"),
        ({"support_length": tf.constant([1])}, "`support_length` must have as many rows"),
        ({"support_label": tf.constant(LABEL[:, :2])}, "`support_label` must have the shape"),
    ],
)
def test_wrong_requests_are_refused(exported, signature, change, message):
    _, _, signatures = exported
    inputs = by_features([3, 3]) if signature == "score_features" else by_id([3, 3])
    if signature == "encode_context":
        inputs = {name: value for name, value in inputs.items() if name.startswith("support")}
    with pytest.raises(tf.errors.InvalidArgumentError, match=message.replace(".", r"\.")):
        signatures[signature](**{**inputs, **change})


def test_recommend_leaves_out_what_the_user_rated(exported):
    _, _, signatures = exported
    inputs = {name: value for name, value in by_id([2, 0]).items() if name.startswith("support")}
    answer = signatures["recommend"](**inputs, user_id=tf.constant([7, 8], tf.int64))
    assert answer["item_id"].numpy()[0, 0] == 12
    assert sorted(answer["item_id"].numpy()[1]) == ITEMS


def test_the_manifest_declares_the_features(exported):
    _, folder, _ = exported
    manifest = json.loads((folder / "assets.extra" / "cmml_manifest.json").read_text())
    assert [(f["name"], f["kind"]) for f in manifest["features"]["item"]] == [
        ("id", "id"),
        ("genre", "multi-hot"),
        ("price", "numeric"),
    ]
    inputs = manifest["signatures"]["score_features"]["inputs"]
    assert inputs["query_item_genre"] == {"dtype": "string", "shape": [-1, -1]}
    assert inputs["user_age"] == {"dtype": "string", "shape": [-1]}


def test_warm_up_requests_ask_every_signature_with_known_values(exported):
    _, folder, signatures = exported
    file = folder / "assets.extra" / "tf_serving_warmup_requests"
    asked = {}
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("regress_log"):
            asked["serving_tf_example"] = None
            continue
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        tensors = {
            name: tf.constant(array, tf.string if array.dtype == object else array.dtype)
            for name, array in inputs.items()
        }
        answer = signatures[request.model_spec.signature_name](**tensors)
        assert all(np.isfinite(v).all() for v in answer.values() if v.dtype == tf.float32)
        asked.setdefault(request.model_spec.signature_name, inputs)
    assert asked.keys() == set(signatures)
    features = asked["score_features"]
    assert features["query_item_genre"].shape == (1, 100)
    assert features["query_item_genre"][0, :2].tolist() == [b"Drama", b"War"]
    assert features["query_item_price"][0, 0] == 10.0


@pytest.mark.parametrize("exported", ["ridge"], indirect=True)
def test_a_server_scores_by_id_and_by_features(exported, start_server):
    """The server has replayed the warm-up requests before it answers."""
    _, folder, signatures = exported
    server = start_server(folder.parent)
    for name, inputs in (
        ("serving_default", by_id([3, 0])),
        ("score_features", by_features([3, 0])),
    ):
        answer = server.predict(inputs, name).outputs
        np.testing.assert_allclose(answer["score"], signatures[name](**inputs)["score"], atol=1e-5)
    wrong = {**by_features([3, 3]), "support_label": tf.constant(LABEL + 3)}
    with pytest.raises(grpc.RpcError) as refused:
        server.predict(wrong, "score_features")
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "`support_label` must lie between 0.5 and 5" in refused.value.details()
    # As JSON: someone new, who has rated nothing, asks for a film that nobody knows.
    values = {"support_item_price": [0.0], "support_label": [0.0]}
    values |= {f"support_item_{name}": [""] for name in ("id", "genre")}
    values |= {"query_item_id": ["new"], "query_item_genre": ["War|Anime"]}
    values |= {"query_item_price": [12.5]}
    row = {**values, "support_length": 0, "user_age": "77"}
    body = {"signature_name": "score_features", "instances": [row]}
    request = urllib.request.Request(f"{server.url}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as response:
        (prediction,) = json.load(response)["predictions"]
    assert np.isfinite(prediction["score"]).all()
