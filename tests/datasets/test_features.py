"""Declared features: vocabularies, unknown and missing values, index lists, names, numbers."""

from pathlib import Path

import numpy as np
import pytest

from cmml_tf.datasets.features import (
    RawFeature,
    build_columns,
    check_names,
    encode_column,
    finite_numbers,
    learn_feature,
)
from cmml_tf.types import Feature


def test_values_become_vocabulary_rows_and_others_the_row_behind():
    feature = learn_feature("rate", "categorical", ["R", "PG", None, "R", ""])
    assert feature.vocabulary == ("PG", "R")
    column = encode_column(feature, ["R", "X", None, "PG"])
    assert column.values.tolist() == [1, 2, 2, 0, 2]  # the last row stands for an unknown item
    assert (column.rows, column.starts) == (4, None)


def test_several_values_are_index_lists():
    feature = learn_feature("genre", "multi-hot", [("b", "a"), (), None])
    column = encode_column(feature, [("b", "a", "b"), (), ("new",), None])
    lists = np.split(column.values, column.starts[1:-1])
    assert [part.tolist() for part in lists] == [[1, 0], [], [2], [], []]
    assert column.rows == 4


def test_numbers_are_standardised_and_a_missing_one_is_the_mean():
    feature = learn_feature("price", "numeric", [1.0, 3.0, None, float("nan")])
    assert (feature.mean, feature.deviation) == (2.0, 1.0)
    assert encode_column(feature, [4.0, None]).values.tolist() == [2.0, 0.0, 0.0]
    assert learn_feature("same", "numeric", [5.0, 5.0]).deviation == 1.0
    assert learn_feature("nearly", "numeric", [0.0, 1e-300]).deviation == 1.0


def test_only_trained_ids_have_a_row_of_their_own():
    raw = [
        RawFeature("id", "id", {7: "7", 8: "8", 9: "9"}),
        RawFeature("nothing", "categorical", {}),
    ]
    (column,) = build_columns("item", raw, [7, 8, 9], ["9", "7"])
    assert column.feature.vocabulary == ("7", "9")
    assert column.values.tolist() == [0, 2, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "list", ("x",)), "`kind` must be one of"),
        (("a", "categorical"), "`vocabulary` must be empty for a numeric"),
        (("a", "numeric", ("x",)), "`vocabulary` must be empty for a numeric"),
        (("a", "id", ("x", "x")), "must not repeat"),
        (("a", "numeric", (), 0.0, 0.0), "`deviation` must be a positive"),
    ],
)
def test_wrong_declarations_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Feature(*arguments)


@pytest.mark.parametrize("side", ["item", "user"])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["id"], "must not be named 'id'"),
        (["genre", "ID"], "must not be named 'ID'"),
        (["ids"], "must not be named 'ids'"),
        (["Genre", "genre"], "differ in more than upper and lower case.*'Genre' and 'genre'"),
        (["price-eur"], "1 to 64 letters, digits and _ .*'price-eur'"),
        (["a/b"], "1 to 64 letters"),
        (["größe"], "1 to 64 letters"),
        ([""], "1 to 64 letters"),
        ([True], "1 to 64 letters.*True"),
        (["x" * 65], "1 to 64 letters"),
    ],
)
def test_names_that_would_clash_in_an_export_are_refused(side, names, message):
    with pytest.raises(ValueError, match=message):
        check_names(side, [(name, "categorical") for name in names])
    raw = [RawFeature(name, "categorical", {1: "x"}) for name in names]
    with pytest.raises(ValueError, match=message):
        build_columns(side, raw, [1], [])


def test_the_id_itself_may_be_called_id():
    raw = [RawFeature("id", "id", {1: "1"}), RawFeature("identity", "categorical", {1: "x"})]
    assert len(build_columns("item", raw, [1], ["1"])) == 2


@pytest.mark.parametrize("text", ["inf", "-Infinity", "NaN", "1e400", "1e39", "ten", "1_0", "."])
def test_numbers_that_are_not_finite_are_named_by_row_and_column(text):
    with pytest.raises(ValueError, match=r"Column 'price' of items\.csv .* in row 2 .* that of b"):
        finite_numbers(Path("items.csv"), "price", ["a", "b", "c"], ["1.5", text, ""])


def test_an_empty_number_is_unknown():
    numbers = finite_numbers(Path("items.csv"), "price", "abc", ["1.5", " ", "-3e38"])
    assert numbers[::2] == [1.5, -3e38]
    assert np.isnan(numbers[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("side", ["item", "user"])
def test_a_number_of_any_source_must_be_finite(side, value):
    raw = [RawFeature("price", "numeric", {1: 2.0, 2: value})]
    with pytest.raises(ValueError, match=f"The {side} feature 'price' must be finite.* {side} 2"):
        build_columns(side, raw, [1, 2], [])


def test_a_value_of_several_lines_is_refused():
    raw = [RawFeature("title", "categorical", {1: "a\nb"})]
    with pytest.raises(ValueError, match=r"'title' must hold lines of text.*item 1"):
        build_columns("item", raw, [1], [])
