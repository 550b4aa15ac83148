"""Promotion and rollback move whole folders, whoever is killed and wherever the disks are."""

import contextlib
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killed_steps import killed_steps

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
    (folder / "saved_model.pb").write_text(text)
    return folder


def is_whole(folder):
    names = {path.name for path in folder.iterdir()}
    return names == {"saved_model.pb", *map(str, range(FILES))}


def numbered(*folders):
    """Version folders in these folders."""
    return [path for folder in folders for path in folder.glob("[0-9]*")]


@contextlib.contextmanager
def small_files():
    """No file may grow beyond 100 bytes, as on a disk that is full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


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
    (base / "5" / "saved_model.pb").touch()
    assert withdraw(base) == (5, 2)
    assert withdraw(base) == (2, 1)
    with pytest.raises(ValueError, match=r"a version before the served one .* versions 1\."):
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
        found = numbered(base, base / "withdrawn", candidates)
        assert [path for path in found if not is_whole(path)] == []
        # From another disk one may be in both places, and whole in both.
        assert len(found) - 31 in ((0,) if disks == "one disk" else (0, 1))
        assert versions(base)[0] == 1


PROMOTION = """
from pathlib import Path
from cmml_tf.serving.version.version_folder import move_in, versions, withdraw

base, candidate = Path({base!r}), Path({candidate!r})

def work():
    {work}
"""


@pytest.mark.parametrize("disks", ["one disk", "two disks"])
def test_killed_at_any_step_of_a_promotion_one_more_version_is_served_or_none(
    tmp_path, another_disk, disks
):
    base = tmp_path / "models"
    candidate = (tmp_path if disks == "one disk" else another_disk) / "candidates" / "1"
    before = []

    def begin():
        if not candidate.exists():
            make(candidate)
        before[:] = versions(base) or [1]

    make(base / "1")
    program = PROMOTION.format(
        base=str(base), candidate=str(candidate), work="move_in(candidate, base, versions(base))"
    )
    outcomes = set()
    for is_done in killed_steps(program, begin):
        new = set(versions(base)) - set(before)
        assert [path for path in numbered(base, candidate.parent) if not is_whole(path)] == []
        outcomes.add((len(new), candidate.exists()))
        if is_done:
            assert (len(new), candidate.exists()) == (1, False)
    # From another disk it may be whole in both places.
    both = set() if disks == "one disk" else {(1, True)}
    assert outcomes == {(0, True), (1, False)} | both


def test_killed_at_any_step_of_a_rollback_a_version_is_served(tmp_path):
    base = tmp_path / "models"

    def begin():
        for number in (1, 2):
            if not (base / str(number)).exists():
                make(base / str(number))
        shutil.rmtree(base / "withdrawn", ignore_errors=True)

    program = PROMOTION.format(base=str(base), candidate="", work="withdraw(base)")
    outcomes = set()
    for is_done in killed_steps(program, begin):
        assert all(map(is_whole, numbered(base, base / "withdrawn")))
        outcomes.add((versions(base) == [1], (base / "withdrawn" / "2").exists(), is_done))
    assert {one[:2] for one in outcomes} == {(False, False), (True, True)}


def at_once(*works):
    """Status of processes that begin these works at the same moment, and what they say."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", f"{work}\nprint('ready', flush=True)\ninput()\nwork()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for work in works
    ]
    for one in started:
        assert one.stdout.readline() == "ready\n"
    for one in started:
        one.stdin.write("\n")
        one.stdin.flush()
    ends = [one.communicate()[1] for one in started]
    return [(one.returncode, said) for one, said in zip(started, ends, strict=True)]


def test_of_promotions_at_once_that_compared_with_the_same_version_one_moves(tmp_path):
    base = tmp_path / "models"
    candidates = [make(base / "candidates" / str(number)) for number in (1, 2, 3)]
    make(base / "1")
    found = at_once(
        *(
            PROMOTION.format(
                base=str(base), candidate=str(one), work="move_in(candidate, base, [1])"
            )
            for one in candidates
        )
    )
    assert sorted(status for status, _ in found) == [0, 1, 1]
    assert all("Received: [1, 2], and before [1]" in said for status, said in found if status)
    assert versions(base) == [1, 2]
    assert all(map(is_whole, numbered(base, base / "candidates")))
    assert len(numbered(base / "candidates")) == 2


ROLLBACKS = """
from pathlib import Path
from cmml_tf.serving.version.version_folder import withdraw

def work():
    for _ in range(40):
        try:
            withdrawn, served = withdraw(Path({base!r}))
        except ValueError:
            continue
        assert served < withdrawn
"""


def test_a_rollback_beside_promotions_goes_back_from_the_largest(tmp_path):
    base = tmp_path / "models"
    for folder in (base / "1", base / "2", *(base / "candidates" / str(n) for n in range(10, 22))):
        make(folder)
    moves = "[move_in(one, base) for one in sorted(candidate.iterdir())]"
    found = at_once(
        PROMOTION.format(base=str(base), candidate=str(base / "candidates"), work=moves),
        ROLLBACKS.format(base=str(base)),
    )
    assert found == [(0, ""), (0, "")]
    kept = numbered(base, base / "withdrawn", base / "candidates")
    assert sorted(int(path.name) for path in kept) == list(range(1, 15))
    assert all(map(is_whole, kept))
    assert versions(base)[0] == 1


def test_a_full_disk_leaves_the_candidate_where_it_was_and_says_so(tmp_path, another_disk):
    candidate, base = another_disk / "7", tmp_path / "models"
    make(candidate)
    (base / "1").mkdir(parents=True)
    with small_files(), pytest.raises(OSError, match=r"could not be moved to .*: .*File too large"):
        move_in(candidate, base)
    assert is_whole(candidate)
    assert versions(base) == [1]
    assert [path for path in base.iterdir() if path.name.startswith("tmp-")] == []


def test_what_cannot_be_moved_is_said(tmp_path):
    candidate = make(tmp_path / "new")
    with pytest.raises(OSError, match=r"/proc/.* could not be written: .*\. Make sure"):
        move_in(candidate, Path("/proc"))
    assert is_whole(candidate)
    with pytest.raises(OSError, match=r"gone could not be moved .* not there any more; what is se"):
        move_in(tmp_path / "gone", tmp_path / "models")
    base = tmp_path / "models"
    with pytest.raises(ValueError, match="must be a model base path with versions"):
        withdraw(base)
    make(base / "3")
    (base / "1").mkdir()
    with pytest.raises(ValueError, match=r"1 must hold a saved_model.pb .*3 is served as before"):
        withdraw(base)
    make(base / "2")
    make(base / "withdrawn" / "3", "y")
    with pytest.raises(OSError, match=r"withdrawn/3: File exists. It is where it was; what is"):
        withdraw(base)
    assert versions(base) == [1, 2, 3]
    assert all(map(is_whole, (base / "2", base / "3", base / "withdrawn" / "3")))
