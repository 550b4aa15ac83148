"""Films of six genres, some of them new, and users who like two."""

import numpy as np
import pandas as pd

GENRES, OF_GENRE, YOUNG = 6, 12, 3  # items of a genre, the last ones of which are new


def films():
    item = np.arange(GENRES * OF_GENRE)
    return pd.DataFrame({"item": item, "genre": [f"g{one % GENRES}" for one in item]})


def planted(users=240, asked=48, seed=0):
    """Users like two genres. Those who come last meet items that are in no other user's rows."""
    rng, item = np.random.default_rng(seed), np.arange(GENRES * OF_GENRE)
    young = item // GENRES >= OF_GENRE - YOUNG
    rows = []
    for user in range(users):
        liked = np.isin(item % GENRES, rng.choice(GENRES, 2, replace=False))
        weight = np.where(liked, 12.0, 1.0)
        if user < users - asked:
            weight = weight * ~young
        taken = rng.choice(item, 14, replace=False, p=weight / weight.sum())
        rows += [(f"u{user}", int(one), user * 100 + n) for n, one in enumerate(taken)]
    return pd.DataFrame(rows, columns=["user", "item", "timestamp"])
