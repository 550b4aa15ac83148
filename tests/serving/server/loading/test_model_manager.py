"""Versions coming and going, with a loader that needs no SavedModel."""

import contextlib
from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from cmml_tf.serving.server.loading.model_manager import ModelManager
from cmml_tf.serving.server.status import Code, ServingError, not_found


class Loader:
    """Loads any folder; folders with a file `broken` fail with what it says."""

    def __init__(self):
        self.loads = []

    def __call__(self, name, version, path):
        self.loads.append((name, version))
        if (broken := Path(path) / "broken").exists():
            raise {"not_found": not_found("no graph"), "odd": KeyError("odd")}[broken.read_text()]
        return f"{name}-{version}"


@pytest.fixture
def base(tmp_path):
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
    return tmp_path


@pytest.fixture
def loader():
    return Loader()


def configuration(base, extra="", name="m"):
    return text_format.Parse(
        f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" '
        f'model_platform: "tensorflow" {extra} }} }}',
        model_server_config_pb2.ModelServerConfig(),
    )


def started(loader, base, extra="", **options):
    manager = ModelManager(loader, **options)
    manager.configure(configuration(base, extra))
    return manager


def spec(name="m", version=None, label=None):
    spec = model_pb2.ModelSpec(name=name)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def states(manager):
    return {
        one.version: get_model_status_pb2.ModelVersionStatus.State.Name(one.state)
        for one in manager.status(spec()).model_version_status
    }


def served(manager, *arguments, **options):
    with manager.use(spec(*arguments, **options)) as servable:
        return servable


def code_of(call, *arguments, **options):
    with pytest.raises(ServingError) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_the_newest_version_is_loaded_once(loader, base):
    manager = started(loader, base)
    manager.refresh()
    assert loader.loads == [("m", 2)]
    assert served(manager) == "m-2"
    assert code_of(served, manager, version=1) == Code.NOT_FOUND
    assert manager.ready()


def test_a_new_version_answers_at_once_and_is_available_when_earlier_requests_are_answered(
    loader, base
):
    manager = started(loader, base)
    with manager.use(spec()) as old:
        (base / "3").mkdir()
        (base / "4").mkdir()
        manager.refresh()
        assert states(manager) == {4: "LOADING", 2: "AVAILABLE"}
        assert old == "m-2"
        with manager.use(spec()) as new:
            assert new == "m-4"
        assert served(manager, version=2) == "m-2"
        (base / "5").mkdir()
        manager.refresh()  # nothing else is loaded meanwhile
        assert states(manager) == {4: "LOADING", 2: "AVAILABLE"}
    assert states(manager) == {4: "AVAILABLE", 2: "END"}
    manager.refresh()
    assert served(manager) == "m-5"


def test_requests_that_began_later_hold_the_old_version_and_not_the_new_one_s_state(loader, base):
    manager = started(loader, base)
    with contextlib.ExitStack() as later:
        with manager.use(spec()):
            (base / "3").mkdir()
            manager.refresh()
            later.enter_context(manager.use(spec(version=2)))
        assert states(manager) == {3: "AVAILABLE", 2: "UNLOADING"}
        assert code_of(served, manager, version=2) == Code.NOT_FOUND
    assert states(manager) == {3: "AVAILABLE", 2: "END"}


@pytest.mark.parametrize(
    ("kind", "code", "message"),
    [("not_found", Code.NOT_FOUND, "no graph"), ("odd", Code.UNKNOWN, "KeyError")],
)
def test_a_broken_version_leaves_the_old_one_and_says_why(loader, base, kind, code, message):
    manager = started(loader, base)
    (base / "3").mkdir()
    (base / "3" / "broken").write_text(kind)
    manager.refresh()
    assert served(manager) == "m-2"
    (status,) = manager.status(spec(version=3)).model_version_status
    assert status.status.error_code == code.value[0]
    assert message in status.status.error_message
    manager.refresh()
    assert loader.loads.count(("m", 3)) == 1
    (base / "3" / "broken").unlink()
    manager.refresh()
    assert served(manager) == "m-3"


def test_a_version_that_failed_is_tried_again_a_few_times(loader, base):
    (base / "2" / "broken").write_text("odd")
    manager = started(loader, base, max_load_retries=2, retry_seconds=0.0)
    for _ in range(5):
        manager.refresh()
    assert loader.loads.count(("m", 2)) == 3
    assert not manager.ready()


def test_a_base_path_that_cannot_be_read_changes_nothing(loader, base):
    manager = started(loader, base)
    base.rename(base.with_name("elsewhere"))
    manager.refresh()
    assert served(manager) == "m-2"


def test_an_empty_base_path_unloads_everything(loader, base):
    manager = started(loader, base)
    (base / "1").rmdir()
    (base / "2").rmdir()
    manager.refresh()
    assert code_of(served, manager) == Code.NOT_FOUND
    assert not manager.ready()


def test_a_version_that_went_can_come_back(loader, base):
    manager = started(loader, base)
    (base / "2").rmdir()
    manager.refresh()
    assert served(manager) == "m-1"
    (base / "2").mkdir()
    manager.refresh()
    assert served(manager) == "m-2"


BOTH = "model_version_policy { all {} } "


def label(**labels):
    return BOTH + " ".join(
        f'version_labels {{ key: "{name}" value: {number} }}' for name, number in labels.items()
    )


def test_labels_name_versions_that_are_available_already(loader, base):
    manager = ModelManager(loader)
    # At start nothing is loaded, so that no label can be given.
    assert code_of(manager.configure, configuration(base, label(stable=1))) == (
        Code.FAILED_PRECONDITION
    )
    assert loader.loads == []
    manager.configure(configuration(base, BOTH))
    manager.configure(configuration(base, label(stable=1)))
    assert served(manager, label="stable") == "m-1"
    assert code_of(served, manager, label="other") == Code.INVALID_ARGUMENT
    (base / "3").mkdir()
    # Labels are looked at before versions, so that a new one cannot come with its label.
    assert code_of(manager.configure, configuration(base, label(stable=3))) == (
        Code.FAILED_PRECONDITION
    )
    assert served(manager, label="stable") == "m-1"
    manager.refresh()
    manager.configure(configuration(base, label(stable=3)))
    assert served(manager, label="stable") == "m-3"


def test_new_labels_may_wait_where_allowed_and_those_in_use_may_not_move_to_nothing(loader, base):
    manager = started(loader, base, label(stable=1, next=9), labels_may_wait=True)
    assert served(manager, label="stable") == "m-1"
    assert code_of(served, manager, label="next") == Code.NOT_FOUND
    (base / "9").mkdir()
    manager.refresh()
    assert served(manager, label="next") == "m-9"
    moved = configuration(base, label(stable=8))
    assert code_of(manager.configure, moved) == Code.FAILED_PRECONDITION
    assert served(manager, label="stable") == "m-1"
    manager.configure(configuration(base, label(stable=2)))
    assert served(manager, label="stable") == "m-2"


def test_status_ignores_labels(loader, base):
    manager = started(loader, base, BOTH)
    listed = [one.version for one in manager.status(spec(label="unheard of")).model_version_status]
    assert listed == [2, 1]


def test_a_reload_waits_for_new_models_and_says_which_cannot_be_loaded(
    loader, base, tmp_path_factory
):
    manager = started(loader, base)
    other = tmp_path_factory.mktemp("other")
    both = configuration(base)
    both.model_config_list.config.extend(configuration(other, name="o").model_config_list.config)
    assert code_of(manager.reload, both) == Code.UNKNOWN
    manager.configure(configuration(base))
    (other / "1").mkdir()
    (other / "1" / "broken").write_text("not_found")
    assert code_of(manager.reload, both) == Code.UNKNOWN
    assert served(manager) == "m-2"
    manager.configure(configuration(base))
    (other / "1" / "broken").unlink()
    manager.reload(both)
    assert served(manager, "o") == "o-1"


def test_models_come_and_go_with_the_configuration(loader, base, tmp_path_factory):
    manager = started(loader, base)
    other = tmp_path_factory.mktemp("other")
    (other / "7").mkdir()
    manager.configure(configuration(other, name="other"))
    assert served(manager, "other") == "other-7"
    assert code_of(served, manager) == Code.NOT_FOUND
    manager.configure(configuration(base, name="other"))
    assert served(manager, "other") == "other-2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        'model_config_list { config { base_path: "/p" model_platform: "tensorflow" } }',
        'model_config_list { config { name: "m" model_platform: "tensorflow" } }',
        'model_config_list { config { name: "m" base_path: "p" model_platform: "tensorflow" } }',
        'model_config_list { config { name: "m" base_path: "/p" } }',
        'model_config_list { config { name: "m" base_path: "/p" model_platform: "onnx" } }',
        'model_config_list { config { name: "m" base_path: "/p" model_type: TENSORFLOW '
        'model_platform: "tensorflow" } }',
        'model_config_list { config { name: "m" base_path: "/p" model_platform: "tensorflow" } '
        'config { name: "m" base_path: "/q" model_platform: "tensorflow" } }',
    ],
)
def test_a_wrong_configuration_is_refused_whole(loader, base, text):
    manager = started(loader, base)
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert code_of(manager.configure, config) == Code.INVALID_ARGUMENT
    assert served(manager) == "m-2"
