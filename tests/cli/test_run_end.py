"""The end of a run: nothing is lost, one model makes one version, and kills change nothing."""

import json
import random
import shlex
import shutil
import socket
import subprocess
import sys
import time

import pytest
from models.every_preset import MODEL_PRESETS

from cmml_tf.commands.main import main

WITH_RANDOMNESS = [name for name, config in MODEL_PRESETS.items() if config.dropout > 0]
DATA = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=3,dimension=8"
SMALL = (
    *("--data", DATA, "--quick", "--training.steps-per-epoch", "5", "--training.max-epochs", "5"),
    *("--scenario.min-interactions", "4", "--curve.draws", "1", "--run-dir", "run"),
)
MANIFEST = "1/assets.extra/cmml_manifest.json"
RESULTS = (
    *("meta_test", "meta_test_interval", "controls", "control_settings", "curve", "parts"),
    *("context_gain", "verdict", "episodes_hash", "curve_hash"),
)


def _results(folder):
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    return {name: metrics[name] for name in RESULTS if name in metrics}


def _versions(folder):
    return sorted(path.name for path in (folder / "export" / "candidates").iterdir())


@pytest.fixture(scope="module")
def straight(tmp_path_factory, commands_in):
    """A run of the recommended preset that nothing has interrupted, and what it said."""
    commands = commands_in(tmp_path_factory.mktemp("straight"))
    done = commands.run_here("train_scenario.py", *SMALL)
    assert done.returncode == 0, done.stderr
    return commands.folder, done


def _kill_at_random(commands, command, rng, longest):
    """Starts the command and kills it after some seconds, at the latest in its last epochs."""
    process = commands.start(*command)
    end = time.monotonic() + rng.uniform(0, longest)
    while time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_metrics_though_its_export_fails(straight, commands):
    folder, _ = straight
    (commands.folder / "export").write_text("a file in the way")
    process = commands.start("train_scenario.py", *SMALL)
    while not (commands.folder / "run" / "model" / "metrics.jsonl").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (commands.folder / "run" / "metrics.json").exists()

    done = commands.run("train_scenario.py", *SMALL)
    assert done.returncode == 2
    assert "Resumed behind epoch" in done.stdout
    assert _results(commands.folder) == _results(folder)
    assert (commands.folder / "run" / "meta_test_scenarios.csv").exists()
    lines = (commands.folder / "run" / "model" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert not list((commands.folder / "run").rglob(".*"))
    # What was found is printed, then what to do.
    assert "Verdict: recall@10 is " in done.stdout
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("error: The model could not be exported to 'export/candidates': ")
    assert "`cmml export run` exports it without training" in sentence

    (commands.folder / "export").unlink()
    done = commands.run("export.py", "run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "Exported: export/candidates/1",
    ), done.stderr
    metrics = json.loads((commands.folder / "run" / "metrics.json").read_text())
    assert metrics["export"] == "export/candidates/1"
    ours, theirs = (
        json.loads((f / "export" / "candidates" / MANIFEST).read_text())
        for f in (commands.folder, folder)
    )
    assert ours["model_digest"] == theirs["model_digest"]
    assert ours["meta_test"] == theirs["meta_test"]


@pytest.mark.slow
def test_a_killed_refit_goes_on_and_is_the_one_that_was_not_killed(straight, commands):
    folder, _ = straight
    refit = ("run", "--refit")
    digests = []
    for name in ("straight", "killed"):
        shutil.copytree(folder / "run", commands.folder / "run")
        if name == "killed":
            process = commands.start("export.py", *refit)
            while not (commands.folder / "run/refit/model/metrics.jsonl").exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            process.kill()
            process.communicate()
        done = commands.run("export.py", *refit, "--export-dir", name)
        assert done.returncode == 0, done.stderr
        assert ("Resumed behind epoch" in done.stdout) == (name == "killed")
        assert "scenarios learned from: 11 (+3)" in done.stdout
        manifest = json.loads((commands.folder / name / "candidates" / MANIFEST).read_text())
        assert manifest["refit"]["steps"] == 25
        assert manifest["meta_test"] == _results(folder)["meta_test"]
        digests.append(manifest["model_digest"])
        shutil.rmtree(commands.folder / "run")
    assert digests[0] == digests[1]


def test_the_end_says_what_to_do_next_and_that_works(straight, tmp_path, monkeypatch, capsys):
    folder, done = straight
    *_, heading, promote, serve = done.stdout.splitlines()
    assert heading == "Next:"
    # In a copy: the tests around this one read the run and its candidate.
    shutil.copytree(folder, tmp_path / "copy")
    folder, before = tmp_path / "copy", str(folder)
    with monkeypatch.context() as here:
        here.chdir(folder)
        here.setattr(sys, "argv", shlex.split(promote))
        with pytest.raises(SystemExit) as end:
            main()
    printed = capsys.readouterr()
    output = printed.out
    assert end.value.code == 0, printed.err
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    # What was held out is asked, by another draw of who supports.
    assert "over 3 scenarios that no export has learned from" in output
    assert output.splitlines()[-1] == f"Promoted: {metrics['export']} is export/1 now."
    assert list((folder / "export" / "candidates").iterdir()) == []

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = serve.replace("--port=8500", f"--port={port}").replace(before, str(folder))
    server = _pasted(words, folder)
    try:  # Else the log ends, with the server.
        assert any("cmml: version 1 is available" in line for line in server.stderr)
    finally:
        server.kill()
        server.communicate()


def _pasted(line, folder):
    """A line of the shell, with `cmml` as pip installs it."""
    words = shlex.split(line)
    assert words[0] == "cmml"
    command = (sys.executable, "-c", "from cmml_tf.commands.main import main; main()")
    return subprocess.Popen(
        [*command, *words[1:]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_finished_run_that_is_asked_for_again_warns_of_nothing_and_exports_nothing(
    straight, commands
):
    folder, _ = straight
    shutil.copytree(folder, commands.folder, dirs_exist_ok=True)
    # As a kill between export and metrics leaves it.
    (commands.folder / "run" / "metrics.json").unlink()
    done = commands.run("train_scenario.py", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "Exported before, nothing written: export/candidates/1" in done.stdout.splitlines()
    assert _versions(commands.folder) == ["1"]
    assert _results(commands.folder) == _results(folder)
    assert "WARNING:tensorflow" not in done.stderr


def test_a_key_that_no_export_can_use_is_refused_before_training(commands):
    (commands.folder / "short.key").write_text("short")
    for command, key, said in (
        ("train_scenario.py", "absent.key", "No such file"),
        ("train_user.py", "short.key", "at least 16 bytes"),
    ):
        done = commands.run(command, "--hash-user-ids", key, "--run-dir", "run")
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[-1]
        assert key in done.stderr.splitlines()[-1]
        assert not (commands.folder / "run").exists()


def test_what_a_run_cannot_go_on_from_is_named(straight, commands):
    folder, _ = straight
    run = commands.folder / "run"
    for name in ("no_config", "no_data", "cut", "unwritable"):
        shutil.copytree(folder / "run", run / name)
    (run / "no_config" / "config.yaml").unlink()
    (run / "no_data" / "data.json").write_text("")
    weights = next((run / "cut" / "model" / "checkpoints" / "latest").glob("*.data-*"))
    weights.write_bytes(weights.read_bytes()[:-100])
    shutil.rmtree(run / "unwritable" / "model" / "checkpoints")
    (run / "unwritable" / "model" / "checkpoints").write_text("a file")
    rate = ("--training.learning-rate", "0.5")
    cases = {
        ("--run-dir", "run/no_config", *rate): "run/no_config/config.yaml is missing",
        ("--run-dir", "run/no_data"): "run/no_data/data.json is empty",
        ("--run-dir", "run/cut"): f"run/cut/model/checkpoints/latest/{weights.name} is cut short",
        ("--run-dir", "run/unwritable"): "checkpoints is a file. Move that file away",
        # Not of the recommended preset, which takes longer to trace.
        (
            *("--run-dir", "run/new", "--preset", "pe"),
            *("--training.learning-rate", "1e30"),
        ): "The loss became nan in one of the steps 1 to ",
    }
    lines = [(*SMALL[:-2], *case) for case in cases]
    results = commands.run_several("train_scenario.py", *lines)
    for said, (status, errors) in zip(cases.values(), results, strict=True):
        assert status == 2, said
        assert errors.splitlines()[-1].startswith("error: "), said
        assert said in errors.splitlines()[-1]
    assert not (commands.folder / "export").exists()


def _ratings(file):
    rng = random.Random(0)
    rows = [(user, item) for user in range(120) for item in rng.sample(range(60), 20)]
    lines = [f"u{user},i{item},{1 + (user * item + user) % 5}" for user, item in rows]
    file.write_text("\n".join(["user,item,value", *lines]))
    return ("--data", str(file), "--quick", "--run-dir", "run", "--export-dir", "export")


KILLED = {
    **{name: ("train_scenario.py", "--preset", name) for name in WITH_RANDOMNESS},
    "cmml-ordinal": ("train_user.py", "--model.folds", "3"),
    "table-mixture": ("train_user.py", "--objective", "ranking"),
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", KILLED)
def test_killed_at_twenty_random_moments(preset, commands_in, tmp_path):
    script, *chosen = KILLED[preset]
    ratings = script == "train_user.py"
    data = _ratings(tmp_path / "ratings.csv") if ratings else SMALL
    command = (script, *data, *chosen, "--training.steps-per-epoch", "40")
    commands = commands_in(tmp_path / "straight")
    commands.folder.mkdir()
    begin = time.monotonic()
    done = commands.run(*command)
    longest = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    rng = random.Random(0)
    for number in range(20):
        killed = commands_in(tmp_path / f"killed-{number}")
        killed.folder.mkdir()
        _kill_at_random(killed, command, rng, longest)
        done = killed.run(*command)
        assert done.returncode == 0, done.stderr
        assert _results(killed.folder) == _results(commands.folder), number
        assert _versions(killed.folder) == ["1"]
        shutil.rmtree(killed.folder)


@pytest.fixture
def small_disk(tmp_path):
    """Mounts an empty disk of so many KiB, or makes it larger; gives the folder."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a disk is not allowed here")

    yield disk, mount
    subprocess.run(["umount", str(disk)], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("kib", [16, 60, 100, 200, 300, 350])
def test_a_disk_that_is_full_is_named_and_the_run_goes_on_when_it_has_room(
    straight, small_disk, commands, kib
):
    disk, mount = small_disk
    command = ("train_scenario.py", *SMALL[:-1], str(disk / "run"))
    mount(f"size={kib}k")
    done = commands.run(*command)
    assert done.returncode == 2, "the disk was large enough"
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith(f"error: {disk}/")
    assert "Make sure that" in sentence
    assert "Traceback" not in done.stderr
    mount("remount,size=8m")
    done = commands.run(*command)
    assert done.returncode == 0, done.stderr
    assert _results(disk) == _results(straight[0])
