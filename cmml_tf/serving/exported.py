"""Whether a model has been exported already, so that one model makes one version."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import cmml_tf
from cmml_tf.models.cmml import CMML
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.serving.export import export_model
from cmml_tf.serving.graph import scoring_variables
from cmml_tf.serving.version.manifest import read_manifest
from cmml_tf.serving.version.version_folder import CANDIDATES, version_path, versions

_DIGEST = "model_digest"


class Exported(NamedTuple):
    """A version folder, and whether it was written just now or found."""

    version: Path
    is_new: bool


def export_once(
    model: CMML | MatchingCMML,
    export_dir: Path,
    user_ids: np.ndarray,
    item_ids: np.ndarray,
    *,
    config: Mapping[str, Any],
    manifest: Mapping[str, Any],
    learned: Iterable[Any] = (),
    training_state: Callable[[Path], None] | None = None,
    **options: Any,
) -> Exported:
    """Exports a model, unless a version of the base path is of this very model.

    A process that was ended behind its export, or a run that is asked for again, finds the version
    by the `model_digest` of its manifest; a candidate also where it was promoted to.

    Args:
      model, export_dir, user_ids, item_ids, options: Arguments of `export_model`.
      config: What the model was trained with; another one is another model.
      manifest: Facts to keep with the model, `config` among them.
      learned, training_state: As of `export_model`; what was learned from shows in the weights.

    Raises:
      ValueError, TypeError, OSError: As `export_model`.
    """
    digest = model_digest(model, user_ids, item_ids, {**config, **options})
    places = [export_dir, export_dir.parent] if export_dir.name == CANDIDATES else [export_dir]
    for place in places:
        for number in reversed(versions(place)):
            version = version_path(place, number)
            if _digest_of(version) == digest:
                return Exported(version, is_new=False)
    facts = {**manifest, _DIGEST: digest}
    version = export_model(
        model,
        export_dir,
        user_ids,
        item_ids,
        manifest=facts,
        learned=learned,
        training_state=training_state,
        **options,
    )
    return Exported(version, is_new=True)


def model_digest(
    model: CMML | MatchingCMML,
    user_ids: np.ndarray,
    item_ids: np.ndarray,
    config: Mapping[str, Any],
) -> str:
    """sha256 (hex) over what a version is made of: weights, ids, configuration, software."""
    software = [cmml_tf.__version__, tf.__version__]
    text = json.dumps([config, software], sort_keys=True, default=_plain)
    digest = hashlib.sha256(text.encode())
    for variable in scoring_variables(model):
        digest.update(f"\n{variable.dtype.name} {variable.shape}\n".encode())
        digest.update(np.ascontiguousarray(variable.numpy()).data)
    for ids in (user_ids, item_ids):
        digest.update("\n".join(map(str, ids)).encode("utf-8", "surrogatepass"))
        digest.update(b"\n\n")
    return digest.hexdigest()


def _plain(option: Any) -> Any:
    """An option of the export as JSON holds it; of a secret key and of arrays, their hash."""
    if isinstance(option, np.ndarray):
        option = f"{option.dtype} {option.shape}".encode() + np.ascontiguousarray(option).tobytes()
    return hashlib.sha256(option).hexdigest() if isinstance(option, bytes) else asdict(option)


def _digest_of(version: Path) -> str | None:
    """What the version says of itself; None where it says nothing that can be read."""
    try:
        return read_manifest(version).get(_DIGEST)
    except ValueError:
        return None
