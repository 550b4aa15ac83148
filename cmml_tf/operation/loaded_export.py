"""A version folder as anybody finds it: its manifest, and the signatures of its SavedModel."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from cmml_tf.request_limits import RequestLimits
from cmml_tf.serving.signatures import FEATURE_SIGNATURE
from cmml_tf.serving.version.learned_tasks import are_learned, read_learned_tasks
from cmml_tf.serving.version.manifest import read_manifest
from cmml_tf.serving.version.probes import answers, file_digests, same_scores

# What TensorFlow raises where a SavedModel is damaged: it depends on where.
_DAMAGED = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    *(tf.errors.OpError, DecodeError),
)
_KNOWN = ("valid", "user_known", "item_known", "query_known")
_LIMITS = ("support_pairs", "query_pairs", "tasks")
# What a manifest must and may say, and of which type.
_MUST: dict[str, type] = {
    **{f"model.{side}.id_dtype": str for side in ("users", "items")},
    "model.users.hashed": bool,
    **{f"limits.{name}": int for name in _LIMITS},
}
_MAY: dict[str, type] = {
    "setting": str,
    "config": dict,
    "probes": dict,
    "files": dict,
    "features": dict,
}


class Answering(Protocol):
    """Whatever answers requests by id: a loaded export, or a server that serves one."""

    def encode_context(self, inputs: Mapping[str, np.ndarray]) -> Any:
        """Support inputs of B tasks -> their contexts."""

    def score_with_context(
        self, context: Any, user: np.ndarray, item: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Contexts and ids [B, Q] -> all that is said of the pairs, [B, Q] each, by name."""

    def score_features(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs of `score_features` by name -> what `score_with_context` says of its pairs."""


class Export:
    """What an export says of itself.

    Args:
      folder: A version folder.

    Attributes:
      limits: The largest request that it admits.

    Raises:
      ValueError: It has no manifest, or one that lacks what all have; the message says what.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        for name, kind in {**_MUST, **_MAY}.items():
            value = _said(self.manifest, name)
            if not isinstance(value, kind) and not (value is None and name in _MAY):
                raise ValueError(
                    f"The manifest of {folder} must have `{name}`, a value of type "
                    f"{kind.__name__}. Received: {reprlib.repr(value)}. Export its run again."
                )
        try:
            self.limits = RequestLimits(**{one: self.manifest["limits"][one] for one in _LIMITS})
        except ValueError as error:
            raise ValueError(
                f"The manifest of {folder} has `limits` that are none: {error}"
            ) from error
        self._learned = read_learned_tasks(folder)

    @property
    def setting(self) -> str | None:
        """The name of the setting that its model is of; None: the manifest does not say."""
        return self.manifest.get("setting")

    def check_setting(self) -> str:
        """The name of the setting that its model is of.

        Raises:
          ValueError: It does not.
        """
        if self.setting is None:
            raise ValueError(
                f"{self.folder} does not say which setting it is of: only exports of runs of this "
                "version do. Export the run again."
            )
        return self.setting

    @property
    def hashes_users(self) -> bool:
        """Whether it knows users by keyed hashes of their ids."""
        return self.manifest["model"]["users"]["hashed"]

    def id_dtype(self, side: str) -> str:
        """`string` or `int64`, of the ids of `users` or `items`."""
        return self.manifest["model"][side]["id_dtype"]

    def features(self, side: str) -> list[dict[str, Any]]:
        """What it reads of a `user` or an `item` that it does not know: name, kind and width each.

        None where it knows ids alone, or, as in the user setting, features alone.
        """
        inputs = _said(self.manifest, "signatures.score_features.inputs") or {}
        declared = _said(self.manifest, f"features.{side}")
        return list(declared or []) if "support_user_id" in inputs else []

    def has_learned(self, names: Any) -> np.ndarray:
        """bool [N]: the tasks of these names that its model has learned from."""
        return are_learned(names, self._learned)


class LoadedExport(Export):
    """An export that answers in this process.

    Args:
      folder: A version folder.

    Raises:
      ValueError: It has no manifest, or its SavedModel cannot be loaded; the message says why.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            # Kept: signatures do not own the variables that they read.
            self._loaded = tf.saved_model.load(str(folder))
            self._encode = self._loaded.signatures["encode_context"]
            self._score = self._loaded.signatures["score_with_context"]
        except _DAMAGED as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"The SavedModel in {folder} cannot be loaded: {reason}") from error

    def check_answers(self) -> None:
        """Sees whether it is what was exported: the same files, and the same scores.

        Raises:
          ValueError: It is not; a sentence says what differs.
        """
        if self.manifest.get("probes") is None or self.manifest.get("files") is None:
            raise ValueError(f"{self.folder} records no probe requests: export the run again.")
        recorded, now = self.manifest["files"], file_digests(self.folder)
        different = sorted(
            name for name in recorded.keys() | now.keys() if recorded.get(name) != now.get(name)
        )
        probes = self.manifest["probes"]
        try:
            scores = probes["score"]
            found = answers(self._loaded.signatures[probes["signature"]], probes["inputs"])
        except _DAMAGED as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(
                f"{self.folder} does not answer its manifest's probe requests: {reason}"
            ) from error
        if not same_scores(found, scores):
            raise ValueError(
                f"{self.folder} gives other scores than its manifest's probe requests have"
                f"{f', and other files ({different[0]})' if different else ''}: it is not what was "
                "exported, or this machine computes it otherwise."
            )
        if different:
            raise ValueError(
                f"{self.folder} is not what was exported: {', '.join(different[:3])} differs from "
                "its manifest."
            )

    def encode_context(self, inputs: Mapping[str, np.ndarray]) -> tf.Tensor:
        """Support inputs of B tasks -> contexts, float32 [B, D]."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return self._encode(**tensors)["context"]

    def score_with_context(
        self, context: tf.Tensor, user: np.ndarray, item: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Contexts and ids [B, Q] -> scores and what is known, [B, Q] each."""
        found = self._score(
            context=context, query_user_id=tf.constant(user), query_item_id=tf.constant(item)
        )
        return {name: value.numpy() for name, value in found.items()}

    def score_features(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs of `score_features` by name -> what `score_with_context` says of its pairs."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        found = self._loaded.signatures[FEATURE_SIGNATURE](**tensors)
        return {name: value.numpy() for name, value in found.items()}


def _said(manifest: Mapping[str, Any], name: str) -> Any:
    found: Any = manifest
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def without_known(answer: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The numbers of an answer, without what it says about ids."""
    return {name: value for name, value in answer.items() if name not in _KNOWN}
