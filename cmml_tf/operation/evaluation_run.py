"""An export, or the server that serves it, evaluated on a log from beginning to end."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from cmml_tf.operation.answering_server import AnsweringServer
from cmml_tf.operation.asked_log import open_asked_log
from cmml_tf.operation.export_evaluation import evaluate_export
from cmml_tf.operation.loaded_export import Answering, Export, LoadedExport


def evaluate_on_log(
    folder: Path,
    data: str,
    options: Mapping[str, Any],
    user_id_key: bytes | None,
    server: str | None,
    model_name: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Evaluates and says what came of it.

    Args:
      folder: A version folder.
      data: The log.
      options: As of `open_asked_log`.
      user_id_key: As of `open_asked_log`.
      server: `host:port` of who answers for it; None: the SavedModel itself.
      model_name: As the server calls the model.
      say: Where a line for people goes.

    Returns:
      The metrics, with `export` and, where there is one, `server`.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: The export or the log cannot be read.
      OSError: The server does not answer.
    """
    if server is None:
        loaded = LoadedExport(folder)
        return {
            "export": folder.name,
            **_evaluated(loaded, loaded, data, options, user_id_key, say),
        }
    export = Export(folder)
    with AnsweringServer(server, model_name) as answering:
        try:
            same = answering.serves(export)
            metrics = _evaluated(export, answering, data, options, user_id_key, say)
        except grpc.RpcError as error:
            raise ConnectionError(f"The server {server} does not answer: {error}") from error
        if not same:
            say(f"warning: {server} gives other scores than {folder} has for its probe requests.")
        asked = {"version": answering.version, "same_scores_as_export": same}
    return {"export": folder.name, "server": asked, **metrics}


def _evaluated(
    export: Export,
    answering: Answering,
    data: str,
    options: Mapping[str, Any],
    user_id_key: bytes | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        log = open_asked_log([export], data, Path(scratch), options, user_id_key)
        evaluation = evaluate_export(export, answering, log)
    say(evaluation.table())
    return evaluation.metrics()
