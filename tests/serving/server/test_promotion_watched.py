"""A server that watches a model base path loads what was promoted, and nothing else ever."""

import re
import subprocess
import sys

import pytest

from cmml_tf.serving.version.version_folder import move_in, versions, withdraw

CMML = (sys.executable, "-c", "from cmml_tf.commands.main import main; main()")
LOG = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=6,dimension=8"
TRAIN = (
    *("train", "scenario", "--data", LOG, "--quick", "--training.steps-per-epoch", "1"),
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


@pytest.mark.slow
def test_twenty_trainings_evaluations_and_refused_promotions_change_nothing_of_what_is_served(
    start_server, tmp_path
):
    def cmml(*words):
        return subprocess.run(
            [*CMML, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    first = cmml(*TRAIN, "--run-dir", "first")
    assert first.returncode == 0, first.stderr
    promoted = cmml("promote", "models/candidates/1", "--on", LOG)
    assert promoted.returncode == 0, promoted.stderr
    base = tmp_path / "models"
    server = start_server(base)
    before = (base / "1" / "fingerprint.pb").read_bytes()
    for number in range(ROUNDS):
        command = (*TRAIN, "--preset", "cmml-ridge", "--seed", str(number))
        trained = cmml(*command, "--run-dir", f"run-{number}")
        assert trained.returncode == 0, trained.stderr
        refused = cmml("promote", f"models/candidates/{number + 1}", "--on", LOG)
        assert refused.returncode == 3, refused.stderr
        if number % 5 == 0:
            evaluated = cmml("evaluate", "models/1", "--data", LOG)
            assert evaluated.returncode == 0, evaluated.stderr
            asked = ("--server", server.address)
            again = cmml("evaluate", "models/1", "--data", LOG, *asked)
            assert again.stdout == evaluated.stdout, again.stderr
        assert server.states().keys() == {1}
    assert loaded(server) == {1}
    assert versions(base) == [1]
    assert (base / "1" / "fingerprint.pb").read_bytes() == before
