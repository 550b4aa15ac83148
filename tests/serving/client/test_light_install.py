"""The wheel without extras, in an environment of its own: the client works, and brings little."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cmml_tf.client import Client

ROOT = Path(__file__).parents[3]
SOURCES = ("cmml_tf", "export", "setup.py", "pyproject.toml", "README.md", "LICENSE")
# Version folders of the checkout are in no wheel.
LEFT_OUT = shutil.ignore_patterns("*.pyc", "[0-9]*")
TASK = (["u1", "u2"], ["i1", "i2"], [1.0, 0.0], "u7", ["i8", "i9"])
NO_INDEX = ("No matching distribution", "Connection", "Temporary failure")
# The oldest that the metadata allows, or that a later Python has a wheel of.
OLDEST = {
    (3, 11): {},
    (3, 12): {"numpy": "1.26.0", "grpcio": "1.59.0"},
    (3, 13): {"numpy": "2.1.0", "grpcio": "1.66.2"},
}
PROGRAM = """
import asyncio, importlib.metadata, json, sys
from cmml_tf.client import AsyncClient, Client, ContextCache, InputError

address, task = sys.argv[1], json.loads(sys.argv[2])
examples = [{"value": 0.5}, {"value": 1.5}]
with Client(address, "cmml", timeout=20) as client:
    client.wait_until_ready()
    contexts = client.encode_context(*task[:3])
    scores = {
        "score": client.score(*task).score,
        "score_with_context": client.score_with_context(contexts, *task[3:]).score,
        "recommend": client.recommend(*task[:3], "u1").score,
        "explain": client.explain(*task).score,
        "score_examples": client.score_examples(examples).score,
    }
    try:
        client.score_features({}, [], {})
    except InputError as error:
        refused = str(error)

async def ask():
    async with AsyncClient(address, "cmml", timeout=20, context_cache=ContextCache()) as client:
        return (await client.score(*task)).score

scores["asyncio"] = asyncio.run(ask())
try:
    import cmml_tf
    cmml_tf.CMML
except ImportError as error:
    missing = str(error)
print(json.dumps({
    "scores": {name: score.tolist() for name, score in scores.items()},
    "refused": refused,
    "missing": missing,
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "installed": {one.name.lower(): one.version for one in importlib.metadata.distributions()},
}))
"""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and any(words in done.stderr for words in NO_INDEX):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy: building leaves files beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=LEFT_OUT)
        else:
            shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(source))
    (built,) = folder.glob("*.whl")
    return built


def environment(folder, wheel, *pinned):
    """The Python of a new environment with the wheel, without pip and without extras."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--only-binary=:all:", str(wheel), *pinned)
    return python


def ask(python, address, folder):
    command = [python, "-c", PROGRAM, address, json.dumps(TASK)]
    # Elsewhere than the checkout, and without what this process sees of it.
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env={"PATH": "/usr/bin"}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_answers(answer, address):
    with Client(address, "cmml", timeout=20) as client:
        expected = client.score(*TASK).score
    for name in ("score", "score_with_context", "explain", "asyncio"):
        np.testing.assert_allclose(answer["scores"][name], expected, rtol=1e-6)
    assert len(answer["scores"]["score_examples"]) == 2
    assert "must have the signature `score_features`" in answer["refused"]


def test_the_wheel_alone_asks_a_server_and_loads_nothing_else(wheel, contract_server, tmp_path):
    python = environment(tmp_path / "light", wheel)
    answer = ask(python, contract_server.address, tmp_path)
    check_answers(answer, contract_server.address)
    heavy = {"tensorflow", "tensorflow_serving", "tf_keras", "keras", "pandas"}
    assert not heavy & set(answer["modules"])
    assert set(answer["installed"]) <= {
        "cmml_tf",
        "cmml-tf",
        "numpy",
        "grpcio",
        "protobuf",
        "typing_extensions",
    }
    assert answer["missing"] == (
        "cmml_tf.models needs tensorflow, which a plain installation of cmml_tf leaves out. "
        "Type: pip install 'cmml_tf[tensorflow]'"
    )
    for command in ([ROOT / "pipelines" / "train_scenario.py"], ["-m", "cmml_tf.serving.server"]):
        done = subprocess.run(
            [python, *command], capture_output=True, text=True, check=False, cwd=tmp_path, env={}
        )
        assert done.returncode != 0
        sentence = done.stderr.strip().splitlines()[-1]
        assert "needs tensorflow" in sentence
        assert "Type: pip install 'cmml_tf[tensorflow]'" in sentence


@pytest.mark.slow
def test_the_oldest_releases_that_the_metadata_allows_do(wheel, contract_server, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    lowest = dict(re.findall(r"^Requires-Dist: (\w+)[^;\n]*?>=([\d.]+)[^;\n]*$", metadata, re.M))
    assert set(lowest) == {"numpy", "grpcio", "protobuf"}
    oldest = lowest | OLDEST[sys.version_info[:2]]
    pinned = [f"{package}=={version}" for package, version in oldest.items()]
    answer = ask(
        environment(tmp_path / "oldest", wheel, *pinned), contract_server.address, tmp_path
    )
    check_answers(answer, contract_server.address)
    installed = {name: answer["installed"][name] for name in oldest}
    # 1.24 is 1.24.0.
    padded = {name: ".".join((*version.split("."), "0")[:3]) for name, version in oldest.items()}
    assert installed == padded
