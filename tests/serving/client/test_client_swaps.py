"""The client while versions change, and over TLS."""

import shutil
import ssl
import subprocess
import threading
import urllib.request

import grpc
import numpy as np
import pytest

from cmml_tf.client import Client, ContextCache

TASK = (["u1", "u2"], ["i1", "i2"], [1.0, 0.0], ["u7", "u7"], ["i8", "i9"])
BATCH = tuple([values, values[::-1], values[:1]] for values in TASK)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(PEM key, PEM certificate) for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", folder / "key", "-out", folder / "certificate"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "key").read_text(), (folder / "certificate").read_text()


def test_cached_contexts_are_never_scored_by_another_version(
    start_server, tiny_model, tmp_path_factory
):
    base_path = tmp_path_factory.mktemp("swaps")
    tiny_model(base_path, 1)
    server = start_server(base_path)
    stop, wrong, failed, versions = threading.Event(), [], [], set()

    def ask(client, task):
        while not stop.is_set():
            try:
                answer = client.score(*task)
            except grpc.RpcError as error:
                failed.append(error)
                continue
            versions.add(answer.version)
            scores = answer.score if isinstance(answer.score, list) else [answer.score]
            if any(set(np.floor(score)) != {answer.version} for score in scores):
                wrong.append(answer)

    cache = ContextCache()
    with Client(server.address, "cmml", timeout=30, context_cache=cache) as client:
        client.wait_until_ready()
        threads = [
            threading.Thread(target=ask, args=(client, task)) for task in (TASK, BATCH, TASK, BATCH)
        ]
        for thread in threads:
            thread.start()
        for version in (2, 3):
            tiny_model(base_path, version)
            server.wait_for(version)
            server.wait_for(version - 1, "END")
            shutil.rmtree(base_path / str(version - 1))
        while 3 not in versions and not failed:
            stop.wait(0.05)
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        assert wrong == []
        assert versions == {1, 2, 3}
        assert client.score(*TASK).version == 3
        before = cache.hits
        client.score(*BATCH)
        assert cache.hits == before + 3


def test_calls_over_tls_with_metadata(
    start_server, tiny_model, certificate, tmp_path_factory, is_real_server
):
    key, pem = certificate
    base_path = tmp_path_factory.mktemp("secure")
    tiny_model(base_path, 1)
    config = base_path / "ssl.config"
    config.write_text(
        f'server_key: "{key}" server_cert: "{pem}" client_verify: false'.replace("\n", "\\n")
    )
    server = start_server(base_path, f"--ssl_config_file={config}", wait_for=None)
    target = f"localhost:{server.grpc_port}"
    credentials = grpc.ssl_channel_credentials(root_certificates=pem.encode())
    metadata = [("authorization", "Bearer abc")]
    with Client(target, "cmml", credentials=credentials, metadata=metadata, timeout=20) as client:
        client.wait_until_ready(60)
        assert client.score(*TASK).version == 1
    insecure = Client(target, "cmml", timeout=2, max_attempts=1)
    with insecure, pytest.raises(grpc.RpcError):
        insecure.score(*TASK)
    if is_real_server:  # whose REST has no TLS
        return
    # REST has TLS as gRPC has, and the log says where both listen.
    trusting = ssl.create_default_context(cadata=pem)
    url = f"https://localhost:{server.rest_port}/v1/models/cmml"
    with urllib.request.urlopen(url, context=trusting, timeout=20) as answer:
        assert b"AVAILABLE" in answer.read()
    assert f"gRPC listens on 127.0.0.1:{server.grpc_port}" in server.log()
    assert f"REST listens on https://127.0.0.1:{server.rest_port}" in server.log()
