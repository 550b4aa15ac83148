"""One command line starts the server, in README, docs, Dockerfile and manifest alike."""

import json
import re
import shlex
import urllib.request
from pathlib import Path

import grpc
import pytest
import yaml

from cmml_tf.client import Client
from cmml_tf.serving.server.flags import parse_flags

ROOT = Path(__file__).parents[3]
EXPORT = ROOT / "export"
SERVER = "tensorflow_model_server"
PATHS = {
    "$PWD/export/monitoring.config": "/config/monitoring.config",
    "$PWD/export": "/models/cmml",
}


def commands_in_text(path):
    """Command lines in the code blocks of a page, continued lines joined."""
    text = path.read_text().replace("\\\n", " ")
    lines = re.findall(rf"^ *{SERVER} +(--.*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def command_of_image():
    text = (EXPORT / "Dockerfile").read_text().replace("\\\n", " ")
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    server, *arguments = json.loads(entry)
    assert server == SERVER
    return arguments


def container():
    documents = list(yaml.safe_load_all((EXPORT / "kubernetes.yaml").read_text()))
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def command_of_pod():
    assert container()["command"] == [SERVER]
    return container()["args"]


def as_in_container(arguments):
    """The same arguments with the paths of the container."""
    changed = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        changed.append(f"{name}={PATHS.get(value, value)}")
    return changed


def test_it_is_the_same_everywhere():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = {str(page.relative_to(ROOT)): commands_in_text(page) for page in pages}
    assert len(found["README.md"]) == 1
    assert len(found["docs/serving.md"]) == 1
    expected = command_of_image()
    assert command_of_pod() == expected
    for page, commands in found.items():
        for arguments in commands:
            assert as_in_container(arguments) == expected, page


def test_the_development_server_takes_it_and_batching_is_off():
    flags = parse_flags(command_of_image())
    assert not flags.enable_batching
    assert flags.rest_api_port == 8501
    assert flags.tensorflow_intra_op_parallelism == 1
    assert flags.grpc_max_threads == 64


def test_the_image_has_the_files_where_the_command_looks():
    copied = re.search(r"^COPY (.*) (/config/)$", (EXPORT / "Dockerfile").read_text(), re.M)
    files = {f"{copied[2]}{name}" for name in copied[1].split()}
    assert all((EXPORT / Path(name).name).is_file() for name in files)
    named = set(re.findall(r"/config/[\w.]+", read_all_of_export()))
    assert named <= files
    mounts = [mount["mountPath"] for mount in container()["volumeMounts"]]
    assert mounts == ["/models/cmml"]  # and nothing hides /config


def read_all_of_export():
    return "".join((EXPORT / name).read_text() for name in ("Dockerfile", "kubernetes.yaml"))


@pytest.fixture(scope="module")
def server(start_server, tiny_model, tmp_path_factory):
    """Started with the recommended line, but for ports, which tests must not share."""
    base_path = tmp_path_factory.mktemp("recommended")
    tiny_model(base_path, 1)
    own = {
        "--model_base_path": str(base_path),
        "--monitoring_config_file": str(EXPORT / "monitoring.config"),
    }
    line = (argument.partition("=") for argument in command_of_image())
    flags = [f"{name}={own.get(name, value)}" for name, _, value in line]
    return start_server(None, *(flag for flag in flags if "port=" not in flag))


def test_it_answers_over_grpc_and_rest_and_reports_metrics(server):
    with Client(server.address, "cmml", timeout=20) as client:
        assert client.score(["u1"], ["i1"], [1.0], ["u7"], ["i8"]).version == 1
    address = f"http://127.0.0.1:{server.rest_port}"
    for path in ("/v1/models/cmml", "/monitoring/prometheus/metrics"):
        with urllib.request.urlopen(address + path, timeout=20) as response:
            assert response.status == 200


def test_a_request_beyond_the_message_limit_is_refused(server, is_real_server):
    if is_real_server:
        pytest.skip("not every build of TensorFlow Serving obeys grpc.max_receive_message_length")
    ids = [f"u{number}" for number in range(400_000)]
    with Client(server.address, "cmml", timeout=60) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.score(["u1"], ["i1"], [1.0], ids, ids)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in caught.value.details()
