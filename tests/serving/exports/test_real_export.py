"""A real CMML export behind the server: every signature, both kinds of ids, merged requests."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_cases import (
    ITEM_IDS,
    ITEMS,
    SMALL_POOLING,
    USER_IDS,
    USERS,
    call,
    filled_model,
    request_by_id,
)
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, regression_pb2

from cmml_tf.client import AsyncClient, Client, ContextCache
from cmml_tf.config import ModelConfig
from cmml_tf.serving.export import export_model

# Requests of texts are merged, too: they are asked of the encoder that reads pairs in their order.
CONFIGS = {
    "strings": ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8)),
    "numbers": SMALL_POOLING,
}
IDS = {
    "strings": ([f"user {row}" for row in range(USERS)], ITEM_IDS),
    "numbers": (USER_IDS, [11 * row for row in range(ITEMS)]),
}
SIGNATURES = {
    *("serving_default", "encode_context", "score_with_context"),
    *("recommend", "explain", "serving_tf_example"),
}
INVALID = grpc.StatusCode.INVALID_ARGUMENT
BATCHING = (
    "max_batch_size { value: 16 } batch_timeout_micros { value: 3000 } num_batch_threads "
    "{ value: 1 } max_enqueued_batches { value: 100 } pad_variable_length_inputs: true"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two exports, by the kind of their ids, and the server's configuration."""
    folder = tmp_path_factory.mktemp("real")
    for kind, ids in IDS.items():
        export_model(filled_model(CONFIGS[kind]), folder / kind, *ids, top_k=4)
    models = "".join(
        f'config {{ name: "{kind}" base_path: "{folder / kind}" model_platform: "tensorflow" }} '
        for kind in IDS
    )
    (folder / "models.config").write_text(f"model_config_list {{ {models} }}")
    (folder / "batching.config").write_text(BATCHING)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    """The same exports in this process, asked without a server."""
    return {kind: tf.saved_model.load(str(folder / kind / "1")) for kind in IDS}


@pytest.fixture(scope="module")
def server(start_server, folder):
    """Merges requests; one that comes alone is answered alone."""
    models = f"--model_config_file={folder / 'models.config'}"
    parameters = f"--batching_parameters_file={folder / 'batching.config'}"
    return start_server(None, models, "--enable_batching=true", parameters, name="strings")


@pytest.fixture(params=IDS)
def kind(request):
    return request.param


@pytest.fixture
def ask(server, build_predict_request):
    """`ask(kind, inputs, signature)`: a model's outputs as arrays."""

    def ask(kind, inputs, signature):
        request = build_predict_request(kind, inputs, signature)
        response = server.prediction.Predict(request, timeout=20)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    return ask


def requests(kind, B=2, S=5, Q=4, seed=0):
    """Every input that any Predict signature takes, ids as arrays of their own type."""
    users, items = IDS[kind]
    inputs = request_by_id(B, S, Q, seed, users, items)
    inputs["user_id"] = inputs["support_user_id"][:, 0].copy()
    inputs["context"] = np.random.default_rng(seed).normal(size=(B, 8)).astype(np.float32)
    return inputs


def inputs_of(signature, inputs):
    return {name: inputs[name] for name in signature.structured_input_signature[1]}


@pytest.mark.parametrize("name", sorted(SIGNATURES - {"serving_tf_example"}))
def test_the_server_answers_as_the_exported_graph(ask, loaded, kind, name):
    signature = loaded[kind].signatures[name]
    inputs = inputs_of(signature, requests(kind))
    answer, expected = ask(kind, inputs, name), call(signature, inputs)
    assert answer.keys() == expected.keys()
    for key, value in expected.items():
        assert answer[key].dtype == value.dtype
        if value.dtype == np.float32:
            np.testing.assert_allclose(answer[key], value, rtol=0, atol=1e-5)
        else:
            np.testing.assert_array_equal(answer[key], value)


def test_metadata_lists_the_signatures_with_their_types(server, kind):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = kind
    response = server.prediction.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    listed = signatures.signature_def
    assert set(listed) >= SIGNATURES
    ids = tf.string if kind == "strings" else tf.int64
    assert tf.as_dtype(listed["recommend"].inputs["user_id"].dtype) == ids
    assert tf.as_dtype(listed["recommend"].outputs["item_id"].dtype) == ids
    assert [dim.size for dim in listed["recommend"].outputs["score"].tensor_shape.dim] == [-1, 4]
    assert listed["serving_tf_example"].method_name == "tensorflow/serving/regress"


REFUSED = {
    "label NaN": ({"support_label": np.full([2, 5], np.nan, np.float32)}, "support_label"),
    "label infinite": ({"support_label": np.full([2, 5], np.inf, np.float32)}, "support_label"),
    "length above S": ({"support_length": np.array([7, 6], np.int32)}, "support_length"),
    "negative length": ({"support_length": np.array([-1, -5], np.int32)}, "support_length"),
    "fewer labels": ({"support_label": np.ones([2, 4], np.float32)}, "support_label"),
    "more items": ({"support_item_id": np.zeros([2, 6], np.int64)}, "support_item_id"),
    "other tasks": ({"query_user_id": np.zeros([3, 4], np.int64)}, "query_user_id"),
    "other query": ({"query_item_id": np.zeros([2, 3], np.int64)}, "query_item_id"),
    "other users": ({"user_id": np.zeros([3], np.int64)}, "user_id"),
    "context NaN": ({"context": np.full([2, 8], np.nan, np.float32)}, "context"),
    "context of another width": ({"context": np.zeros([2, 7], np.float32)}, "context"),
}


def details(caught):
    return caught.value.details()


@pytest.mark.parametrize(("change", "name"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_input_is_an_invalid_argument_that_names_it(
    ask, loaded, is_real_server, change, name
):
    checked = 0
    for key, signature in loaded["numbers"].signatures.items():
        if key != "serving_tf_example" and name in signature.structured_input_signature[1]:
            with pytest.raises(grpc.RpcError) as caught:
                ask("numbers", inputs_of(signature, {**requests("numbers"), **change}), key)
            assert caught.value.code() == INVALID
            # Unequal rows are refused before requests are merged, whatever the graph says.
            merged = "equal 0th-dimension size" + ("" if is_real_server else f"; {name} has 3")
            assert (merged if len(change[name]) == 3 else f"`{name}` must") in details(caught)
            checked += 1
    assert checked


def test_a_refusal_is_sent_up_to_so_many_characters(ask, loaded):
    signature = loaded["numbers"].signatures["serving_default"]
    with pytest.raises(grpc.RpcError) as caught:
        ask("numbers", inputs_of(signature, requests("numbers")), "k" * 3000)
    assert len(details(caught)) == 1024 + len("...TRUNCATED")
    assert details(caught).endswith("kkk...TRUNCATED")


def example(**features):
    """An Example; numbers or texts, as their feature."""
    listed = {}
    for name, values in features.items():
        if isinstance(values[0], str):
            kind = {"bytes_list": tf.train.BytesList(value=[text.encode() for text in values])}
        elif isinstance(values[0], float):
            kind = {"float_list": tf.train.FloatList(value=values)}
        else:
            kind = {"int64_list": tf.train.Int64List(value=values)}
        listed[name] = tf.train.Feature(**kind)
    return tf.train.Example(features=tf.train.Features(feature=listed))


def regression(kind, inputs, row=0):
    """The support of a task as context, and an Example for each of its query pairs."""
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = kind
    request.model_spec.signature_name = "serving_tf_example"
    listed = request.input.example_list_with_context
    names = ("support_user_id", "support_item_id", "support_label")
    listed.context.CopyFrom(example(**{name: inputs[name][row].tolist() for name in names}))
    pairs = zip(inputs["query_user_id"][row], inputs["query_item_id"][row], strict=True)
    for user, item in pairs:
        query = {"query_user_id": [user.item()], "query_item_id": [item.item()]}
        listed.examples.append(example(**query))
    return request


def test_regress_gives_the_scores_of_the_default_signature(server, ask, loaded, kind):
    inputs = requests(kind, B=1)
    response = server.prediction.Regress(regression(kind, inputs), timeout=20)
    values = [one.value for one in response.result.regressions]
    default = inputs_of(loaded[kind].signatures["serving_default"], inputs)
    np.testing.assert_allclose(values, ask(kind, default, "")["score"][0], rtol=0, atol=1e-5)


def test_regress_names_the_feature_that_is_wrong(server):
    request = regression("strings", requests("strings", B=1))
    labels = request.input.example_list_with_context.context.features.feature["support_label"]
    labels.float_list.value[0] = np.nan
    for change in (None, "support_label", "query_item_id"):
        if change is not None:
            one = request.input.example_list_with_context
            holder = one.context if change == "support_label" else one.examples[0]
            del holder.features.feature[change]
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Regress(request, timeout=20)
        assert caught.value.code() == INVALID
        assert (change or "support_label") in caught.value.details()


def test_classify_and_other_signatures_for_regress_are_refused(server, kind):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = kind
    request.input.example_list.examples.add()
    for signature in ("serving_tf_example", "serving_default"):
        request.model_spec.signature_name = signature
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Classify(request, timeout=20)
        assert caught.value.code() in (INVALID, grpc.StatusCode.FAILED_PRECONDITION)
    wrong = regression(kind, requests(kind, B=1))
    wrong.model_spec.signature_name = "recommend"
    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Regress(wrong, timeout=20)
    assert caught.value.code() == INVALID


@pytest.mark.parametrize("content", [b"no proto", b"\xff\xff", b""])
def test_bytes_that_are_no_example_are_refused(ask, server, content):
    with pytest.raises(grpc.RpcError) as caught:
        ask("strings", {"inputs": np.array([content], object)}, "serving_tf_example")
    assert caught.value.code() == INVALID


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_rest_answers_in_columns_and_for_examples(server, loaded):
    inputs = requests("strings", B=1)
    default = inputs_of(loaded["strings"].signatures["serving_default"], inputs)
    expected = call(loaded["strings"].signatures["serving_default"], inputs)["score"]
    columns = {name: value.tolist() for name, value in default.items()}
    status, answer = post(f"{server.url}:predict", {"inputs": columns})
    assert status == 200
    np.testing.assert_allclose(answer["outputs"]["score"], expected, rtol=0, atol=1e-5)
    assert answer["outputs"]["query_known"] == [[True] * 4]
    names = ("support_user_id", "support_item_id", "support_label")
    body = {
        "signature_name": "serving_tf_example",
        "context": {name: columns[name][0] for name in names},
        "examples": [
            {"query_user_id": user, "query_item_id": item}
            for user, item in zip(
                columns["query_user_id"][0], columns["query_item_id"][0], strict=True
            )
        ],
    }
    status, answer = post(f"{server.url}:regress", body)
    assert status == 200
    np.testing.assert_allclose(answer["results"], expected[0], rtol=0, atol=1e-5)
    status, answer = post(f"{server.url}:predict", {"inputs": {**columns, "support_length": [9]}})
    assert status == 400
    assert "`support_length` must" in answer["error"]


def test_warm_up_requests_are_replayed_before_a_version_answers(
    server, is_real_server, folder, kind
):
    if is_real_server:
        pytest.skip("TensorFlow Serving does not log how many it replayed")
    records = tf.data.TFRecordDataset(
        str(folder / kind / "1" / "assets.extra" / "tf_serving_warmup_requests")
    )
    replayed = f"{kind}: version 1 replayed {sum(1 for _ in records)} warm-up requests"
    log = server.log()
    assert replayed in log
    assert log.index(replayed) < log.index(f"{kind}: version 1 is available")


def task_of(inputs):
    names = ("support_user_id", "support_item_id", "support_label")
    support = [inputs[name][0].tolist() for name in names]
    return support, [inputs[name][0].tolist() for name in ("query_user_id", "query_item_id")]


def test_the_client_calls_every_signature(server, loaded, kind):
    inputs = requests(kind, B=1)
    support, query = task_of(inputs)
    signatures = loaded[kind].signatures
    expected = call(signatures["serving_default"], inputs)
    with Client(server.address, kind, timeout=20) as client:
        np.testing.assert_allclose(
            client.score(*support, *query).score, expected["score"][0], rtol=0, atol=1e-5
        )
        contexts = client.encode_context(*support)
        scores = client.score_with_context(contexts, *query).score
        np.testing.assert_allclose(scores, expected["score"][0], rtol=0, atol=1e-5)
        answer = client.recommend(*support, support[0][0])
        best = call(signatures["recommend"], inputs)["item_id"][0].tolist()
        best = [item.decode() if isinstance(item, bytes) else item for item in best]
        assert answer.item_id.tolist() == best
        explained = client.explain(*support, *query)
        np.testing.assert_allclose(explained.score, expected["score"][0], rtol=0, atol=1e-5)
        assert {"context", "scale_1", "shift_2"} <= set(explained.details)


def test_the_client_s_context_cache_changes_no_score(server, kind):
    cache = ContextCache()
    with (
        Client(server.address, kind, timeout=20) as plain,
        Client(server.address, kind, timeout=20, context_cache=cache) as cached,
    ):
        for seed in (0, 1, 0, 1):
            support, query = task_of(requests(kind, B=1, seed=seed))
            expected = plain.score(*support, *query)
            answer = cached.score(*support, *query)
            np.testing.assert_allclose(answer.score, expected.score, rtol=0, atol=1e-5)
            np.testing.assert_array_equal(answer.query_known, expected.query_known)
    assert (cache.hits, len(cache)) == (2, 2)


def test_the_asyncio_client_scores_alike(server):
    import asyncio

    support, query = task_of(requests("numbers", B=1))

    async def ask():
        async with AsyncClient(server.address, "numbers", timeout=20) as client:
            return await client.score(*support, *query)

    with Client(server.address, "numbers", timeout=20) as client:
        expected = client.score(*support, *query).score
    np.testing.assert_allclose(asyncio.run(ask()).score, expected, rtol=0, atol=1e-6)


def test_merged_requests_get_the_scores_they_get_alone(server, build_predict_request, loaded):
    """Eight clients, S and Q of any length; which requests meet in a batch is left to chance."""
    names = ("serving_default", "encode_context", "score_with_context", "recommend", "explain")
    wrong, padded = [], []

    def client(number):
        rng = np.random.default_rng(number)
        for turn in range(25):
            name = names[0] if turn % 2 else names[turn // 2 % len(names)]
            B, S, Q = (int(rng.integers(1, high)) for high in (3, 30, 12))
            inputs = requests("strings", B, S, Q, seed=1000 * number + turn)
            inputs["support_length"] = rng.integers(0, S + 1, B).astype(np.int32)
            signature = loaded["strings"].signatures[name]
            own = inputs_of(signature, inputs)
            request = build_predict_request("strings", own, name)
            merged = server.prediction.Predict(request, timeout=30).outputs
            for key, expected in call(signature, own).items():
                value = tf.make_ndarray(merged[key])
                padded.append(value.shape != expected.shape)
                value = value[tuple(slice(size) for size in expected.shape)]
                same = (
                    np.allclose(value, expected, rtol=0, atol=1e-5)
                    if expected.dtype == np.float32
                    else np.array_equal(value, expected)
                )
                if not same:
                    wrong.append((name, key, B, S, Q))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(client, range(8)))
    assert wrong == []
    assert any(padded), "no request was merged with a longer one"


def test_a_wrong_request_in_a_batch_fails_alone(server, build_predict_request, loaded):
    good = inputs_of(loaded["strings"].signatures["serving_default"], requests("strings"))
    wrong = {**good, "support_label": np.full([2, 5], np.nan, np.float32)}
    codes = {"good": set(), "wrong": set()}

    def client(name, inputs):
        request = build_predict_request("strings", inputs)
        for _ in range(20):
            try:
                response = server.prediction.Predict(request, timeout=30)
                valid = tf.make_ndarray(response.outputs["valid"])
                codes[name].add((grpc.StatusCode.OK, *valid.tolist()))
            except grpc.RpcError as error:
                codes[name].add(error.code())

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(client, ["good", "wrong"] * 2, [good, wrong] * 2))
    assert codes["good"] == {(grpc.StatusCode.OK, True, True)}
    # Beside a good request its tasks are marked; without one it is refused.
    assert codes["wrong"] <= {(grpc.StatusCode.OK, False, False), INVALID}
