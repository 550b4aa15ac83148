"""What callers of TensorFlow Serving rely on, over gRPC; runs against either server."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    regression_pb2,
)

REGRESS = "tensorflow/serving/regress"
CLASSIFY = "tensorflow/serving/classify"
Code = grpc.StatusCode


def failure(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code(), caught.value.details()


@pytest.fixture
def inputs(support_inputs, query_inputs):
    return support_inputs() | query_inputs()


def test_predict_answers_with_the_newest_version_and_says_which(
    contract_server, inputs, build_predict_request
):
    response = contract_server.prediction.Predict(build_predict_request("cmml", inputs), timeout=20)
    assert set(response.outputs) == {"score", "query_known", "user_known", "item_known", "valid"}
    score = tf.make_ndarray(response.outputs["score"])
    assert score.dtype == np.float32
    assert score.shape == (1, 3)
    assert np.all(np.floor(score) == 2)
    assert response.model_spec.name == "cmml"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    ("choice", "version"), [({"version": 1}, 1), ({"label": "stable"}, 1), ({"label": "canary"}, 2)]
)
def test_requests_choose_a_version_by_number_or_label(contract_server, inputs, choice, version):
    answer = contract_server.predict(inputs, **choice)
    assert answer.version == version
    assert np.all(np.floor(answer.outputs["score"]) == version)


@pytest.mark.parametrize(
    ("name", "choice", "code"),
    [
        ("unheard_of", {}, Code.NOT_FOUND),
        ("cmml", {"version": 9}, Code.NOT_FOUND),
        ("cmml", {"version": 3}, Code.NOT_FOUND),  # on disk, not in the policy
        ("cmml", {"version": -1}, Code.NOT_FOUND),
        ("cmml", {"label": "unheard_of"}, Code.INVALID_ARGUMENT),
        ("", {}, Code.INVALID_ARGUMENT),
    ],
)
def test_unknown_models_versions_and_labels_are_refused(
    contract_server, inputs, build_predict_request, name, choice, code
):
    request = build_predict_request(name, inputs, **choice)
    assert failure(contract_server.prediction.Predict, request)[0] == code


def test_an_unknown_signature_is_a_failed_precondition(contract_server, inputs):
    code, message = failure(contract_server.predict, inputs, "unheard_of")
    assert code == Code.FAILED_PRECONDITION
    assert '"unheard_of" not found' in message


def test_missing_and_extra_inputs_are_named(contract_server, inputs):
    del inputs["support_label"]
    code, message = failure(contract_server.predict, inputs | {"stray": [1]})
    assert code == Code.INVALID_ARGUMENT
    if "Sent extra" in message:
        assert "Sent extra: {stray}" in message
        assert "Missing but required: {support_label}" in message
    code, message = failure(contract_server.predict, inputs)
    assert code == Code.INVALID_ARGUMENT
    assert "support_label" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("support_length", np.array([4], np.int64)),
        ("support_label", np.ones((1, 4), np.float64)),
        ("query_user_id", np.ones((1, 3), np.int64)),
        ("support_length", np.array([[4]], np.int32)),
        ("support_label", np.ones(4, np.float32)),
        ("support_length", np.int32(4)),
    ],
)
def test_a_wrong_dtype_or_rank_is_an_invalid_argument(
    contract_server, is_real_server, inputs, name, value
):
    code, message = failure(contract_server.predict, inputs | {name: value})
    assert code == Code.INVALID_ARGUMENT
    assert is_real_server or name in message


def test_the_model_s_own_refusal_reaches_the_caller(contract_server, inputs):
    too_long = np.array([5], np.int32)
    code, message = failure(contract_server.predict, inputs | {"support_length": too_long})
    assert code == Code.INVALID_ARGUMENT
    assert "`support_length` must be at most S." in message


def test_the_output_filter_selects_outputs(contract_server, inputs):
    assert set(contract_server.predict(inputs, outputs=["score"]).outputs) == {"score"}
    for outputs in (["score", "score"], ["unheard_of"]):
        code, message = failure(contract_server.predict, inputs, outputs=outputs)
        assert code == Code.INVALID_ARGUMENT
        assert outputs[-1] in message


def test_tensor_content_and_value_fields_mean_the_same(
    contract_server, inputs, build_predict_request
):
    by_content = build_predict_request("cmml", inputs)
    by_values = build_predict_request("cmml", inputs)
    label = by_values.inputs["support_label"]
    label.tensor_content = b""
    label.float_val.extend(inputs["support_label"].ravel().tolist())
    answers = [
        contract_server.prediction.Predict(request, timeout=20).outputs["score"]
        for request in (by_content, by_values)
    ]
    np.testing.assert_array_equal(*map(tf.make_ndarray, answers))


def test_a_single_value_stands_for_a_whole_tensor(contract_server, inputs, build_predict_request):
    request = build_predict_request("cmml", inputs | {"support_label": np.ones((1, 4), np.float32)})
    expected = contract_server.prediction.Predict(request, timeout=20).outputs["score"]
    request.inputs["support_label"].tensor_content = b""
    del request.inputs["support_label"].float_val[:]
    request.inputs["support_label"].float_val.append(1.0)
    score = contract_server.prediction.Predict(request, timeout=20).outputs["score"]
    np.testing.assert_array_equal(tf.make_ndarray(score), tf.make_ndarray(expected))


def test_content_that_does_not_fit_its_shape_is_refused(
    contract_server, inputs, build_predict_request
):
    request = build_predict_request("cmml", inputs)
    request.inputs["support_label"].tensor_content = b"\0" * 7
    code, message = failure(contract_server.prediction.Predict, request)
    assert code == Code.INVALID_ARGUMENT
    assert "support_label" in message


def test_a_few_bytes_cannot_claim_gigabytes(
    contract_server, is_real_server, inputs, build_predict_request
):
    if is_real_server:
        pytest.skip("TensorFlow Serving allocates what the shape claims")
    request = build_predict_request("cmml", inputs)
    label = request.inputs["support_label"]
    label.tensor_content = b""
    label.float_val.append(1.0)
    label.tensor_shape.dim[1].size = 2**30
    code, message = failure(contract_server.prediction.Predict, request)
    assert code == Code.INVALID_ARGUMENT
    assert "support_label" in message


def test_metadata_describes_every_signature(contract_server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "cmml"
    response = contract_server.prediction.GetModelMetadata(request, timeout=20)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "encode_context", "recommend"} <= set(signatures.signature_def)
    inputs = signatures.signature_def["serving_default"].inputs
    assert tf.as_dtype(inputs["support_length"].dtype) == tf.int32
    assert [dim.size for dim in inputs["support_label"].tensor_shape.dim] == [-1, -1]
    assert response.model_spec.version.value == 2


@pytest.mark.parametrize("fields", [[], ["weights"]])
def test_metadata_of_another_kind_is_refused(contract_server, fields):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "cmml"
    code, _ = failure(contract_server.prediction.GetModelMetadata, request)
    assert code == Code.INVALID_ARGUMENT


def test_status_lists_versions_and_refuses_unknown_ones(contract_server):
    states = contract_server.states()
    assert states[1] == states[2] == ("AVAILABLE", 0, "")
    assert 3 not in states
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "cmml"
    request.model_spec.version.value = 1
    response = contract_server.models.GetModelStatus(request, timeout=20)
    assert [one.version for one in response.model_version_status] == [1]
    request.model_spec.version_label = "unheard_of"  # labels are ignored
    response = contract_server.models.GetModelStatus(request, timeout=20)
    assert [one.version for one in response.model_version_status] == [2, 1]
    request.model_spec.version.value = 9
    assert failure(contract_server.models.GetModelStatus, request)[0] == Code.NOT_FOUND
    request.model_spec.name = "unheard_of"
    assert failure(contract_server.models.GetModelStatus, request)[0] == Code.NOT_FOUND


def example(value=None):
    features = {}
    if value is not None:
        features["value"] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=features))


def sigmoid(value):
    return 1.0 / (1.0 + np.exp(-value))


def regression_request(signature="serving_tf_example"):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "cmml"
    request.model_spec.signature_name = signature
    return request


def test_regress_gives_one_value_an_example(contract_server):
    request = regression_request()
    request.input.example_list.examples.extend([example(0.0), example(2.0)])
    response = contract_server.prediction.Regress(request, timeout=20)
    values = [one.value for one in response.result.regressions]
    np.testing.assert_allclose(values, [2.25, 2.0 + 0.5 * sigmoid(2.0)], rtol=1e-6)
    assert response.model_spec.version.value == 2


def test_a_context_holds_for_each_example_that_does_not_say_otherwise(contract_server):
    request = regression_request()
    listed = request.input.example_list_with_context
    listed.context.CopyFrom(example(3.0))
    listed.examples.extend([example(), example(-1.0)])
    response = contract_server.prediction.Regress(request, timeout=20)
    values = [one.value for one in response.result.regressions]
    np.testing.assert_allclose(values, 2.0 + 0.5 * sigmoid(np.array([3.0, -1.0])), rtol=1e-6)


def test_regress_refuses_empty_input_and_other_signatures(contract_server):
    assert failure(contract_server.prediction.Regress, regression_request())[0] == (
        Code.INVALID_ARGUMENT
    )
    for signature in ("serving_default", "unheard_of"):
        request = regression_request(signature)
        request.input.example_list.examples.add()
        code, _ = failure(contract_server.prediction.Regress, request)
        assert code == Code.INVALID_ARGUMENT
    request = regression_request("slow")  # one input and outputs, under other names
    request.input.example_list.examples.add()
    code, _ = failure(contract_server.prediction.Regress, request)
    assert code in (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION)


def test_classify_gives_labels_and_scores(contract_server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "cmml"
    request.model_spec.signature_name = "classify"
    request.input.example_list.examples.append(example(0.0))
    response = contract_server.prediction.Classify(request, timeout=20)
    classes = response.result.classifications[0].classes
    assert [(one.label, one.score) for one in classes] == [("low", 0.75), ("high", 0.25)]


def inference_request(*signatures, method=REGRESS):
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.append(example(0.0))
    for signature in signatures:
        task = request.tasks.add(method_name=method)
        task.model_spec.name = "cmml"
        task.model_spec.signature_name = signature
    return request


def test_multi_inference_runs_a_task(contract_server):
    response = contract_server.prediction.MultiInference(
        inference_request("serving_tf_example"), timeout=20
    )
    (result,) = response.results
    assert result.model_spec.version.value == 2
    assert [one.value for one in result.regression_result.regressions] == [2.25]


@pytest.mark.parametrize(
    ("signatures", "method", "code"),
    [
        (["serving_tf_example"] * 2, REGRESS, Code.INVALID_ARGUMENT),
        (["unheard_of"], REGRESS, Code.INVALID_ARGUMENT),
        (["serving_tf_example"], "tensorflow/serving/predict", Code.UNIMPLEMENTED),
    ],
)
def test_multi_inference_refuses_repeated_and_unknown_tasks(
    contract_server, signatures, method, code
):
    request = inference_request(*signatures, method=method)
    assert failure(contract_server.prediction.MultiInference, request)[0] == code


def test_classify_on_a_regress_signature_is_refused(contract_server, is_real_server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "cmml"
    request.model_spec.signature_name = "serving_tf_example"
    request.input.example_list.examples.append(example(0.0))
    assert failure(contract_server.prediction.Classify, request)[0] == Code.INVALID_ARGUMENT
    inference = inference_request("serving_tf_example", method=CLASSIFY)
    code, _ = failure(contract_server.prediction.MultiInference, inference)
    # Builds of TensorFlow Serving differ.
    assert code == Code.FAILED_PRECONDITION or (is_real_server and code == Code.INVALID_ARGUMENT)


def test_health_is_serving(contract_server):
    stub = health_pb2_grpc.HealthStub(contract_server.channel)
    response = stub.Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_a_deadline_ends_the_call_and_not_the_server(contract_server, inputs):
    slow = {"steps": np.array([3000], np.int32)}
    assert failure(contract_server.predict, slow, "slow", timeout=0.2)[0] == Code.DEADLINE_EXCEEDED
    assert contract_server.predict(inputs).version == 2


def test_no_support_is_a_valid_request(contract_server, support_inputs, query_inputs):
    answer = contract_server.predict(support_inputs(S=1, length=0) | query_inputs(Q=1))
    assert np.all(np.isfinite(answer.outputs["score"]))
