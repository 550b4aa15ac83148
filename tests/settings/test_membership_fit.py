"""What tells items of a scenario from the rest of a catalogue, learned from training scenarios."""

import numpy as np
import pandas as pd
import pytest

import cmml_tf
from cmml_tf.config import FactorConfig
from cmml_tf.settings.content.side_content import side_content
from cmml_tf.settings.scenario.matching_tables import matching_tables

SHELVES, EACH, USERS = 8, 30, 60


def tables_of(shown, tmp_path):
    """Tables of a log in which each scenario has so much of a catalogue of eight shelves."""
    rng, rows = np.random.default_rng(0), []
    for number in range(SHELVES):
        items = np.arange(SHELVES * EACH) if shown == "all" else number * EACH + np.arange(EACH)
        for item in items:
            for user in rng.choice(USERS, 12, replace=False):
                rows.append((f"u{user}", f"i{item:03}", f"s{number}"))
    log = pd.DataFrame(rows, columns=["user", "item", "scenario"])
    shelf = np.arange(SHELVES * EACH) // EACH
    items = pd.DataFrame({"item": [f"i{n:03}" for n in range(len(shelf))], "shelf": shelf})
    data = cmml_tf.scenario_data(log, items=items, kinds={"shelf": "categorical"}, seed=0).data
    return data, matching_tables_of(data, tmp_path)


def matching_tables_of(data, folder):
    folder.mkdir(exist_ok=True)
    content = side_content(folder, "item", data.item_features)
    found = matching_tables(data, FactorConfig(), 0, None, content.matrix, folder)
    return found, content.matrix


@pytest.mark.parametrize("shown", ["shelf", "all"])
def test_items_of_a_new_scenario_are_told_from_others(shown, tmp_path):
    data, (tables, content) = tables_of(shown, tmp_path)
    found = tables.membership
    places = found.places(content, tables.rows.item)
    level, slope, of_clicks = found.numbers
    held_out = data.meta_test[0].candidates
    named = held_out[:4]
    center = found.ratios * places[named].sum(axis=0) / (1 + found.ratios * len(named))
    near = places @ center - center @ center / 2
    probability = 1 / (1 + np.exp(-(level + slope * near + of_clicks * np.log1p(4))))
    others = np.setdiff1d(np.arange(len(places)), held_out)
    if shown == "all":  # where every scenario has all items, nothing is held against one
        assert not len(others)
        assert probability.min() > 0.95
    else:
        assert probability[held_out].min() > probability[others].max()
        assert probability[held_out].mean() > 5 * probability[others].mean()


def test_the_same_tables_give_the_same_bits(tmp_path):
    first, second = (tables_of("shelf", tmp_path / n)[1][0].membership for n in "ab")
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
