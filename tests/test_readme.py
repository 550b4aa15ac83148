"""README stays a page to read, and its program runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fresh_environment import fresh_environment

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MINUTES = "max_minutes=10"


def program():
    """The fenced block that trains."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if "cmml_tf.fit(" in block)
    return block


def clicks(number, scenarios=40, users=2000, items=200):
    """As many clicks, each scenario with items of its own and a taste among them."""
    rng = np.random.default_rng(0)
    scenario = rng.integers(0, scenarios, number)
    place = np.minimum(rng.geometric(3 / items, number), items) - 1
    order = np.array([rng.permutation(items) for _ in range(scenarios)])
    item = 10 * scenario + order[scenario, place]
    return pd.DataFrame(
        {
            "user": [f"u{n}" for n in rng.integers(0, users, number)],
            "item": [f"i{n}" for n in item],
            "scenario": [f"page {n}" for n in scenario],
        }
    )


def run(code, folder):
    environment = fresh_environment(PYTHONPATH=str(ROOT))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def check(done, folder):
    assert done.returncode == 0, done.stderr
    assert "recall@10" in done.stdout
    assert "ItemPop" in done.stdout
    assert re.search(r"item +score", done.stdout)
    assert (folder / "export" / "candidates" / "1" / "saved_model.pb").exists()


def test_the_page_is_short():
    lines = README.splitlines()
    assert len(lines) <= 130
    assert [line for line in lines if len(line) > 100] == []


def test_the_program_runs_on_a_small_log(tmp_path):
    clicks(5_000, scenarios=10, users=80, items=40).to_parquet(tmp_path / "log.parquet")
    code = program()
    assert MINUTES in code
    check(run(code.replace(MINUTES, "max_minutes=0.02"), tmp_path), tmp_path)


@pytest.mark.slow
def test_the_program_runs_as_it_stands_on_400_000_clicks(tmp_path):
    clicks(400_000).to_parquet(tmp_path / "log.parquet")
    check(run(program(), tmp_path), tmp_path)
