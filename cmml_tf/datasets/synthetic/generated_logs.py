"""Writes logs of the published layouts, of any size, whose structure is known.

The real files cannot be had everywhere. These have their layout, and scenarios that a learner can
find (`choice_model`), so that loaders, preparation and learning are tested together. Everything is
written as it is drawn; memory holds the hidden factors and one block of users.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from cmml_tf.config.preparation import GenerateConfig
from cmml_tf.datasets.layouts import TAOBAO_CLICKS
from cmml_tf.datasets.sources import taobao
from cmml_tf.datasets.synthetic.choice_model import ChoiceModel, Taken
from cmml_tf.files import whole_folder

_GENRES = (
    *("Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "IMAX", "Musical", "Mystery", "Romance", "Sci-Fi"),
    *("Thriller", "War", "Western"),
)
_ROWS_OF_A_BLOCK = 200_000
_FIRST_SECOND, _SECONDS = 1_000_000_000, 600_000_000
_PURCHASES_PER_CLICK = 0.05
_PLAIN = pa.csv.WriteOptions(quoting_style="none", quoting_header="none")
# The rest of the entries of an embedding, beside its latent part.
_EMBEDDING_NOISE = 0.1


def generate_logs(
    config: GenerateConfig, progress: Callable[[str], None] = lambda _: None
) -> dict[str, int]:
    """Writes the folder `config.out`, whole or not at all.

    MovieLens: user and movie numbers begin at 1, each scenario is a combination of genres. Taobao:
    themes, pools of all items of a theme, 5% purchases, and embeddings that are the hidden factors
    turned into `dimension` numbers, with noise; 1 in 500 users and items has none.

    Args:
      config: Layout, size and seed.
      progress: Told of what is written.

    Returns:
      Lines of each file.

    Raises:
      ValueError: The folder exists, or there are not as many genre combinations.
    """
    out = Path(config.out)
    if out.exists():
        raise ValueError(f"`out` must be a folder that does not exist. Received: out={config.out}.")
    size = config.resolved
    if size.layout == "movielens":
        _genre_combinations(size.scenarios)
    model = ChoiceModel(size, config.latent, config.strength, config.seed)
    write = _write_movielens if size.layout == "movielens" else _write_taobao
    with whole_folder(out) as folder:
        return write(folder, model, config, progress)


def _write_movielens(
    folder: Path, model: ChoiceModel, config: GenerateConfig, progress: Callable[[str], None]
) -> dict[str, int]:
    names = _genre_combinations(len(model.centre))
    items = np.arange(len(model.item))
    rng = np.random.default_rng([config.seed, 2])
    years = rng.integers(1930, 2016, len(items))
    movies = pa.table(
        {
            "movieId": items + 1,
            "title": [f"Film {item + 1} ({year})" for item, year in enumerate(years)],
            "genres": [names[region] for region in model.item_region],
        }
    )
    pa.csv.write_csv(movies, folder / "movies.csv", _PLAIN)
    stars = np.array([f"{half / 2:.1f}" for half in range(1, 11)], object)

    def lines(taken: Taken) -> dict[str, np.ndarray]:
        halves = np.clip(np.round(7 + taken.liking), 1, 10).astype(int)
        return {
            "userId": taken.user + 1,
            "movieId": taken.item + 1,
            "rating": stars[halves - 1],
            "timestamp": _FIRST_SECOND + rng.integers(_SECONDS, size=len(taken.user)),
        }

    ratings = _write_blocks(folder / "ratings.csv", map(lines, _blocks(model, config, progress)))
    return {"ratings.csv": ratings, "movies.csv": len(items)}


def _write_taobao(
    folder: Path, model: ChoiceModel, config: GenerateConfig, progress: Callable[[str], None]
) -> dict[str, int]:
    rng = np.random.default_rng([config.seed, 2])
    # Ids that are neither dense nor in the order of the rows.
    user_ids = rng.permutation(len(model.user)) * 3 + 1000
    item_ids = rng.permutation(len(model.item)) * 7 + 500

    def clicks(taken: Taken) -> dict[str, np.ndarray]:
        shuffled = rng.permutation(len(taken.user))
        user, item, region = (part[shuffled] for part in taken[:3])
        return {
            "user_id": user_ids[user],
            "theme_id": region + 1,
            "item_id": item_ids[item],
            "leaf_cate_id": region * 10 + item % 10,
            "cate_level1_id": region // 10,
            "clk_cnt": rng.geometric(0.7, len(user)),
            "reach_time": _FIRST_SECOND + rng.integers(_SECONDS, size=len(user)),
        }

    lines = {TAOBAO_CLICKS: map(clicks, _blocks(model, config, progress))}
    pool = {"theme_id": model.item_region + 1, "item_id": item_ids}
    lines[taobao.POOL] = iter([pool])
    purchases = int(config.resolved.interactions * _PURCHASES_PER_CLICK)
    bought = {
        "user_id": rng.choice(user_ids, purchases),
        "item_id": rng.choice(item_ids, purchases),
        "buy_time": _FIRST_SECOND + rng.integers(_SECONDS, size=purchases),
    }
    lines[taobao.PURCHASES] = iter([bought])
    written = {
        f"{name}.csv": _write_blocks(folder / f"{name}.csv", blocks)
        for name, blocks in lines.items()
    }
    turned, _ = np.linalg.qr(rng.normal(size=(config.dimension, config.latent)))
    for name, ids, factors in (
        (taobao.USER_EMBEDDINGS, user_ids, lambda rows: model.user[rows]),
        (
            taobao.ITEM_EMBEDDINGS,
            item_ids,
            lambda rows: model.centre[model.item_region[rows]] + model.item[rows],
        ),
    ):
        progress(f"{name}: {len(ids):,} lines")
        written[f"{name}.csv"] = _write_embeddings(
            folder / f"{name}.csv", ids, factors, turned.astype(np.float32), rng
        )
    return written


def _blocks(
    model: ChoiceModel, config: GenerateConfig, progress: Callable[[str], None]
) -> Iterator[Taken]:
    """What all users take, a block of users at a time, each block from its own stream."""
    behind = np.cumsum(model.activity)
    users, first, number = len(behind), 0, 0
    while first < users:
        reached = (behind[first - 1] if first else 0) + _ROWS_OF_A_BLOCK
        last = max(first + 1, int(np.searchsorted(behind, reached, side="right")))
        yield model.take(first, last, np.random.default_rng([config.seed, 1, number]))
        progress(f"users: {last:,} of {users:,}")
        first, number = last, number + 1


def _write_blocks(path: Path, blocks: Iterator[dict[str, np.ndarray]]) -> int:
    lines = 0
    first = pa.table(next(blocks))
    with pa.csv.CSVWriter(path, first.schema, write_options=_PLAIN) as writer:
        for block in itertools.chain([first], map(pa.table, blocks)):
            writer.write_table(block)
            lines += len(block)
    return lines


def _write_embeddings(
    path: Path,
    ids: np.ndarray,
    factors: Callable[[np.ndarray], np.ndarray],
    turned: np.ndarray,
    rng: np.random.Generator,
) -> int:
    """Lines `id,emb` for all but 1 in 500 ids."""
    dimension = len(turned)
    rows = np.flatnonzero(np.arange(len(ids)) % 500 != 499)
    step = max(1, 4_000_000 // dimension)
    with path.open("wb") as file:
        file.write(b"id,emb\n")
        for begin in range(0, len(rows), step):
            block = rows[begin : begin + step]
            noise = rng.standard_normal((len(block), dimension), np.float32)
            matrix = factors(block) @ turned.T + _EMBEDDING_NOISE * noise
            numbers = pc.cast(pa.array(np.round(matrix, 3).ravel()), pa.string())
            starts = pa.array(np.arange(len(block) + 1) * dimension, pa.int32())
            embeddings = pc.binary_join(pa.ListArray.from_arrays(starts, numbers), " ")
            text = pc.binary_join_element_wise(
                pc.cast(pa.array(ids[block]), pa.string()), embeddings, ","
            )
            file.write("\n".join(text.to_pylist()).encode() + b"\n")
    return len(rows)


def _genre_combinations(number: int) -> list[str]:
    """So many different combinations of one to three genres, in a fixed order."""
    combinations = [
        "|".join(members) for size in (1, 2, 3) for members in itertools.combinations(_GENRES, size)
    ]
    if number > len(combinations):
        raise ValueError(
            f"`scenarios` must be at most {len(combinations)}, the combinations of 1 to 3 of "
            f"{len(_GENRES)} genres. Received: scenarios={number}."
        )
    return combinations[:number]
