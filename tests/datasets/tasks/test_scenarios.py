"""Definitions of scenarios and their filters, on a catalogue one can read."""

import numpy as np
import pandas as pd
import pytest

from cmml_tf.config import ScenarioConfig
from cmml_tf.datasets.interactions import Interactions, without_catalogue
from cmml_tf.datasets.tasks.scenarios import back_off, find_scenarios


@pytest.fixture
def films():
    catalogue = pd.DataFrame(
        {
            "item": [10, 11, 12, 13, 14],
            "year": [1994.0, 1995.0, 2001.0, np.nan, 1999.0],
            "genres": [("Comedy",), ("Comedy", "Drama"), ("Drama",), ("Drama",), ()],
            "tags": [("france",), ("france", "sad"), (), ("sad",), ()],
            "language": ["fr", "fr", "en", "en", None],
        }
    )
    users, items = np.meshgrid(np.arange(1, 5), catalogue["item"], indexing="ij")
    table = pd.DataFrame({"user": users.ravel(), "item": items.ravel()})
    table["value"] = np.where(table["user"] == 4, 1.0, 5.0)
    table["timestamp"] = 0
    return Interactions("films", table, catalogue)


def _config(definition, **changes):
    small = {"min_items": 2, "min_interactions": 4}
    return ScenarioConfig(definition=definition, **{**small, **changes})


def _members(found):
    return {
        name: sorted(
            {int(found.item_ids[row]) for row in found.items[found.pair[found.scenario == number]]}
        )
        for number, name in enumerate(found.scenario_names)
    }


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("genre", {"Comedy": [10, 11], "Drama": [11, 12, 13]}),
        ("genre-decade", {"Comedy@1990s": [10, 11]}),
        ("tag", {"france": [10, 11], "sad": [11, 13]}),
        ("column:language", {"en": [12, 13], "fr": [10, 11]}),
        ("genre-combination", {"Drama": [11, 12, 13]}),
    ],
)
def test_definitions(films, definition, expected):
    found = find_scenarios(films, _config(definition))
    assert _members(found) == expected
    sizes = {name: len(items) * 4 for name, items in expected.items()}
    counted = np.bincount(found.scenario)
    assert dict(zip(found.scenario_names, counted.tolist(), strict=True)) == sizes


def test_small_combination_falls_back_to_its_largest_then_rarest_part():
    genres = [("a",)] * 4 + [("b",)] * 3 + [("a", "c")] * 2 + [("a", "b", "c"), ("d",), None, ()]
    names = back_off(genres, min_items=2)
    assert names == ["a"] * 4 + ["b"] * 3 + ["a|c"] * 2 + ["a|c", None, None, None]
    assert back_off(genres, min_items=3)[7:] == ["a", "a", "b", None, None, None]


def test_filters_count_what_they_leave_out(films):
    found = find_scenarios(films, _config("genre", min_value=2.0, max_items=2))
    assert found.scenario_names == ("Comedy",)
    assert found.counts["interactions read"] == 20
    assert found.counts["below min_value=2, left out"] == 5
    assert found.counts["scenarios found"] == 2
    assert found.counts["scenarios with more than max_items"] == 1
    assert found.counts["scenarios kept"] == 1
    assert found.user_ids.tolist() == [1, 2, 3]
    found = find_scenarios(films, _config("genre", min_interactions=9))
    assert found.scenario_names == ("Drama",)


def test_column_of_the_table_and_repeated_rows():
    rows = [("a", "u", "x"), ("a", "u", "x"), ("b", "u", "x"), (None, "u", "y")]
    rows += [(name, user, item) for name in "ab" for user in "vw" for item in "xyz"]
    table = pd.DataFrame(rows, columns=["scenario", "user", "item"])
    table = table.assign(value=1.0, timestamp=0)
    found = find_scenarios(
        Interactions("log", table, without_catalogue()), _config("column:scenario")
    )
    assert found.scenario_names == ("a", "b")
    assert np.bincount(found.scenario).tolist() == [7, 7]  # (u, x) is in both, once each
    assert len(found.users) == 8
    assert found.counts["repeated (user, item) pairs, counted once"] == len(table) - 8
    assert found.user_ids.tolist() == ["u", "v", "w"]


def test_absent_column_and_impossible_filters_are_explained(films):
    log = Interactions("log", films.table, without_catalogue())
    with pytest.raises(
        ValueError, match=r"needs a column 'genres'.*scenario.definition column:NAME.*timestamp"
    ):
        find_scenarios(log, _config("genre"))
    with pytest.raises(ValueError, match="needs a column 'mood'"):
        find_scenarios(films, _config("column:mood"))
    with pytest.raises(ValueError, match=r"No scenario .* 2 have fewer than min_items=9"):
        find_scenarios(films, _config("genre", min_items=9))
    with pytest.raises(ValueError, match=r"`min_value` must leave interactions"):
        find_scenarios(films, _config("genre", min_value=6.0))
