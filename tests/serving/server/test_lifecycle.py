"""Versions that come and go, and the end of the process, on real sockets and processes."""

import http.client
import shutil
import signal
import threading
import time

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2

Code = grpc.StatusCode
CLIENTS = 8
QUICK = {"steps": np.array([1], np.int32)}


@pytest.fixture(scope="module")
def base_path(tmp_path_factory, tiny_model):
    folder = tmp_path_factory.mktemp("versions")
    tiny_model(folder, 1)
    return folder


@pytest.fixture(scope="module")
def server(start_server, base_path):
    return start_server(
        base_path,
        "--max_num_load_retries=0",
        "--grpc_channel_arguments=grpc.max_receive_message_length=1000000",
    )


class Load:
    """Clients that ask without pause and keep what they got."""

    def __init__(self, server, inputs):
        self._server = server
        self._inputs = inputs
        self._stop = threading.Event()
        self.failures = []
        self.mixed = []
        self.versions = set()
        self.count = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]

    def _run(self):
        while not self._stop.is_set():
            try:
                answer = self._server.predict(self._inputs)
            except grpc.RpcError as error:
                self.failures.append((error.code(), error.details()))
                continue
            if set(np.floor(answer.outputs["score"]).ravel()) != {answer.version}:
                self.mixed.append(answer)
            self.versions.add(answer.version)
            self.count += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_hot_swap_under_load_fails_no_request_and_mixes_no_versions(
    server, base_path, tiny_model, support_inputs, query_inputs
):
    with Load(server, support_inputs(B=2, S=8) | query_inputs(B=2, Q=20)) as load:
        for version in (2, 3):
            tiny_model(base_path, version)
            server.wait_for(version)
            server.wait_for(version - 1, "END")
            shutil.rmtree(base_path / str(version - 1))
            time.sleep(0.3)
    assert load.failures == []
    assert load.mixed == []
    assert load.versions == {1, 2, 3}
    assert load.count > 100


class Waiting:
    """Requests that are under way until told to end."""

    def __init__(self, server, folder, count=1):
        self._server = server
        self._file = folder / "end"
        self._path = {"path": np.array([str(self._file)])}
        self.answers = []
        self.failures = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def _ask(self):
        try:
            self.answers.append(self._server.predict(self._path, "wait", timeout=120))
        except grpc.RpcError as error:
            self.failures.append((error.code(), error.details()))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        time.sleep(0.5)  # by then they have reached the server, which cannot be asked
        assert self.failures == []
        return self

    def __exit__(self, *_):
        self._file.touch()
        for thread in self._threads:
            thread.join()


def test_a_request_under_way_finishes_on_the_version_it_began_with(
    server, base_path, tiny_model, tmp_path
):
    with Waiting(server, tmp_path) as waiting:
        tiny_model(base_path, 4)
        answer = server.predict(QUICK, "slow")
        end = time.monotonic() + 60
        while answer.version != 4 and time.monotonic() < end:
            answer = server.predict(QUICK, "slow")
        # The new version answers; its state says so once what began before is answered.
        assert answer.version == 4
        states = server.states()
        assert (states[4][0], states[3][0]) == ("LOADING", "AVAILABLE")
        assert waiting.answers == []
    (answer,) = waiting.answers
    assert answer.version == 3
    assert answer.outputs["version"].tolist() == [3.0]
    server.wait_for(4)
    server.wait_for(3, "END")


def test_removing_the_newest_version_rolls_back(server, base_path):
    shutil.rmtree(base_path / "4")
    server.wait_for(4, "END")
    assert server.predict(QUICK, "slow").version == 3


@pytest.mark.parametrize("damage", ["graph", "half_copied", "weights", "empty"])
def test_a_damaged_version_leaves_the_old_one_serving_and_says_why(
    server, base_path, support_inputs, query_inputs, damage
):
    version = {"graph": 10, "half_copied": 11, "weights": 12, "empty": 13}[damage]
    whole = base_path / "elsewhere" / str(version)
    shutil.copytree(base_path / "3", whole)
    if damage == "graph":
        (whole / "saved_model.pb").write_bytes(b"\x0a\xff\xff\xff garbage")
    elif damage == "weights":
        data = whole / "variables" / "variables.data-00000-of-00001"
        data.write_bytes(data.read_bytes()[:3])
    elif damage == "half_copied":
        shutil.rmtree(whole / "variables")
    else:
        (whole / "saved_model.pb").unlink()
    whole.rename(base_path / str(version))
    _, code, message = server.wait_for(version, "END")
    assert code != 0
    assert message
    answer = server.predict(support_inputs() | query_inputs())
    assert answer.version == 3
    shutil.rmtree(base_path / str(version))


def test_a_copy_that_is_completed_later_is_served(server, base_path, is_real_server):
    if is_real_server:
        pytest.skip("TensorFlow Serving does not look at a failed version again")
    (base_path / "20").mkdir()
    server.wait_for(20, "END")
    shutil.copytree(base_path / "3", base_path / "20", dirs_exist_ok=True)
    server.wait_for(20)
    server.wait_for(3, "END")


def test_an_oversized_request_is_refused_and_memory_stays_bounded(
    server, is_real_server, support_inputs, query_inputs
):
    inputs = support_inputs() | query_inputs()
    server.predict(inputs)
    before = resident_bytes(server)
    big = inputs | {"support_label": np.ones((1, 16_000_000), np.float32)}
    for _ in range(5):
        with pytest.raises(grpc.RpcError) as caught:
            server.predict(big)
        # Builds of TensorFlow Serving differ in whether they obey.
        refused = caught.value.code() == Code.RESOURCE_EXHAUSTED
        assert refused or (is_real_server and caught.value.code() == Code.INVALID_ARGUMENT)
    if not is_real_server:
        assert resident_bytes(server) - before < 64_000_000  # less than one of the five
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=20)
        connection.putrequest("POST", "/v1/models/cmml:predict")
        connection.putheader("Content-Length", "1000001")
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()
    assert server.predict(inputs).outputs["score"].shape == (1, 3)


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def reload_request(*models, platform="tensorflow"):
    request = model_management_pb2.ReloadConfigRequest()
    for name, path, labels in models:
        model = request.config.model_config_list.config.add(
            name=name, base_path=str(path), model_platform=platform
        )
        model.version_labels.update(labels)
    return request


def test_models_and_labels_change_by_reloading_the_configuration(
    server, base_path, tiny_model, tmp_path, support_inputs, query_inputs, is_real_server
):
    inputs = support_inputs() | query_inputs()
    current = server.predict(inputs).version
    tiny_model(tmp_path / "other", 1)
    reload = server.models.HandleReloadConfigRequest
    both = [("cmml", base_path, {"stable": current}), ("other", tmp_path / "other", {})]
    assert reload(reload_request(*both), timeout=60).status.error_code == 0
    assert server.predict(inputs, label="stable").version == current
    with pytest.raises(grpc.RpcError) as caught:
        reload(reload_request(("cmml", base_path, {"stable": 99})), timeout=60)
    assert caught.value.code() == Code.FAILED_PRECONDITION
    assert server.predict(inputs, label="stable").version == current
    with pytest.raises(grpc.RpcError) as caught:
        reload(model_management_pb2.ReloadConfigRequest(), timeout=60)
    assert caught.value.code() == Code.INVALID_ARGUMENT
    for wrong in (
        reload_request(("cmml", "models/cmml", {})),
        reload_request(("cmml", base_path, {}), platform="onnx"),
        reload_request(("cmml", base_path, {}), platform=""),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            reload(wrong, timeout=60)
        assert caught.value.code() == Code.INVALID_ARGUMENT
    assert server.predict(inputs).version == current


def test_killed_and_restarted_it_serves_again(server, support_inputs, query_inputs):
    inputs = support_inputs() | query_inputs()
    before = server.predict(inputs)
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    server.start()
    server.wait_for(before.version)
    after = server.predict(inputs)
    assert after.version == before.version
    np.testing.assert_array_equal(after.outputs["score"], before.outputs["score"])


def test_sigterm_answers_what_is_under_way_and_what_comes_may_be_tried_elsewhere(
    server, is_real_server, tmp_path
):
    """Clients ask elsewhere what is UNAVAILABLE, and do not repeat what is CANCELLED."""
    if is_real_server:
        pytest.skip("TensorFlow Serving drops requests on SIGTERM")
    codes = []

    def ask():
        while True:
            try:
                server.predict(QUICK, "slow")
                codes.append(Code.OK)
            except grpc.RpcError as error:
                codes.append(error.code())
                return

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    with Waiting(server, tmp_path, count=3) as waiting:
        for thread in threads:
            thread.start()
        while len(codes) < 100:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        while codes[-1] == Code.OK:
            time.sleep(0.01)
        assert server.process.poll() is None
        assert waiting.answers == []
    assert server.process.wait(30) == 0
    for thread in threads:
        thread.join()
    assert waiting.failures == []
    assert len(waiting.answers) == 3
    assert set(codes) == {Code.OK, Code.UNAVAILABLE}


@pytest.mark.slow
def test_sigterm_ends_the_process_though_a_computation_goes_on(start_server, tiny_model, tmp_path):
    tiny_model(tmp_path / "models", 1)
    server = start_server(tmp_path / "models")
    endless = {"steps": np.array([2**31 - 1], np.int32)}
    with pytest.raises(grpc.RpcError):
        server.predict(endless, "slow", timeout=1)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
