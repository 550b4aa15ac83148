"""Versions of models: found on disk, loaded beside those in use, swapped, and let go.

A new version takes requests only once it is loaded and warmed up; the old one is let go only then,
and kept in memory until the requests that began on it are answered.
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

from cmml_tf.serving.server.servable import Servable
from cmml_tf.serving.server.status import (
    Code,
    ServingError,
    code_of_number,
    failed_precondition,
    invalid_argument,
    not_found,
)
from cmml_tf.serving.server.version_policy import (
    aspired_versions,
    fingerprint,
    versions_on_disk,
)

_log = logging.getLogger(__name__)

ModelConfig = model_server_config_pb2.ModelConfig
Load = Callable[[str, int, str], Servable]
"""(model name, version, path) -> a version ready to answer."""
_State = get_model_status_pb2.ModelVersionStatus


@dataclasses.dataclass
class _Version:
    """A version that was ever seen."""

    number: int
    state: int = _State.START
    error: ServingError | None = None
    servable: Servable | None = None
    users: int = 0
    tried: tuple[tuple[str, int, int], ...] | None = None
    tries: int = 0
    tried_at: float = 0.0


@dataclasses.dataclass
class _Model:
    config: ModelConfig
    versions: dict[int, _Version] = dataclasses.field(default_factory=dict)
    labels: dict[str, int] = dataclasses.field(default_factory=dict)

    def available(self) -> list[int]:
        return sorted(
            number for number, version in self.versions.items() if version.state == _State.AVAILABLE
        )


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
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()  # guards all state; never held while loading
        self._changing = threading.RLock()  # one refresh or configuration at a time
        self._loader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[Servable]:
        """The version a request asks for, kept loaded until the block ends.

        Raises:
          ServingError: NOT_FOUND for a model or version that is not served, INVALID_ARGUMENT for an
            empty name or an unknown label.
        """
        with self._lock:
            version = self._find(spec)
            servable = version.servable
            version.users += 1
        try:
            yield servable
        finally:
            with self._lock:
                version.users -= 1
                self._let_go(version)

    def _find(self, spec: model_pb2.ModelSpec) -> _Version:
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
        available = model.available() if model else []
        if number is None and available:
            number = available[-1]
        if number not in available:
            asked = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise not_found(f"Servable not found for request: {asked}")
        return model.versions[number]

    def _let_go(self, version: _Version) -> None:
        """Frees a version nobody uses any more. The lock is held."""
        if version.state == _State.UNLOADING and not version.users:
            version.servable = None
            version.state = _State.END

    def configure(self, config: model_server_config_pb2.ModelServerConfig) -> None:
        """Makes `config` the list of models, loads what it asks for, lets go of the rest.

        Raises:
          ServingError: INVALID_ARGUMENT for a nameless or repeated model or another kind of
            configuration; FAILED_PRECONDITION for a label of a version that is not loaded. Models
            are as configured then, labels as before.
        """
        if config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        configs = list(config.model_config_list.config)
        names = [one.name for one in configs]
        for position, one in enumerate(configs):
            if not one.name or not one.base_path:
                raise invalid_argument("Every model needs a name and a base_path.")
            if one.name in names[:position]:
                raise invalid_argument(f"Illegal to list model {one.name} multiple times.")
        with self._changing:
            with self._lock:
                for name in set(self._models) - set(names):
                    self._drop(self._models.pop(name))
                for one in configs:
                    known = self._models.get(one.name)
                    if known is not None and known.config.base_path != one.base_path:
                        self._drop(known)
                        known = None
                    if known is None:
                        self._models[one.name] = _Model(one)
                    else:
                        known.config = one
            self.refresh()
            self._set_labels(configs)

    def _drop(self, model: _Model) -> None:
        for version in model.versions.values():
            if version.state == _State.AVAILABLE:
                version.state = _State.UNLOADING
                self._let_go(version)

    def _set_labels(self, configs: list[ModelConfig]) -> None:
        with self._lock:
            for config in configs:
                available = self._models[config.name].available()
                for label, number in config.version_labels.items():
                    if number not in available and not self._labels_may_wait:
                        raise failed_precondition(
                            f"Request to assign label {label} to version {number} of model "
                            f"{config.name}, which is not currently available for inference"
                        )
            for config in configs:
                self._models[config.name].labels = dict(config.version_labels)

    def refresh(self) -> None:
        """Looks for versions once; loads new ones, then lets go of those no longer asked for."""
        with self._changing:
            with self._lock:
                models = list(self._models.values())
            for model in models:
                self._refresh(model)

    def _refresh(self, model: _Model) -> None:
        try:
            aspired = aspired_versions(versions_on_disk(model.config.base_path), model.config)
        except OSError as error:
            _log.warning("%s: cannot list its base path: %s", model.config.name, error)
            return
        for number, path in sorted(aspired.items()):
            self._refresh_version(model, number, path)
        with self._lock:
            for number, version in model.versions.items():
                if number not in aspired:
                    version.tried = None
            available = model.available()
            # The last one stays until another can answer, or none is asked for at all.
            if aspired and not any(number in aspired for number in available):
                return
            for number in available:
                if number not in aspired:
                    _log.info("%s: version %d is unloaded", model.config.name, number)
                    version = model.versions[number]
                    version.state = _State.UNLOADING
                    self._let_go(version)

    def _refresh_version(self, model: _Model, number: int, path: str) -> None:
        files = fingerprint(path)
        with self._lock:
            version = model.versions.setdefault(number, _Version(number))
            if version.state in (_State.AVAILABLE, _State.UNLOADING):
                return
            if version.tried == files:
                waited = time.monotonic() - version.tried_at >= self._retry_seconds
                if version.error and (version.tries > self._max_load_retries or not waited):
                    return
            else:
                version.tries = 0
            version.state = _State.LOADING
            version.tried, version.tried_at = files, time.monotonic()
            version.tries += 1
        servable, error = self._try_load(model.config.name, number, path)
        with self._lock:
            version.servable, version.error = servable, error
            version.state = _State.END if error else _State.AVAILABLE

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
            return bool(self._models) and all(model.available() for model in self._models.values())

    def status(self, spec: model_pb2.ModelSpec) -> get_model_status_pb2.GetModelStatusResponse:
        """States of all versions of a model, newest first, or of the one asked for.

        Raises:
          ServingError: NOT_FOUND when there is none, INVALID_ARGUMENT for an unknown label.
        """
        with self._lock:
            model = self._models.get(spec.name)
            versions = model.versions if model else {}
            choice = spec.WhichOneof("version_choice")
            if choice == "version_label" and spec.version_label not in getattr(model, "labels", {}):
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
            if choice is not None:
                number = (
                    spec.version.value if choice == "version" else model.labels[spec.version_label]
                )
                if number not in versions:
                    raise not_found(f"Could not find version {number} of model {spec.name}")
                versions = {number: versions[number]}
            if not versions:
                raise not_found(f"Could not find any versions of model {spec.name}")
            response = get_model_status_pb2.GetModelStatusResponse()
            for number in sorted(versions, reverse=True):
                version = versions[number]
                entry = response.model_version_status.add(version=number, state=version.state)
                if version.error is not None:
                    entry.status.error_code = version.error.code.value[0]
                    entry.status.error_message = version.error.message
                else:
                    entry.status.error_code = 0
            return response
