"""Declared features: vocabularies, unknown and missing values, index lists."""

import numpy as np
import pytest

from cmml_tf.datasets.features import RawFeature, build_columns, encode_column, learn_feature
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


def test_only_trained_ids_have_a_row_of_their_own():
    raw = [
        RawFeature("id", "id", {7: "7", 8: "8", 9: "9"}),
        RawFeature("nothing", "categorical", {}),
    ]
    (column,) = build_columns(raw, [7, 8, 9], ["9", "7"])
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
