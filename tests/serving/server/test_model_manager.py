"""Versions coming and going, with a loader that needs no SavedModel."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from cmml_tf.serving.server.model_manager import ModelManager
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
        f'model_config_list {{ config {{ name: "{name}" base_path: "{base}" {extra} }} }}',
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


def test_a_version_in_use_stays_until_it_is_let_go(loader, base):
    manager = started(loader, base)
    with manager.use(spec()) as old:
        (base / "3").mkdir()
        manager.refresh()
        assert states(manager) == {3: "AVAILABLE", 2: "UNLOADING"}
        assert old == "m-2"
        assert served(manager) == "m-3"
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


def test_labels_name_loaded_versions(loader, base):
    both = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'
    manager = started(loader, base, both)
    assert served(manager, label="stable") == "m-1"
    assert code_of(served, manager, label="other") == Code.INVALID_ARGUMENT
    wrong = configuration(base, 'version_labels { key: "stable" value: 9 }')
    assert code_of(manager.configure, wrong) == Code.FAILED_PRECONDITION
    waiting = started(loader, base, 'version_labels { key: "next" value: 9 }', labels_may_wait=True)
    assert code_of(served, waiting, label="next") == Code.NOT_FOUND
    (base / "9").mkdir()
    waiting.refresh()
    assert served(waiting, label="next") == "m-9"


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
        'model_config_list { config { base_path: "p" } }',
        'model_config_list { config { name: "m" } }',
        'model_config_list { config { name: "m" base_path: "p" } '
        'config { name: "m" base_path: "q" } }',
    ],
)
def test_a_wrong_configuration_is_refused_whole(loader, base, text):
    manager = started(loader, base)
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    assert code_of(manager.configure, config) == Code.INVALID_ARGUMENT
    assert served(manager) == "m-2"
