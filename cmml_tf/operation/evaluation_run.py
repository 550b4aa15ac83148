"""An export, or the server that serves it, evaluated on a log from beginning to end."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from cmml_tf.operation.answering_server import AnsweringServer
from cmml_tf.operation.asked_log import GivenLog, open_asked_log
from cmml_tf.operation.export_evaluation import evaluate_export
from cmml_tf.operation.loaded_export import Answering, Export, LoadedExport


def evaluate_on_log(
    folder: Path,
    log: GivenLog,
    server: str | None,
    model_name: str,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Evaluates and says what came of it.

    Args:
      folder: A version folder.
      log: The log.
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
            **_evaluated(loaded, loaded, log, say),
        }
    export = Export(folder)
    with AnsweringServer(server, model_name) as answering:
        try:
            same = answering.serves(export)
            metrics = _evaluated(export, answering, log, say)
        except grpc.RpcError as error:
            raise ConnectionError(f"The server {server} does not answer: {error}") from error
        if not same:
            say(f"warning: {server} gives other scores than {folder} has for its probe requests.")
        asked = {"version": answering.version, "same_scores_as_export": same}
    return {"export": folder.name, "server": asked, **metrics}


def _evaluated(
    export: Export, answering: Answering, log: GivenLog, say: Callable[[str], None]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        asked = open_asked_log([export], log, Path(scratch))
        evaluation = evaluate_export(export, answering, asked)
    say(evaluation.table())
    return evaluation.metrics()
