"""The hybrid set of the paper (Movie-Taobao): scenarios of two data sets, learnt from together.

Nothing is shared but the model: users, items and scenarios of both stand side by side, their ids
and names with the name of their data set in front (`ml-20m:17`). Embeddings of different width are
aligned to the larger one by a stated rule, in which inner products between users (and between
items) of one data set stay what they were:

* `pad`: zeros behind the smaller embedding;
* `project`: the smaller one times a random matrix with orthonormal rows, fixed by the seed, so that
  it uses all the dimensions.
"""

from dataclasses import replace

import numpy as np

from cmml_tf.config import Alignment
from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.scenario_data import ScenarioData


def combine_scenarios(
    first: ScenarioData, second: ScenarioData, alignment: Alignment, seed: int
) -> ScenarioData:
    """One data set of two.

    Args:
      first, second: Data sets of different names, with embeddings.
      alignment: What happens to the smaller embeddings, `pad` or `project`.
      seed: Fixes the projection.

    Raises:
      ValueError: The names are the same, the protocols are not, or one has no embeddings.
    """
    if first.name == second.name:
        raise ValueError(
            "The two data sets must have different names, which tell their ids apart. "
            f"Received: {first.name!r} twice. Rename one folder."
        )
    if first.protocol != second.protocol:
        raise ValueError(
            "The two data sets must be divided by the same protocol. "
            f"Received: {first.name} {first.protocol}, {second.name} {second.protocol}."
        )
    for data in (first, second):
        if data.user_embeddings is None or data.item_embeddings is None:
            raise ValueError(
                f"{data.name} has no embeddings to align. Fit them first "
                "(cmml_tf.embeddings.matrix_factorisation.pretrained_embeddings)."
            )
    rng = np.random.default_rng(seed)
    user = align_embeddings(first.user_embeddings, second.user_embeddings, alignment, rng)
    item = align_embeddings(first.item_embeddings, second.item_embeddings, alignment, rng)
    moved = _moved(second, len(first.user_ids), len(first.item_ids))
    first = _moved(first, 0, 0)
    joined = {
        name: np.concatenate([getattr(first, name), getattr(moved, name)])
        for name in (
            "user_ids",
            "item_ids",
            "background_users",
            "background_items",
            "history_users",
            "history_items",
            "evaluation_users",
        )
    }
    parts = {
        name: (*getattr(first, name), *getattr(moved, name))
        for name in ("meta_train", "validation", "meta_test")
    }
    counts = {
        f"{data.name}: {name}": count
        for data in (first, second)
        for name, count in data.counts.items()
    }
    return ScenarioData(
        name=f"{first.name}+{second.name}",
        user_embeddings=user,
        item_embeddings=item,
        counts=counts,
        protocol=first.protocol,
        because="; ".join(filter(None, dict.fromkeys([first.because, second.because]))),
        moment="; ".join(filter(None, dict.fromkeys([first.moment, second.moment]))) or None,
        **joined,
        **parts,
    )


def align_embeddings(
    first: np.ndarray, second: np.ndarray, alignment: Alignment, rng: np.random.Generator
) -> np.ndarray:
    """Rows of both, float32 [N1 + N2, max(d1, d2)], the narrower ones widened."""
    width = max(first.shape[1], second.shape[1])
    joined = np.zeros((len(first) + len(second), width), np.float32)
    begin = 0
    for matrix in (first, second):
        rows = slice(begin, begin + len(matrix))
        begin += len(matrix)
        narrow = matrix.shape[1]
        if narrow < width and alignment == "project":
            columns, _ = np.linalg.qr(rng.normal(size=(width, narrow)))
            joined[rows] = matrix @ columns.T.astype(np.float32)
        else:
            joined[rows, :narrow] = matrix
    return joined


def _moved(data: ScenarioData, users: int, items: int) -> ScenarioData:
    """The same with ids and names that tell the data set, rows moved by so many."""

    def part(scenarios: tuple) -> tuple:
        shifted = []
        for scenario in scenarios:
            changes = {
                field: value + (users if "users" in field else items)
                for field, value in vars(scenario).items()
                if field != "name"
            }
            shifted.append(replace(scenario, name=f"{data.name}:{scenario.name}", **changes))
        return tuple(shifted)

    prefix = f"{data.name}:"
    return replace(
        data,
        user_ids=prefix + as_text(data.user_ids),
        item_ids=prefix + as_text(data.item_ids),
        meta_train=part(data.meta_train),
        validation=part(data.validation),
        meta_test=part(data.meta_test),
        background_users=data.background_users + users,
        background_items=data.background_items + items,
        history_users=data.history_users + users,
        history_items=data.history_items + items,
        evaluation_users=data.evaluation_users + users,
    )
