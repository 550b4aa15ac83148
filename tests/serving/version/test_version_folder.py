"""Version folders appear whole or not at all, whoever is killed and whoever exports beside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmml_tf.serving.version.version_folder import publish_version, versions

FILES = 30
CHILD = f"""
import sys
from cmml_tf.serving.version.version_folder import publish_version

def write(content, scratch):
    for index in range({FILES}):
        (content / str(index)).write_text("x" * 1000)

print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    publish_version(sys.argv[1], write)
"""


def write_files(content: Path, scratch: Path) -> None:
    (scratch / "thrown away").write_text("x")
    (content / "folder").mkdir()
    (content / "folder" / "file").write_text("kept")


def child(base, count):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(base), str(count)], stdout=subprocess.PIPE, text=True
    )


def test_versions_count_up_from_the_largest(tmp_path):
    base = tmp_path / "models" / "cmml"
    assert publish_version(base, write_files) == base / "1"
    (base / "41").mkdir()
    (base / "tmp-of-someone").mkdir()
    (base / "099.txt").write_text("no version")
    assert publish_version(base, write_files) == base / "42"
    assert versions(base) == [1, 41, 42]
    assert (base / "42" / "folder" / "file").read_text() == "kept"
    assert [path.name for path in (base / "42").iterdir()] == ["folder"]


@pytest.mark.parametrize("kind", ["file", "broken link", "link to itself"])
def test_what_is_no_folder_takes_its_number(tmp_path, kind):
    if kind == "file":
        (tmp_path / "1").write_text("x")
    else:
        (tmp_path / "1").symlink_to("1" if kind == "link to itself" else "nowhere")
    assert publish_version(tmp_path, write_files).name == "2"
    assert versions(tmp_path) == [2]


def test_numbers_that_servers_do_not_know_are_no_versions(tmp_path):
    (tmp_path / str(2**63)).mkdir()
    (tmp_path / ("9" * 200)).mkdir()
    assert versions(tmp_path) == []
    assert publish_version(tmp_path, write_files).name == "1"
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(ValueError, match=r"must have a number below 9223372036854775807"):
        publish_version(tmp_path, write_files)
    assert versions(tmp_path) == [1, 2**63 - 1]
    assert not list(tmp_path.glob("tmp-*"))


def test_a_version_is_readable_by_whom_the_umask_lets(tmp_path):
    reference = tmp_path / "reference"
    reference.mkdir()
    version = publish_version(tmp_path / "base", write_files)
    assert version.stat().st_mode == reference.stat().st_mode


def test_a_base_path_that_does_not_exist_has_no_versions(tmp_path):
    assert versions(tmp_path / "nothing") == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_export_that_fails_leaves_nothing(tmp_path, error):
    def fail(content: Path, scratch: Path) -> None:
        write_files(content, scratch)
        raise error

    with pytest.raises(type(error)):
        publish_version(tmp_path, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_never_leaves_a_numbered_folder_half_written(tmp_path):
    for round_number in range(12):
        with child(tmp_path, 1_000_000) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.003 * round_number)
            os.kill(process.pid, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        for version in versions(tmp_path):
            written = list((tmp_path / str(version)).iterdir())
            assert len(written) == FILES
            assert all(path.stat().st_size == 1000 for path in written)
    killed = versions(tmp_path)
    publish_version(tmp_path, write_files)
    assert versions(tmp_path) == [*killed, max([0, *killed]) + 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, versions(tmp_path)))


def test_an_export_that_still_runs_is_not_cleared_away(tmp_path):
    def export_another(content: Path, scratch: Path) -> None:
        assert publish_version(tmp_path, write_files) == tmp_path / "1"
        write_files(content, scratch)

    assert publish_version(tmp_path, export_another) == tmp_path / "2"


def test_exports_at_the_same_time_get_different_numbers(tmp_path):
    processes = [child(tmp_path, 10) for _ in range(4)]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    assert versions(tmp_path) == list(range(1, 41))
