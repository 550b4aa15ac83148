"""The REST interface; runs against either server."""

import base64
import http.client
import json
import re
import urllib.error
import urllib.request

import numpy as np
import pytest


def call(url, body=None):
    """(HTTP status, JSON or text)."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=20) as response:
            status, content = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode(errors="replace")


@pytest.fixture
def columns(support_inputs, query_inputs):
    return {k: v.tolist() for k, v in (support_inputs(B=2) | query_inputs(B=2)).items()}


def test_column_form_keeps_the_names_of_outputs(contract_server, columns, support_inputs):
    status, answer = call(f"{contract_server.url}:predict", {"inputs": columns})
    assert status == 200
    assert set(answer["outputs"]) == {"score", "query_known", "user_known", "item_known", "valid"}
    expected = contract_server.predict(
        {k: np.array(v) for k, v in columns.items()}
        | {
            "support_label": np.array(columns["support_label"], np.float32),
            "support_length": np.array(columns["support_length"], np.int32),
        }
    ).outputs["score"]
    np.testing.assert_allclose(answer["outputs"]["score"], expected, rtol=1e-6)


def test_row_form_is_one_object_an_instance(contract_server, columns):
    instances = [{name: value[row] for name, value in columns.items()} for row in range(2)]
    status, rows = call(f"{contract_server.url}:predict", {"instances": instances})
    assert status == 200
    _, by_column = call(f"{contract_server.url}:predict", {"inputs": columns})
    assert [row["score"] for row in rows["predictions"]] == by_column["outputs"]["score"]


def test_a_signature_version_or_label_can_be_chosen(contract_server, columns):
    support = {name: value for name, value in columns.items() if name.startswith("support")}
    body = {"signature_name": "encode_context", "inputs": support}
    for path, version in (("/versions/1", 1), ("/labels/canary", 2)):
        status, answer = call(f"{contract_server.url}{path}:predict", body)
        assert status == 200
        assert answer["outputs"]["context"][0][0] == version


def test_a_single_input_and_output_need_no_names(contract_server):
    body = {"signature_name": "serving_tf_example", "instances": [{"b64": ""}, {"b64": ""}]}
    assert call(f"{contract_server.url}:predict", body) == (200, {"predictions": [2.25, 2.25]})


def test_text_and_base64_are_the_same_string(contract_server, columns):
    encoded = [
        [{"b64": base64.b64encode(one.encode()).decode()} for one in row]
        for row in columns["query_item_id"]
    ]
    plain = call(f"{contract_server.url}:predict", {"inputs": columns})
    assert (
        call(f"{contract_server.url}:predict", {"inputs": columns | {"query_item_id": encoded}})
        == plain
    )


def test_what_is_no_input_is_ignored_in_column_form_and_refused_in_row_form(
    contract_server, columns
):
    url = f"{contract_server.url}:predict"
    plain = call(url, {"inputs": columns})
    assert call(url, {"inputs": columns | {"stray": [1]}, "stray": {}}) == plain
    instances = [{name: value[0] for name, value in columns.items()} | {"stray": 1}]
    assert call(url, {"instances": instances})[0] == 400


def test_numbers_have_as_many_digits_as_a_float_needs_at_most_nine(contract_server):
    body = {"signature_name": "serving_tf_example", "examples": [{"value": 0.0}, {"value": 1.0}]}
    url = f"{contract_server.url}:regress"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=20) as response:
        written = re.findall(r"\d+\.\d+", response.read().decode())
    expected = np.float32(2.0) + np.float32(0.5) / (np.float32(1.0) + np.exp(np.float32(-1.0)))
    assert written[0] == "2.25"
    assert len(written[1].replace(".", "")) <= 9
    np.testing.assert_allclose(np.float32(written[1]), expected, rtol=1e-6)


def test_values_of_a_feature_are_of_one_kind(contract_server):
    url = f"{contract_server.url}:regress"
    for value in ([1, 2.5], [2.5, 1], ["a", 1], [None], [[1.0]], {"b65": ""}):
        body = {"signature_name": "serving_tf_example", "examples": [{"value": value}]}
        assert call(url, body)[0] == 400, value
    body = {
        "signature_name": "serving_tf_example",
        "examples": [{"value": 0.0, "other": [1, True]}],
    }
    assert call(url, body) == (200, {"results": [2.25]})


def test_regress_reads_examples_and_context(contract_server):
    body = {
        "signature_name": "serving_tf_example",
        "context": {"value": 0.0},
        "examples": [{}, {"value": [100.0]}],
    }
    status, answer = call(f"{contract_server.url}:regress", body)
    assert (status, answer) == (200, {"results": [2.25, 2.5]})


def test_classify_gives_pairs(contract_server):
    body = {"signature_name": "classify", "examples": [{"value": 0.0}]}
    status, answer = call(f"{contract_server.url}:classify", body)
    assert (status, answer) == (200, {"results": [[["low", 0.75], ["high", 0.25]]]})


def test_status_and_metadata(contract_server):
    status, answer = call(contract_server.url)
    assert status == 200
    assert {
        "version": "2",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    } in answer["model_version_status"]
    status, answer = call(f"{contract_server.url}/versions/1/metadata")
    assert status == 200
    assert answer["model_spec"]["version"] == "1"
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["support_label"]["dtype"] == "DT_FLOAT"


@pytest.mark.parametrize(
    ("suffix", "body", "status"),
    [
        ("_unheard_of", None, 404),
        ("/versions/9", None, 404),
        ("/versions/9:predict", {"inputs": {}}, 404),
        (":predict", None, 400),  # a GET
        (":PREDICT", {"inputs": {}}, 400),
        (":explain", {"inputs": {}}, 400),
        ("", {"inputs": {}}, 400),  # a POST
        ("/versions/one", None, 400),
        ("/versions/1/metadata/", None, 400),
        ("/versions/" + "9" * 5000, None, 400),
        ("/versions/9223372036854775808", None, 400),
        ("/labels/unheard_of/metadata", None, 400),
        (":predict", b"{not json", 400),
        (":predict", b"[]", 400),
        (":predict", b'{"inputs": {"query_user_id": ' + b"[" * 900 + b"]" * 900 + b"}}", 400),
        (":predict", b"[" * 100_000, 400),
        (":predict", b'{"inputs": {"support_length": [' + b"9" * 5000 + b"]}}", 400),
        (":predict", b'{"inputs": {"support_length": [' + b"9" * 3000 + b"]}}", 400),
        (":predict", b'{"inputs": {"query_user_id": [["\\ud800"]]}}', 400),
        (":predict", b'{"signature_name": "\\ud800", "inputs": {}}', 400),
        (":predict", b'{"signature_name": "\xff", "inputs": {}}', 400),
        (":regress", b'{"signature_name": "classify", "examples": [{"\\udfff": 1}]}', 400),
        (":predict", b'{"signature_name": "slow", "inputs": {"steps": [1]}, "x": 1e999}', 400),
        ("_unheard_of:regress", b'{"examples": [1]}', 400),
        (":regress", b'{"examples": [{"value": ' + b"9" * 3000 + b"}]}", 400),
        (":predict", {}, 400),
        (":predict", {"instances": []}, 400),
        (":predict", {"instances": [1]}, 400),
        (":predict", {"signature_name": 5, "inputs": {}}, 400),
        (":predict", {"signature_name": "unheard_of", "inputs": {}}, 400),
        (":regress", {"signature_name": "serving_tf_example", "examples": []}, 400),
    ],
)
def test_errors_are_json_with_the_status_of_their_code(
    contract_server, is_real_server, suffix, body, status
):
    received, answer = call(f"{contract_server.url}{suffix}", body)
    assert received == status
    # TensorFlow Serving quotes bytes that are no text, and says nothing of numbers too large.
    assert is_real_server or list(answer) == ["error"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("support_label", [["a"] * 4] * 2),
        ("support_length", [1.5, 2.5]),
        ("support_length", [True, 2]),
        ("support_label", [[True, 1.0, 1.0, 1.0]] * 2),
        ("support_label", [[None, 1.0, 1.0, 1.0]] * 2),
        ("support_label", [["1", 1.0, 1.0, 1.0]] * 2),
        ("support_length", [2**40, 1]),
        ("query_item_id", [["i1"], ["i1", "i2"]]),
        ("query_user_id", [[7, 8, 9]] * 2),
    ],
)
def test_a_wrong_value_is_refused_naming_the_input(
    contract_server, is_real_server, columns, name, value
):
    status, answer = call(f"{contract_server.url}:predict", {"inputs": columns | {name: value}})
    assert status == 400
    assert is_real_server or name in answer["error"]


def test_other_verbs_are_malformed_requests(contract_server):
    for verb in ("PUT", "DELETE", "HEAD"):
        connection = http.client.HTTPConnection("127.0.0.1", contract_server.rest_port, timeout=20)
        connection.request(verb, "/v1/models/cmml:predict", headers={"Content-Length": "0"})
        assert connection.getresponse().status == 400, verb
        connection.close()


def test_names_may_be_escaped_and_a_query_string_is_part_of_the_name(contract_server):
    assert call(f"{contract_server.url}?pretty=1")[0] == 404
    assert call(f"{contract_server.url}:predict?pretty=1", {"inputs": {}})[0] == 400
    host = f"http://127.0.0.1:{contract_server.rest_port}"
    assert call(f"{host}/v1/models/%63mml/labels/c%61nary/metadata")[0] == 200
    assert call(f"{host}/v1/models")[0] == 400


def test_a_connection_serves_many_requests(contract_server):
    connection = http.client.HTTPConnection("127.0.0.1", contract_server.rest_port, timeout=20)
    for _ in range(3):
        connection.request("GET", "/v1/models/cmml")
        assert connection.getresponse().read()
    connection.close()


def test_requests_are_counted_for_prometheus(contract_server):
    body = {"signature_name": "serving_tf_example", "instances": [{"b64": ""}]}
    assert call(f"{contract_server.url}:predict", body)[0] == 200
    call(f"{contract_server.url}:predict", {"inputs": {}})
    contract_server.predict({"steps": np.array([1], np.int32)}, "slow")
    host = f"http://127.0.0.1:{contract_server.rest_port}"
    status, text = call(f"{host}/monitoring/prometheus/metrics")
    assert status == 200
    assert ':tensorflow:serving:request_count{model_name="cmml"' in text
    for labels in ('API="predict",entrypoint="REST"', 'API="Predict",entrypoint="GRPC"'):
        assert f':tensorflow:serving:request_latency_count{{model_name="cmml",{labels}}}' in text
