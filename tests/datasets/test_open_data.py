"""What `--data` accepts, and what it says to the rest."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def _open(data, definition="genre-combination", **changes):
    return open_scenario_data(
        str(data), ScenarioConfig(definition=definition, **changes), SplitConfig(), seed=0
    )


def _log(path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "scenario": np.repeat([f"theme {n}" for n in range(8)], 400),
            "user": [f"u{n}" for n in rng.integers(0, 60, 3200)],
            "item": rng.integers(0, 40, 3200),
        }
    )
    frame.to_csv(path, index=False)


def test_embedded_movielens_with_the_default_settings():
    data = _open("movielens-small")
    assert data.name == "movielens-small"
    assert len(data.meta_train) >= 40
    assert len(data.validation) >= 4
    assert len(data.meta_test) >= 15
    assert data.fingerprint() == _open("movielens-small").fingerprint()


def test_table_or_folder_with_one_table_uses_its_scenarios(tmp_path):
    _log(tmp_path / "log.csv")
    of_file = _open(tmp_path / "log.csv", min_interactions=100)
    assert {s.name for s in of_file.meta_test} < {f"theme {n}" for n in range(8)}
    assert of_file.fingerprint() == _open(tmp_path, min_interactions=100).fingerprint()
    (tmp_path / "items.csv").write_text("item,title\n1,x\n")
    with pytest.raises(ValueError, match=r"same columns.*items\.csv has item, title; log\.csv has"):
        _open(tmp_path)


def test_unknown_name_lists_what_is_accepted(tmp_path):
    with pytest.raises(
        ValueError, match=r"must be movielens-small, insteval, a GroupLens name .*'ml-3m'"
    ):
        _open("ml-3m")
    with pytest.raises(ValueError, match=r"none of these \(tables in it: none\)"):
        _open(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"must be one of \.csv, \.parquet"):
        _open(tmp_path / "notes.txt")


def test_data_layer_does_not_start_tensorflow():
    code = (
        "import sys, cmml_tf.datasets, cmml_tf.embeddings.matrix_factorisation;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not beside the checkout")
@pytest.mark.parametrize("folder", ["ml-1m-partial", "scenario-planted-control"])
def test_real_folders_are_recognised(folder):
    data = _open(SHARED / folder)
    assert data.name == folder
    assert len(data.meta_test) >= 8
