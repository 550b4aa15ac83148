"""Sockets of the REST interface: what is refused unread, and what is bounded."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import time

import pytest

from cmml_tf.serving.server.http.http_server import HttpServer
from cmml_tf.serving.server.loading.config_files import read_ssl_config
from cmml_tf.serving.server.tls import http_context

POST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\n"


def echo(verb, path, body):
    return 200, "text/plain", f"{verb} {path} {len(body)}".encode()


@contextlib.contextmanager
def serving(answer=echo, **options):
    settings = {"max_body_bytes": 1000, "num_threads": 4} | options
    server = HttpServer("127.0.0.1", 0, answer, **settings)
    server.start()
    yield server.port
    server.stop(5)


@pytest.fixture(scope="module")
def port():
    with serving() as port:
        yield port


def reply_to(port, *parts, timeout=20):
    """Everything that comes back; the connection stays open on this side until the other ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while b"200 OK" not in received and (chunk := connection.recv(65536)):
                received += chunk
        return received


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (POST + b"Content-Length: -3\r\n\r\n", 400),
        (POST + b"Content-Length: three\r\n\r\n", 400),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length : 3\r\n\r\nabc", 400),
        (POST + b"Content-Length 3\r\n\r\nabc", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (POST + b"\r\n", 411),
        (POST + b"Content-Length: 1001\r\n\r\n", 413),
        (POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"GET /v1/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"BREW /v1/x HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/x HTTP/9.9.9\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/x HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /v1/x HTTP/1.1\r\n" + b"A: a\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_can_be_read_in_two_ways_or_not_at_all_is_refused(port, request_bytes, status):
    received = reply_to(port, request_bytes)
    assert f" {status} ".encode() in received.partition(b"\r\n")[0] + b" "
    assert received.count(b"HTTP/1.1 ") == 1
    assert b'"error"' in received


def test_a_request_in_order_is_answered(port):
    assert reply_to(port, POST + b"Content-Length: 3\r\n\r\nabc").endswith(b"POST /v1/x 3")
    assert b"GET /v1/x?y 0" in reply_to(port, b"GET /v1/x?y HTTP/1.1\r\nContent-Length: 0\r\n\r\n")


def test_a_request_that_trickles_is_given_up():
    with serving(request_seconds=0.5) as port:
        assert reply_to(port, POST + b"Content-Length: 3\r\n\r\na").startswith(b"HTTP/1.1 408")
        assert reply_to(port, b"GET ") == b""
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            began = time.monotonic()
            with contextlib.suppress(OSError):  # until the other side has given up
                while time.monotonic() - began < 20:
                    connection.sendall(b"a")
                    time.sleep(0.1)
            assert time.monotonic() - began < 20


def test_silent_connections_give_way_to_new_ones():
    with serving(max_connections=4) as port, contextlib.ExitStack() as open_ones:
        silent = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(8)
        ]
        assert b"200 OK" in reply_to(port, b"GET /v1/x HTTP/1.1\r\n\r\n")
        assert silent[0].recv(1) == b""  # the one that had waited longest


def test_bodies_are_bounded_together():
    with serving(body_bytes=1000) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(POST + b"Content-Length: 600\r\n\r\n" + b"a" * 599)
            end = time.monotonic() + 20
            received = b""
            while b"503" not in received:  # until the first one has been read
                assert time.monotonic() < end, "bodies are not bounded"
                received = reply_to(port, POST + b"Content-Length: 500\r\n\r\n" + b"a" * 500)
            connection.sendall(b"a")
            assert b"200 OK" in connection.recv(65536)
        assert b"200 OK" in reply_to(port, POST + b"Content-Length: 500\r\n\r\n" + b"a" * 500)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two pairs of (key file, certificate file) for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("own", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            ],
            check=True,
            capture_output=True,
        )
    return folder


def ssl_config(folder, key, certificate):
    texts = {"server_key": key, "server_cert": certificate}
    lines = [
        f'{field}: "{(folder / file).read_text()}"'.replace("\n", "\\n")
        for field, file in texts.items()
    ]
    (folder / "ssl.config").write_text("\n".join(lines))
    return read_ssl_config(str(folder / "ssl.config"))


def test_with_certificates_it_speaks_tls_and_nothing_else(certificates):
    context = http_context(ssl_config(certificates, "own.key", "own.pem"))
    with serving(tls=context) as port:
        trusting = ssl.create_default_context(cafile=certificates / "own.pem")
        connection = http.client.HTTPSConnection("localhost", port, context=trusting, timeout=20)
        for _ in range(2):
            connection.request("POST", "/v1/x", b"abc")
            assert connection.getresponse().read() == b"POST /v1/x 3"
        connection.close()
        assert b"HTTP" not in reply_to(port, b"GET /v1/x HTTP/1.1\r\n\r\n")


def test_a_key_of_another_certificate_is_said_to_be_one(certificates):
    config = ssl_config(certificates, "other.key", "own.pem")
    with pytest.raises(ValueError, match="a key and its own certificate"):
        http_context(config)
