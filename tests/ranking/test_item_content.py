"""Items that nobody has taken are ranked by their features, in training as when they are asked."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from random_weights import random_weights
from ranking.small_clicks import ITEMS, clicks
from ranking.small_films import GENRES, OF_GENRE, YOUNG, films, planted

import cmml_tf
from cmml_tf.config.ranking import (
    RankingDataConfig,
    RankingEpisodeConfig,
    RankingModelConfig,
    RankingRunConfig,
)
from cmml_tf.config.split import UserSplitConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.embeddings.content_columns import ContentRegression
from cmml_tf.embeddings.item_tables import edlae
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.systems import Recipe
from cmml_tf.types import Episode, Support


@pytest.fixture(scope="module", params=[4000, pytest.param(46, marks=pytest.mark.slow)])
def run(request, tmp_path_factory):
    """With all items that somebody took in the tables, or with all but eight of them."""
    data = cmml_tf.user_data(
        planted(), objective="ranking", items=films(), split=UserSplitConfig("time")
    )
    options = {
        "model": {
            "folds": 2,
            "dropouts": [0.5, 0.9],
            "shrinkages": [0.0],
            "table_items": request.param,
        },
        "episode": {"tasks_per_step": 16},
        "training": {"steps_per_epoch": 100, "max_epochs": 2, "learning_rate": 0.02},
    }
    folder = tmp_path_factory.mktemp("content") / "run"
    return cmml_tf.fit(data, run_dir=folder, options=options, progress=False)


def test_an_item_of_the_table_is_one_of_the_catalogue(run):
    data = run._run.prepared.data
    assert set(data.item_ids) == set(range(GENRES * OF_GENRE))
    assert data.counts["items in no interaction, known by their features"] == GENRES * YOUNG
    assert data.counts["items with features"] == GENRES * (OF_GENRE - YOUNG)
    assert data.taken[-GENRES * YOUNG :].sum() == 0
    asked = run.evaluate().metrics["known"]
    assert 0.5 < asked["items"] < 0.9


def test_items_that_nobody_took_are_found_above_chance_and_popularity(run):
    parts = run.evaluate().metrics["curve"]["5"]
    own, popularity, chance = (
        parts[name]["unknown_items"]["recall@20"] for name in ("own", "popularity", "chance")
    )
    assert own > chance + 0.15
    assert own > popularity + 0.15
    best = max(parts[name]["recall@20"] for name in ("item_knn", "ease", "als_fold_in"))
    assert parts["own"]["recall@20"] > best + 0.05


def test_the_genre_that_is_known_comes_first_among_new_items(run):
    young = list(range(GENRES * (OF_GENRE - YOUNG), GENRES * OF_GENRE))
    for genre in (0, 3):
        known = pd.DataFrame({"user": "new", "item": [genre, genre + GENRES, genre + 2 * GENRES]})
        best = run.recommend(known, "new", YOUNG, among=young)["item"]
        assert (best % GENRES == genre).all()


def test_a_user_who_has_taken_new_items_alone_is_told_apart(run):
    known = [GENRES * (OF_GENRE - 1) + 2, GENRES * (OF_GENRE - 2) + 2]
    best = run.recommend(pd.DataFrame({"user": "new", "item": known}), "new", 6)["item"]
    assert (best % GENRES == 2).sum() >= 4


@pytest.fixture(scope="module")
def served(run, tmp_path_factory):
    """Its export, loaded."""
    return tf.saved_model.load(str(run.export(tmp_path_factory.mktemp("content") / "export")))


def test_the_served_model_ranks_them_alike(run, served):
    items = [1, 1 + GENRES]
    best = served.signatures["recommend"](
        support_user_id=tf.constant([["new"] * 2]),
        support_item_id=tf.constant([items], tf.int64),
        support_label=tf.ones([1, 2]),
        support_length=tf.constant([2]),
        user_id=tf.constant(["new"]),
    )
    table = pd.DataFrame({"user": "new", "item": items})
    wanted = run.recommend(table, "new", 20)
    assert best["item_id"][0].numpy().tolist() == wanted["item"].tolist()
    np.testing.assert_allclose(best["score"][0], wanted["score"], rtol=1e-4)


def test_items_that_came_after_the_training_are_served(run, served, tmp_path):
    new = pd.DataFrame({"item": [0, 900, 901], "genre": ["g0", "g1", "g4"]})
    more = tf.saved_model.load(str(run.export(tmp_path / "more", items=new)))
    support = {
        "support_user_id": tf.constant([["new"] * 2]),
        "support_item_id": tf.constant([[1, 1 + GENRES]], tf.int64),
        "support_label": tf.ones([1, 2]),
        "support_length": tf.constant([2]),
        "query_user_id": tf.constant([["new"] * 4]),
    }
    young = GENRES * (OF_GENRE - 1) + 1  # of the genre that is liked, taken by nobody
    query = {"query_item_id": tf.constant([[0, young, 900, 901]], tf.int64)}
    before = served.signatures["serving_default"](**support, **query)["score"].numpy()[0]
    after = more.signatures["serving_default"](**support, **query)["score"].numpy()[0]
    np.testing.assert_allclose(after[:2], before[:2], rtol=1e-5)  # what was known stays
    np.testing.assert_allclose(after[2], after[1], rtol=1e-5)  # as any other of its genre
    assert after[3] < after[2]
    with pytest.raises(ValueError, match="`items` and `users` must be left out"):
        run.export(tmp_path / "more", users=pd.DataFrame({"user": ["x"], "age": [1]}))


def test_foretold_without_an_item_is_what_a_regression_without_it_foretells():
    rng = np.random.default_rng(0)
    content = rng.normal(size=(30, 4)).astype(np.float32)
    counts = rng.integers(1, 9, [30, 30]).astype(np.float32)
    counts = counts + counts.T + np.diag(np.full(30, 60.0))
    table, times = edlae(counts, 10.0), np.diag(counts)
    found = ContentRegression(times, content, 5.0)
    columns = found.widened(table)[0][:, 30:]
    x = np.append(content, np.ones([30, 1]), axis=1)
    for item in (0, 7):
        other = np.arange(30) != item
        w = times / (times + 10.0)
        system = (x[other] * w[other, None]).T @ x[other] + 5.0 * np.eye(5)
        without = np.linalg.solve(system, (x[other] * w[other, None]).T @ table[:, other].T)
        h = found.leverage[item]
        left_out = (columns @ x[item] - h * table[:, item]) / (1 - h)
        np.testing.assert_allclose(left_out, x[item] @ without, atol=1e-5)


def test_what_nobody_took_is_foretold_where_it_stands_in_the_tables():
    rng = np.random.default_rng(1)
    content = rng.normal(size=[20, 3]).astype(np.float32)
    content[19] = content[4]  # nobody took 19, which is as 4 is
    table = rng.normal(size=[20, 20]).astype(np.float32)
    table[19], table[:, 19] = 0, 0
    times, popularity = np.append(np.full(19, 50), 0), rng.normal(size=20).astype(np.float32)
    found = ContentRegression(times, content, 0.1)
    whole, rows = found.widened(table)
    np.testing.assert_array_equal(whole[:19, :19], table[:19, :19])
    x = np.append(content[4], 1.0)
    np.testing.assert_allclose(whole[:19, 19], whole[:19, 20:] @ x, rtol=1e-4)
    np.testing.assert_allclose(whole[19, :20], x @ rows[:, :20], rtol=1e-4, atol=1e-5)
    of_content = found.foretold(popularity)
    np.testing.assert_allclose(popularity[19], of_content @ x, rtol=1e-4)
    # The row that content foretells is nearer to that of its like than nothing is.
    away = np.abs(whole[19, :19] - table[4, :19]).sum()
    assert away < np.abs(table[4, :19]).sum()


def test_a_catalogue_that_everybody_has_taken_has_content_too(tmp_path):
    clicks().to_csv(tmp_path / "clicks.csv", index=False)
    films()[:ITEMS].to_csv(tmp_path / "films.csv", index=False)
    model = RankingModelConfig((0.5,), (0.0,), folds=2)
    config = RankingRunConfig(model=model, episode=RankingEpisodeConfig(tasks_per_step=4))
    source = FeatureSource(str(tmp_path / "films.csv"))
    tasks = RankingDataConfig()
    data = open_ranking_data(str(tmp_path / "clicks.csv"), tasks, None, 0, features=source)
    setting = SETTINGS["ranking"]
    parts = setting.prepare(data, tmp_path, config, 0)
    assert parts.table_items == len(data.item_ids)
    built = setting.build_for_training(Recipe(model, config.episode, config.training, 0), parts)
    episode = setting.sampler(built, parts, config.episode, 0)(tf.constant(0, tf.int64))
    assert np.isfinite(built(episode, training=True)).all()
    assert np.isfinite(built.encode_context(episode.support)).all()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    planted(120, 24).to_csv(folder / "clicks.csv", index=False)
    films().to_csv(folder / "films.csv", index=False)
    model = RankingModelConfig((0.5,), (0.0,), folds=2, table_items=40)
    episode = RankingEpisodeConfig(tasks_per_step=4)
    config = RankingRunConfig(data="clicks.csv", model=model, episode=episode)
    features = FeatureSource(str(folder / "films.csv"))
    data = open_ranking_data(
        str(folder / "clicks.csv"), RankingDataConfig(), None, 0, features=features
    )
    setting = SETTINGS["ranking"]
    return setting, setting.prepare(data, folder, config, 0), config


def trained(small):
    setting, parts, config = small
    built = setting.build_for_training(
        Recipe(config.model, config.episode, config.training, 0), parts
    )
    return random_weights(built, np.random.default_rng(2))


def support_of(parts, items):
    user = np.full([1, len(items)], len(parts.data.user_ids), np.int32)
    label = np.ones([1, len(items)], np.float32)
    return Support(user, np.array([items], np.int32), label, np.array([len(items)], np.int32))


def test_a_hidden_item_scores_as_if_its_column_were_not_known(small):
    setting, parts, config = small
    model, items = trained(small), len(parts.data.item_ids)
    support, M = support_of(parts, [1, 4]), config.model.table_items
    keys = [[0, 7, items + 1, items + 1 + 7, 2 * (items + 1) + 7, M + 1, items - 1]]
    query = np.array(keys, np.int32)
    episode = Episode(support, np.zeros_like(query), query, np.zeros(query.shape, np.float32))
    score = model(episode, training=True).numpy()[0]
    recipe = Recipe(config.model, config.episode, config.training, 0)
    served = setting.build(recipe, parts)
    for weight, own in zip(served.trainable_variables, model.trainable_variables, strict=True):
        weight.assign(own)
    asked = served.encode_context(support).numpy()[0]
    np.testing.assert_allclose(score[[0, 1, 5, 6]], asked[[0, 7, M + 1, items - 1]], rtol=1e-4)
    # Item 7 is put to the end of the catalogue: a copy of its content at an item nobody took.
    layer = model.pair_embedding
    content = layer.content.numpy()
    content[items - 1] = content[7]
    layer.content.assign(content)
    without = layer.leverage.numpy()
    layer.leverage.assign(np.zeros_like(without))
    plain = model(episode, training=True).numpy()[0]
    np.testing.assert_allclose(plain[3], plain[6], rtol=1e-4)  # but for what its own column told
    assert abs(plain[3] - score[3]) > 1e-5
    np.testing.assert_allclose(plain[4], score[4])  # without content nothing tells it apart
    assert plain[4] != plain[3]


def test_what_nobody_took_is_no_evidence_in_training(small):
    setting, parts, config = small
    never = np.flatnonzero(parts.data.taken == 0)
    assert len(never)
    for whole in (10, 1000):
        episode = replace(config.episode, whole_catalogue=whole)
        drawn = setting.sampler(None, parts, episode, 0)(tf.constant(1, tf.int64))
        row = drawn.query_item.numpy() % (len(parts.data.item_ids) + 1)
        assert (drawn.query_label.numpy()[np.isin(row, never)] == -1).all()


def test_some_items_of_training_tasks_are_hidden_and_none_of_a_support(small):
    setting, parts, config = small
    sample = setting.sampler(trained(small), parts, config.episode, 0)
    items, met = len(parts.data.item_ids), []
    for step in range(6):
        episode = sample(tf.constant(step, tf.int64))
        key = episode.query_item.numpy()
        np.testing.assert_array_equal(key % (items + 1), np.arange(items)[None].repeat(4, 0))
        met.append(np.bincount(key.ravel() // (items + 1), minlength=3) / key.size)
        assert episode.support.item.numpy().max() < items
    met = np.mean(met, axis=0)
    assert met[0] > 0.5
    assert (met[1:] > 0).all()
