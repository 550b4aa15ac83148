import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from cmml_tf.serving.server.loading.version_policy import (
    aspired_versions,
    fingerprint,
    versions_on_disk,
)


def config(policy):
    text = f'name: "m" base_path: "p" model_version_policy {{ {policy} }}'
    return text_format.Parse(text, model_server_config_pb2.ModelConfig())


def test_only_numbered_folders_are_versions(tmp_path):
    for name in ("1", "02", "tmp-3", "4.old", "-5", "²"):
        (tmp_path / name).mkdir()
    found, passed_over = versions_on_disk(str(tmp_path))
    assert found == {1: str(tmp_path / "1"), 2: str(tmp_path / "02")}
    assert passed_over == {}


def test_numbers_that_cannot_be_versions_are_passed_over_with_the_reason(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").symlink_to("1")
    (tmp_path / "3").symlink_to("3")
    (tmp_path / "4").symlink_to("nowhere")
    (tmp_path / "5").write_text("a file")
    largest = str(2**63 - 1)
    beyond = (str(2**63), "9" * 200)
    for name in (largest, *beyond):
        (tmp_path / name).mkdir()
    found, passed_over = versions_on_disk(str(tmp_path))
    assert set(found) == {1, 2, int(largest)}
    assert set(passed_over) == {str(tmp_path / name) for name in ("3", "4", "5", *beyond)}
    assert "beyond int64" in passed_over[str(tmp_path / beyond[0])]


def test_a_link_that_loops_inside_a_version_is_no_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert fingerprint(str(tmp_path)) == ()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", {10}),
        ("latest { num_versions: 2 }", {9, 10}),
        ("all {}", {1, 9, 10}),
        ("specific { versions: 1 versions: 5 }", {1}),
    ],
)
def test_the_policy_chooses_among_the_versions_on_disk(policy, expected):
    on_disk = {version: str(version) for version in (9, 10, 1)}
    assert set(aspired_versions(on_disk, config(policy))) == expected


def test_a_fingerprint_changes_while_files_are_copied(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(b"12")
    before = fingerprint(str(tmp_path))
    assert fingerprint(str(tmp_path)) == before
    (tmp_path / "variables" / "data").write_bytes(b"123")
    assert fingerprint(str(tmp_path)) != before
