"""User models of the reference implementation: their numbers come out of our layers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.interop.load_reference import user_model_from_reference
from cmml_tf.interop.reference_user_weights import (
    ITEM_FEATURES,
    USER_FEATURES,
    read_reference_user_weights,
)
from cmml_tf.types import Feature, FeatureColumn, Support

GOLDEN = Path(__file__).resolve().parents[2].parent / "shared" / "golden"
FILES = sorted(GOLDEN.glob("user_*_dot_mean_seed*.npz"))
pytestmark = pytest.mark.skipif(not FILES, reason="needs ../shared/golden beside the checkout")


def column(reference, side, name, golden):
    """The recorded 40 support and 10 query rows as a catalogue of 50 items or users."""
    values = [golden[f"in/{part}_{name}"] for part in ("support", "query")]
    size = reference.vocabulary_size(side, name)
    words = tuple(map(str, range(size)))
    if values[0].ndim == 1:
        kind = Feature(name, "categorical", words)
        return FeatureColumn(kind, np.concatenate([*values, [size]]).astype(np.int32))
    table = np.concatenate(values)
    counts = (table >= 0).sum(axis=1)
    starts = np.concatenate([[0], np.cumsum(counts), [counts.sum()]])
    return FeatureColumn(Feature(name, "multi-hot", words), table[table >= 0], starts)


def tables_of(path):
    return GOLDEN / f"user_embedding_tables_{path.stem[-5:]}.npz"


def loaded(path):
    golden = dict(np.load(path))
    reference = read_reference_user_weights(path, tables_of(path))
    items = [column(reference, "item", name, golden) for name in ITEM_FEATURES]
    users = [column(reference, "user", name, golden) for name in USER_FEATURES]
    return golden, user_model_from_reference(reference, items, users)


def squared_error(golden, scores):
    return tf.reduce_mean(tf.square(scores - golden["in/query_y"].ravel()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imported_user_models_give_the_recorded_numbers(path):
    golden, model = loaded(path)
    support_rows, query_rows = tf.range(40)[None], tf.range(40, 50)[None]
    support = Support(support_rows, support_rows, golden["in/support_y"].T, tf.constant([40]))
    for name, rows in (("support", support_rows), ("query", query_rows)):
        pairs = model.pair_embedding(rows, rows)[0]
        np.testing.assert_allclose(pairs, golden[f"out/{name}_embedding"], atol=1e-6)
    label = model.label_features(support.label)[0]
    np.testing.assert_allclose(label, golden["out/score_embedding"], atol=1e-5)
    context = model.encode_context(support)
    np.testing.assert_allclose(context[0], golden["out/context"], atol=1e-5)
    scores = model.score_with_context(context, query_rows, query_rows)[0]
    np.testing.assert_allclose(scores, golden["out/scores"].ravel(), atol=1e-5)
    loss = squared_error(golden, scores)
    np.testing.assert_allclose(loss, golden["out/mse_loss"], rtol=1e-5)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_support_side_does_not_train_the_tables(path):
    """Gradients of the tables: the query's alone, as recorded."""
    golden, model = loaded(path)
    rows, query = tf.range(40)[None], tf.range(40, 50)[None]
    support = Support(rows, rows, golden["in/support_y"].T, tf.constant([40]))
    field = model.pair_embedding.item_fields[0].table
    with tf.GradientTape() as tape:
        context = model.encode_context(support, training=True)
        scores = model.score_with_context(context, query, query)[0]
        loss = squared_error(golden, scores)
    gradient = tf.convert_to_tensor(tape.gradient(loss, field))[:-1]
    recorded = golden["grad/user_item_embed.item_emb.embedding_rate.weight"]
    np.testing.assert_allclose(gradient, recorded, atol=1e-5)


def test_faulty_files_are_named(tmp_path):
    path = FILES[0]
    arrays = dict(np.load(path)) | dict(np.load(tables_of(path)))
    whole = tmp_path / "whole.npz"
    np.savez(whole, **arrays)
    assert read_reference_user_weights(whole).config.network.hybrid == "dot"
    with pytest.raises(ValueError, match="embedding table of the item feature 'rate' is missing"):
        read_reference_user_weights(path)
    for change, message in (
        ({"state/context_encoder.gru.bias_hh_l0": np.ones(3, "f")}, "only the last rating"),
        ({"state/more.weight": np.ones(3, "f")}, r"more\.weight` is not part of"),
        ({"state/context_encoder.mlp.0.bias": np.ones((2, 2), "f")}, "must have rank 1"),
    ):
        np.savez(whole, **(arrays | change))
        with pytest.raises(ValueError, match=message):
            read_reference_user_weights(whole)
    del arrays["state/context_encoder.mlp.0.bias"]
    np.savez(whole, **arrays)
    with pytest.raises(ValueError, match=r"mlp\.0\.bias` is missing"):
        read_reference_user_weights(whole)
