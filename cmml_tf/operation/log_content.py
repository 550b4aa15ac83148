"""What a log's tables say of its users and items, as an export that reads features is asked."""

from dataclasses import dataclass

import numpy as np

from cmml_tf.config import ReadConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.feature_table import Side, with_features
from cmml_tf.datasets.open_features import SIDES
from cmml_tf.datasets.sources.feature_file import load_feature_table
from cmml_tf.datasets.sources.feature_kinds import DeclaredKinds
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.operation.loaded_export import Export
from cmml_tf.serving.requests.feature_inputs import SEPARATOR, input_name
from cmml_tf.types import ContentColumn


@dataclass(frozen=True)
class LogContent:
    """Features of the rows of a log, by side.

    Attributes:
      values: Feature name to its value of each row, as inputs of `score_features` have it: float32
        [N] or [N, w], NaN where unknown, or object of str [N], "" where unknown.
      described: bool [N]: of which rows something is known.
    """

    values: dict[Side, dict[str, np.ndarray]]
    described: dict[Side, np.ndarray]

    def inputs(self, prefix: str, user: np.ndarray, item: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs of pairs, rows [B, n] each; `prefix` is `support` or `query`."""
        rows = {"user": user, "item": item}
        return {
            input_name(prefix, side, name): values[rows[side]]
            for side, of_side in self.values.items()
            for name, values in of_side.items()
        }


def log_content(
    export: Export, data: ScenarioData, tables: FeatureSource, read: ReadConfig
) -> LogContent | None:
    """What tables say of a log's rows, in the features that an export reads; None: it reads none.

    Columns that the export does not read are passed over; what it reads and no table has is
    unknown.

    Args:
      export: Says which features it reads, and of which kind each is.
      data: The log.
      tables: The tables.
      read: How they are read.

    Raises:
      FileNotFoundError: There is no such table.
      ValueError: A table is not accepted, or has none of the log's ids.
    """
    paths = {"item": tables.items, "user": tables.users}
    kinds = {side: {one["name"]: one["kind"] for one in export.features(side)} for side in SIDES}
    if not any(kinds[side] for side in SIDES if paths[side] is not None):
        return None
    values: dict[Side, dict[str, np.ndarray]] = {}
    described: dict[Side, np.ndarray] = {}
    for side in SIDES:
        path, rows = paths[side], len(getattr(data, f"{side}_ids"))
        columns: tuple[ContentColumn, ...] = ()
        if path is not None and kinds[side]:
            declared = DeclaredKinds(kinds[side], kinds[side], alone=True)
            found = load_feature_table(path, side, declared, read).table
            whole = with_features(data, side, found._replace(is_catalogue=False))
            columns = getattr(whole, f"{side}_features")
        of_name = {column.name: column for column in columns}
        described[side] = np.zeros(rows, bool)
        values[side] = {}
        for feature in export.features(side):
            name, width = feature["name"], feature.get("width")
            if name in of_name:
                values[side][name] = _as_input(of_name[name], width, str(path))
                described[side] |= of_name[name].is_known
            else:
                values[side][name] = _unknown(feature["kind"], width, rows)
    return LogContent(values, described)


def _as_input(column: ContentColumn, width: int | None, path: str) -> np.ndarray:
    if column.kind == "multi-hot":
        return np.array([SEPARATOR.join(one) for one in column.values], object)
    if column.kind == "vector" and column.values.shape[1] != width:
        raise ValueError(
            f"Column {column.name!r} of {path} must hold vectors of {width} numbers, as those that "
            f"the export was trained with. Received: {column.values.shape[1]}."
        )
    return column.values.astype(np.float32) if column.kind == "numeric" else column.values


def _unknown(kind: str, width: int | None, rows: int) -> np.ndarray:
    if kind == "vector":
        return np.full([rows, width or 0], np.nan, np.float32)
    if kind == "numeric":
        return np.full(rows, np.nan, np.float32)
    return np.full(rows, "", object)
