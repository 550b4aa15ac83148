"""Routes: those that scores are made with, their names, and like tasks side by side."""

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.config import ModelConfig
from cmml_tf.interpretation.figures import (
    Curve,
    Projection,
    draw_costs,
    draw_projections,
    draw_route_map,
    draw_routes,
    save_figure,
)
from cmml_tf.interpretation.routes import cluster_tasks, route_names, split_routes, task_routes
from cmml_tf.models.build import build_model
from cmml_tf.types import Support

MODULES = 3
SUPPORT = Support(
    np.array([[1, 2]], np.int32),
    np.array([[3, 4]], np.int32),
    np.array([[1, 0]], np.float32),
    np.array([2], np.int32),
)


def small_model(**modulation):
    tf.keras.utils.set_random_seed(0)
    config = ModelConfig(encoder="mean", encoder_units=3, backbone_units=(4, 4), **modulation)
    model = build_model(config, 6, 5, 2, 2)
    rng = np.random.default_rng(0)
    model.pair_embedding.set_tables(rng.normal(size=(6, 2)), rng.normal(size=(5, 2)))
    return model


def test_routes_are_means_over_pairs_and_columns_sum_to_one():
    model = small_model(modulation="soft", modules=3)
    users, items = np.array([0, 1, 5], np.int32), np.array([4, 3, 0], np.int32)
    routes = task_routes(model, SUPPORT, users, items)
    context = model.encode_context(SUPPORT)
    each = model.modulation(context, users[None], items[None])
    first, last = split_routes(routes, MODULES)
    np.testing.assert_allclose(first, np.mean(each["route_1"][0], axis=0), rtol=1e-5)
    np.testing.assert_allclose(last, np.mean(each["route_2"][0], axis=0), rtol=1e-5)
    np.testing.assert_allclose(first.sum(axis=0), np.ones(3), rtol=1e-5)
    names = route_names(layers=2, modules=MODULES)
    assert len(names) == len(routes)
    assert routes[names.index("1:2>3")] == first[1, 2]
    assert routes[names.index("2:3>out")] == last[2, 0]


def test_other_modulations_have_no_routes():
    with pytest.raises(ValueError, match=r"soft modules \(preset cmml-soft-m\).*FilmBackbone"):
        task_routes(
            small_model(modulation="film"), SUPPORT, np.zeros(1, np.int32), np.zeros(1, np.int32)
        )


def test_tasks_with_like_routes_are_neighbours():
    rng = np.random.default_rng(0)
    kinds = np.array([0, 1, 0, 1, 1, 0])
    routes = kinds[:, None] + rng.normal(0, 0.05, (6, 12))
    ordered = kinds[cluster_tasks(routes).order]
    assert np.abs(np.diff(ordered)).sum() == 1


def test_figures_are_written_as_png_and_svg(tmp_path):
    rng = np.random.default_rng(0)
    routes = rng.dirichlet(np.ones(MODULES), (5, 4)).reshape(5, 12)
    names = [f"scenario {n}" for n in range(5)]
    panel = Projection("CMML", rng.normal(size=(5, 2)), ["a", "a", "b", "b", "b"], names)
    figures = {
        "contexts": draw_projections([panel, panel], "caption 3"),
        "routes": draw_routes(dict(zip(names[:2], routes[:2], strict=True)), MODULES, "caption 4"),
        "costs": draw_costs(
            {"scenario 1, ms": [Curve("s2Meta", [1, 5], [2.0, 9.0]), Curve("CMML", [], [1.0])]},
            "caption 2",
        ),
        "map": draw_route_map(names, routes, cluster_tasks(routes), MODULES, "caption 5"),
    }
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        drawn = (tmp_path / f"{name}.svg").read_text()
        assert "caption" in drawn
        assert "scenario 1" in drawn
    assert "2:3&gt;out" in (tmp_path / "map.svg").read_text()
