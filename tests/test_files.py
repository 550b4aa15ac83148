"""Files appear whole or not at all, and what the disk refuses is said with cause and remedy."""

import os
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from file_limit import no_file_beyond
from killed_steps import killed_steps

from cmml_tf.files import check_folder, make_folder, whole_folder, write_whole
from cmml_tf.serving.version.version_folder import publish_version
from cmml_tf.training.checkpoint_files import CheckpointFiles


@pytest.fixture
def small_files():
    """No file may grow beyond 100 bytes, as on a disk that is full."""
    with no_file_beyond(100):
        yield


def test_text_and_arrays_are_written(tmp_path):
    write_whole(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    write_whole(tmp_path / "a.npy", partial(np.save, arr=np.arange(3)))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), [0, 1, 2])
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "a.txt"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("x" * 10_000, "File too large"),
        (
            partial(np.save, arr=np.zeros(10_000)),
            "(File too large|the disk did not take all of it)",
        ),
    ],
)
def test_a_full_disk_leaves_the_old_content(tmp_path, small_files, content, cause):
    file = tmp_path / "metrics.json"
    write_whole(file, "old")
    with pytest.raises(OSError, match=rf"metrics\.json could not be written: {cause}. Make sure"):
        write_whole(file, content)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_a_folder_where_a_file_should_be_is_named(tmp_path):
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(OSError, match=r"metrics\.json could not be written: Is a directory"):
        write_whole(tmp_path / "metrics.json", "new")
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_folders_are_made_or_the_obstacle_is_named(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    make_folder(tmp_path / "a" / "b")
    check_folder(tmp_path / "c" / "d")
    assert not (tmp_path / "c").exists()
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "file" / "x", tmp_path / "nowhere"):
        for make in (make_folder, check_folder):
            with pytest.raises(OSError, match=r"must be a folder, but .* is a file"):
                make(path)
    # Nothing can be made there, not even by root.
    with pytest.raises(OSError, match=r"/proc/.*writ"):
        make_folder(tmp_path.__class__("/proc/x"))


def test_a_folder_that_is_killed_at_any_step_is_whole_or_not_there(tmp_path):
    source, target = tmp_path / "source", tmp_path / "run" / "data"
    for name in ("a", "b/c", "b/d"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    program = f"""
import shutil
from pathlib import Path
from cmml_tf.files import whole_folder

def work():
    if not Path({str(target)!r}).exists():
        with whole_folder(Path({str(target)!r})) as part:
            shutil.copytree({str(source)!r}, part, dirs_exist_ok=True)
"""
    seen = []
    # Each attempt finds what the one before has left.
    for is_done in killed_steps(program, lambda: None):
        files = [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()]
        assert sorted(files) in ([], ["a", "b/c", "b/d"])
        seen.append(bool(files))
        assert files or not is_done
    assert seen[0] is False
    assert len(seen) > 10
    assert [path.name for path in target.parent.iterdir()] == ["data"]


def test_a_folder_that_cannot_be_filled_leaves_nothing_and_is_named(tmp_path, small_files):
    with (
        pytest.raises(OSError, match=r"data could not be written: File too large\. Make sure"),
        whole_folder(tmp_path / "run" / "data") as part,
    ):
        (part / "large").write_bytes(b"x" * 10_000)
    assert os.listdir(tmp_path / "run") == []


@pytest.fixture
def disk(monkeypatch):
    """What goes to disk and what gets its name, in order; both happen."""
    events = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def flushed(descriptor):
        events.append(("flushed", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def named(operation):
        def told(source, target, **more):
            events.append(("named", os.path.abspath(target)))
            operation(source, target, **more)

        return told

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", named(replace))
    monkeypatch.setattr(os, "rename", named(rename))
    return events


def _save_checkpoint(folder):
    CheckpointFiles(tf.train.Checkpoint(value=tf.Variable(1.0)), folder).save(1)


def _publish(base):
    publish_version(base, lambda content, _: (content / "saved_model.pb").write_text("graph"))


WRITERS = {
    "run file": (lambda folder: write_whole(folder / "metrics.json", "{}"), "metrics.json", 1),
    "checkpoint": (_save_checkpoint, "checkpoint", 3),
    "export": (_publish, "1", 2),
}


@pytest.mark.parametrize(("write", "name", "least"), WRITERS.values(), ids=WRITERS)
def test_content_is_on_disk_before_its_name_and_the_name_before_the_end(
    tmp_path, disk, write, name, least
):
    write(tmp_path)
    position = disk.index(("named", str(tmp_path / name)))
    # What TensorFlow renames while it writes has its own order.
    before = {path for event, path in disk[:position] if event == "flushed"}
    assert len(before) >= least
    assert ("flushed", str(tmp_path)) in disk[position:]
    if name == "checkpoint":
        assert {str(path) for path in tmp_path.glob("ckpt-1.*")} < before
