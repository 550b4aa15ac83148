"""The reliability tests at length, on exports of CMML; `-m slow -s` prints the figures."""

import shutil
import signal
import sys
import threading

import grpc
import numpy as np
import pytest
from odd_requests import Sender, fuzz
from serving_cases import DIMENSION, ITEM_IDS, USERS, filled_model, request_by_id

from cmml_tf.config import ModelConfig
from cmml_tf.serving.export import export_model
from cmml_tf.serving.server.loading.servable import Servable

pytestmark = pytest.mark.slow
CLIENTS, VERSIONS, ODD_REQUESTS = 8, 6, 10_000
CONTEXT_WIDTH = 2 * DIMENSION
USER_IDS = [f"user {row}" for row in range(USERS)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Version -> folder, one model each; all of CMML-FiLM at its own size."""
    folder = tmp_path_factory.mktemp("exports")
    paths = {}
    for version in range(1, VERSIONS + 1):
        exported = export_model(
            filled_model(ModelConfig(), seed=version), folder, USER_IDS, ITEM_IDS
        )
        paths[version] = exported.rename(folder / f"kept-{version}")
    return paths


@pytest.fixture(scope="module")
def base_path(tmp_path_factory, exports):
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(exports[1], folder / "1")
    return folder


@pytest.fixture(scope="module")
def server(start_server, base_path):
    return start_server(base_path)


@pytest.fixture(scope="module")
def inputs():
    values = request_by_id(B=2, S=192, Q=20, user_ids=USER_IDS, item_ids=ITEM_IDS)
    return {
        name: np.char.encode(value, "utf-8").astype(object) if value.dtype.kind == "U" else value
        for name, value in values.items()
    }


@pytest.fixture(scope="module")
def expected(exports, inputs):
    """Version -> scores of the request, each computed alone in this process."""
    return {
        version: Servable("cmml", version, str(path), ["serve"]).run("", inputs)["score"]
        for version, path in exports.items()
    }


def resident_megabytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def say(text):
    sys.stdout.write(f"\n{text}\n")


def test_hot_swaps_under_load_fail_no_request_and_mix_no_versions(
    server, base_path, exports, inputs, expected
):
    stop, failures, mixed, answered = threading.Event(), [], [], dict.fromkeys(exports, 0)
    lock = threading.Lock()

    def ask():
        while not stop.is_set():
            try:
                answer = server.predict(inputs, timeout=60)
            except grpc.RpcError as error:
                failures.append((error.code(), error.details()))
                continue
            score = answer.outputs["score"]
            if not np.allclose(score, expected[answer.version], rtol=0, atol=1e-5):
                mixed.append(answer.version)
            with lock:
                answered[answer.version] += 1

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    memory = []
    for version in range(2, VERSIONS + 1):
        shutil.copytree(exports[version], base_path / "tmp-copy")
        (base_path / "tmp-copy").rename(base_path / str(version))
        server.wait_for(version)
        server.wait_for(version - 1, "END")
        shutil.rmtree(base_path / str(version - 1))
        memory.append(resident_megabytes(server))
        before = answered[version]
        while answered[version] < before + 20 and not failures:
            stop.wait(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    say(
        f"hot swap: {sum(answered.values())} answers by version {answered}, "
        f"{len(failures)} failed, {len(mixed)} mixed; MB after each swap: {memory}"
    )
    assert failures == []
    assert mixed == []
    assert all(answered.values())
    assert memory[-1] < 2 * memory[0]


def test_odd_requests_harm_nothing(server, inputs, expected):
    send = Sender(server)
    fuzz(send, ODD_REQUESTS, CONTEXT_WIDTH)
    say(f"fuzz: {sum(send.counts.values())} requests answered: {dict(send.counts)}")
    answer = server.predict(inputs)
    np.testing.assert_allclose(answer.outputs["score"], expected[answer.version], rtol=0, atol=1e-5)


def test_killed_and_restarted_it_answers_as_before(server, inputs, expected):
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    server.wait_for(VERSIONS)
    answer = server.predict(inputs)
    np.testing.assert_allclose(answer.outputs["score"], expected[VERSIONS], rtol=0, atol=1e-5)
    say("kill -9 and restart: the same scores")
