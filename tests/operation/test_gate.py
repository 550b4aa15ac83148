"""What is promoted and what is refused, and that nothing moves where something is refused."""

import math
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from operation.conftest import LOG, change_manifest

from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.operation.asked_log import GivenLog
from cmml_tf.operation.gate import Comparison, Other
from cmml_tf.operation.promotion import judged, place_of, promote
from cmml_tf.program import UnmetRequirementError
from cmml_tf.serving.version.version_folder import versions

KILLS = 8


def promoted(base, against=None):
    candidate = base / "candidates" / "1"
    place = place_of(candidate, against)
    return promote(candidate, place, judged(candidate, place, GivenLog(LOG)), lambda line: None)


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


@pytest.mark.slow
def test_of_two_commands_at_once_the_second_has_to_compare_again(exports, served):
    base = served(exports.poor, exports.good)
    shutil.copytree(exports.good, base / "candidates" / "2")
    program = "from cmml_tf.commands.main import main; main()"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, "promote", str(one), "--on", LOG],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for one in sorted((base / "candidates").iterdir())
    ]
    said = [one.communicate()[1] for one in started]
    assert sorted(one.returncode for one in started) == [0, 2]
    assert ["Promote again, to compare anew." in one for one in sorted(said)] == [False, True]
    assert versions(base) == [1, 2]
    (left,) = (base / "candidates").iterdir()
    assert content(left) == content(exports.good)


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
    "no warm-up requests": (
        lambda version, _: (version / "assets.extra" / "tf_serving_warmup_requests").unlink(),
        "tf_serving_warmup_requests, the warm-up requests, is missing",
    ),
    "no learned tasks": (
        lambda version, _: (version / "assets.extra" / "cmml_learned_tasks.npy").unlink(),
        "is not what was exported: assets.extra/cmml_learned_tasks.npy differs",
    ),
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


ODD = {
    "an older one": (lambda one: one.pop("setting"), "does not say which setting it is of"),
    "no configuration": (lambda one: one.pop("config"), "its manifest has no `config`"),
    "options of another version": (
        lambda one: one["config"]["scenario"].update(themes=3),
        "options that this version does not take.*`themes` is not an option of ScenarioConfig",
    ),
    "no limits": (lambda one: one["limits"].pop("tasks"), "must have `limits.tasks`"),
    "no users": (lambda one: one["model"].pop("users"), "must have `model.users.id_dtype`"),
    "files of another kind": (lambda one: one.update(files=[1]), r"must have `files`.*\[1\]"),
    "a negative limit": (lambda one: one["limits"].update(tasks=-1), "positive integer.*tasks=-1"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_a_candidate_does_not_say_of_itself_is_said_before_anything_is_asked(
    exports, served, name
):
    change, said = ODD[name]
    base = served(candidate=exports.poor)
    change_manifest(base / "candidates" / "1", change)
    with pytest.raises(UnmetRequirementError, match=f"Not promoted: .*{said}"):
        promoted(base)
    assert (base / "candidates" / "1").is_dir()


def test_what_cannot_be_compared_with_what_is_served_is_said(exports, served, tmp_path):
    base = served(exports.poor, exports.poor)
    change_manifest(base / "1", lambda one: one.update(setting="user"))
    with pytest.raises(UnmetRequirementError, match=r"the setting of .* is scenario, .* user:"):
        promoted(base)
    change_manifest(base / "1", lambda one: one.update(setting="scenario", config=[1]))
    with pytest.raises(ValueError, match="It is what is served, so there is nothing to compare"):
        promoted(base)
    change_manifest(base / "1", lambda one: one.pop("config"))
    rng, log = np.random.default_rng(0), tmp_path / "other.csv"
    table = pd.DataFrame(rng.integers(90_000, 90_040, [400, 2]), columns=["user", "item"])
    table.assign(scenario=np.repeat(["a", "b"], 200)).to_csv(log, index=False)
    few = {"scenario": {"min_interactions": 50, "definition": "column:scenario"}}
    candidate = base / "candidates" / "1"
    with pytest.raises(ValueError, match="users and items, none of which it knows"):
        judged(candidate, place_of(candidate, None), GivenLog(str(log), few))
    assert versions(base) == [1]
    assert candidate.is_dir()


def _comparison(current, floor=0.0, chance=(0.3, 0.1), strongest=None):
    """`chance` may have one difference for each of two metrics."""

    def other(name, difference, metric="recall@10"):
        mean, half_width = difference
        difference = PairedDifference(mean, half_width, 60, 6)
        return Other(name, metric, 0.5, 0.5 - mean, difference)

    by_metric = zip(("recall@10", "ndcg@3"), np.reshape(chance, [-1, 2]), strict=False)
    return Comparison(
        *("recall@10", "new", 0.5),
        *(one and other(name, one) for name, one in (("old", current), ("kNN", strongest))),
        *(other("ItemPop", (floor, 0.2)), [other("chance", d, m) for m, d in by_metric]),
        *((6, "scenarios"), "strict", {}),
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


@pytest.mark.parametrize(
    ("strongest", "chance", "refused"),
    [
        ((-0.02, 0.03), [(0.3, 0.1), (0.2, 0.1)], ()),
        ((-0.03, 0.02), [(0.3, 0.1), (0.2, 0.1)], ("worse than kNN",)),
        (None, [(0.3, 0.1), (0.0, 0.0)], ("at chance",)),
    ],
)
def test_a_first_version_is_not_worse_than_the_strongest_and_tells_items_apart(
    strongest, chance, refused
):
    comparison = _comparison(None, 0.1, chance, strongest)
    found = comparison.refusals()
    assert tuple(one.split(",")[0] for one in found) == refused
    assert ("in ndcg@3" in str(found)) == ("at chance" in refused)
    assert "chance, ndcg@3 " in comparison.table()
    assert comparison.as_json()["chance"].keys() == {"recall@10", "ndcg@3"}


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
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"must be a folder, but .* is a file"):
        place_of(candidate, tmp_path / "file")
