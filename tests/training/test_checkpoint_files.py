"""A checkpoint counts when it is whole and on disk; a damaged one is named, never passed over."""

import resource

import pytest
import tensorflow as tf

from cmml_tf.training.checkpoint_files import CheckpointFiles


@pytest.fixture
def saved(tmp_path):
    """A value of 1000 numbers that has been saved twice: variable, files, folder."""
    variable = tf.Variable(tf.range(1000.0))
    folder = tmp_path / "checkpoints" / "latest"
    files = CheckpointFiles(tf.train.Checkpoint(values=variable), folder)
    files.save(1)
    variable.assign(variable + 1.0)
    files.save(2)
    return variable, files, folder


def test_the_last_one_stays_and_tensorflow_finds_it(saved):
    _, files, folder = saved
    names = {"checkpoint", "ckpt-2.index", "ckpt-2.data-00000-of-00001"}
    assert {path.name for path in folder.iterdir()} == names
    assert files.latest() == tf.train.latest_checkpoint(str(folder)) == str(folder / "ckpt-2")
    again = tf.Variable(tf.zeros([1000]))
    tf.train.Checkpoint(values=again).read(files.latest())
    assert float(again[0]) == 1.0


def test_what_a_kill_leaves_is_no_damage(saved, tmp_path):
    _, files, folder = saved
    # Between a checkpoint and its name, and in the middle of one.
    for name in ("ckpt-3.index", "ckpt-3.data-00000-of-00001", "ckpt-3_temp/part"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"half")
    assert files.latest() == str(folder / "ckpt-2")
    files.save(4)
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"checkpoint", "ckpt-4"}

    first = tmp_path / "first"
    first.mkdir()
    (first / "ckpt-1.index").write_bytes(b"half")
    assert CheckpointFiles(tf.train.Checkpoint(), first).latest() is None
    assert CheckpointFiles(tf.train.Checkpoint(), tmp_path / "new").latest() is None


DATA, INDEX = "ckpt-2.data-00000-of-00001", "ckpt-2.index"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *((name, kept) for name in (INDEX, DATA) for kept in (None, 0.0, 0.3, 0.999)),
        *(("checkpoint", kept) for kept in (None, 0.0, 0.3)),
    ],
)
def test_a_file_that_is_missing_or_cut_short_is_named_with_the_remedy(saved, name, kept):
    _, files, folder = saved
    file = folder / name
    content = file.read_bytes()
    file.unlink()
    if kept is not None:
        file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=rf"{name} is (missing|empty|cut short)") as caught:
        files.latest()
    assert f"Remove the folder {folder.parent} and give the same command again" in str(caught.value)


def test_changed_bytes_are_found(saved):
    _, files, folder = saved
    file = folder / "ckpt-2.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[2000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"ckpt-2\.data-00000-of-00001 is cut short or damaged"):
        files.latest()


def test_a_full_disk_is_a_sentence_and_the_earlier_one_stays(saved):
    variable, files, folder = saved
    variable.assign(variable + 1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"latest/ckpt-3 could not be written: File too large\. "):
            files.save(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files.latest() == str(folder / "ckpt-2")
    files.save(3)
    assert files.latest() == str(folder / "ckpt-3")
