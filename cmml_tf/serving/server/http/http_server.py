"""HTTP/1.1 on sockets, bounded in time, memory and number of connections.

What is answered is decided elsewhere (`rest.RestApi`); this file reads requests, refuses what could
be read in two ways, and writes answers.
"""

import io
import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from email.errors import MissingHeaderBodySeparatorDefect
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cmml_tf.serving.server.batches.budget import Budget
from cmml_tf.serving.server.status import ServingError

_log = logging.getLogger(__name__)

Answer = Callable[[str, str, bytes], tuple[int, str, bytes]]
"""(verb, path, body) -> HTTP status, content type, body."""

REQUEST_SECONDS = 60.0
BODY_BYTES = 256 * 1024 * 1024
MAX_CONNECTIONS = 512
_JSON = "application/json"
_DIGITS = 18


class HttpServer:
    """An HTTP server in threads of its own.

    Beyond `max_connections` a new connection takes the place of the one that has waited longest for
    its request, so that silent ones lock nobody out.

    Args:
      host: Address to listen on.
      port: TCP port; 0 chooses a free one.
      answer: What answers.
      max_body_bytes: Larger bodies are refused unread.
      num_threads: Requests worked on at a time; the others wait.
      tls: Certificates; None for plain HTTP.
      request_seconds: How long a whole request may take to arrive, and a connection may wait for
        one.
      body_bytes: Bodies of all requests at a time; one that would exceed them is refused.
      max_connections: Connections at a time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        answer: Answer,
        *,
        max_body_bytes: int,
        num_threads: int,
        tls: ssl.SSLContext | None = None,
        request_seconds: float = REQUEST_SECONDS,
        body_bytes: int = BODY_BYTES,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._requests = _Requests(answer, num_threads)
        self._server = _ThreadingServer(
            (host, port),
            _Handler,
            requests=self._requests,
            max_body_bytes=min(max_body_bytes, body_bytes),
            tls=tls,
            request_seconds=request_seconds,
            bodies=Budget(body_bytes, "Bodies of requests"),
            max_connections=max_connections,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="rest", daemon=True)

    @property
    def port(self) -> int:
        """The port in use."""
        return self._server.server_address[1]

    def start(self) -> None:
        """Begins to accept connections."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Accepts nothing more and waits for requests under way, at most `grace_seconds`."""
        self._server.shutdown()
        self._requests.wait(grace_seconds)
        self._server.server_close()


class _Requests:
    """Counts requests under way, and lets a few work at a time."""

    def __init__(self, answer: Answer, num_threads: int) -> None:
        self._answer = answer
        self._busy = threading.Semaphore(num_threads)
        self._unanswered = 0
        self._changed = threading.Condition()

    def run(
        self, verb: str, path: str, body: bytes, reply: Callable[[int, str, bytes], None]
    ) -> None:
        with self._changed:
            self._unanswered += 1
        try:
            with self._busy:
                answered = self._answer(verb, path, body)
            reply(*answered)
        finally:
            with self._changed:
                self._unanswered -= 1
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._unanswered, timeout=seconds)


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        requests: _Requests,
        max_body_bytes: int,
        tls: ssl.SSLContext | None,
        request_seconds: float,
        bodies: Budget,
        max_connections: int,
    ) -> None:
        self.requests = requests
        self.max_body_bytes = max_body_bytes
        self.tls = tls
        self.request_seconds = request_seconds
        self.bodies = bodies
        self._max_connections = max_connections
        self._lock = threading.Lock()
        # Sockets as accepted -> as used, those that wait for a request in order of waiting.
        self._waiting: dict[socket.socket, socket.socket] = {}
        self._answering: dict[socket.socket, socket.socket] = {}
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._waiting) + len(self._answering) >= self._max_connections
            oldest = next(iter(self._waiting), None) if full else None
            evicted = None if oldest is None else self._waiting.pop(oldest)
            if not full or evicted is not None:
                self._waiting[request] = request
        if evicted is not None:
            _shut(evicted)
        elif full:
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def uses(self, accepted: socket.socket, used: socket.socket) -> None:
        """A connection speaks through another socket, over TLS."""
        with self._lock:
            if accepted in self._waiting:
                self._waiting[accepted] = used
            else:
                _shut(used)

    def begins(self, accepted: socket.socket) -> bool:
        """A request has arrived; False when the connection was given up meanwhile."""
        with self._lock:
            used = self._waiting.pop(accepted, None)
            if used is not None:
                self._answering[accepted] = used
            return used is not None

    def ends(self, accepted: socket.socket) -> None:
        """A request is answered."""
        with self._lock:
            used = self._answering.pop(accepted, None)
            if used is not None:
                self._waiting[accepted] = used

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._waiting.pop(request, None)
            self._answering.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        _log.debug("connection of %s ended", client_address, exc_info=True)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        _log.debug("a connection had ended before it was given up")


class _TimedReader(io.RawIOBase):
    """Reads a socket; a request that takes too long raises TimeoutError, however it trickles."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._end = 0.0
        self.restart()

    def restart(self) -> None:
        """Time for the next request begins, to wait for it first."""
        self._begun = False
        self._end = time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("The request took too long to arrive.")
        self._connection.settimeout(remaining)
        count = self._connection.recv_into(buffer)
        if not self._begun:
            self._begun = True
            self._end = time.monotonic() + self._seconds
        return count


class _Handler(BaseHTTPRequestHandler):
    server: _ThreadingServer
    protocol_version = "HTTP/1.1"
    server_version = "cmml_tf"
    sys_version = ""
    wbufsize = -1  # one packet for headers and body
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self._accepted = self.request
        if self.server.tls is not None:
            # The handshake comes with the first read, in this thread and within its time.
            self.request = self.server.tls.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
            self.server.uses(self._accepted, self.request)
        super().setup()
        self.rfile.close()
        self._reader = _TimedReader(self.connection, self.server.request_seconds)
        self.rfile = io.BufferedReader(self._reader)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            if self.connection is not self._accepted:
                self.connection.close()

    def handle_one_request(self) -> None:
        self._reader.restart()
        super().handle_one_request()

    def _serve(self) -> None:
        refusal = self._refusal()
        if refusal is not None:
            self._refuse(*refusal)
            return
        length = int(self.headers.get("Content-Length", "0"))
        try:
            with self.server.bodies.lend(length):
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True
                elif self.server.begins(self._accepted):
                    self._run(body)
                else:
                    self.close_connection = True
        except ServingError as error:
            self._refuse(503, error.message)
        except TimeoutError:
            self._refuse(408, "The request took too long to arrive.")

    def _run(self, body: bytes) -> None:
        try:
            self.server.requests.run(self.command, self.path, body, self._reply)
        finally:
            self.server.ends(self._accepted)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _serve  # noqa: N815

    def _refusal(self) -> tuple[int, str] | None:
        """Why a request is not read: what proxies may read otherwise, or is too large."""
        names = [name for name in self.headers if name != name.strip()]
        broken = any(
            isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects
        )
        if names or broken:
            return 400, "A header must be a name, a colon at once, and a value."
        lengths = self.headers.get_all("Content-Length", [])
        encodings = self.headers.get_all("Transfer-Encoding", [])
        if len(lengths) > 1:
            return 400, f"A request has one Content-Length. Received: {len(lengths)}."
        if lengths and encodings:
            return 400, "A request has a Content-Length or a Transfer-Encoding, not both."
        if lengths and not (lengths[0].isascii() and lengths[0].isdigit()):
            return 400, "Content-Length must be a number."
        if (lengths and len(lengths[0]) > _DIGITS) or int(*lengths) > self.server.max_body_bytes:
            return 413, (
                f"A body has at most {self.server.max_body_bytes} bytes. "
                f"Received: {lengths[0][: _DIGITS + 1]}."
            )
        if self.command in ("GET", "HEAD") and (encodings or int(*lengths)):
            return 400, f"A {self.command} request has no body."
        if encodings or (self.command == "POST" and not lengths):
            return 411, "A request needs a Content-Length."
        return None

    def _refuse(self, status: int, message: str) -> None:
        # The body is not read, so the connection cannot be used again.
        self.close_connection = True
        self._reply(status, _JSON, json.dumps({"error": message}).encode())

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self.connection.settimeout(self.server.request_seconds)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Requests that cannot be read; verbs unheard of are malformed requests."""
        del explain
        # What was not read has its defaults: an answer without status line for HTTP/0.9.
        self.command = getattr(self, "command", None) or ""
        self.request_version = self.protocol_version
        self._refuse(400 if code == 501 else code, f"Malformed request: {message or code}")

    def log_message(self, message: str, *values: Any) -> None:
        _log.debug(message, *values)
