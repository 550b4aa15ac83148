"""The command `cmml`: what it lists, completes and refuses, as a process of its own."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_environment import fresh_environment

from cmml_tf.commands.main import COMMANDS, load, main, overview

ROOT = Path(__file__).resolve().parents[2]
CMML = (sys.executable, "-c", "from cmml_tf.commands.main import main; main()")


def cmml(*words):
    environment = fresh_environment(PYTHONPATH=str(ROOT))
    return subprocess.run(
        [*CMML, *words], env=environment, capture_output=True, text=True, check=False
    )


def test_help_lists_every_command_without_starting_tensorflow():
    script = (
        "import sys; sys.argv = ['cmml', '--help']\n"
        "from cmml_tf.commands.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'tensorflow', 'pandas', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.startswith("train")])
def test_options_are_read_before_tensorflow_starts(name):
    script = (
        f"import sys; sys.argv = ['cmml', *{name.split()!r}, '--print-config']\n"
        "from cmml_tf.commands.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "preset:" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_listed_can_be_loaded(name):
    assert callable(load(name))


def test_an_unknown_command_is_one_sentence():
    done = cmml("trian", "scenario")
    assert done.returncode == 2
    assert done.stderr.startswith("error: There is no command `cmml trian scenario`. Accepted: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["presets"]])
def test_output_that_nobody_reads_any_more_ends_it_in_silence(words):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*CMML, *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_behind_head_it_is_silent():
    line = f"{shlex.join([*CMML, 'presets'])} | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_output_that_nothing_holds_is_an_error_without_a_traceback():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*CMML, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert "No space left on device" in done.stderr


def test_a_wrong_option_value_is_one_sentence():
    done = cmml("train", "scenario", "--preset", "flim")
    assert done.returncode == 2
    assert done.stderr.startswith("error: `preset` must be one of cmml-matching,")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train scenario --seed abc", "--seed: invalid literal for int() with base 10: 'abc'. "),
        ("train scenario --seed", "Missing value for argument '--seed'."),
        ("train user --tasks.lowest 9", "`lowest` must be zero or more, below highest. Rec"),
        ("train scenario --strategy x", "invalid choice 'x' for argument '--strategy'."),
        (
            "train scenario --scenario.min-sup 3",
            "Unrecognized options: --scenario.min-sup, 3. Perhaps you meant --scenario.min-items, ",
        ),
        ("compare --seeds 0", "`seeds` must be a positive integer. Received: seeds=0. "),
        ("prepare --seed 1", "Required: --data, --out. --help-all lists every option."),
        ("export runs/x --compile 192", "A compiled size must be tasks, support pairs and query "),
        ("export", "The following arguments are required: run_dir. See cmml export --help."),
    ],
)
def test_arguments_that_do_not_fit_are_one_sentence(monkeypatch, capsys, words, sentence):
    monkeypatch.setattr(sys, "argv", ["cmml", *words.split()])
    # As in a terminal, where a box would have colours.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(SystemExit) as end:
        main()
    output, errors = capsys.readouterr()
    assert (end.value.code, output) == (2, "")
    assert errors.startswith(f"error: {sentence}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("name", ["prepare", "generate", "hybrid", "compare"])
def test_help_is_short_and_names_what_is_required(monkeypatch, capsys, name):
    monkeypatch.setattr(sys, "argv", ["cmml", name, "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    text = capsys.readouterr().out
    assert (end.value.code, "--help-all lists every option." in text) == (0, True)
    assert ("(required)" in text) == (name != "compare")
    assert "--scenario.min-items " not in text
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 100


def test_help_of_no_command_starts_tensorflow():
    script = (
        "import contextlib, io, sys\n"
        "from cmml_tf.commands.main import COMMANDS, load\n"
        "for name in COMMANDS:\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as text:\n"
        "        try:\n            load(name)(['--help'])\n"
        "        except SystemExit as end:\n            assert not end.code, name\n"
        "    assert text.getvalue().startswith(('usage: ', 'The paper')), name\n"
        "    assert not {'tensorflow', 'scipy.stats'} & set(sys.modules), name\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_wrong_paths_start_no_tensorflow(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    commands = {
        "train scenario --data none": "`data` must be movielens-small, insteval, a GroupLens name",
        "train scenario --data empty": "Received: the folder empty, which is none of these",
        "train scenario --items none.csv": "The table none.csv is missing.",
        "train scenario --users none.csv": "The table none.csv is missing.",
        "train scenario --kinds none.yaml": "none.yaml",
        "train scenario --run-dir file": "file must be a folder, but file is a file.",
        "train scenario --hash-user-ids none.key": "none.key",
        "train scenario --embedding.user-file a --embedding.item-file a": "file a is missing.",
        "train user --data none": "`data` must be movielens-small, a GroupLens name",
        "train user --data empty": "Received: data='empty'.",
        "train user --tasks.tasks none.csv": "There is no task file none.csv.",
        "train user --tasks.meta-test-users none": "There is no file of meta-test users none.",
        "train user --objective ranking --data none": "`data` must be movielens-small, a Grou",
        "train user --objective ranking --tasks.tasks none.csv": "There is no task file none.csv.",
        "evaluate none": "none is not the folder of a run",
        "export none": "none is not the folder of a run",
        "compare --data none": "`data` must be movielens-small, insteval",
        "compare --hybrid-with none": "Received: data='none', which is no name",
        "compare --setting user --systems dcn --tasks.tasks no.csv": "no task file no.csv.",
        "reproduce table3 --data none": "`data` must be movielens-small, a GroupLens name",
        "adaptation table --data none": "`data` must be movielens-small, insteval",
        "prepare --data none --out out": "`data` must be a folder as GroupLens",
        "import-weights none --export-dir out": "There is no weights or array file 'none'.",
    }
    script = (
        "import contextlib, io, json, sys\n"
        "from cmml_tf.commands.main import main\n"
        "said = {}\n"
        "for words in json.load(sys.stdin):\n"
        "    sys.argv = ['cmml', *words.split()]\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as text:\n"
        "        try:\n            main()\n"
        "        except SystemExit as end:\n            assert end.code == 2, words\n"
        "    assert 'tensorflow' not in sys.modules, words\n"
        "    said[words] = text.getvalue()\n"
        "json.dump(said, sys.stdout)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([*commands]),
        cwd=tmp_path,
        env=fresh_environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for words, sentence in commands.items():
        assert said[words].startswith("error: "), words
        assert sentence in said[words], words
        assert said[words].count("\n") == 1, words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_presets_come_with_when_to_take_them():
    done = cmml("presets")
    assert done.returncode == 0
    (line,) = [
        line for line in done.stdout.splitlines() if "(default)" in line and "matching" in line
    ]
    assert line.split()[0] == "cmml-matching"
    assert "  no-context " in done.stdout


def test_bash_completes_commands_and_options(tmp_path):
    (tmp_path / "cmml.sh").write_text(cmml("completion", "bash").stdout)
    script = (
        f"source {tmp_path / 'cmml.sh'}\n"
        'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cmml; echo ${COMPREPLY[@]}; }\n'
        "ask cmml ev; ask cmml train ''; ask cmml train user --tasks.lo; ask cmml compare --see"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:4] == ["evaluate", "scenario user", "--tasks.lowest", "--seeds"]


def test_overview_fits_a_terminal():
    assert max(map(len, overview().splitlines())) <= 100


def test_the_servers_files_are_written_and_own_changes_kept(tmp_path):
    done = cmml("init-export", str(tmp_path / "models"))
    assert done.returncode == 0, done.stderr
    shipped = {
        path.name: path.read_text() for path in (ROOT / "export").iterdir() if path.is_file()
    }
    written = {path.name: path.read_text() for path in (tmp_path / "models").iterdir()}
    assert written == shipped
    job = subprocess.run([tmp_path / "models" / "nightly.sh"], capture_output=True, text=True)
    assert job.returncode != 0
    assert "LOG is missing" in job.stderr
    own = tmp_path / "models" / "batching.config"
    own.write_text("max_batch_size { value: 16 }\n")
    again = cmml("init-export", str(tmp_path / "models"))
    assert f"Kept as it is: {own}" in again.stdout
    assert own.read_text() == "max_batch_size { value: 16 }\n"


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "models").write_text("")
    done = cmml("init-export", str(tmp_path / "models"))
    assert done.returncode == 2
    assert "must be a folder" in done.stderr
