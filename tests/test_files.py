"""Files appear whole or not at all, and what the disk refuses is said with cause and remedy."""

import os
import resource
from functools import partial

import numpy as np
import pytest

from cmml_tf.files import check_folder, make_folder, write_whole


@pytest.fixture
def small_files():
    """No file may grow beyond 100 bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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
