"""A server that watches a model base path loads what was promoted, and nothing else ever."""

import json
import re
import subprocess
import sys

import pytest

from cmml_tf.serving.version.version_folder import move_in, versions, withdraw

LOG = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=6,dimension=8"
TRAIN = (
    *("--data", LOG, "--quick", "--training.steps-per-epoch", "1"),
    *("--training.max-epochs", "1", "--export-dir", "models"),
)
ROUNDS = 20


def loaded(server):
    """Versions that its log names, from the first to the last line."""
    return {int(number) for number in re.findall(r"cmml:? version:? (\d+)", server.log())}


def test_a_candidate_is_not_loaded_until_it_is_moved_in_nor_after_it_was_withdrawn(
    start_server, tiny_model, tmp_path
):
    base = tmp_path / "models"
    tiny_model(base, 1)
    server = start_server(base)
    assert versions(base) == [1]
    candidate = tiny_model(base / "candidates", 7)
    assert move_in(candidate, base) == base / "2"
    server.wait_for(2)
    assert withdraw(base) == (2, 1)
    server.wait_for(1)
    assert loaded(server) == {1, 2}
    # The number of what was withdrawn does not come back.
    assert move_in(tiny_model(base / "candidates", 7), base) == base / "3"
    server.wait_for(3)
    assert loaded(server) == {1, 2, 3}


ROUNDS_OF_COMMANDS = """
import contextlib, io, json, sys
from cmml_tf.commands.main import load
from cmml_tf.program import UnmetRequirementError

def cmml(name, *words):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        try:
            return load(name)([*words]), said.getvalue()
        except UnmetRequirementError as error:
            return 3, str(error)

log, train, address, rounds = json.loads(sys.argv[1])
for number in range(rounds):
    status, _ = cmml("train scenario", *train, "--seed", str(number), "--run-dir", f"run-{number}")
    assert status == 0
    status, sentence = cmml("promote", f"models/candidates/{number + 1}", "--on", log)
    assert status == 3 and "worse than models/1" in sentence, sentence
    if number % 5 == 0:
        here = cmml("evaluate", "models/1", "--data", log)
        assert here == cmml("evaluate", "models/1", "--data", log, "--server", address), here
"""


@pytest.mark.slow
def test_twenty_trainings_evaluations_and_refused_promotions_change_nothing_of_what_is_served(
    start_server, tmp_path
):
    def run(*command):
        done = subprocess.run(
            [sys.executable, "-c", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    main = "from cmml_tf.commands.main import main; main()"
    run(main, "train", "scenario", *TRAIN, "--run-dir", "first")
    run(main, "promote", "models/candidates/1", "--on", LOG)
    base = tmp_path / "models"
    server = start_server(base)
    before = (base / "1" / "fingerprint.pb").read_bytes()
    words = [LOG, [*TRAIN, "--preset", "cmml-ridge"], server.address, ROUNDS]
    run(ROUNDS_OF_COMMANDS, json.dumps(words))
    assert len([*(base / "candidates").iterdir()]) == ROUNDS
    assert loaded(server) == {1}
    assert versions(base) == [1]
    assert (base / "1" / "fingerprint.pb").read_bytes() == before
