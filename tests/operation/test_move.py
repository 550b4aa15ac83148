"""Promotion and rollback move whole folders, whoever is killed and wherever the disks are."""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmml_tf.serving.version.version_folder import (
    move_in,
    publish_version,
    versions,
    withdraw,
)

FILES = 40
CHILD = """
import sys
from pathlib import Path
from cmml_tf.serving.version.version_folder import move_in, withdraw

base, candidates = map(Path, sys.argv[1:])
print("ready", flush=True)
for candidate in sorted(candidates.iterdir()):
    if candidate.name.isdigit():
        move_in(candidate, base)
        withdraw(base)
"""


def make(folder, text="x"):
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / str(number)).write_text(text * 500)
    return folder


def is_whole(folder):
    return sorted(int(path.name) for path in folder.iterdir()) == list(range(FILES))


@pytest.fixture
def another_disk():
    folder = Path("/dev/shm") / f"cmml-{os.getpid()}-{random.getrandbits(32)}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("there is no second disk here")
    yield folder
    shutil.rmtree(folder)


def test_a_withdrawn_version_is_out_of_sight_and_its_number_is_not_given_again(tmp_path):
    base = tmp_path / "models"
    for number in (1, 2, 3):
        make(base / str(number))
    assert withdraw(base) == (3, 2)
    assert versions(base) == [1, 2]
    assert is_whole(base / "withdrawn" / "3")
    assert move_in(make(tmp_path / "new"), base) == base / "4"
    assert withdraw(base) == (4, 2)
    # Exports that go straight into the base path keep off the numbers, too.
    assert publish_version(base, lambda content, _: None) == base / "5"
    assert withdraw(base) == (5, 2)
    assert withdraw(base) == (2, 1)
    with pytest.raises(ValueError, match=r"a version before the served one .* versions 1."):
        withdraw(base)
    assert versions(base) == [1]


@pytest.mark.parametrize("disks", ["one disk", "two disks"])
def test_killed_at_any_moment_every_folder_is_whole_where_it_was_or_where_it_goes(
    tmp_path, another_disk, disks
):
    rng = random.Random(0)
    for attempt in range(6):
        base = tmp_path / f"models-{attempt}"
        make(base / "1")
        candidates = (tmp_path if disks == "one disk" else another_disk) / f"new-{attempt}"
        for number in range(30):
            make(candidates / f"{number + 10}")
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(base), str(candidates)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "ready\n"
        while not any(base.glob("withdrawn/*")):
            assert child.poll() is None
        time.sleep(rng.uniform(0, 0.1))
        child.kill()
        child.wait()
        child.stdout.close()
        numbered = [
            path
            for folder in (base, base / "withdrawn", candidates)
            for path in folder.glob("[0-9]*")
        ]
        assert [path for path in numbered if not is_whole(path)] == []
        # From another disk one may be in both places, and whole in both.
        assert len(numbered) - 31 in ((0,) if disks == "one disk" else (0, 1))
        assert versions(base)[0] == 1
