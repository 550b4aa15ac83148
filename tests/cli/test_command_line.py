"""Options: where they come from, which wins, and what is said of those that do not fit."""

import gc
import os
import subprocess
import sys
import weakref
from unittest import mock

import pytest
import yaml
from fresh_environment import fresh_environment
from models.every_preset import MODEL_PRESETS

from cmml_tf.commands import train_scenario
from cmml_tf.commands.options import run_config
from cmml_tf.config import (
    EpisodeConfig,
    ModelConfig,
    ScenarioRunConfig,
    SplitConfig,
    TrainingConfig,
)
from cmml_tf.experiments.forms import FORMS
from cmml_tf.program import run
from cmml_tf.training.run_folder import plain


@pytest.fixture
def options():
    return lambda *arguments: run_config(
        [str(a) for a in arguments], "Trains.", FORMS["scenario"].options
    )


def _file(folder, content):
    path = folder / "options.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_defaults_are_those_of_the_configuration(options):
    assert options() == ScenarioRunConfig()


def test_contracted_flags(options):
    config = options(
        *("--data", "ml-1m", "--preset", "se-mlp", "--seed", 3, "--run-dir", "r"),
        *("--export-dir", "e", "--max-minutes", "2.5"),
    )
    assert config == ScenarioRunConfig(
        data="ml-1m",
        preset="se-mlp",
        seed=3,
        run_dir="r",
        export_dir="e",
        max_minutes=2.5,
        schedule="default",
        model=MODEL_PRESETS["se-mlp"],
        episode=EpisodeConfig(),
        training=TrainingConfig(),
        split=SplitConfig(),
    )


def test_the_schedule_follows_the_preset_unless_one_is_given(options):
    assert options().schedule == "matching"
    assert options().episode.loss == "softmax"
    assert options().split.validation_fraction == 0
    film = options("--preset", "cmml-film")
    assert film.schedule == "default"
    assert film.split.validation_fraction > 0
    assert film.episode.loss == "hinge"
    other = options("--preset", "cmml-film", "--schedule", "closed-form")
    ridge = options("--preset", "cmml-ridge")
    assert other.training == ridge.training
    assert other.episode == ridge.episode
    kept = options("--split.validation-fraction", 0.2, "--training.max-epochs", 7)
    assert (kept.split.validation_fraction, kept.training.max_epochs) == (0.2, 7)


def test_every_field_of_every_part_is_a_flag(options):
    config = options(
        *("--preset", "cmml-film"),
        *("--model.backbone-units", 8, 4, "--model.encoder", "max", "--model.positives-only"),
        *("--episode.support-negatives", 0, "--training.gradient-clip", 5.0),
        *("--scenario.min-value", 4, "--split.max-support-pairs", 9, "--embedding.dimension", 8),
    )
    assert config.model == ModelConfig(encoder="max", backbone_units=(8, 4), positives_only=True)
    assert config.episode.support_negatives == 0
    assert config.training.gradient_clip == 5.0
    assert config.scenario.min_value == 4.0
    assert config.split.max_support_pairs == 9
    assert config.embedding.dimension == 8


@pytest.mark.parametrize("preset", MODEL_PRESETS)
def test_every_preset_also_quick(options, preset):
    assert options("--preset", preset).model == MODEL_PRESETS[preset]
    quick = options("--preset", preset, "--quick")
    assert quick.quick
    assert quick.training.max_epochs < ScenarioRunConfig().training.max_epochs
    assert quick.model.encoder_units <= MODEL_PRESETS[preset].encoder_units
    assert quick.model.modulation == MODEL_PRESETS[preset].modulation


def test_presets_are_found_in_any_spelling(options):
    assert options("--preset=CMML_Soft-M") == options("--preset", "cmml-soft-m")


def test_flags_win_over_the_file_and_the_file_over_quick_and_preset(options, tmp_path):
    path = _file(
        tmp_path,
        {"preset": "se", "seed": 5, "model": {"encoder_units": 7}, "training": {"max_epochs": 2}},
    )
    config = options("--config", path, "--quick", "--seed", 6)
    assert config.preset == "se"
    assert config.seed == 6
    assert config.model.encoder_units == 7
    assert config.model.hybrid == "none"
    assert config.training.max_epochs == 2
    assert config.training.steps_per_epoch == options("--quick").training.steps_per_epoch
    assert options("--config", path, "--preset", "pe").model.encoder == "mean"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--quick", "--preset", "soft-m", "--max-minutes", "1"),
        ("--preset", "no-context", "--quick", "--model.backbone-units", "8", "4"),
        (
            "--training.learning-rate",
            "1e-7",
            "--run-dir",
            "some where",
            "--scenario.min-value",
            "3",
        ),
    ],
)
def test_printed_configuration_reads_back_as_the_same(options, tmp_path, capsys, arguments):
    assert options(*arguments, "--print-config") is None
    printed = capsys.readouterr().out
    wanted = options(*arguments)
    assert options("--config", _file(tmp_path, printed)) == wanted
    assert yaml.safe_load(printed) == plain(wanted)


@pytest.mark.parametrize("columns", [("--columns", "user=a,item=b"), ("--columns=user=a,item=b",)])
def test_columns_of_a_table_are_recorded_in_both_settings(options, capsys, columns):
    assert options(*columns).read.given == {"user": "a", "item": "b"}
    config = run_config(columns, "x", FORMS["user"].options)
    assert config.read.columns == "user=a,item=b"
    assert run_config((*columns, "--print-config"), "x", FORMS["user"].options) is None
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["read"]["columns"] == "user=a,item=b"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sed: 3", r"`sed` is not an option of ScenarioRunConfig\. Accepted: .*seed"),
        ("training: {epochs: 3}", r"`epochs` is not an option of TrainingConfig.*max_epochs"),
        ("training: 3", r"`training` in .*options\.yaml must be options by name.*training=3"),
        ("seed: three", r"`seed` in .* must be of type int\. Received: seed='three'"),
        ("seed: 1.5", r"`seed` in .* must be of type int"),
        ("seed: true", r"`seed` in .* must be of type int"),
        ("preset: 3", r"`preset` in .* must be of type str"),
        ("preset: cmml", r"`preset` must be one of cmml-matching, cmml-ridge"),
        ("max_minutes: soon", r"`max_minutes` in .* must be of type float \| None"),
        ("model: {backbone_units: [8, x]}", r"`backbone_units` in .*\[8, 'x'\]"),
        (
            "model: {encoder: lstm}",
            r"`encoder` must be one of gru, mean, max, attention, ridge, matching, none",
        ),
        # YAML reads a number in this spelling as text.
        ("training: {learning_rate: 1e-3}", r"`learning_rate` in .* type float.*'1e-3'"),
        ("- seed", r"options\.yaml must hold options by name"),
        ("", r"options\.yaml must hold options by name"),
        ("seed: [", r"options\.yaml is not a YAML file"),
        ("a: &a [x]\nb: [*a, *a]", r"options\.yaml .*anchors and aliases are not accepted .line 1"),
        ("seed: 1\nseed: 2", r"options\.yaml .*'seed' stands twice .line 2"),
        ("[" * 9000, r"options\.yaml .*nested more than 32 levels"),
    ],
)
def test_a_file_that_does_not_fit_is_named(options, tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        options("--config", _file(tmp_path, content))


def test_a_file_of_an_earlier_version_is_read_once_more_with_a_sentence(options, tmp_path, capsys):
    config = options("--preset", "soft-m")
    former = {name: part for name, part in plain(config).items() if name != "limits"}
    former["model"]["bias_initial_value"] = 0.0  # which it wrote, and soft modules never read
    assert options("--config", _file(tmp_path, former)) == config
    said = capsys.readouterr().err
    assert "is of an earlier version; left out" in said
    assert "model.bias_initial_value" in said
    former["limits"] = plain(config)["limits"]
    with pytest.raises(ValueError, match=r"`bias_initial_value` must be left at 0\.1"):
        options("--config", _file(tmp_path, former))


def test_a_missing_file_is_named(options, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no options file .*none\.yaml"):
        options("--config", tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--learning-rate", "1"), "--learning-rate"),
        (("--preset", "pe", "--see", "1"), "--see"),
        (("--seed", "-1"), "seed=-1"),
        (("--seed", "one"), "--seed"),
        (("--training.max-epochs", "0"), "max_epochs=0"),
        (("--config",), "--config"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options, capsys, arguments, named):
    with pytest.raises(ValueError, match=named):
        options(*arguments)
    assert capsys.readouterr() == ("", "")


def test_help_is_a_screenful_of_what_a_user_needs(options, capsys):
    assert options("--help") is None
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) <= 100
    assert "--scenario.definition" in text
    assert "(default: cmml-matching)" in text
    assert "--training.learning-rate" not in text
    assert "--help-all lists every option" in text


def test_help_all_lists_every_option(options, capsys):
    with pytest.raises(SystemExit) as end:
        options("--help-all")
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "cmml-soft-m-taobao" in text
    assert "--training.learning-rate" in text


@pytest.mark.parametrize(
    "error", [ValueError("`x`\n  is bad."), OSError("`x` is bad."), ImportError("`x` is bad.")]
)
def test_a_stated_reason_is_one_line_and_status_2(capsys, error):
    def fails(argv):
        raise error

    with pytest.raises(SystemExit) as end:
        run(fails)
    assert end.value.code == 2
    assert capsys.readouterr() == ("", "error: `x` is bad.\n")


def test_a_command_gets_its_arguments_and_gives_its_status(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["command", "--a", "b"])
    seen = []
    with pytest.raises(SystemExit) as end:
        run(lambda argv: seen.append(argv) or 0)
    assert end.value.code == 0
    assert seen == [["--a", "b"]]


def test_a_fault_of_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(lambda argv: 1 // 0)


@pytest.fixture
def thresholds():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)  # Python's own, which an earlier command has changed
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("thresholds")
def test_many_objects_that_stay_are_made_without_a_look_for_garbage_and_garbage_is_freed():
    class Knot:
        def __init__(self):
            self.own = self

    found = {}

    def command(argv):
        gc.collect()
        looks = gc.get_stats()[0]["collections"]
        kept = [[] for _ in range(20_000)]
        found["looks"] = gc.get_stats()[0]["collections"] - looks
        knots = [weakref.ref(Knot()) for _ in range(len(kept))]
        kept += [[] for _ in range(100_000)]
        found["alive"] = sum(one() is not None for one in knots)
        return 0

    with pytest.raises(SystemExit):
        run(command)
    assert found == {"looks": 0, "alive": 0}


@pytest.mark.usefixtures("thresholds")
@pytest.mark.parametrize(("asked", "threads"), [(None, "1"), ("3", "3")])
def test_an_operation_of_a_training_is_computed_on_one_thread_unless_more_are_asked_for(
    tmp_path, monkeypatch, asked, threads
):
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
        if asked is not None:
            os.environ["TF_NUM_INTRAOP_THREADS"] = asked
        with pytest.raises(ValueError, match="scenario"):
            train_scenario.main(["--data", "log.csv"])
        assert os.environ["TF_NUM_INTRAOP_THREADS"] == threads


@pytest.mark.parametrize(
    ("asked", "threads"),
    [({}, 1), ({"OMP_NUM_THREADS": "2"}, 2), ({"OPENBLAS_NUM_THREADS": "2"}, 2)],
)
def test_numpy_and_scipy_have_one_thread_in_a_training_unless_more_are_asked_for(
    tmp_path, asked, threads
):
    code = (
        "import cmml_tf.commands.train_scenario\n"
        "from cmml_tf.program import one_thread_an_operation\n"
        "one_thread_an_operation()\n"
        "import numpy\n"
        "import scipy.linalg\n"
        "from threadpoolctl import threadpool_info\n"
        "print({one['num_threads'] for one in threadpool_info() if one['user_api'] == 'blas'})\n"
    )
    environment = fresh_environment()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str({min(threads, os.cpu_count())})
