"""Versions of models: found on disk, loaded beside those in use, swapped, and let go.

A new version takes requests once it is loaded and warmed up. As in TensorFlow Serving its state
says so later: when all requests are answered that began before. Until then it reads LOADING, the
old version AVAILABLE, and nothing else is loaded or let go. The old version is let go then, and
kept in memory until the requests that began on it are answered.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from cmml_tf.serving.server.loading.model_config_rules import ModelConfig, checked_models
from cmml_tf.serving.server.loading.model_states import ModelState, State, VersionState
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.loading.version_policy import (
    aspired_versions,
    fingerprint,
    versions_on_disk,
)
from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    code_of_number,
    failed_precondition,
    invalid_argument,
    not_found,
)

_log = logging.getLogger(__name__)

Load = Callable[[str, int, str], Servable]
"""(model name, version, path) -> a version ready to answer."""


@dataclasses.dataclass
class _Publication:
    """A version that answers already and is AVAILABLE once earlier requests are answered."""

    model: ModelState
    version: VersionState
    earlier: set[object]


class ModelManager:
    """All models of a server."""

    def __init__(
        self,
        load: Load,
        *,
        max_load_retries: int = 5,
        retry_seconds: float = 60.0,
        labels_may_wait: bool = False,
    ):
        """Knows no model yet: `configure`, then `refresh` now and then.

        Args:
          load: Loads and warms up one version.
          max_load_retries: Further tries of a version that failed and did not change since.
          retry_seconds: Pause between these.
          labels_may_wait: Accept labels of versions that are not loaded.
        """
        self._load = load
        self._max_load_retries = max_load_retries
        self._retry_seconds = retry_seconds
        self._labels_may_wait = labels_may_wait
        self._models: dict[str, ModelState] = {}
        self._lock = threading.Lock()  # guards all state; never held while loading
        self._published = threading.Condition(self._lock)
        self._publication: _Publication | None = None
        self._under_way: set[object] = set()
        self._passed_over: set[str] = set()
        self._changing = threading.RLock()  # one refresh or configuration at a time
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """The version a request asks for, kept loaded until the block ends.

        Raises:
          ServingError: NOT_FOUND for a model or version that is not served, INVALID_ARGUMENT for an
            empty name or an unknown label.
        """
        request = object()
        with self._lock:
            version, servable = self._find(spec)
            version.users += 1
            self._under_way.add(request)
        try:
            yield servable
        finally:
            with self._lock:
                version.users -= 1
                self._under_way.discard(request)
                self._let_go(version)
                if self._publication is not None:
                    self._publication.earlier.discard(request)
                    self._publish()

    def _find(self, spec: model_pb2.ModelSpec) -> tuple[VersionState, Servable]:
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        choice = spec.WhichOneof("version_choice")
        number = None
        if choice == "version":
            number = spec.version.value
        elif choice == "version_label":
            if model is None or spec.version_label not in model.labels:
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
            number = model.labels[spec.version_label]
        serving = {one: model.versions[one] for one in model.serving()} if model else {}
        if number is None and serving:
            number = max(serving)
        version = None if number is None else serving.get(number)
        if version is None or version.servable is None:
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise not_found(f"Servable not found for request: {asked}")
        return version, version.servable

    def _let_go(self, version: VersionState) -> None:
        """Frees a version nobody uses any more. The lock is held."""
        if version.state == State.UNLOADING and not version.users:
            version.servable = None
            version.state = State.END

    def _publish(self) -> None:
        """Makes a version AVAILABLE that no earlier request holds up. The lock is held."""
        waiting = self._publication
        if waiting is None or waiting.earlier:
            return
        self._publication = None
        if waiting.version.serving:
            waiting.version.state = State.AVAILABLE
        self._unload(waiting.model)
        self._published.notify_all()

    def configure(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Makes `config` the list of models, loads what it asks for, lets go of the rest.

        Labels are set first, as in TensorFlow Serving, so they may name what is available before.

        Raises:
          ServingError: INVALID_ARGUMENT, see `checked_models`; FAILED_PRECONDITION for a label of a
            version that is not available, unless labels may wait and this one has no other version.
            Nothing is changed then.
        """
        configs = checked_models(config)
        with self._changing:
            self._set_models(configs)
            self.refresh()

    def reload(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """`configure`, and waits until every new model has a version that is available.

        Raises:
          ServingError: As `configure`; UNKNOWN for a new model that cannot be loaded. Models are as
            configured then.
        """
        with self._changing:
            with self._lock:
                known = set(self._models)
            self.configure(config)
            for name in {one.name for one in config.model_config_list.config} - known:
                self._wait_for(name)

    def _wait_for(self, name: str) -> None:
        available = False
        while not available:
            with self._lock:
                self._published.wait_for(lambda: self._publication is None)
            self.refresh()
            with self._lock:
                model = self._models[name]
                available = bool(model.available())
                reason = model.failure(max_load_retries=0)
                if not model.aspired:
                    reason = f"{name} has no versions in {model.config.base_path}"
            if reason is not None:
                raise ServingError(
                    Code.UNKNOWN, f"1 model(s) did not become available: {{{reason}}}"
                )

    def _set_models(self, configs: list[ModelConfig]) -> None:
        with self._lock:
            for config in configs:
                self._check_labels(config)
            for name in set(self._models) - {one.name for one in configs}:
                self._drop(self._models.pop(name))
            for one in configs:
                known = self._models.get(one.name)
                if known is not None and known.config.base_path != one.base_path:
                    self._drop(known)
                    known = None
                if known is None:
                    known = self._models[one.name] = ModelState(one)
                known.config = one
                known.labels = dict(one.version_labels)

    def _check_labels(self, config: ModelConfig) -> None:
        known = self._models.get(config.name)
        available = known.available() if known else []
        for label, number in config.version_labels.items():
            moves = known is not None and known.labels.get(label, number) != number
            if number not in available and (moves or not self._labels_may_wait):
                raise failed_precondition(
                    f"Request to assign label {label} to version {number} of model "
                    f"{config.name}, which is not currently available for inference"
                )

    def _drop(self, model: ModelState) -> None:
        for version in model.versions.values():
            if version.serving:
                self._stop_serving(version)

    def _stop_serving(self, version: VersionState) -> None:
        version.serving = False
        version.state = State.UNLOADING
        self._let_go(version)

    def refresh(self) -> None:
        """Looks for versions once; loads new ones, then lets go of those no longer asked for.

        While a version that answers waits to become AVAILABLE nothing is done.
        """
        with self._changing:
            with self._lock:
                models = list(self._models.values())
            for model in models:
                self._refresh(model)

    def _refresh(self, model: ModelState) -> None:
        try:
            on_disk, passed_over = versions_on_disk(model.config.base_path)
        except OSError as error:
            _log.warning("%s: cannot list its base path: %s", model.config.name, error)
            return
        for path, reason in passed_over.items():
            if path not in self._passed_over:
                self._passed_over.add(path)
                _log.warning("%s: %s is passed over: %s", model.config.name, path, reason)
        aspired = aspired_versions(on_disk, model.config)
        with self._lock:
            if self._publication is not None:
                return
            model.aspired = frozenset(aspired)
            for number in aspired:
                model.versions.setdefault(number, VersionState(number))
        for number, path in sorted(aspired.items()):
            if not self._refresh_version(model, number, path):
                return
        with self._lock:
            for number, version in model.versions.items():
                if number not in aspired:
                    version.tried = None
            self._unload(model)

    def _unload(self, model: ModelState) -> None:
        """Lets go of versions nobody asks for. The lock is held."""
        serving = model.serving()
        # The last one stays until another can answer, or none is asked for at all.
        if model.aspired and not model.aspired.intersection(serving):
            return
        for number in serving:
            if number not in model.aspired:
                _log.info("%s: version %d is unloaded", model.config.name, number)
                self._stop_serving(model.versions[number])

    def _refresh_version(self, model: ModelState, number: int, path: str) -> bool:
        """Whether the next version may follow."""
        files = fingerprint(path)
        with self._lock:
            version = model.versions[number]
            if version.serving or version.state == State.UNLOADING:
                return True
            if version.tried == files:
                waited = time.monotonic() - version.tried_at >= self._retry_seconds
                if version.error and (version.tries > self._max_load_retries or not waited):
                    return True
            else:
                version.tries = 0
            version.state = State.LOADING
            version.tried, version.tried_at = files, time.monotonic()
            version.tries += 1
        servable, error = self._try_load(model.config.name, number, path)
        with self._lock:
            version.servable, version.error = servable, error
            if error:
                version.state = State.END
                return True
            version.serving = True
            self._publication = _Publication(model, version, set(self._under_way))
            self._publish()
            return self._publication is None

    def _try_load(
        self, name: str, number: int, path: str
    ) -> tuple[Servable | None, ServingError | None]:
        # A damaged folder raises anything at all, and the versions in use must go on: the pool
        # hands over whatever was raised.
        loading = self._loader.submit(self._load, name, number, path)
        error = loading.exception()
        if error is None:
            _log.info("%s: version %d is available", name, number)
            return loading.result(), None
        if isinstance(error, tf.errors.OpError):
            error = ServingError(code_of_number(error.error_code), error.message)
        elif not isinstance(error, ServingError):
            error = ServingError(Code.UNKNOWN, f"{type(error).__name__}: {error}")
        _log.error("%s: version %d cannot be loaded: %s", name, number, error.message)
        return None, error

    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        with self._lock:
            return bool(self._models) and all(model.serving() for model in self._models.values())

    def failures(self) -> list[str]:
        """Models that have no version and no try left, each with the reason."""
        with self._lock:
            models = list(self._models.values())
            return [reason for one in models if (reason := one.failure(self._max_load_retries))]

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """States of all versions of a model, newest first, or of the version asked for.

        A label is ignored, as in TensorFlow Serving.

        Raises:
          ServingError: NOT_FOUND when there is none.
        """
        with self._lock:
            model = self._models.get(spec.name)
            versions = model.versions if model else {}
            if spec.WhichOneof("version_choice") == "version":
                number = spec.version.value
                if number not in versions:
                    raise not_found(f"Could not find version {number} of model {spec.name}")
                versions = {number: versions[number]}
            if not versions:
                raise not_found(f"Could not find any versions of model {spec.name}")
            response = get_model_status_pb2.GetModelStatusResponse()
            for number in sorted(versions, reverse=True):
                version = versions[number]
                entry = response.model_version_status.add(version=number, state=version.state)
                entry.status.error_code = 0
                if version.error is not None:
                    entry.status.error_code = version.error.code.value[0]
                    entry.status.error_message = version.error.message
            return response
