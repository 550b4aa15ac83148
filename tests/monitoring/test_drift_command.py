"""`cmml drift`: reads an export's manifest and a table of what was served."""

import json

import numpy as np
import pandas as pd
import pytest

from cmml_tf.commands.main import load
from cmml_tf.metrics.scores import score_summary

RNG = np.random.default_rng(0)


@pytest.fixture
def export(tmp_path):
    """A model base path with two versions; the scores of the newest are around 5."""
    for version, mean in ((1, 0.0), (2, 5.0)):
        extra = tmp_path / "export" / str(version) / "assets.extra"
        extra.mkdir(parents=True)
        manifest = {"scores": score_summary(RNG.normal(mean, 1, 5000)), "known": {"items": 0.9}}
        (extra / "cmml_manifest.json").write_text(json.dumps(manifest))
    return tmp_path / "export"


def _drift(*arguments):
    return load("drift")([*map(str, arguments)])


def test_the_newest_version_of_a_base_path_or_the_one_that_is_named(export, tmp_path, capsys):
    table = pd.DataFrame(
        {"score": RNG.normal(5, 1, 800), "item_known": RNG.uniform(size=800) < 0.9}
    )
    table.to_csv(tmp_path / "served.csv", index=False)
    table.to_parquet(tmp_path / "served.parquet")
    for file in ("served.csv", "served.parquet"):
        assert _drift(export, tmp_path / file) == 0
        assert capsys.readouterr().out.endswith("No drift found in 800 scores.\n")
    assert _drift(export / "1", tmp_path / "served.csv") == 3
    assert "Drift: scores are distributed otherwise" in capsys.readouterr().out


def test_unknown_items_are_drift(export, tmp_path, capsys):
    table = pd.DataFrame({"score": RNG.normal(5, 1, 100), "item_known": [0] * 40 + [1] * 60})
    table.to_csv(tmp_path / "served.csv", index=False)
    assert _drift(export, tmp_path / "served.csv") == 3
    assert "40% of the items are unknown, 10% were" in capsys.readouterr().out


def test_what_cannot_be_compared_is_named(export, tmp_path):
    file = tmp_path / "served.csv"
    file.write_text("points\n1\n")
    with pytest.raises(ValueError, match="must have a column 'score'"):
        _drift(export, file)
    file.write_text("score\nmany\n")
    with pytest.raises(ValueError, match=r"'score' of .* must hold numbers"):
        _drift(export, file)
    file.write_text("score\n1\n")
    with pytest.raises(ValueError, match="must be a version folder that this library exported"):
        _drift(tmp_path, file)
    file.write_text("score,user_known\n1,1\n2,\n")
    with pytest.raises(ValueError, match=r"`user_known` must be 1 or 0 .* nan in row 1"):
        _drift(export, file)


def test_a_version_may_be_written_with_zeros(export, tmp_path):
    (export / "2").rename(export / "0002")
    file = tmp_path / "served.csv"
    pd.DataFrame({"score": RNG.normal(5, 1, 800)}).to_csv(file, index=False)
    assert _drift(export, file) == 0
