"""The layout of Taobao's theme clicks, written small."""

import numpy as np
import pytest

from cmml_tf.config import ReadConfig, ScenarioConfig, SplitConfig
from cmml_tf.datasets.layouts import is_taobao
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.reading.malformed import MalformedLines
from cmml_tf.datasets.reading.read_logs import read_logs
from cmml_tf.datasets.sources.taobao import load_taobao
from cmml_tf.datasets.sources.text_embeddings import embedding_table, open_text_embeddings
from cmml_tf.datasets.tasks.scenarios import find_scenarios

CLICKS = "user_id,theme_id,item_id,leaf_cate_id,cate_level1_id,clk_cnt,reach_time\n"
SMALL = ScenarioConfig(definition="column:scenario", min_items=2, min_interactions=4)


def _write(folder, header=True, suffix=".csv"):
    clicks = [
        "10,7,100,1,2,3,2019-06-01 10:00:00",
        "11,7,101,1,2,1,2019-06-01 10:00:01",
        "10,7,101,1,2,1,2019-06-01 10:00:01",
        "12,7,100,1,2,1,2019-06-01 10:00:01",
        "12,8,102,1,2,1,2019-06-01 10:00:01",
        "99,7,100,1,2,1,2019-06-01 10:00:01",  # a user without an embedding
    ]
    files = {
        "theme_click_log": (CLICKS, clicks),
        "theme_item_pool": ("theme_id,item_id\n", ["7,100", "7,103", "8,102", "7,555"]),
        "user_item_purchase_log": ("user_id,item_id,buy_time\n", ["11,102,x", "10,100,y"]),
        "user_embedding": ("id,emb\n", ["12,1 2 3", "10,4 5 6 ", '11,"7 8 9.5"', "10,0 0 0"]),
        "item_embedding": ("id,emb\n", [f"{i},{i} -1e-2" for i in range(100, 105)]),
    }
    for name, (first, lines) in files.items():
        path = folder / f"{name}{suffix}"
        path.write_text((first if header else "") + "\n".join(lines) + "\n")


@pytest.mark.parametrize(("header", "suffix"), [(True, ".csv"), (False, ".txt"), (True, "")])
def test_every_file_is_read(tmp_path, header, suffix):
    _write(tmp_path, header, suffix)
    assert is_taobao(tmp_path)
    data = load_taobao(tmp_path)
    assert data.table["user"].tolist() == [10, 11, 10, 12, 12, 99, 11, 10]
    assert data.table["item"].tolist() == [100, 101, 101, 100, 102, 100, 102, 100]
    assert data.table["scenario"].tolist()[:6] == [7, 7, 7, 7, 8, 7]
    assert data.table["scenario"].isna().tolist() == [False] * 6 + [True] * 2
    assert data.table["value"].tolist() == [3, 1, 1, 1, 1, 1, 1, 1]
    assert data.user_embeddings.ids.tolist() == [10, 11, 12]
    # The first of two lines of one id counts.
    assert data.user_embeddings.matrix.tolist() == [[4, 5, 6], [7, 8, 9.5], [1, 2, 3]]
    assert data.item_embeddings.ids.tolist() == [100, 101, 102, 103, 104]
    assert data.item_embeddings.matrix.dtype == np.float32
    assert data.counts == {"repeated ids of user_embedding" + suffix + ", left out": 1}


def test_ids_without_embedding_are_left_out_and_the_pool_gives_candidates(tmp_path):
    _write(tmp_path)
    pairs = find_scenarios(load_taobao(tmp_path), SMALL)
    assert pairs.counts["interactions of an id without embedding, left out"] == 1
    assert pairs.user_ids.tolist() == [10, 11, 12]
    assert pairs.item_ids.tolist() == [100, 101, 102, 103, 104]
    assert pairs.scenario_names == ("7",)
    taken = {(int(u), int(i)) for u, i in zip(pairs.users, pairs.items, strict=True)}
    assert taken == {(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)}
    # Item 103 is of theme 7 though nobody clicked it; 555 has no embedding; 102 is of theme 8.
    assert pairs.pool_item.tolist() == [0, 3]
    assert pairs.user_embeddings.shape == (3, 3)


def _themes(folder, themes=8, users=40, items=12, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        f"u{rng.integers(users)},{theme},{theme * 100 + rng.integers(items)},1,1,1,t"
        for theme in range(themes)
        for _ in range(300)
    ]
    (folder / "theme_click_log.csv").write_text(CLICKS + "\n".join(rows))
    pool = [f"{theme},{theme * 100 + 99}" for theme in range(themes)]
    (folder / "theme_item_pool.csv").write_text("theme_id,item_id\n" + "\n".join(pool))


def test_a_folder_is_recognised_and_themes_are_its_scenarios(tmp_path):
    _themes(tmp_path)
    config = ScenarioConfig(min_items=5, min_interactions=100)
    data = open_scenario_data(str(tmp_path), config, SplitConfig(), seed=0)
    scenarios = (*data.meta_train, *data.validation, *data.meta_test)
    assert {s.name for s in scenarios} == {str(n) for n in range(8)}
    for scenario in scenarios:
        assert int(scenario.name) * 100 + 99 in data.item_ids[scenario.candidates]
    assert data.user_ids.dtype == object


def _vectors(path, read):
    malformed = MalformedLines(read)
    (columns,) = read_logs([open_text_embeddings(path, "user")], read, malformed)
    return embedding_table(path, columns, malformed.count)


def test_damage_is_named(tmp_path):
    _write(tmp_path)
    path = tmp_path / "user_embedding.csv"
    path.write_text("id,emb\n10,1 2 3\n11,1 2\n12,1 2 x\n")
    with pytest.raises(ValueError, match=r"Line 3 of .*user_embedding\.csv must hold an id, a"):
        load_taobao(tmp_path)
    table, counts = _vectors(path, ReadConfig(max_malformed=2))
    assert table.ids.tolist() == [10]
    assert counts == {"malformed lines of user_embedding.csv, left out": 2}
    path.write_text("id,emb\n10,none\n")
    with pytest.raises(ValueError, match=r"The first line of .*must hold an id, a comma, and num"):
        load_taobao(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"has no file user_embedding, but the other"):
        load_taobao(tmp_path)


def test_embeddings_of_another_data_set_are_refused(tmp_path):
    _write(tmp_path)
    (tmp_path / "user_embedding.csv").write_text("id,emb\nA,1 2\nB,3 4\n")
    with pytest.raises(ValueError, match=r"No interaction of .* has a user and an item with an"):
        find_scenarios(load_taobao(tmp_path), SMALL)
