"""From a trained CMML to a version folder that TensorFlow Serving loads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.layers.embedding import PairEmbedding
from cmml_tf.layers.feature_embedding import FeaturePairEmbedding
from cmml_tf.models.cmml import CMML
from cmml_tf.models.episode_model import EpisodeModel
from cmml_tf.models.matching_cmml import MatchingCMML
from cmml_tf.request_limits import DEFAULT_LIMITS, RequestLimits
from cmml_tf.serving.catalogue.catalogue import RecommendOptions
from cmml_tf.serving.catalogue.membership import Membership
from cmml_tf.serving.catalogue.narrowing_recall import SampleTasks
from cmml_tf.serving.compiled import check_compiled
from cmml_tf.serving.content_graph import ContentServingGraph, ServedContent
from cmml_tf.serving.endpoints import add_endpoints
from cmml_tf.serving.feature_graph import (
    FeatureServingGraph,
    declared_features,
    feature_signature,
)
from cmml_tf.serving.feed_forward import check_feed_forward, check_feed_forward_function
from cmml_tf.serving.graph import ServingGraph, scoring_variables
from cmml_tf.serving.signatures import (
    FEATURE_SIGNATURE,
    content_signature,
    name_methods,
    serving_signatures,
)
from cmml_tf.serving.version.frozen_weights import freeze_weights
from cmml_tf.serving.version.idle_waits import drop_idle_waits
from cmml_tf.serving.version.learned_tasks import write_learned_tasks
from cmml_tf.serving.version.loop_calls import run_loop_calls_in_order
from cmml_tf.serving.version.manifest import plain_facts, write_manifest
from cmml_tf.serving.version.probes import probe_requests
from cmml_tf.serving.version.reproducible import make_reproducible
from cmml_tf.serving.version.training_state import write_training_state
from cmml_tf.serving.version.version_folder import publish_version
from cmml_tf.serving.version.warmup import write_warmup_requests
from cmml_tf.serving.version.warmup_check import check_warmup_rows
from cmml_tf.serving.version.whole_reads import read_whole_tables
from cmml_tf.serving.vocabulary import vocabulary
from cmml_tf.types import Episode, Support

_BINARY = (1.0, 0.0, 0.0)


def export_model(
    model: CMML | MatchingCMML,
    export_dir: str | Path,
    user_ids: Sequence[int] | Sequence[str] | np.ndarray,
    item_ids: Sequence[int] | Sequence[str] | np.ndarray,
    *,
    manifest: Mapping[str, Any] | None = None,
    scale: tuple[float, float] | None = None,
    top_k: int = 20,
    retrieval_candidates: int | None = None,
    sample_tasks: SampleTasks | None = None,
    limits: RequestLimits = DEFAULT_LIMITS,
    user_id_key: bytes | None = None,
    content: ServedContent | None = None,
    membership: Membership | None = None,
    learned: Iterable[Any] = (),
    compiled: Sequence[CompiledSize] = (),
    training_state: Callable[[Path], None] | None = None,
) -> Path:
    """Writes the next version of a model base path.

    The folder holds a SavedModel that takes raw ids (signatures `serving_default`,
    `encode_context`, `score_with_context`, `recommend`, `explain` and, for the Regress API,
    `serving_tf_example`), warm-up requests and a manifest, which has requests with their scores. It
    appears complete or not at all, and only if the SavedModel passes `check_feed_forward`. A model
    of the user setting has `score_features` beside them, which takes features instead of ids, and
    an export with `content` one that takes features beside ids; the manifest lists every feature
    with its kind under `features`.

    Args:
      model: A CMML or MatchingCMML whose weights exist. A MatchingCMML may have rows of items that
        no interaction has: the catalogue of the export is its table.
      export_dir: The model base path, created where it does not exist.
      user_ids: The id of each row of the user table, the last (zero) row of a CMML's left out: all
        integers or all strings.
      item_ids: The same of the item table.
      manifest: Facts to keep with the model, such as `config`, `data_fingerprint`, `metrics`.
      scale: Lowest and highest support label, such as ratings; a task with another one is not
        valid. None: any finite number is one.
      top_k: Items that `recommend` answers with; the whole catalogue where it is smaller.
      retrieval_candidates: Items that `recommend` scores of a catalogue of more than 4,096, beside
        those of the support: the ones that a linear reading of the model ranks first
        (`Narrowing`). None: as many as keep .99 of the best `top_k`, and where no number does that,
        all of a catalogue of up to 20,000. The manifest has the number and its recall under
        `recommend`.
      sample_tasks: Tasks like those that will be asked, by which this recall is measured; None:
        supports of random pairs.
      limits: The largest request that the export admits; in the manifest under `limits`.
      user_id_key: A secret. The export then holds keyed hashes of the user ids instead of the ids,
        and requests name users by `hash_user_ids` with the same key.
      content: Of a MatchingCMML: what makes rows of users and items that the export does not know.
      membership: Of a MatchingCMML: what tells items of a scenario from the rest of the catalogue.
        `recommend` then ranks by it as well; None: by scores alone.
      learned: Names of the tasks that the model has learned from, hashed users as they are named in
        requests; of an evaluation on another log they are left out.
      compiled: Sizes for which XLA compiles contexts and scores of a network: a request is padded
        to the first that holds it, and one beyond all is not compiled. Servers need
        `--xla_cpu_compilation_enabled=true` to load such an export. Not for models that solve in
        closed form or match ids.
      training_state: Writes into a new folder what a later training goes on from; no server reads
        it. None: the export cannot be continued.

    Returns:
      The version folder `export_dir/N`.

    Raises:
      ValueError: Ids or content that do not fit the tables, weights that are not finite, a size
        that is not positive, sizes to compile that do not fit the model or the limits, or a model
        that is not feed-forward; the message names its first gradient operation.
      TypeError: A feed-forward model that is neither.
      OSError: The folder could not be written, for example on a full disk; nothing is left of it.
    """
    check_model(model)
    users = vocabulary("user_ids", user_ids, model.id_tables.users, user_id_key)
    items = vocabulary("item_ids", item_ids, model.id_tables.items)
    is_described = isinstance(model.id_tables, FeaturePairEmbedding)
    given = dict(manifest or {})
    if scale is not None:
        given["scale"] = scale
    if is_described:
        given["features"] = declared_features(model)
    if content is not None:
        if not isinstance(model, MatchingCMML):
            raise ValueError(
                "`content` must be left out for a model that does not match by key. "
                f"Received: content for a {type(model).__name__}."
            )
        content.check(model)
        given["features"] = content.declared()
    facts = plain_facts(given)
    recommending = RecommendOptions(top_k, retrieval_candidates, sample_tasks, membership)
    recommending.check(model)
    check_compiled(model, compiled, limits)
    _check_weights(model)

    def write(version: Path, scratch: Path) -> None:
        graph: ServingGraph
        if is_described:
            graph = FeatureServingGraph(
                model, users, items, scratch, recommending, limits, scale, user_id_key, compiled
            )
            signatures = {**serving_signatures(graph), **feature_signature(graph)}
            features = {FEATURE_SIGNATURE: graph.example_features}
        elif content is not None:
            graph = ContentServingGraph(
                model, users, items, scratch, content, recommending, limits, scale
            )
            signatures = {**serving_signatures(graph), **content_signature(graph)}
            features = {FEATURE_SIGNATURE: graph.example_features}
        else:
            graph = ServingGraph(
                model, users, items, scratch, recommending, limits, scale, compiled
            )
            signatures, features = serving_signatures(graph), {}
        labels = _BINARY if scale is None else scale
        probes = probe_requests(signatures, users, items, labels, limits)
        add_endpoints(graph, signatures)
        tf.saved_model.save(graph, str(version), signatures=signatures)
        name_methods(version)
        read_whole_tables(version)
        freeze_weights(version, graph.weights)
        drop_idle_waits(version)
        run_loop_calls_in_order(version)
        make_reproducible(version, scratch)
        check_feed_forward(version)
        write_warmup_requests(version, graph, users, items, signatures, labels, features)
        check_warmup_rows(version, Path(export_dir))
        write_learned_tasks(version, learned)
        write_training_state(version, training_state)
        write_manifest(version, facts, model, graph, signatures, probes)

    return publish(export_dir, write)


def check_model(model: EpisodeModel) -> None:
    """Refuses a model that adapts by gradients, naming the first gradient operation found.

    Raises:
      ValueError: Its scores are not a forward pass.
      TypeError: They are, but it is neither a CMML nor a MatchingCMML.
    """
    if isinstance(model, CMML | MatchingCMML):  # its graph is checked as it was saved
        return
    ids = tf.TensorSpec([None, None], tf.int32)
    support = Support(ids, ids, tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32))
    episode = Episode(support, ids, ids, tf.TensorSpec([None, None]))
    check_feed_forward_function(tf.function(model.__call__).get_concrete_function(episode))
    raise TypeError(f"`model` must be a CMML or a MatchingCMML. Received: {type(model).__name__}.")


def publish(export_dir: str | Path, write: Callable[[Path, Path], None]) -> Path:
    """`publish_version`, with a sentence for the user where the disk refuses.

    Raises:
      OSError: The folder could not be written; nothing is left of it.
    """
    try:
        return publish_version(export_dir, write)
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            f"The model could not be exported to {str(export_dir)!r}: {_reason(error)}. Nothing "
            "was left there; make sure that the folder is writable and its disk has room."
        ) from error


def _reason(error: OSError | tf.errors.OpError) -> str:
    """What the operating system said; TensorFlow puts it behind the path of a temporary file."""
    if isinstance(error, OSError):
        return error.strerror or str(error).rstrip(".")
    return error.message.rsplit("; ", 1)[-1].split(" [Op:", 1)[0]


def _check_weights(model: CMML | MatchingCMML) -> None:
    for variable in scoring_variables(model):
        if variable.dtype.is_floating and not tf.reduce_all(tf.math.is_finite(variable)):
            raise ValueError(
                f"`model` must have finite weights. Received: NaN or infinity in {variable.name}."
            )
    if not isinstance(model.id_tables, PairEmbedding):
        return
    for table in (model.id_tables.user_table, model.id_tables.item_table):
        if table[-1].numpy().any():
            raise ValueError(
                "`model` must have zeros in the last row of each embedding table, which stands for "
                f"unknown ids. Received: other values in {table.name}."
            )
