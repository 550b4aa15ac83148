"""Merged requests on a real server answer as each alone; its configuration file is read again."""

import threading
import time

import grpc
import numpy as np
import pytest

from cmml_tf.client import Client

CLIENTS, TURNS = 8, 30


@pytest.fixture(scope="module")
def base_path(tiny_model, tmp_path_factory):
    base_path = tmp_path_factory.mktemp("batched")
    tiny_model(base_path, 1)
    (base_path / "batching.config").write_text(
        "max_batch_size { value: 16 } batch_timeout_micros { value: 2000 } "
        "num_batch_threads { value: 1 } max_enqueued_batches { value: 100 } "
        "pad_variable_length_inputs: true"
    )
    return base_path


def write_config(base_path, labels=""):
    """Written beside its place, so that no server reads half of it."""
    beside = base_path / "new.config"
    beside.write_text(
        f'model_config_list {{ config {{ name: "cmml" base_path: "{base_path}" '
        f'model_platform: "tensorflow" {labels} }} }}'
    )
    beside.rename(base_path / "models.config")


@pytest.fixture(scope="module")
def server(start_server, base_path):
    write_config(base_path)
    return start_server(
        None,
        "--enable_batching=true",
        f"--batching_parameters_file={base_path / 'batching.config'}",
        f"--model_config_file={base_path / 'models.config'}",
        "--model_config_file_poll_wait_seconds=1",
    )


def test_scores_do_not_depend_on_what_a_request_is_merged_with(
    server, contract_server, support_inputs, query_inputs
):
    rng = np.random.default_rng(5)
    wrong, padded = [], []

    def ask(lengths):
        for B, S, Q, cut in lengths:
            inputs = support_inputs(B, S, min(S, cut), seed=S) | query_inputs(B, Q, seed=Q)
            alone = contract_server.predict(inputs, version=1).outputs
            merged = server.predict(inputs).outputs
            padded.append(merged["score"].shape[1] > Q)
            if not np.allclose(merged["score"][:, :Q], alone["score"], rtol=1e-6):
                wrong.append((B, S, Q))
            if not np.array_equal(merged["query_known"][:, :Q], alone["query_known"]):
                wrong.append((B, S, Q))

    threads = [
        threading.Thread(target=ask, args=(rng.integers(1, 7, (TURNS, 4)).tolist(),))
        for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert any(padded), "no request was merged with a longer one"


def test_a_caller_with_wrong_labels_harms_nobody_it_is_merged_with(
    server, support_inputs, query_inputs
):
    good = support_inputs(S=3) | query_inputs(Q=2)
    bad = good | {"support_label": np.full((1, 3), np.nan, np.float32)}
    merged, alone, failures = [], [], []
    ended = threading.Event()

    def ask_wrongly():
        while not ended.is_set():
            try:
                outputs = server.predict(bad).outputs
            except grpc.RpcError as error:
                alone.append(error.code())
                continue
            assert not outputs["valid"].any()
            assert np.isnan(outputs["score"]).all()
            merged.append(outputs)

    def ask():
        for _ in range(TURNS):
            try:
                outputs = server.predict(good).outputs
            except grpc.RpcError as error:
                failures.append(error)
                continue
            if not (outputs["valid"].all() and np.isfinite(outputs["score"]).all()):
                failures.append(outputs)

    wrong = threading.Thread(target=ask_wrongly)
    callers = [threading.Thread(target=ask) for _ in range(CLIENTS - 1)]
    for thread in (wrong, *callers):
        thread.start()
    for thread in callers:
        thread.join()
    ended.set()
    wrong.join()
    assert failures == []
    assert set(alone) <= {grpc.StatusCode.INVALID_ARGUMENT}
    assert merged, "the wrong request was never merged with another"


def test_the_client_cuts_padding_off(server):
    lengths, wrong = list(range(1, 9)), []

    def ask(client, length):
        users = [f"u{position}" for position in range(length)]
        for _ in range(TURNS):
            answer = client.score(users, users, [1.0] * length, users, users)
            if len(answer.score) != length or len(answer.query_known) != length:
                wrong.append(length)

    with Client(server.address, "cmml", timeout=30) as client:
        threads = [threading.Thread(target=ask, args=(client, length)) for length in lengths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_more_rows_than_a_batch_are_refused(server, support_inputs, query_inputs):
    assert server.predict(support_inputs(16) | query_inputs(16)).outputs["score"].shape[0] == 16
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(support_inputs(17) | query_inputs(17))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "larger than maximum" in caught.value.details()


def test_unequal_rows_are_refused(server, support_inputs, query_inputs):
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(support_inputs(2) | query_inputs(3))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_the_configuration_file_is_read_again(server, base_path, support_inputs, query_inputs):
    inputs = support_inputs() | query_inputs()
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(inputs, label="stable")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    write_config(base_path, 'version_labels { key: "stable" value: 1 }')
    end, version = time.monotonic() + 60, None
    while version is None and time.monotonic() < end:
        try:
            version = server.predict(inputs, label="stable").version
        except grpc.RpcError:
            time.sleep(0.1)
    assert version == 1
