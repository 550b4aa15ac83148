"""A made-up catalogue with a feature of each kind."""

import numpy as np

from cmml_tf.types import ContentColumn


def objects(values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def catalogue(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    words = [f"word{n}" for n in range(30)]
    genres = ["War", "Drama", "Comedy", "Sci-Fi"]
    price = rng.lognormal(3, 1, rows)
    price[::17] = np.nan
    brand = [f"b{n}" for n in rng.zipf(1.6, rows)]
    vector = rng.normal(size=(rows, 12)).astype(np.float32)
    vector[5] = np.nan
    return [
        ContentColumn(
            "brand", "categorical", objects(["" if i % 11 == 0 else b for i, b in enumerate(brand)])
        ),
        ContentColumn(
            "genre",
            "multi-hot",
            objects([tuple(rng.permutation(genres)[: i % 4]) for i in range(rows)]),
        ),
        ContentColumn("price", "numeric", price),
        ContentColumn(
            "title", "text", objects([" ".join(rng.choice(words, 3)) for _ in range(rows)])
        ),
        ContentColumn("picture", "vector", vector),
    ]
