"""Generated files have the published layouts, and a learner finds what was planted in them."""

import hashlib

import numpy as np
import pytest

from cmml_tf.config import EmbeddingConfig, ScenarioConfig, SplitConfig
from cmml_tf.config.preparation import GenerateConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.sources.movielens import load_movielens
from cmml_tf.datasets.sources.taobao import load_taobao
from cmml_tf.datasets.synthetic.generated_logs import generate_logs
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings

SCENARIOS = ScenarioConfig(min_items=10, max_items=10_000, min_interactions=100)


def _generate(folder, size="small-taobao", **changes):
    sizes = {"interactions": 30_000, "users": 1500, "items": 800, "scenarios": 20}
    config = GenerateConfig(out=str(folder), size=size, dimension=16, **{**sizes, **changes})
    return generate_logs(config)


def _gains_over_chance(data, user, item):
    """Recall@10 less its chance, [meta-test scenarios]: taste learnt from the support pairs alone,
    as the mean of what was taken less the mean of what there is."""
    gains = []
    for scenario in data.meta_test:
        taste = item[scenario.support_items].mean(0) - item[scenario.candidates].mean(0)
        users = np.unique(scenario.evaluation_users)
        scores = (user[users] / np.linalg.norm(user[users], axis=1, keepdims=True).clip(1e-9)) + (
            taste / np.linalg.norm(taste)
        )
        ranked = scenario.candidates[np.argsort(-(scores @ item[scenario.candidates].T))][:, :10]
        hits = [
            np.isin(scenario.evaluation_items[scenario.evaluation_users == one], row).mean()
            for one, row in zip(users, ranked, strict=True)
        ]
        gains.append(np.mean(hits) - 10 / len(scenario.candidates))
    return np.array(gains)


def _files(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_same_seed_writes_the_same_files(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    lines = _generate(first)
    _generate(second)
    _generate(third, seed=1)
    assert _files(first) == _files(second)
    assert not _files(first).items() & _files(third).items()
    assert set(lines) == set(_files(first))
    for name, count in lines.items():
        assert len((first / name).read_text().splitlines()) == count + 1


def test_taobao_learner_finds_the_taste_of_unseen_themes(tmp_path):
    _generate(tmp_path / "planted")
    _generate(tmp_path / "chance", strength=0.0)
    raw = load_taobao(tmp_path / "planted")
    assert len(raw.table) >= 29_000
    assert not raw.table.iloc[:20_000][["user", "item"]].duplicated().any()
    gains = {}
    for name in ("planted", "chance"):
        data = open_scenario_data(str(tmp_path / name), SCENARIOS, SplitConfig(), seed=0)
        assert data.user_embeddings.shape[1] == 16
        assert data.counts["interactions of an id without embedding, left out"] > 0
        gains[name] = _gains_over_chance(data, data.user_embeddings, data.item_embeddings)
    assert (gains["planted"] > 0.1).all()
    assert abs(gains["chance"].mean()) < 0.05


def test_movielens_learner_finds_the_taste_of_unseen_genres(tmp_path):
    _generate(tmp_path / "films", "small", interactions=60_000)
    raw = load_movielens(tmp_path / "films")
    assert 55_000 <= len(raw.table) <= 60_000
    assert not raw.table[["user", "item"]].duplicated().any()
    assert set(raw.table["value"]) <= {half / 2 for half in range(1, 11)}
    assert raw.catalogue["year"].notna().all()
    # Warm: factors know the films of a genre that is asked, as its support alone does not.
    data = open_scenario_data(str(tmp_path / "films"), SCENARIOS, SplitConfig("warm"), seed=0)
    user, item = pretrained_embeddings(data, EmbeddingConfig(dimension=8, iterations=5), seed=0)
    assert _gains_over_chance(data, user, item).mean() > 0.05


def test_what_cannot_be_generated_is_said(tmp_path):
    _generate(tmp_path / "films", "small")
    with pytest.raises(ValueError, match=r"`out` must be a folder that does not exist"):
        _generate(tmp_path / "films")
    with pytest.raises(ValueError, match=r"`scenarios` must be at most 1159"):
        _generate(tmp_path / "more", "small", scenarios=1200, items=9000)
    with pytest.raises(ValueError, match=r"`items` must be at least 20. Received: items=3"):
        _generate(tmp_path / "few", items=3)
    with pytest.raises(ValueError, match=r"`size` must be one of small,"):
        _generate(tmp_path / "odd", size="huge")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["films"]
