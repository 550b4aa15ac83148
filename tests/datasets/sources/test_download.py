"""Downloads against a server of the test's own: whole, broken off, damaged, and out of reach."""

import hashlib
import http.server
import io
import threading
import zipfile

import pytest

from cmml_tf.datasets.layouts import GROUPLENS_ARCHIVES
from cmml_tf.datasets.sources.download import download_movielens
from cmml_tf.datasets.sources.movielens import load_movielens


def _archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("ml-tiny/ratings.dat", "1::1::5::0\n" * 5000)
        file.writestr("ml-tiny/movies.dat", "1::Film (1999)::Drama\n")
    return content.getvalue()


class _Server(http.server.ThreadingHTTPServer):
    """Serves one archive; `break_after` cuts an answer short, `ranges` lists what was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = _archive()
        self.md5 = hashlib.md5(self.archive).hexdigest()
        self.break_after = None
        self.ignore_range = False
        self.ranges = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith(".md5"):
            self._answer(200, f"MD5 (ml-tiny.zip) = {self.server.md5}\n".encode())
            return
        if self.path != "/ml-tiny.zip":
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if wanted is None or self.server.ignore_range:
            self._answer(200, self.server.archive)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(self.server.archive):
            self._answer(416, b"")
        else:
            self._answer(206, self.server.archive[start:])

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.server.break_after if not self.path.endswith(".md5") else None
        self.wfile.write(body[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _download(server, folder, sha256=None):
    return download_movielens("ml-tiny", folder, server.url, {"ml-tiny": sha256})


@pytest.mark.parametrize("recorded", [True, False])
def test_download_is_checked_unpacked_and_cached(server, tmp_path, recorded):
    sha256 = hashlib.sha256(server.archive).hexdigest() if recorded else None
    folder = _download(server, tmp_path, sha256)
    assert len(load_movielens(folder).table) == 5000
    assert _download(server, tmp_path, sha256) == folder
    assert len(server.ranges) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml-tiny", "ml-tiny.zip"]


@pytest.mark.parametrize("ignore_range", [False, True])
def test_broken_download_goes_on_where_it_stopped(server, tmp_path, ignore_range):
    server.ignore_range = ignore_range
    server.break_after = 100
    with pytest.raises(ConnectionError, match=r"after 100 of .*Try again to go on"):
        _download(server, tmp_path)
    assert not (tmp_path / "ml-tiny").exists()
    server.break_after = None
    assert len(load_movielens(_download(server, tmp_path)).table) == 5000
    assert server.ranges == [None, "bytes=100-"]


def test_archive_that_had_arrived_is_not_asked_again(server, tmp_path):
    (tmp_path / "ml-tiny.zip.part").write_bytes(server.archive)
    assert _download(server, tmp_path).is_dir()


def test_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    with pytest.raises(ValueError, match=r"does not have the published checksum sha256:000"):
        _download(server, tmp_path, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_without_network_the_manual_steps_are_told(server, tmp_path):
    unreachable = "http://127.0.0.1:1"
    with pytest.raises(ConnectionError) as caught:
        download_movielens("ml-1m", tmp_path, unreachable)
    message = str(caught.value)
    assert "get http://127.0.0.1:1/ml-1m.zip" in message
    assert "--data path/to/ml-1m" in message
    with pytest.raises(ConnectionError, match="404"):
        download_movielens("ml-gone", tmp_path, server.url, {"ml-gone": "0" * 64})


def test_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ValueError, match="must be one of ml-100k, ml-1m, ml-20m"):
        download_movielens("ml-2m", tmp_path)
    assert all(known is None or len(known) == 64 for known in GROUPLENS_ARCHIVES.values())
