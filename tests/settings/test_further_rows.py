"""Items that came after the training: known by their features, without any training."""

import numpy as np
import pandas as pd
import pytest

from cmml_tf.content.encoder import fit_content
from cmml_tf.datasets.feature_table import content_column
from cmml_tf.settings.content.further_rows import further_rows

IDS = np.arange(20)
COLUMNS = [
    content_column("brand", "categorical", ["a", "b"] * 10),
    content_column("size", "numeric", np.arange(20.0)),
]


def test_new_rows_are_encoded_as_those_of_the_catalogue_were(tmp_path):
    encoder = fit_content(COLUMNS)
    table = pd.DataFrame({"item": [31, 3, 30], "size": ["7", "1", ""], "brand": ["b", "a", "z"]})
    found = further_rows(IDS, encoder, "item", table.assign(colour="red"))
    assert found.ids.tolist() == [31, 30]
    np.testing.assert_array_equal(found.content[0], encoder.encode(COLUMNS)[7])
    table.to_csv(tmp_path / "new.csv", index=False)
    again = further_rows(IDS, encoder, "item", tmp_path / "new.csv")
    np.testing.assert_array_equal(again.content, found.content)
    less = further_rows(IDS, encoder, "item", table[["item"]])
    assert not less.content.any()


def test_ids_are_of_the_known_kind():
    encoder = fit_content(COLUMNS)
    table = pd.DataFrame({"item": ["31", "new"], "size": [1, 2]})
    with pytest.raises(ValueError, match=r"must be integers.*Received: 'new'"):
        further_rows(IDS, encoder, "item", table)
    as_words = further_rows(IDS.astype(str).astype(object), encoder, "item", table[:1])
    assert as_words.ids.tolist() == ["31"]
