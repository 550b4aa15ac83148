"""A real server process, versions for it, and requests to it."""

import collections
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, SMALL_POOLING, USER_IDS, filled_model
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from tiny_model import VERSION_FILE, TinyModel

from cmml_tf.serving.export import export_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """`tiny_model(base_path, version, id_dtype=tf.string)` puts a version in place, by renaming."""
    built = {}
    store = tmp_path_factory.mktemp("tiny_models")
    version_file = store / VERSION_FILE

    def place(base_path, version, id_dtype=tf.string):
        if id_dtype not in built:
            built[id_dtype] = store / id_dtype.name
            version_file.write_text("0\n")
            model = TinyModel(version_file, id_dtype)
            tf.saved_model.save(model, str(built[id_dtype]), signatures=model.signatures())
            # As in every export: without it TensorFlow Serving loads a version without weights.
            write_warmup(built[id_dtype], id_dtype)
        base_path = Path(base_path)
        base_path.mkdir(parents=True, exist_ok=True)
        beside = base_path / f"tmp-{version}"
        shutil.copytree(built[id_dtype], beside)
        (beside / "assets" / VERSION_FILE).write_text(f"{version}\n")
        beside.rename(base_path / str(version))
        return base_path / str(version)

    return place


def write_warmup(folder, id_dtype):
    ids = np.array([["u1"]]) if id_dtype == tf.string else np.array([[1]])
    inputs = {
        **dict.fromkeys(
            ["support_user_id", "support_item_id", "query_user_id", "query_item_id"], ids
        ),
        "support_label": np.ones((1, 1), np.float32),
        "support_length": np.ones(1, np.int32),
    }
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict_request("cmml", inputs))
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "assets.extra/tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())


def _ports():
    """Below those that outgoing connections get; each process of a test run begins elsewhere."""
    first, last = 20_000, 32_000
    port = first + os.getpid() * 97 % (last - first)
    while True:
        port = port + 1 if port < last else first
        with socket.socket() as listener:
            free = listener.connect_ex(("127.0.0.1", port)) != 0
        if free:
            yield port


PORTS = _ports()


class Server:
    """A server process and stubs that talk to it."""

    def __init__(self, command, environment, log_path, name):
        self.grpc_port, self.rest_port = next(PORTS), next(PORTS)
        self.name = name
        self._environment = environment
        self._log_path = log_path
        self._command = [
            *command,
            f"--port={self.grpc_port}",
            f"--rest_api_port={self.rest_port}",
        ]
        self.address = f"127.0.0.1:{self.grpc_port}"
        self.url = f"http://127.0.0.1:{self.rest_port}/v1/models/{name}"
        self.process = None
        self.channel = None

    def start(self):
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )
        self.channel = grpc.insecure_channel(
            self.address, options=[("grpc.max_send_message_length", -1)]
        )
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def log(self):
        return Path(self._log_path).read_text(errors="replace")

    def states(self):
        """Version -> (state, error code, error message); empty while nothing answers."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.name
        try:
            response = self.models.GetModelStatus(request, timeout=5)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
                return {}
            raise
        return {
            one.version: (
                get_model_status_pb2.ModelVersionStatus.State.Name(one.state),
                one.status.error_code,
                one.status.error_message,
            )
            for one in response.model_version_status
        }

    def wait_for(self, version, state="AVAILABLE", seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            states = self.states()
            if states.get(version, ("",))[0] == state:
                return states[version]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"version {version} is not {state}: {self.states()}\n{self.log()}")

    def connection(self):
        """A new connection to the REST port."""
        return socket.create_connection(("127.0.0.1", self.rest_port), timeout=60)

    def predict(self, inputs, signature="", timeout=20, **spec):
        """Outputs as arrays, with the version that answered under `version`."""
        response = self.prediction.Predict(
            predict_request(self.name, inputs, signature, **spec), timeout=timeout
        )
        outputs = {name: tf.make_ndarray(value) for name, value in response.outputs.items()}
        return Answer(outputs, response.model_spec.version.value)

    def stop(self, number=signal.SIGTERM):
        self.channel.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                return self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


Answer = collections.namedtuple("Answer", "outputs version")


def predict_request(name, inputs, signature="", *, version=None, label=None, outputs=()):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    request.output_filter.extend(outputs)
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.fixture(scope="session")
def build_predict_request():
    """`build_predict_request(name, inputs, signature="", version=, label=, outputs=)`."""
    return predict_request


@pytest.fixture(scope="session")
def engine_command(request):
    """The command that starts the server chosen with `--engine`."""
    engine, named = map(request.config.getoption, ("--engine", "--server-binary"))
    real = shutil.which(named or "tensorflow_model_server")
    if real is None and (named or engine == "tensorflow_model_server"):
        raise pytest.UsageError(f"No server to run: {named or 'none is on the PATH'}.")
    if named or (engine != "python" and real is not None):
        return [real]
    return [sys.executable, "-m", "cmml_tf.serving.server", "--engine=python"]


@pytest.fixture(scope="session")
def is_real_server(engine_command):
    """Whether TensorFlow Serving itself is under test."""
    return "cmml_tf.serving.server" not in engine_command


@contextlib.contextmanager
def server_starter(engine_command, log_path):
    running = []

    def start(base_path=None, *flags, name="cmml", wait_for=1):
        # A version that cannot be loaded ends the process at once, which `wait_for` notices.
        command = [*engine_command, "--max_num_load_retries=0", "--grpc_max_threads=32"]
        command += ["--file_system_poll_wait_seconds=1"]
        if base_path is not None:
            command += [f"--model_base_path={base_path}", f"--model_name={name}"]
        # Whatever stands around the tests: a request that waits leaves threads to others, and the
        # log, which tests read, is written.
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "4",
            "TF_CPP_MIN_LOG_LEVEL": "0",
        }
        # Each has its own: a test says what its server has loaded, and no other.
        log = log_path.with_name(f"{log_path.name}-{len(running)}")
        server = Server([*command, *flags], environment, log, name)
        server.start()
        running.append(server)
        if wait_for is not None:
            server.wait_for(wait_for, seconds=180)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def start_server(engine_command, tmp_path_factory):
    """`start_server(base_path, *flags)`: a `Server`, up with one version, stopped at module end."""
    with server_starter(engine_command, tmp_path_factory.mktemp("server") / "log") as start:
        yield start


@pytest.fixture(scope="session")
def contract_server(engine_command, tmp_path_factory, tiny_model):
    """A server that tests share and do not change.

    Model `cmml` serves versions 1 (label `stable`) and 2 (`canary`), not 3; `numbers` has int64
    ids.
    """
    folder = tmp_path_factory.mktemp("contract")
    for version in (1, 2, 3):
        tiny_model(folder / "cmml", version)
    tiny_model(folder / "numbers", 1, tf.int64)
    (folder / "models.config").write_text(
        f"""model_config_list {{
          config {{ name: "cmml" base_path: "{folder / "cmml"}" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 1 versions: 2 }} }}
            version_labels {{ key: "stable" value: 1 }}
            version_labels {{ key: "canary" value: 2 }} }}
          config {{ name: "numbers" base_path: "{folder / "numbers"}"
            model_platform: "tensorflow" }} }}"""
    )
    (folder / "monitoring.config").write_text("prometheus_config { enable: true }")
    with server_starter(engine_command, folder / "log") as start:
        server = start(
            None,
            f"--model_config_file={folder / 'models.config'}",
            f"--monitoring_config_file={folder / 'monitoring.config'}",
            "--allow_version_labels_for_unavailable_models=true",
            "--enable_grpc_healthcheck_service=true",
            wait_for=2,
        )
        server.wait_for(1)
        yield server


@pytest.fixture(scope="session")
def small_export(tmp_path_factory):
    """The version folder of a small model, which tests share and do not change."""
    base = tmp_path_factory.mktemp("small_export")
    return export_model(filled_model(SMALL_POOLING), base, USER_IDS, ITEM_IDS)


@pytest.fixture(scope="session")
def support_inputs():
    """`support_inputs(B, S, length=None, seed=0)`: the four support inputs, ids as strings."""

    def build(B=1, S=4, length=None, seed=0):
        rng = np.random.default_rng(seed)
        return {
            "support_user_id": np.char.add("u", rng.integers(0, 50, (B, S)).astype(str)),
            "support_item_id": np.char.add("i", rng.integers(0, 50, (B, S)).astype(str)),
            "support_label": rng.normal(size=(B, S)).astype(np.float32),
            "support_length": np.full(B, S if length is None else length, np.int32),
        }

    return build


@pytest.fixture(scope="session")
def query_inputs():
    """`query_inputs(B, Q, seed=0)`: the two query inputs, ids as strings."""

    def build(B=1, Q=3, seed=0):
        rng = np.random.default_rng(seed + 1000)
        return {
            "query_user_id": np.char.add("u", rng.integers(0, 50, (B, Q)).astype(str)),
            "query_item_id": np.char.add("i", rng.integers(0, 50, (B, Q)).astype(str)),
        }

    return build
