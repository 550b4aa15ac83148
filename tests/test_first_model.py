"""Pages that lead from a table to a recommendation, typed as they stand."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fresh_environment import fresh_environment

ROOT = Path(__file__).resolve().parents[1]
# Page and section -> the model base path that it serves.
PAGES = {"first_model.md": "export", "ranking.md#In six commands": "export-ranking"}


def blocks(name):
    """The blocks of a page, or of its section."""
    page, _, section = name.partition("#")
    text = (ROOT / "docs" / page).read_text()
    if section:
        text = re.split(r"^## ", text.split(f"## {section}\n")[1], maxsplit=1, flags=re.MULTILINE)[
            0
        ]
    return re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(name):
    """The blocks of shell commands, but the installation."""
    return [block for block in blocks(name) if re.match(r"cmml|curl|kill", block)]


def write_clicks(path, scenarios=50, users=400, items=1000, number=20_000):
    """Users with a taste, in scenarios with a theme."""
    rng = np.random.default_rng(1)
    scenario, user = rng.integers(0, scenarios, number), rng.integers(0, users, number)
    taste, kind, theme = (rng.normal(size=(size, 6)) for size in (users, items, scenarios))
    liking = (taste[user] + theme[scenario]) @ kind.T
    item = (liking + rng.gumbel(size=liking.shape)).argmax(axis=1)
    columns = {"user": user, "item": item, "scenario": scenario}
    table = pd.DataFrame({name: [f"{name[0]}{n}" for n in ids] for name, ids in columns.items()})
    table.to_csv(path, index=False)


@pytest.mark.parametrize("name", PAGES)
def test_ten_commands_are_enough(name):
    lines = "".join(blocks(name)).splitlines()
    assert 6 <= sum(bool(re.match(r"pip|cmml|curl|kill", line)) for line in lines) <= 10


@pytest.mark.slow
@pytest.mark.parametrize(("name", "base"), PAGES.items())
def test_a_page_leads_to_a_recommendation(name, base, tmp_path):
    write_clicks(tmp_path / "clicks.csv")
    program = tmp_path / "bin" / "cmml"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom cmml_tf.commands.main import main\nmain()\n", encoding="utf-8"
    )
    program.chmod(0o755)
    script = "set -eo pipefail\nset -m\ntrap 'kill %1 2> /dev/null || true' EXIT\n"
    script += "\n".join(commands(name))
    for port in ("8500", "8501"):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            script = script.replace(port, str(free.getsockname()[1]))
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    environment = fresh_environment(PATH=path, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / base / "1" / "saved_model.pb").exists()
    *_, place = re.finditer(r'\{\s*"outputs"', done.stdout)
    answer = json.JSONDecoder().raw_decode(done.stdout, place.start())[0]["outputs"]
    (items,), (scores,) = answer["item_id"], answer["score"]
    assert len(items) == len(scores) >= 10
    assert scores == sorted(scores, reverse=True)
