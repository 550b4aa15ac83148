"""The command that lets a served CMML re-rank a TFRS model's candidates."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.slow  # it needs a run, a TFRS model and a server

TINY = ("--epochs", "1", "--dimension", "8", "--candidates", "20", "--users", "3")


def test_recall_before_and_after_is_printed_and_the_server_is_gone(finished_run, commands):
    done = commands.run(
        "tfrs_rerank.py", "--export-dir", finished_run.export_dir, *TINY, "--json", "out.json"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((commands.folder / "out.json").read_text())
    assert figures["user_scenario_pairs"] == 3 * figures["scenarios"]
    for name in ("before", "after", "both"):
        recall = list(figures[name].values())
        assert list(figures[name]) == ["recall@5", "recall@10", "recall@20"]
        assert recall == sorted(recall)
        assert 0 < recall[0] <= recall[-1] <= 1
    # All of 20 candidates are among the first 20, whoever ranks them.
    assert figures["before"]["recall@20"] == figures["after"]["recall@20"]
    assert "re-ranked" in done.stdout
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"--model_base_path={finished_run.export_dir}" not in listing.stdout


def test_what_cannot_be_measured_is_refused_in_one_sentence(finished_run, commands):
    version = commands.folder / "ratings" / "1"
    (version / "assets.extra").mkdir(parents=True)
    (version / "saved_model.pb").touch()
    manifest = {"config": {"tasks": {}}, "data_fingerprint": "of a user setting"}
    (version / "assets.extra" / "cmml_manifest.json").write_text(json.dumps(manifest))
    outcomes = commands.run_several(
        "tfrs_rerank.py",
        ["--export-dir", "ratings"],
        ["--export-dir", "nothing"],
        ["--export-dir", finished_run.export_dir, "--seed", "1"],
        ["--export-dir", finished_run.export_dir, "--candidates", "2"],
    )
    assert [status for status, _ in outcomes] == [2, 2, 2, 2]
    assert "does not say how its scenarios were divided" in outcomes[0][1]
    assert "no exported version in nothing" in outcomes[1][1]
    assert "trained on other data or another split" in outcomes[2][1]
    assert "`candidates` must be at least 5" in outcomes[3][1]
