"""What is promoted and what is refused, and that nothing moves where something is refused."""

import math
import random
import shutil
import subprocess
import sys
import time

import pytest
from operation.conftest import LOG, change_manifest

from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.operation.gate import Comparison, Other
from cmml_tf.operation.promotion import judged, place_of, promote
from cmml_tf.program import UnmetRequirementError
from cmml_tf.serving.version.version_folder import versions

KILLS = 8


def promoted(base, against=None):
    candidate = base / "candidates" / "1"
    place = place_of(candidate, against)
    return promote(candidate, place, judged(candidate, place, LOG), lambda line: None)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.slow
def test_a_better_candidate_takes_the_place_whole(exports, served):
    base = served(exports.poor, exports.good)
    assert promoted(base) == base / "2"
    assert content(base / "2") == content(exports.good)
    assert content(base / "1") == content(exports.poor)
    assert list((base / "candidates").iterdir()) == []


@pytest.mark.parametrize(
    ("current", "candidate"),
    [("poor", "lost"), pytest.param("good", "poor", marks=pytest.mark.slow)],
)
def test_a_worse_candidate_stays_where_it_is(exports, served, current, candidate):
    base = served(getattr(exports, current), getattr(exports, candidate))
    before = content(base)
    with pytest.raises(UnmetRequirementError) as refused:
        promoted(base)
    assert f"worse than {base / '1'}, 0." in str(refused.value)
    assert "below ItemPop, 0." in str(refused.value)
    assert ("at chance" in str(refused.value)) == (candidate == "lost")
    assert content(base) == before


@pytest.mark.slow
def test_an_equal_candidate_is_promoted(exports, served):
    base = served(exports.good, exports.good)
    assert promoted(base, base / "1") == base / "2"


@pytest.mark.slow
def test_the_first_version_must_be_above_chance_and_above_what_is_simple(exports, served):
    base = served(candidate=exports.lost)
    with pytest.raises(UnmetRequirementError, match=r"below ItemPop, .*; and at chance, beside"):
        promoted(base)
    assert versions(base) == []
    shutil.rmtree(base)
    base = served(candidate=exports.good)
    assert promoted(base, base) == base / "1"


@pytest.mark.slow
def test_the_command_killed_at_any_moment_has_moved_the_whole_candidate_or_nothing(exports, served):
    base = served(exports.poor)
    candidate = base / "candidates" / "1"
    command = (
        *(sys.executable, "-c", "from cmml_tf.commands.main import main; main()"),
        *("promote", str(candidate), "--on", LOG),
    )
    rng, longest, outcomes = random.Random(0), None, set()
    for _ in range(KILLS):
        shutil.rmtree(candidate, ignore_errors=True)
        shutil.copytree(exports.good, candidate)
        before, begin = versions(base), time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if longest is not None:
            time.sleep(rng.uniform(0.5, 1.0) * longest)
            process.kill()
        process.communicate()
        longest = longest or time.monotonic() - begin
        new = [number for number in versions(base) if number not in before]
        assert (len(new), candidate.exists()) in ((0, True), (1, False))
        place = base / str(new[0]) if new else candidate
        assert content(place) == content(exports.good)
        outcomes.add(bool(new))
    assert True in outcomes


def _other_weights(version, exports):
    shutil.rmtree(version / "variables")
    shutil.copytree(exports.lost / "variables", version / "variables")


def _cut_short(version, exports):
    (file,) = (version / "variables").glob("*.data-*")
    file.write_bytes(file.read_bytes()[:-100])


def _other_scores(version, exports):
    def change(manifest):
        manifest["probes"]["score"][1][2] += 0.1

    change_manifest(version, change)


def _one_id_more(version, exports):
    with (version / "assets" / "item_ids.txt").open("a") as file:
        file.write("987654\n")


BROKEN = {
    "other weights": (_other_weights, "gives other scores than its manifest's probe requests"),
    "weights cut short": (_cut_short, "cannot be loaded"),
    "other scores recorded": (_other_scores, "gives other scores than its manifest's probe"),
    "another vocabulary": (_one_id_more, "assets/item_ids.txt"),
    "no model": (lambda version, _: (version / "saved_model.pb").unlink(), "cannot be loaded"),
    "no manifest": (lambda version, _: shutil.rmtree(version / "assets.extra"), "cannot be read"),
    "no probes": (
        lambda version, _: change_manifest(version, lambda one: one.pop("probes")),
        "records no probe requests",
    ),
}
QUICK = ("other scores recorded", "no model", "no manifest")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in BROKEN]
)
def test_a_broken_candidate_is_named_and_not_compared(exports, served, name):
    break_it, said = BROKEN[name]
    base = served(exports.poor, exports.poor)
    break_it(base / "candidates" / "1", exports)
    before = content(base)
    with pytest.raises(UnmetRequirementError, match="Not promoted") as refused:
        promoted(base)
    assert said in str(refused.value)
    assert content(base) == before


def _comparison(current, floor=0.0, chance=(0.3, 0.1)):
    def other(name, difference):
        mean, half_width = difference
        return Other(name, 0.5 - mean, PairedDifference(mean, half_width, 60, 6))

    return Comparison(
        *("recall@10", "new", 0.5, current and other("old", current)),
        *(other("ItemPop", (floor, 0.2)), other("chance", chance), (6, "scenarios"), "strict"),
    )


@pytest.mark.parametrize(
    ("current", "floor", "chance", "refused"),
    [
        (None, 0.1, (0.3, 0.1), ()),
        ((0.0, 0.0), 0.0, (0.3, 0.1), ()),
        ((-0.02, 0.03), 0.1, (0.3, 0.1), ()),
        ((-0.03, 0.02), 0.1, (0.3, 0.1), ("worse than old",)),
        ((math.nan, math.nan), 0.1, (0.3, 0.1), ("worse than old",)),
        ((0.2, 0.1), -0.001, (0.3, 0.1), ("below ItemPop",)),
        ((0.2, 0.1), 0.1, (0.05, 0.1), ("at chance",)),
        ((-0.2, 0.1), -0.2, (0.05, math.nan), ("worse than old", "below ItemPop", "at chance")),
    ],
)
def test_what_is_lost_beyond_the_interval_or_below_what_is_simple_is_refused(
    current, floor, chance, refused
):
    found = _comparison(current, floor, chance).refusals()
    assert tuple(one.split(",")[0] for one in found) == refused


def test_a_version_that_came_meanwhile_is_compared_with_first(exports, served):
    base = served(candidate=exports.poor)
    candidate = base / "candidates" / "1"
    place = place_of(candidate, None)
    (base / "1").mkdir()
    with pytest.raises(ValueError, match=r"Received: \[1\], and before \[\]. Promote again"):
        promote(candidate, place, _comparison(None), lambda line: None)
    assert candidate.is_dir()


def test_where_a_candidate_belongs_is_told_or_asked_for(tmp_path):
    base = tmp_path / "models"
    candidate, other = base / "candidates" / "1", tmp_path / "other"
    for folder in (base / "2", base / "10", candidate, other):
        folder.mkdir(parents=True)
    assert place_of(candidate, None) == (base, base / "10", [2, 10])
    assert place_of(candidate, base / "2") == (base, base / "2", [2, 10])
    assert place_of(other, tmp_path / "empty") == (tmp_path / "empty", None, [])
    with pytest.raises(ValueError, match="`against` must be given"):
        place_of(other, None)
    with pytest.raises(ValueError, match="must be outside of the served folder"):
        place_of(base / "2", base)
    with pytest.raises(FileNotFoundError, match="There is no version"):
        place_of(candidate, base / "3")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        place_of(base / "candidates" / "7", None)
