"""The server that commands start for the time of their run."""

from pathlib import Path

import pytest

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


def test_a_server_that_cannot_start_is_said_to_have_ended_and_why(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PIPELINES))
    from benchmarks.served.served_model import served_model

    config = tmp_path / "models.config"
    config.write_text("nonsense { }")
    starting = served_model(f"--model_config_file={config}", engine="python")
    with pytest.raises(OSError, match=r"ended with status 1: .*no field named \"nonsense\""):
        starting.__enter__()
