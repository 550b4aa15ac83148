"""What an installation lacks is said in a sentence; and importing cmml_tf settles which Keras
`tf.keras` is, in a fresh process each time."""

import os
import subprocess
import sys

import pytest


def run(code, keras=None):
    """Runs Python code with `TF_USE_LEGACY_KERAS` set to `keras`, or unset."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    if keras is not None:
        environment["TF_USE_LEGACY_KERAS"] = keras
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def output(code, keras=None):
    result = run(code, keras)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize("keras", [None, "1", "true", "True"])
def test_variable_is_set_on_import(keras):
    code = "import cmml_tf, os; print(os.environ['TF_USE_LEGACY_KERAS'])"
    assert output(code, keras) == [keras or "1"]


@pytest.mark.parametrize("keras", ["0", "no", ""])
def test_another_value_is_an_error_with_the_remedy(keras):
    result = run("import cmml_tf.layers", keras)
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: TF_USE_LEGACY_KERAS must be 1 or unset. ")
    assert f" Received: TF_USE_LEGACY_KERAS={keras}. " in last
    assert "Set TF_USE_LEGACY_KERAS=1 in the environment" in last


def test_import_after_tensorflow_is_early_enough():
    assert output(
        "import tensorflow as tf, cmml_tf; print(tf.keras.layers.Layer.__module__.split('.')[0])"
    ) == ["tf_keras"]


def test_beside_keras_3_the_client_is_imported_and_what_needs_keras_2_names_the_remedy():
    code = """
import tensorflow as tf
before = tf.keras.layers.Layer
import cmml_tf.client
print(before.__module__.split(".")[0], tf.keras.layers.Layer is before)
import cmml_tf.models.cmml
"""
    result = run(code)
    assert result.stdout.split() == ["keras", "True"]
    assert result.returncode != 0
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: Keras 3 is already loaded as `tf.keras`.")
    assert "import cmml_tf before anything touches `tf.keras`" in last


def test_data_layer_does_not_start_tensorflow():
    code = """
import pkgutil, sys
import cmml_tf, cmml_tf.config, cmml_tf.types, cmml_tf.datasets
for module in pkgutil.walk_packages(cmml_tf.datasets.__path__, "cmml_tf.datasets."):
    __import__(module.name)
cmml_tf.ModelConfig, cmml_tf.Episode
print(sorted({"tensorflow", "tf_keras", "keras", "tensorflow_recommenders"} & {*sys.modules}))
"""
    assert output(code) == ["[]"]


def test_imported_before_tensorflow_it_gives_keras_2_and_public_names_load_at_first_use():
    code = """
import cmml_tf, tensorflow as tf
print(tf.keras.layers.Layer.__module__.split(".")[0])
model = cmml_tf.build_model(cmml_tf.model_preset("cmml-film"), users=2, items=3)
print(isinstance(model, cmml_tf.CMML), "CMML" in dir(cmml_tf), hasattr(cmml_tf, "nothing"))
"""
    assert output(code) == ["tf_keras", "True", "True", "False"]


def test_the_client_minds_no_choice_of_keras():
    assert output("import cmml_tf.client, os; print(os.environ['TF_USE_LEGACY_KERAS'])", "0") == [
        "0"
    ]


# Modules that a plain installation has not are hidden from the import system.
PLAIN = """
import importlib.abc, importlib.util, sys
found = importlib.util.find_spec
HIDDEN = ("tensorflow", "tf_keras", "tensorflow_recommenders", "pandas", "pyarrow", "scipy")
importlib.util.find_spec = lambda name, *rest: None if name in HIDDEN else found(name, *rest)
"""


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("import cmml_tf.layers.encoders.gru", "cmml_tf.layers needs tensorflow"),
        ("import cmml_tf; cmml_tf.CMML", "cmml_tf.models needs tensorflow"),
        ("import cmml_tf; cmml_tf.export_model", "cmml_tf.serving needs tensorflow"),
        ("from cmml_tf.episodes import EpisodeSampler", "cmml_tf.episodes needs tensorflow"),
        ("import cmml_tf.datasets.interactions", "cmml_tf.datasets needs pandas"),
        ("import cmml_tf; cmml_tf.fit", "cmml_tf.fit needs tensorflow"),
        ("import cmml_tf; cmml_tf.Run", "cmml_tf.settings needs tensorflow"),
        ("import cmml_tf.training.fit", "cmml_tf.training needs tensorflow"),
    ],
)
def test_a_plain_installation_says_what_to_type(statement, part):
    result = run(PLAIN + statement)
    last = result.stderr.strip().splitlines()[-1]
    assert last == (
        f"ImportError: {part}, which a plain installation of cmml_tf leaves out. "
        "Type: pip install 'cmml_tf[tensorflow]'"
    )


@pytest.mark.parametrize("words", [("presets",), ("train", "scenario"), ("evaluate", "run")])
def test_commands_of_a_plain_installation_say_what_to_type(words):
    start = f"sys.argv = ['cmml', *{words!r}]\nfrom cmml_tf.commands.main import main; main()"
    result = run(PLAIN + start)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith("leaves out. Type: pip install 'cmml_tf[tensorflow]'")


def test_a_plain_installation_leaves_keras_alone():
    code = PLAIN + "import os, cmml_tf.client; print('TF_USE_LEGACY_KERAS' in os.environ)"
    assert output(code) == ["False"]
