"""Contexts: the model's own, apart where tasks differ, and as the projector reads them."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig

from cmml_tf.config import ModelConfig
from cmml_tf.interpretation.contexts import project, separation, task_contexts, write_projector
from cmml_tf.models.build import build_model
from cmml_tf.types import Support


def small_model(**config):
    tf.keras.utils.set_random_seed(0)
    model = build_model(ModelConfig(**config), 6, 5, 2, 2)
    rng = np.random.default_rng(0)
    model.pair_embedding.set_tables(rng.normal(size=(6, 2)), rng.normal(size=(5, 2)))
    return model


def test_contexts_are_the_models():
    model = small_model(encoder_units=3, encoder="mean")
    rng = np.random.default_rng(1)
    supports = [
        Support(
            rng.integers(0, 6, (1, 4)).astype(np.int32),
            rng.integers(0, 5, (1, 4)).astype(np.int32),
            np.array([[1, 1, 0, 0]], np.float32),
            np.array([4], np.int32),
        )
        for _ in range(3)
    ]
    together = Support(*(np.concatenate(field) for field in zip(*supports, strict=True)))
    np.testing.assert_allclose(
        task_contexts(model, supports), model.encode_context(together), rtol=1e-5, atol=1e-6
    )


def test_model_without_context_is_refused():
    model = small_model(encoder="none", hybrid="none", modulation="none")
    with pytest.raises(ValueError, match="must have a context encoder"):
        task_contexts(model, [])


def test_tasks_that_lie_apart_stay_apart_in_the_plane():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 15)
    contexts = rng.normal(0, 0.1, (30, 8)) + (labels == "a")[:, None]
    plane = project(contexts, seed=1)
    assert plane.shape == (30, 2)
    inside = np.linalg.norm(
        plane - np.where((labels == "a")[:, None], plane[:15].mean(0), plane[15:].mean(0)), axis=1
    )
    assert inside.max() < np.linalg.norm(plane[:15].mean(0) - plane[15:].mean(0)) / 2
    np.testing.assert_array_equal(plane, project(contexts, seed=1))
    assert separation(contexts, labels) > 0.7
    assert abs(separation(contexts, rng.permutation(labels))) < 0.2


def test_projector_files_are_what_tensorboard_reads(tmp_path):
    contexts = np.arange(6.0).reshape(3, 2) / 7
    columns = {"scenario": ["x", "y", "z"], "group": ["p", "p", "q"]}
    write_projector(tmp_path, contexts, columns)
    config = ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    read = np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t")
    np.testing.assert_allclose(read, contexts, rtol=1e-5)
    with (tmp_path / embedding.metadata_path).open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["group"] for row in rows] == columns["group"]
