"""Items that are in no table: read as, and worth, what those are who took them, by no reader."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from random_weights import random_weights
from ranking.small_clicks import OPTIONS, clicks, opened
from ranking.small_films import films, planted

import cmml_tf
from cmml_tf.config.ranking import RankingModelConfig, RankingRunConfig
from cmml_tf.datasets.check_source import FeatureSource
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.embeddings.conditional_factors import with_constant
from cmml_tf.embeddings.content_columns import ContentRegression
from cmml_tf.embeddings.item_tables import log_popularity
from cmml_tf.embeddings.stand_ins import STAND_INS
from cmml_tf.models.build_ranking import Tables, build_ranking_model
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.systems import Recipe
from cmml_tf.types import Episode, SampledEpisode, Support


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Setting, what is fitted, and the recipe, of tables that hold 24 of 40 items."""
    folder = tmp_path_factory.mktemp("prepared")
    config = RankingRunConfig(
        model=RankingModelConfig((0.5,), (0.0, 10.0), folds=3, table_items=24)
    )
    setting = SETTINGS["ranking"]
    parts = setting.prepare(opened(folder), folder, config, 0)
    return setting, parts, Recipe(config.model, config.episode, config.training, 0)


def test_of_an_item_beyond_the_tables_a_training_user_reads_what_others_took_with_it(prepared):
    setting, parts, recipe = prepared
    data = parts.data
    trained, asked = setting.build_for_training(recipe, parts), setting.build(recipe, parts)
    M, item, learned = parts.table_items, 30, parts.data.learned
    place = next(place for place in range(len(learned)) if item in learned.of(place))
    fold = parts.folds[place]
    others, mask = learned.take(np.flatnonzero(parts.folds != fold)), tf.constant([[True]])
    for built, taken, tables in (
        (trained, others, parts.fold_tables[fold]),
        (asked, learned, parts.tables),
    ):
        matrix = taken.matrix(len(data.item_ids)).toarray()
        # The tables hold what these users took most.
        order = np.arange(len(data.item_ids)) if tables.order is None else tables.order
        assert (np.diff(matrix.sum(0)[order]) <= 0).all()
        inside = order[:M]
        assert item not in inside
        score = matrix[:, item] @ matrix[:, inside] / np.sqrt(matrix[:, inside].sum(0))
        best = np.argsort(-score, kind="stable")[:4]
        share = score[best] / score[best].sum()
        wanted = np.einsum("n,nkm->km", share, tables.rows.read(best))
        user = np.array([[learned.user[place]]])
        sums = built.pair_embedding(user, np.array([[item]]), mask).sums.numpy()[0]
        np.testing.assert_allclose(sums, wanted, rtol=1e-4, atol=1e-6)


def test_tables_of_a_fold_hold_what_others_took_most(prepared):
    setting, parts, _ = prepared
    del setting
    data, M = parts.data, parts.table_items
    for fold, tables in enumerate(parts.fold_tables):
        others = data.learned.take(np.flatnonzero(parts.folds != fold))
        matrix = others.matrix(len(data.item_ids)).toarray()[:, tables.order]
        times = matrix.sum(0)
        assert (np.diff(times) <= 0).all()
        np.testing.assert_allclose(tables.popularity, log_popularity(np.append(times, 0))[:-1])
        counts = (matrix.T @ matrix)[:M, :M]
        cosine = counts / np.sqrt(np.outer(times[:M], times[:M]))
        np.fill_diagonal(cosine, 0)
        np.testing.assert_allclose(tables.rows.read()[:, 1], cosine, rtol=1e-5)


def test_of_equally_taken_items_those_of_the_reader_s_fold_do_not_stand_in_front(tmp_path):
    # Each of 400 items is taken by four of 80 users, whoever they are.
    rng = np.random.default_rng(0)
    users = np.concatenate([rng.permutation(80) for _ in range(20)])
    item = np.repeat(np.arange(400), 4)
    table = pd.DataFrame({"user": [f"u{one}" for one in users], "item": item}).drop_duplicates()
    config = RankingRunConfig(model=RankingModelConfig((0.5,), (0.0,), folds=2, table_items=150))
    parts = SETTINGS["ranking"].prepare(opened(tmp_path, table), tmp_path, config, 0)
    inside, outside = [], []
    for fold in range(2):
        tables = parts.fold_tables[fold]
        learned = parts.data.learned
        own = learned.take(np.flatnonzero(parts.folds == fold)).matrix(len(tables.order))
        others = learned.take(np.flatnonzero(parts.folds != fold)).matrix(len(tables.order))
        times, taken = others.sum(0).A1[tables.order], own.sum(0).A1[tables.order] > 0
        edge = times == times[149]
        inside += taken[:150][edge[:150]].tolist()
        outside += taken[150:][edge[150:]].tolist()
    assert min(len(inside), len(outside)) > 20
    assert abs(np.mean(inside) - np.mean(outside)) < 0.15


@pytest.fixture(scope="module")
def of_films(tmp_path_factory):
    """The same of films with features, of which some are taken by nobody."""
    folder = tmp_path_factory.mktemp("films")
    table = planted(120, 24)
    films().to_csv(folder / "films.csv", index=False)
    table[table["item"] < 63].to_csv(folder / "clicks.csv", index=False)
    config = RankingRunConfig(model=RankingModelConfig((0.5,), (0.0,), folds=3, table_items=40))
    data = open_ranking_data(
        str(folder / "clicks.csv"),
        config.tasks,
        None,
        0,
        features=FeatureSource(str(folder / "films.csv")),
    )
    setting = SETTINGS["ranking"]
    parts = setting.prepare(data, folder, config, 0)
    return setting, parts, Recipe(config.model, config.episode, config.training, 0)


def test_what_content_foretells_in_a_fold_is_learned_of_the_items_in_its_tables(of_films):
    _, parts, recipe = of_films
    M, content = recipe.model.table_items, parts.item_content.matrix
    for fold, tables in enumerate(parts.fold_tables):
        others = parts.data.learned.take(np.flatnonzero(parts.folds != fold))
        inside = tables.order[:M]
        times = np.bincount(others.item, minlength=len(content))[inside]
        wanted = ContentRegression(times, content[inside], recipe.model.content_penalty)
        np.testing.assert_allclose(tables.content.leverage, wanted.leverage, rtol=1e-5)


def of_others_alone(parts, model, fold):
    """A model of one version, whose catalogue stands in the order of a fold's others."""
    fitted, content, M = parts.fold_tables[fold], parts.item_content, model.table_items
    width = 0 if content is None else content.matrix.shape[1] + 1
    rows = tf.Variable(fitted.rows.read().reshape([M, -1]), trainable=False)
    items = len(parts.data.item_ids)
    sizes = Tables(len(parts.data.user_ids), items, M, width, STAND_INS, rows=rows)
    one = build_ranking_model(model, sizes)
    layer = one.pair_embedding
    layer.set_popularity(0, fitted.popularity, fitted.never)
    layer.set_stand_ins(0, *fitted.stand_ins)
    if content is not None:
        layer.set_content_of_fold(0, *fitted.content)
        layer.set_content(with_constant(content.matrix[fitted.order]).astype(np.float32))
    return one


@pytest.mark.parametrize("data", ["prepared", "of_films"])
def test_a_training_user_is_scored_as_by_a_model_of_the_other_folds_alone(data, request):
    setting, parts, recipe = request.getfixturevalue(data)
    trained = random_weights(setting.build_for_training(recipe, parts), np.random.default_rng(3))
    items, rng = len(parts.data.item_ids), np.random.default_rng(0)
    places = np.unique(parts.folds, return_index=True)[1]
    known = np.stack([rng.choice(items, 6, replace=False) for _ in places]).astype(np.int32)
    user = np.repeat(parts.data.learned.user[places][:, None], 6, axis=1)
    length, nothing = np.array([6, 3, 0], np.int32), np.zeros([3, items], np.float32)
    support = Support(user, known, np.ones([3, 6], np.float32), length)
    # Some items are hidden, with and without content, where there is any.
    hidden = rng.integers(0, 1 if data == "prepared" else 3, [3, items])
    query = (np.arange(items) + (items + 1) * hidden).astype(np.int32)
    episode = Episode(support, np.zeros_like(query), query, nothing)
    whole = trained(episode, training=True).numpy()
    sampled = trained(SampledEpisode(*episode, nothing), training=True).numpy()
    np.testing.assert_allclose(sampled, whole, rtol=1e-4, atol=1e-5)
    for fold in range(3):
        one = of_others_alone(parts, recipe.model, fold)
        for weight, own in zip(one.trainable_variables, trained.trainable_variables, strict=True):
            weight.assign(own)
        rank = np.append(np.argsort(parts.fold_tables[fold].order), items)
        assert (rank != np.arange(items + 1)).any()
        of_task = Support(*(part[fold : fold + 1] for part in support))
        of_task = of_task._replace(item=rank[of_task.item].astype(np.int32))
        key = query[fold : fold + 1]
        ranked = (rank[key % (items + 1)] + key // (items + 1) * (items + 1)).astype(np.int32)
        asked = Episode(of_task, np.zeros_like(ranked), ranked, nothing[:1])
        wanted = one(asked, training=True).numpy()[0]
        np.testing.assert_allclose(whole[fold], wanted, rtol=1e-4, atol=1e-5)
        context = trained.encode_context(Support(*(part[fold : fold + 1] for part in support)))
        wanted = one.encode_context(of_task).numpy()[0, rank]
        np.testing.assert_allclose(context[0, : items + 1], wanted, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def of_24(tmp_path_factory):
    """A run whose tables hold 24 of 40 items."""
    data = cmml_tf.user_data(clicks(), objective="ranking")
    options = {**OPTIONS, "model": {**OPTIONS["model"], "table_items": 24}}
    folder = tmp_path_factory.mktemp("of_24") / "run"
    return cmml_tf.fit(data, run_dir=folder, options=options, progress=False)


def test_a_catalogue_may_grow_beyond_its_tables(tmp_path):
    options = {
        **OPTIONS,
        "model": {**OPTIONS["model"], "table_items": 42},
        "training": {"steps_per_epoch": 5, "max_epochs": 1},
    }
    rng, log = np.random.default_rng(0), clicks()
    later = [(f"n{user}", 100 + item) for user in range(40) for item in rng.permutation(14)[:12]]
    both = pd.concat([log, pd.DataFrame(later, columns=log.columns)])
    said = {"options": options, "progress": False}
    first, second = tmp_path / "first", tmp_path / "second"
    run = cmml_tf.fit(cmml_tf.user_data(log, objective="ranking"), run_dir=first, **said)
    assert not run._run.prepared.reads_others
    data = cmml_tf.user_data(both, objective="ranking")
    grown = cmml_tf.fit(data, run_dir=second, continue_from=first, **said)
    assert grown._run.prepared.reads_others
    support = pd.DataFrame({"user": "new", "item": [102, 105], "label": 1})
    # Two of the new items are in the tables.
    assert (grown.recommend(support, "new", k=2)["item"] >= 100).all()


def test_items_beyond_the_tables_are_ranked_by_taste(of_24):
    items = of_24._run.prepared.data.item_ids
    inside, others = items[:24], items[24:]
    for taste in (0, 1):
        known = inside[inside % 2 == taste][:5].tolist()
        support = pd.DataFrame({"user": "new", "item": known, "label": 1})
        of_taste = others[others % 2 == taste]
        best = of_24.recommend(support, "new", k=len(of_taste), among=others.tolist())["item"]
        assert set(best) == set(of_taste)


def test_who_took_an_item_beyond_the_tables_alone_is_recommended_items_of_its_taste(
    of_24, tmp_path
):
    run = of_24
    version = run.export(tmp_path / "export")
    others = run._run.prepared.data.item_ids[24:].tolist()
    served = tf.saved_model.load(str(version)).signatures["recommend"]
    for taste in (0, 1):
        item = next(one for one in others if one % 2 == taste)
        support = pd.DataFrame({"user": "new", "item": [item], "label": [1]})
        best = run.recommend(support, "new", k=6)["item"].tolist()
        assert sum(one % 2 == taste for one in best) >= 5
        request = {
            "support_user_id": tf.constant([["new"]]),
            "support_item_id": tf.constant([[item]], tf.int64),
            "support_label": tf.constant([[1.0]]),
            "support_length": tf.constant([1]),
        }
        answer = served(**request, user_id=tf.constant(["new"]))["item_id"][0, :6]
        assert answer.numpy().tolist() == best
