"""Content: what the encoder keeps, leaves out and does with what it never saw."""

import numpy as np
import pytest
import tensorflow as tf
from content.made_columns import catalogue, objects

from cmml_tf.content import token_graph, tokens
from cmml_tf.content.encoder import ContentEncoder, fit_content
from cmml_tf.content.encoder_file import load_encoder, save_encoder
from cmml_tf.content.encoder_graph import ContentGraph
from cmml_tf.types import ContentColumn

TEXTS = (
    "Toy Story",
    "toy  story!",
    "",
    "...",
    "Ein Café für DICH, dich und 42",
    "Straße ΣΊΣΥΦΟΣ Ёлка",
    "e\u0301tude",
    "日本語 テキスト",
    "नमस्ते",
    "a b ab abc",
    "x" * 1500,
    "\U0001f600 smile\x00nul",
)


def tensors(columns):
    """The columns as a request has them."""
    given = {}
    for column in columns:
        if column.kind == "multi-hot":
            given[column.name] = tf.constant(["|".join(value) for value in column.values])
        elif column.kind in ("numeric", "vector"):
            given[column.name] = tf.constant(column.values.astype(np.float32))
        else:
            given[column.name] = tf.constant(column.values.tolist())
    return given


@pytest.mark.parametrize("name", ["whole_values", "words", "grams"])
def test_a_graph_finds_the_same_tokens(name):
    wanted = getattr(tokens, name)(TEXTS)
    graph = tf.function(getattr(token_graph, name)).get_concrete_function(
        tf.TensorSpec([None], tf.string)
    )
    found = graph(tf.constant(TEXTS))
    assert sorted(zip(wanted.of_row, wanted.key, strict=True)) == sorted(
        zip(found.of_row.numpy(), found.key.numpy(), strict=True)
    )
    empty = graph(tf.constant([], tf.string))
    assert len(empty.key) == 0 == len(getattr(tokens, name)([]).key)


def test_words_do_not_know_case_and_accents():
    same = tokens.words(["Café STRASSE 42", "cafe strasse 42", "cafe\u0301, strasse; 42"])
    first, second, third = (set(same.key[same.of_row == row]) for row in range(3))
    assert first == second == third
    assert len(first) == 3
    assert len(set(tokens.words(["one two one"]).key)) == 2


def test_a_graph_encodes_as_numpy_does():
    columns, new = catalogue(), catalogue(50, seed=1)
    encoder = fit_content(columns)
    new[0] = new[0]._replace(values=objects(["never seen", "", *new[0].values.tolist()[2:]]))
    graph = ContentGraph(encoder)
    for part in (columns, new):
        wanted = encoder.encode(part)
        np.testing.assert_allclose(graph(tensors(part)), wanted, atol=1e-5)
    assert wanted.shape == (50, encoder.dimension)
    assert encoder.dimension <= 64
    assert wanted.dtype == np.float32
    assert np.sqrt(np.mean(encoder.encode(columns) ** 2)) == pytest.approx(1, abs=1e-4)


def test_nothing_known_is_zero_and_each_feature_adds_its_part():
    columns = catalogue()
    encoder = fit_content(columns)
    unknown = [
        ContentColumn("brand", "categorical", objects([""])),
        ContentColumn("genre", "multi-hot", objects([()])),
        ContentColumn("price", "numeric", np.array([np.nan])),
        ContentColumn("title", "text", objects(["--"])),
        ContentColumn("picture", "vector", np.full([1, 12], np.nan, np.float32)),
    ]
    assert not encoder.encode(unknown).any()
    assert not encoder.encode(unknown[:1]).any()
    row = [column._replace(values=column.values[:1]) for column in columns]
    parts = sum(encoder.encode([column]) for column in row)
    np.testing.assert_allclose(encoder.encode(row), parts, atol=1e-5)


def test_all_features_weigh_alike():
    columns = catalogue(2000)
    encoder = fit_content(columns, most_dimensions=10_000)
    full = encoder.encode(columns)
    assert encoder.share == pytest.approx(1, abs=1e-3)
    for column in columns:
        own = encoder.encode([column])
        known = own.any(axis=1)
        assert np.mean(own[known] ** 2) / np.mean(full**2) == pytest.approx(1 / 5, abs=0.05)


def test_fitting_again_gives_the_same_and_a_file_keeps_it(tmp_path):
    columns = catalogue()
    encoder = fit_content(columns)
    np.testing.assert_array_equal(fit_content(columns).encode(columns), encoder.encode(columns))
    save_encoder(tmp_path / "encoder.npz", encoder)
    kept = load_encoder(tmp_path / "encoder.npz")
    np.testing.assert_array_equal(kept.encode(columns), encoder.encode(columns))
    assert kept.features == encoder.features
    (tmp_path / "encoder.npz").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"encoder\.npz is not"):
        load_encoder(tmp_path / "encoder.npz")


def test_the_sparse_way_finds_the_directions_of_the_dense_one(monkeypatch):
    columns = catalogue(700)
    dense = fit_content(columns, 20).encode(columns)
    monkeypatch.setattr("cmml_tf.content.projection._LARGEST_DENSE", 8)
    np.testing.assert_allclose(fit_content(columns, 20).encode(columns), dense, atol=1e-4)


def test_features_that_say_nothing_leave_no_content():
    same = [
        ContentColumn("shop", "categorical", objects(["a"] * 20)),
        ContentColumn("code", "categorical", objects([f"{n}" for n in range(20)])),
        ContentColumn("size", "numeric", np.ones(20)),
        ContentColumn("note", "text", objects([""] * 20)),
    ]
    encoder = fit_content(same)
    assert encoder.dimension == 0
    assert encoder.encode(same).shape == (20, 0)
    assert ContentGraph(encoder)(tensors(same)).shape == (20, 0)
    assert fit_content([]) == ContentEncoder((), (), 0, 0.0)


def test_an_unseen_value_counts_as_a_rare_one():
    brands = objects(["a"] * 10 + ["b"] * 10 + ["rare", "seldom"])
    encoder = fit_content([ContentColumn("brand", "categorical", brands)])
    found = encoder.encode([ContentColumn("brand", "categorical", objects(["rare", "new", "a"]))])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_a_number_moves_its_content_without_jumps():
    numbers = np.random.default_rng(0).lognormal(0, 1, 1000)
    encoder = fit_content([ContentColumn("price", "numeric", numbers)])
    line = np.linspace(numbers.min() - 1, numbers.max() + 1, 20_000)
    found = encoder.encode([ContentColumn("price", "numeric", line)])
    assert np.abs(np.diff(found, axis=0)).max() < 0.05
    np.testing.assert_array_equal(
        found[0], encoder.encode([ContentColumn("price", "numeric", np.array([-1e30]))])[0]
    )


def test_other_features_than_the_encoders_are_refused():
    encoder = fit_content(catalogue())
    with pytest.raises(ValueError, match=r"fitted on: brand .*Received: colour \(categorical\)"):
        encoder.encode([ContentColumn("colour", "categorical", objects(["a"]))])
    with pytest.raises(ValueError, match="picture must have 12 numbers"):
        encoder.encode([ContentColumn("picture", "vector", np.zeros([1, 3], np.float32))])
