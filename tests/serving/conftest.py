"""A real server process, and small models whose answers tell which version gave them."""

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
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

VERSION_FILE = "version.txt"
CATALOGUE = 5
TOP_K = 3
CONTEXT = 4


class TinyModel(tf.Module):
    """The serving contract in a few lines.

    A score is the version, plus 0.5 * sigmoid(mean support label), plus a little that depends on
    query item and user, so its integer part is the version and requests cannot be confused. A
    context of another version scores -1. The version is read from an asset, so that one export
    becomes another version by changing a line.
    """

    def __init__(self, version_file, id_dtype):
        super().__init__()
        self.versions = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                tf.saved_model.Asset(str(version_file)).asset_path,
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            ),
            default_value="",
        )
        self.id_dtype = id_dtype

    @property
    def version(self):
        return tf.strings.to_number(self.versions.lookup(tf.constant(0, tf.int64)))

    def _number(self, ids, buckets):
        if self.id_dtype == tf.string:
            number = tf.strings.to_hash_bucket_fast(ids, buckets)
        else:
            number = tf.math.floormod(ids, buckets)
        return tf.cast(number, tf.float32) / buckets

    def _known(self, ids):
        if self.id_dtype == tf.string:
            return tf.strings.regex_full_match(ids, "[ui][0-9]{1,6}")
        return (ids >= 0) & (ids < 1_000_000)

    def encode(self, support_user_id, support_item_id, support_label, support_length):
        shape = tf.shape(support_label)
        checks = [
            tf.debugging.assert_equal(tf.shape(ids), shape, f"`{name}` must be as support_label.")
            for name, ids in (
                ("support_user_id", support_user_id),
                ("support_item_id", support_item_id),
            )
        ]
        checks += [
            tf.debugging.assert_equal(
                tf.shape(support_length)[0], shape[0], "`support_length` must have B rows."
            ),
            tf.debugging.assert_non_negative(
                support_length, "`support_length` must not be negative."
            ),
            tf.debugging.assert_less_equal(
                support_length, shape[1], "`support_length` must be at most S."
            ),
        ]
        with tf.control_dependencies(checks):
            mask = tf.sequence_mask(support_length, shape[1])
        label = tf.where(mask, support_label, tf.zeros_like(support_label))
        tf.debugging.assert_all_finite(label, "`support_label` must be finite.")
        count = tf.cast(tf.maximum(support_length, 1), tf.float32)
        known = mask & self._known(support_user_id) & self._known(support_item_id)
        support_known = tf.reduce_sum(tf.cast(known, tf.int32), axis=1)
        mean = tf.sigmoid(tf.reduce_sum(label / count[:, None], axis=1))
        context = tf.stack(
            [
                tf.fill(tf.shape(mean), self.version),
                mean,
                tf.cast(support_length, tf.float32),
                tf.cast(support_known, tf.float32),
            ],
            axis=1,
        )
        return context, support_known

    def apply(self, context, query_user_id, query_item_id):
        tf.debugging.assert_all_finite(context, "`context` must be finite.")
        checks = [
            tf.debugging.assert_equal(
                tf.shape(query_user_id), tf.shape(query_item_id), "`query_user_id` differs."
            ),
            tf.debugging.assert_equal(
                tf.shape(query_user_id)[0],
                tf.shape(context)[0],
                "`query_user_id` must have B rows.",
            ),
        ]
        with tf.control_dependencies(checks):
            score = context[:, :1] + 0.5 * context[:, 1:2] + 0.1 * self._number(query_item_id, 97)
        score += 0.01 * self._number(query_user_id, 89)
        score = tf.where(tf.equal(context[:, :1], self.version), score, -tf.ones_like(score))
        return score, self._known(query_user_id) & self._known(query_item_id)

    def signatures(self):
        def spec(name, *shape, dtype=self.id_dtype):
            return tf.TensorSpec(shape, dtype, name=name)

        support = {
            "support_user_id": spec("support_user_id", None, None),
            "support_item_id": spec("support_item_id", None, None),
            "support_label": spec("support_label", None, None, dtype=tf.float32),
            "support_length": spec("support_length", None, dtype=tf.int32),
        }
        query = {
            "query_user_id": spec("query_user_id", None, None),
            "query_item_id": spec("query_item_id", None, None),
        }

        def score(**inputs):
            context, _ = self.encode(**{name: inputs[name] for name in support})
            scores, known = self.apply(context, **{name: inputs[name] for name in query})
            return {"score": scores, "query_known": known}

        def encode(**inputs):
            context, known = self.encode(**inputs)
            return {"context": context, "support_known": known}

        def score_with_context(context, query_user_id, query_item_id):
            scores, known = self.apply(context, query_user_id, query_item_id)
            return {"score": scores, "query_known": known}

        def recommend(user_id, **inputs):
            context, _ = self.encode(**inputs)
            items = tf.range(CATALOGUE, dtype=tf.int64)
            items = (
                tf.strings.join(["i", tf.as_string(items)]) if self.id_dtype == tf.string else items
            )
            items = tf.tile(items[None, :], [tf.shape(context)[0], 1])
            users = tf.tile(user_id[:, None], [1, CATALOGUE])
            scores, _ = self.apply(context, users, items)
            best, where = tf.math.top_k(scores, TOP_K)
            return {"item_id": tf.gather(items, where, batch_dims=1), "score": best}

        def explain(**inputs):
            context, _ = self.encode(**{name: inputs[name] for name in support})
            scores, _ = self.apply(context, **{name: inputs[name] for name in query})
            return {
                "score": scores,
                "context": context,
                "scale_0": scores[:, :, None] * tf.ones([CONTEXT]),
                "shift_0": scores[:, :, None] + tf.ones([CONTEXT]),
            }

        def parse(inputs):
            features = {"value": tf.io.FixedLenFeature([], tf.float32, 0.0)}
            return 0.5 * tf.sigmoid(tf.io.parse_example(inputs, features)["value"])

        def regress(inputs):
            return {"outputs": self.version + parse(inputs)}

        def classify(inputs):
            high = parse(inputs)
            classes = tf.tile(tf.constant([["low", "high"]]), [tf.size(high), 1])
            return {"classes": classes, "scores": tf.stack([1.0 - high, high], axis=1)}

        def slow(steps):
            work = tf.eye(256)
            for _ in tf.range(tf.reduce_max(steps)):
                work = tf.linalg.matmul(work, work)
            return {"version": tf.fill(tf.shape(steps), self.version), "work": 0.0 * work[0, :1]}

        examples = {"inputs": tf.TensorSpec([None], tf.string, name="inputs")}
        wanted = {
            "serving_default": (score, support | query),
            "encode_context": (encode, support),
            "score_with_context": (
                score_with_context,
                {"context": spec("context", None, CONTEXT, dtype=tf.float32)} | query,
            ),
            "recommend": (recommend, support | {"user_id": spec("user_id", None)}),
            "explain": (explain, support | query),
            "serving_tf_example": (regress, examples),
            "classify": (classify, examples),
            "slow": (slow, {"steps": spec("steps", None, dtype=tf.int32)}),
        }
        return {
            name: tf.function(function).get_concrete_function(**specs)
            for name, (function, specs) in wanted.items()
        }


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
        base_path = Path(base_path)
        base_path.mkdir(parents=True, exist_ok=True)
        beside = base_path / f"tmp-{version}"
        shutil.copytree(built[id_dtype], beside)
        (beside / "assets" / VERSION_FILE).write_text(f"{version}\n")
        beside.rename(base_path / str(version))
        return base_path / str(version)

    return place


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server process and stubs that talk to it."""

    def __init__(self, command, environment, log_path, name):
        self.grpc_port, self.rest_port = free_port(), free_port()
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
    engine = request.config.getoption("--engine")
    real = shutil.which("tensorflow_model_server")
    if engine == "tensorflow_model_server" and real is None:
        raise pytest.UsageError("--engine=tensorflow_model_server needs it on the PATH.")
    if engine != "python" and real is not None:
        return [real, "--max_num_load_retries=0"]
    return [sys.executable, "-m", "cmml_tf.serving.server", "--engine=python"]


@pytest.fixture(scope="session")
def is_real_server(engine_command):
    """Whether TensorFlow Serving itself is under test."""
    return "cmml_tf.serving.server" not in engine_command


@contextlib.contextmanager
def server_starter(engine_command, log_path):
    running = []

    def start(base_path=None, *flags, name="cmml", wait_for=1):
        command = [*engine_command, "--file_system_poll_wait_seconds=1", "--grpc_max_threads=32"]
        if base_path is not None:
            command += [f"--model_base_path={base_path}", f"--model_name={name}"]
        threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
        server = Server([*command, *flags], os.environ | threads, log_path, name)
        server.start()
        running.append(server)
        if wait_for is not None:
            server.wait_for(wait_for)
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
