"""A version loads under the batching that its server is told: no warm-up request has more rows.

A server merges warm-up requests as it merges others, and refuses the version where one of them has
more rows than a batch may have.
"""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from cmml_tf.serving.server.loading.config_files import read_batching_parameters
from cmml_tf.serving.version.warmup import WARMUP_FILE

BATCHING_FILE = "batching.config"
SHIPPED_ROWS = 128
"""`max_batch_size` of the configuration file that comes with the project."""


def warmup_rows(version_folder: Path) -> Iterator[tuple[str, int]]:
    """Signature and rows (tasks, or Examples) of each warm-up request of a version.

    Raises:
      ValueError: Their file is missing or damaged.
    """
    for record in _records(version_folder / WARMUP_FILE):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("regress_log"):
            request = log.regress_log.request
            listed = request.input
            examples = listed.example_list.examples or listed.example_list_with_context.examples
            yield request.model_spec.signature_name, len(examples)
        else:
            predict = log.predict_log.request
            shape = next(iter(predict.inputs.values())).tensor_shape
            yield predict.model_spec.signature_name, shape.dim[0].size


def _records(file: Path) -> list[bytes]:
    try:
        return [*tf.data.TFRecordDataset(str(file)).as_numpy_iterator()]
    except tf.errors.OpError as error:
        reason = "is damaged" if file.exists() else "is missing"
        raise ValueError(
            f"{file}, the warm-up requests, {reason}. Export the run again."
        ) from error


def check_warmup_rows(version_folder: Path, base_path: Path) -> None:
    """Compares a version's warm-up requests with `batching.config` in the model base path.

    Args:
      version_folder: What was exported.
      base_path: The model base path; where it has no such file, the one that the project comes with
        counts.

    Raises:
      ValueError: A request has more rows than `max_batch_size`, or the file cannot be read.
    """
    file = base_path / BATCHING_FILE
    has_own = file.is_file()
    limit = read_batching_parameters(str(file)).max_batch_size if has_own else SHIPPED_ROWS
    for signature, rows in warmup_rows(version_folder):
        if rows > limit:
            raise ValueError(
                f"`max_batch_size` in {str(file)!r} must be at least {rows}, the rows of the "
                f"warm-up request of `{signature}`: a server with it would not load the export. "
                f"Received: max_batch_size={limit}."
            )
