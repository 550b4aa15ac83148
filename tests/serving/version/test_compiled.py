"""Exports that XLA compiles for some sizes: the same scores at every size, or a refusal by name."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import MODEL_PRESETS
from serving_cases import ITEM_IDS, USER_IDS, call, filled_model, request_by_id
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.config import ModelConfig
from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.compiled import check_compiled
from cmml_tf.serving.export import export_model
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.status import ServingError
from cmml_tf.serving.version.manifest import read_manifest
from cmml_tf.serving.version.warmup import WARMUP_FILE
from cmml_tf.types import Support

SIZES = (CompiledSize(1, 6, 5), CompiledSize(3, 40, 5))
SMALL = {"encoder_units": 8, "hyper_units": 8, "backbone_units": (8, 8)}
SOFT = {"modulation": "soft", "modules": 2, **SMALL}
NETWORKS = {
    "mean pooling, soft modules": (ModelConfig(encoder="mean", **SOFT), SIZES[:1]),
    # Compiling a recurrence takes longer.
    "gru, soft modules": (ModelConfig(**SOFT), SIZES),
    "mean state, film": (replace(MODEL_PRESETS["cmml-film-plus"], **SMALL), SIZES),
    "attention": (
        replace(MODEL_PRESETS["cmml-attention-query"], attention_heads=2, **SMALL),
        SIZES,
    ),
}
every_network = pytest.mark.parametrize(
    "name",
    [
        "mean pooling, soft modules",
        *(pytest.param(name, marks=pytest.mark.slow) for name in list(NETWORKS)[1:]),
    ],
    scope="module",
)


@pytest.fixture(scope="module")
def model(name):
    return filled_model(NETWORKS[name][0])


@pytest.fixture(scope="module")
def version(name, model, tmp_path_factory):
    """The folder of an export that is compiled for some sizes."""
    base = tmp_path_factory.mktemp("compiled")
    return export_model(model, base, USER_IDS, ITEM_IDS, compiled=NETWORKS[name][1])


def context_and_scores(model, request):
    """The model's own; an id that is not known is the row behind the last."""

    def rows(name):
        ids = USER_IDS if "user" in name else ITEM_IDS
        row_of = {one: row for row, one in enumerate(ids)}
        found = [[row_of.get(one, len(ids)) for one in line] for line in request[name].tolist()]
        return np.array(found, np.int32)

    support = rows("support_user_id"), rows("support_item_id")
    context = model.encode_context(
        Support(*support, request["support_label"], request["support_length"])
    )
    query = rows("query_user_id"), rows("query_item_id")
    return context, model.score_with_context(context, *query)


@every_network
def test_scores_are_the_model_s_at_every_size(model, version):
    signatures = tf.saved_model.load(str(version)).signatures
    # Exactly a size, below one, between both, the largest, and beyond it in each direction.
    for B, S, Q in ((1, 6, 5), (1, 2, 1), (2, 7, 3), (3, 40, 5), (4, 3, 2), (1, 41, 5), (1, 6, 6)):
        request = request_by_id(B=B, S=S, Q=Q, seed=S)
        request["support_length"] = np.array([S, 0, 1, 2][:B], np.int32)
        request["query_item_id"][0, 0] = "not known"
        context, scores = context_and_scores(model, request)
        answer = call(signatures["serving_default"], request)
        np.testing.assert_allclose(answer["score"], scores, rtol=1e-4, atol=1e-5)
        assert answer["query_known"].sum() == B * Q - 1
        request["context"] = call(signatures["encode_context"], request)["context"]
        np.testing.assert_allclose(request["context"], context, rtol=1e-4, atol=1e-5)
        answer = call(signatures["score_with_context"], request)
        np.testing.assert_allclose(answer["score"], scores, rtol=1e-4, atol=1e-5)


@every_network
def test_warm_up_has_every_size_and_the_manifest_names_them(name, version):
    asked = set()
    for record in tf.data.TFRecordDataset(str(version / WARMUP_FILE)).as_numpy_iterator():
        inputs = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request.inputs
        if {"support_label", "query_item_id"} <= inputs.keys():
            shapes = [inputs[name].tensor_shape.dim for name in ("support_label", "query_item_id")]
            asked.add((shapes[0][0].size, shapes[0][1].size, shapes[1][1].size))
    sizes = [asdict(size) for size in NETWORKS[name][1]]
    assert {tuple(size.values()) for size in sizes} <= asked
    assert read_manifest(version)["compiled"] == sizes


@every_network
def test_a_server_without_xla_says_which_flag_it_needs(model, version):
    with pytest.raises(ServingError, match="served with --xla_cpu_compilation_enabled=true"):
        Servable("cmml", 1, str(version), ["serve"], compiles=False)
    request = request_by_id(B=1, S=6, Q=5)
    score = Servable("cmml", 1, str(version), ["serve"]).run("", request)["score"]
    np.testing.assert_allclose(score, context_and_scores(model, request)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cmml-ridge", "cmml-film-ridge", "no-context"])
def test_what_xla_does_not_make_faster_is_refused_by_name(name, tmp_path):
    model = filled_model(MODEL_PRESETS[name])
    with pytest.raises(ValueError, match=rf"empty for a {type(model).__name__}.*: what it solves"):
        export_model(model, tmp_path, USER_IDS, ITEM_IDS, compiled=SIZES)
    assert not list(tmp_path.iterdir())


def test_sizes_fit_the_limits():
    model, limits = filled_model(NETWORKS["attention"][0]), RequestLimits(query_pairs=4)
    check_compiled(model, [CompiledSize(1, 6, 4)], limits)
    with pytest.raises(ValueError, match=r"query_pairs=4\. Received: 1x6x5"):
        check_compiled(model, [CompiledSize(1, 6, 5)], limits)


@pytest.mark.parametrize("text", ["", "192", "1x192", "1x192x100x2", "1X2X3", "-1x2x3", "1x2x3 "])
def test_a_size_that_is_not_written_as_one_is_refused(text):
    with pytest.raises(ValueError, match="such as 1x192x100"):
        CompiledSize.parse(text)


@pytest.mark.parametrize("size", [(0, 1, 1), (1, True, 1), (1, 1, 2.0)])
def test_a_size_is_of_positive_integers(size):
    with pytest.raises(ValueError, match="must be a positive integer"):
        CompiledSize(*size)
