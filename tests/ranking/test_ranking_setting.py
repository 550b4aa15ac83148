"""The ranking setting: trained on two tastes it finds them, without reading who is asked."""

import copy
import json
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from random_weights import random_weights
from ranking.small_clicks import OPTIONS, clicks

import cmml_tf
from cmml_tf.compiled_size import CompiledSize
from cmml_tf.config.ranking import RankingEpisodeConfig, RankingModelConfig, RankingRunConfig
from cmml_tf.datasets.open_ranking_data import open_ranking_data
from cmml_tf.episodes.ranking_episodes import RankingEpisodeSampler
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.ranking.parts import check_tables_fit
from cmml_tf.settings.systems import Recipe
from cmml_tf.training.history_log import read_history
from cmml_tf.types import Episode, Support


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranking") / "run"
    data = cmml_tf.user_data(clicks(), objective="ranking")
    return cmml_tf.fit(data, run_dir=folder, options=OPTIONS, progress=False)


@pytest.fixture(scope="module")
def version(run, tmp_path_factory):
    return run.export(tmp_path_factory.mktemp("ranking") / "export")


def test_every_control_is_in_the_curve_and_the_taste_is_found(run):
    metrics = run.evaluate().metrics
    assert [*metrics["curve"]] == ["0", "1", "3", "5", "10", "80%"]
    simple = {"popularity", "item_knn", "ease", "als_fold_in", "mult_vae", "knn_ease", "chance"}
    assert {"own", "none", "twin", *simple} <= metrics["curve"]["5"].keys()
    assert metrics["curve"]["5"]["own"].keys() == {"recall@20", "ndcg@100", "unknown_users"}
    assert metrics["control_settings"].keys() == simple - {"popularity", "chance"}
    own, popular = (metrics["curve"]["5"][name]["ndcg@100"] for name in ("own", "popularity"))
    assert own > popular + 0.05
    best = max(metrics["curve"]["5"][name]["ndcg@100"] for name in simple)
    assert own > best - 0.02


def test_recommended_are_items_of_the_same_taste_that_are_not_known(run):
    support = pd.DataFrame({"user": "new", "item": [0, 2, 4, 6], "label": [1, 1, 1, 0]})
    best = run.recommend(support, "new", k=8)["item"].tolist()
    assert sum(item % 2 == 0 for item in best) >= 7
    assert not {0, 2, 4, 6} & set(best)  # refused items are excluded
    assert set(run.recommend(support, "new", among=[8, 9, "odd"])["item"]) == {8, 9, "odd"}


def test_the_served_model_answers_the_same(run, version):
    served = tf.saved_model.load(str(version)).signatures
    items = [0, 2, 4, 6]
    support = {
        "support_user_id": tf.constant([["new"] * 4]),
        "support_item_id": tf.constant([items], tf.int64),
        "support_label": tf.constant([[1.0, 1.0, 1.0, 0.0]]),
        "support_length": tf.constant([4]),
    }
    table = pd.DataFrame({"user": "new", "item": items, "label": [1, 1, 1, 0]})
    best = served["recommend"](**support, user_id=tf.constant(["new"]))
    assert best["item_id"].shape == [1, 20]
    assert best["item_id"][0].numpy().tolist() == run.recommend(table, "new", 20)["item"].tolist()
    query = {
        "query_user_id": tf.constant([["new"] * 3]),
        "query_item_id": tf.constant([[8, 9, 12345]], tf.int64),
    }
    context = served["encode_context"](**support)["context"]
    once = served["serving_default"](**support, **query)["score"]
    again = served["score_with_context"](context=context, **query)["score"]
    np.testing.assert_allclose(once, again, rtol=1e-6)
    assert once[0, 2] == tf.reduce_min(context[0, :41])  # unknown: as the least likely item
    none = {**support, "support_length": tf.constant([0])}
    unsupported = served["serving_default"](**none, **query)["score"]
    none |= {name: value[:, :0] for name, value in support.items() if value.ndim == 2}
    np.testing.assert_array_equal(served["serving_default"](**none, **query)["score"], unsupported)
    named = served["explain"](**support, **query)
    assert named["table_weight"].shape == [1, 1, 6]  # 5 tables and popularity


def test_a_refit_learns_from_who_was_asked_too_and_its_figures_are_the_runs(run, tmp_path):
    made = run.refit(progress=False)
    assert made.folder == run.folder / "refit"
    assert made.evaluate() is run.evaluate()
    asked = run.evaluate().metrics["counts"]["users who are asked"]
    facts = made.facts["refit"]
    assert facts["learned"] == {"users": 90, "pairs": 90 * 16}
    assert facts["added"] == {"users": asked, "pairs": asked * 16}
    assert facts["steps"] == 120
    support = pd.DataFrame({"user": "new", "item": [0, 2, 4]})
    best = made.recommend(support, "new", k=8)["item"].tolist()
    assert sum(item % 2 == 0 for item in best) >= 7
    # The same run gives the same refit; one that is there is found.
    shutil.copytree(run.folder, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "refit" / "model")
    for again in (run, cmml_tf.load(tmp_path / "copy")):
        weights = again.refit(progress=False).model.trainable_variables
        for one, other in zip(weights, made.model.trainable_variables, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    version = made.export(tmp_path / "export")
    manifest = json.loads((version / "assets.extra" / "cmml_manifest.json").read_text())
    assert manifest["refit"] == facts
    assert manifest["meta_test"] == run.evaluate().metrics["meta_test"]
    assert manifest["data_fingerprint"] != facts["evaluated_data_fingerprint"]
    assert "refit" not in run.facts
    with pytest.raises(ValueError, match="is a refit"):
        made.refit()
    with pytest.raises(ValueError, match="is the refit of the run in"):
        cmml_tf.load(made.folder)


def continued(source, folder):
    """A run of further users, and of an item that is new."""
    new = pd.DataFrame({"user": ["u3", "u5", "u8", "u9"], "item": 99})
    data = cmml_tf.user_data(pd.concat([clicks(users=110), new]), objective="ranking")
    said = {"run_dir": folder, "options": OPTIONS, "progress": False}
    return cmml_tf.fit(data, continue_from=source, **said)


@pytest.fixture(scope="module")
def later(run, tmp_path_factory):
    return continued(run.folder, tmp_path_factory.mktemp("ranking") / "later")


def test_a_run_goes_on_with_users_and_items_that_came_later(run, later):
    ids = [one._run.prepared.data.item_ids.tolist() for one in (later, run)]
    assert ids[0] == [*ids[1], 99]
    learned = {*pd.read_parquet(run.folder / "tasks.parquet")["id"]}
    assert len(learned) == 72
    assert not learned & {*pd.read_parquet(later.folder / "tasks.parquet")["id"]} ^ learned
    assert read_history(later.folder / "model")[-1]["epoch"] == 1  # 12 steps of 120
    metrics = [one.evaluate().metrics["curve"]["5"]["own"]["ndcg@100"] for one in (later, run)]
    assert metrics[0] > metrics[1] - 0.05
    support = pd.DataFrame({"user": "new", "item": [0, 2, 4]})
    best = later.recommend(support, "new", k=8)["item"].tolist()
    assert sum(item % 2 == 0 for item in best) >= 7
    assert later.recommend(support, "new", among=[99])["item_known"].all()
    # The refit goes on from the refit of the run, where there is one.
    assert later.refit(progress=False).facts["refit"]["learned"]["users"] == 110


def test_an_export_is_continued_as_its_run_is(version, later, tmp_path):
    both = later, continued(version, tmp_path / "of-export")
    for one, other in zip(*(made.model.trainable_variables for made in both), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_what_xla_cannot_compile_is_refused_by_name(run, tmp_path):
    with pytest.raises(ValueError, match="empty for a RankingCMML"):
        run.export(tmp_path, compiled=[CompiledSize(1, 4, 4)])
    model = copy.deepcopy(run.model)
    model.compile("sgd", jit_compile=True)
    one = tf.zeros([1, 1], tf.int32)
    support = Support(one, one, tf.ones([1, 1]), tf.ones([1], tf.int32))
    episode = Episode(support, one, one, tf.ones([1, 1]))
    with pytest.raises(ValueError, match="`jit_compile` must be false for RankingCMML: XLA has no"):
        model.predict(tf.data.Dataset.from_tensors(episode))


def test_tables_that_do_not_fit_are_refused_with_the_size_that_does():
    config = RankingModelConfig(table_items=9000)
    check_tables_fit(config, 4000, 8 * 2**30)
    with pytest.raises(ValueError, match=r"`table_items` must be at most 6759 with 8\.0 GB.*=9000"):
        check_tables_fit(config, 10**6, 8 * 2**30)
    check_tables_fit(RankingModelConfig(table_items=6759), 10**6, 8 * 2**30)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    clicks().to_csv(folder / "clicks.csv", index=False)
    config = RankingRunConfig(
        data=str(folder / "clicks.csv"), model=RankingModelConfig((0.5,), (0.0, 10.0), folds=3)
    )
    data = open_ranking_data(config.data, config.tasks, None, 0)
    setting = SETTINGS["ranking"]
    return setting, setting.prepare(data, folder, config, 0), config


def test_what_items_were_taken_together_is_freed_once_the_tables_are_made(prepared):
    setting, parts, config = prepared
    before = [parts.gram(power, without=0) for power in (0.0, 0.3)]
    # Matrices of folds, the largest things that are kept for more than one use.
    kept = [weakref.ref(one.matrix) for of_power in parts._grams.values() for one in of_power]
    setting.build_for_training(Recipe(config.model, config.episode, config.training, 0), parts)
    setting.simple_systems(parts, ("item_knn",))
    assert not any(one() is not None for one in kept)
    for power, one in zip((0.0, 0.3), before, strict=True):
        np.testing.assert_array_equal(parts.gram(power, without=0).matrix, one.matrix)


def test_the_tables_of_a_training_user_do_not_know_the_user(prepared):
    setting, parts, config = prepared
    user = int(parts.data.learned.user[0])
    own = parts.data.learned.of(0)
    one = Recipe(config.model, config.episode, config.training, 0)
    trained, asked = setting.build_for_training(one, parts), setting.build(one, parts)
    layer, M = trained.pair_embedding, parts.table_items
    fold = int(layer.fold_of_user[user])
    others = parts.data.learned.take(np.flatnonzero(parts.folds != fold))
    assert user not in others.user
    counts = np.zeros([M, M])
    for place in range(len(others)):
        items = others.of(place)
        counts[np.ix_(items, items)] += 1
    times = np.diag(counts)
    cosine = counts / np.sqrt(times[:, None] * times[None, :])
    np.fill_diagonal(cosine, 0)
    support = Support(*(np.array([[value]]) for value in (user, own[0], 1.0)), np.array([1]))
    mask = tf.constant([[True]])
    sums = layer(support.user, support.item, mask).sums.numpy()[0, 1, :M]
    np.testing.assert_allclose(sums, cosine[own[0]], rtol=1e-5)
    everyone = asked.pair_embedding(support.user, support.item, mask).sums.numpy()[0, 1, :M]
    assert np.abs(everyone - sums).max() > 1e-3
    # Who is asked reads the tables of all who are learned from, in training as behind it.
    stranger = np.full([1, 1], parts.data.asked.support.user[0])
    theirs = layer(stranger, support.item, mask).sums.numpy()[0, 1, :M]
    np.testing.assert_array_equal(theirs, everyone)


@pytest.mark.parametrize("table_items", [4000, 24])
def test_scores_are_the_formula_in_numpy(prepared, table_items, tmp_path):
    setting, parts, config = prepared
    config = replace(config, model=replace(config.model, table_items=table_items))
    parts = setting.prepare(parts.data, tmp_path, config, 0)
    model = setting.build(Recipe(config.model, config.episode, config.training, 0), parts)
    random_weights(model, np.random.default_rng(1), 0.4)
    items, length = np.array([[3, 30, 5, 5, 9]], np.int32), np.array([4], np.int32)
    user = np.zeros([1, 5], np.int32)
    support = Support(user, items, np.ones([1, 5], np.float32), length)
    scores = model.encode_context(support).numpy()[0, : len(parts.data.item_ids)]

    rows, popularity = parts.tables.rows.read(), parts.tables.popularity
    known, M = [3, 30, 5], parts.table_items  # once, and nothing behind the length
    inside = np.zeros(M)  # how much of what is in the tables is known
    for item in known:
        if item < M:
            inside[item] += 1
        else:
            stand_ins = parts.tables.stand_ins
            np.add.at(inside, stand_ins.item[item - M], stand_ins.share[item - M])
    f = np.zeros([rows.shape[1], len(popularity)])
    f[:, :M] = np.einsum("m,mki->ki", inside, rows)
    f = (f - f.mean(1, keepdims=True)) / (f.std(1, keepdims=True) + 1e-6)
    f = np.vstack([f, popularity])
    n = len(known)
    c = [np.log1p(n) / 3, (np.log1p(n) / 3) ** 2, 1 / (1 + n), popularity[known].mean(), 1.0]
    head = model.recommender
    read, weights, offset = (
        [v.numpy() for v in part.weights]
        for part in (head.read_context, head.table_weights, head.offset)
    )
    a = np.tanh(c @ read[0] + read[1]) @ weights[0] + weights[1]
    cut = np.clip(f, -3, 12)
    hidden = (np.sign(cut) * np.log1p(np.abs(cut))).T @ head.item_kernel.numpy()
    hidden = np.maximum(hidden + c @ offset[0] + offset[1], 0)
    wanted = a @ f + hidden @ head.output_kernel.numpy()
    if len(wanted) > M:
        worth = model.stand_in_worth
        read, last = (
            [v.numpy() for v in part.weights] for part in (worth.read_context, worth.amounts)
        )
        of_score, of_known, themselves = np.tanh(c @ read[0] + read[1]) @ last[0] + last[1]
        worth = of_score * (wanted[:M] - wanted[:M].mean()) + 10 * of_known * inside
        wanted[:M] += 10 * themselves * inside
        wanted[M:] += (stand_ins.share * worth[stand_ins.item]).sum(1)
    np.testing.assert_allclose(scores, wanted, atol=1e-4)


def test_training_tasks_are_of_one_fold_and_the_catalogue_without_what_is_known(prepared):
    _, parts, _ = prepared
    data = parts.data
    config = RankingEpisodeConfig(tasks_per_step=8)
    sampler = RankingEpisodeSampler(data, parts.folds, config, 0)
    for step in range(4):
        episode = sampler.sample(tf.constant(step, tf.int64))
        again = sampler.sample(tf.constant(step, tf.int64))
        np.testing.assert_array_equal(episode.query_label, again.query_label)
        users = episode.support.user[:, 0].numpy()
        places = [data.learned.user.tolist().index(user) for user in users]
        assert len({parts.folds[place] for place in places}) == 1
        for task, place in enumerate(places):
            support = episode.support.item[task, : episode.support.length[task]].numpy()
            label = episode.query_label[task].numpy()
            assert set(np.flatnonzero(label == -1)) == set(support)
            assert set(np.flatnonzero(label == 1)) | set(support) == set(data.learned.of(place))
            assert (label == 1).sum() >= 3
