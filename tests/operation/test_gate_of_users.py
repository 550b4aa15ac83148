"""What is promoted of models for new users: of their ratings, and of what they take."""

import shutil
from functools import cached_property

import numpy as np
import pandas as pd
import pytest
from operation.conftest import change_manifest, export_untrained

from cmml_tf.operation.asked_log import GivenLog
from cmml_tf.operation.promotion import judged, place_of, promote
from cmml_tf.program import UnmetRequirementError

ITEMS, EACH = 80, 30
SMALL = {
    "user": {"model": {"factor_sizes": (4,), "factor_sweeps": 3, "folds": 2}},
    "ranking": {"model": {"folds": 2, "dropouts": (0.5,), "shrinkages": (0.0,)}, "liked": 3.5},
}
# Without them the model knows less; without them it knows nothing of items.
POOR = {"user": "item_table", "ranking": "rows"}
LOST = {"user": "recommender", "ranking": "backbone"}


def write_ratings(file, first, users):
    """Ratings of users from `first` on, who differ in what they like: no item is good for all."""
    tastes = np.random.default_rng(0).normal(size=(ITEMS, 2))
    rng = np.random.default_rng(first)
    item = np.stack([rng.choice(ITEMS, EACH, replace=False) for _ in range(users)])
    liked = np.einsum("uk,uik->ui", rng.normal(size=(users, 2)), tastes[item])
    level = rng.normal(0, 0.5, (users, 1)) + rng.normal(0, 0.3, item.shape)
    rating = np.clip(np.rint(3 + level + 0.8 * liked), 1, 5)
    user = np.repeat(np.arange(first, first + users), EACH)
    frame = pd.DataFrame({"user": user, "item": item.ravel(), "rating": rating.ravel()})
    frame.to_csv(file, index=False)
    return str(file)


def without(part):
    """All of the model's variables whose names have this in them become zeros."""

    def change(model):
        found = [one for one in model.weights if part in one.name]
        assert found
        for one in found:
            one.assign(np.zeros(one.shape, one.dtype.as_numpy_dtype))

    return change


class Exports:
    """`good` is above what is simple, `poor` below `good`, `lost` at chance."""

    def __init__(self, setting, folder):
        self.setting, self.folder = setting, folder
        self.log = GivenLog(write_ratings(folder / "new.csv", 1000, 60))
        self._data = write_ratings(folder / "log.csv", 0, 240)

    @cached_property
    def good(self):
        return self._untrained("good", lambda model: None)

    @cached_property
    def poor(self):
        return self._untrained("poor", without(POOR[self.setting]))

    @cached_property
    def lost(self):
        return self._untrained("lost", without(LOST[self.setting]))

    def _untrained(self, name, change):
        given = {"data": self._data, **SMALL[self.setting]}
        return export_untrained(self.setting, self.folder / name, None, change, **given)


@pytest.fixture(scope="module", params=[pytest.param("user", marks=pytest.mark.slow), "ranking"])
def of_users(request, tmp_path_factory):
    return Exports(request.param, tmp_path_factory.mktemp(request.param))


def promoted(base, log):
    candidate = base / "candidates" / "1"
    place = place_of(candidate, None)
    return promote(candidate, place, judged(candidate, place, log), lambda line: None)


def refusal(base, log):
    """Why nothing was promoted; nothing has moved."""
    before = sorted(base.rglob("*"))
    with pytest.raises(UnmetRequirementError) as refused:
        promoted(base, log)
    assert sorted(base.rglob("*")) == before
    return str(refused.value)


def test_a_first_version_at_chance_is_refused(of_users, served):
    said = refusal(served(candidate=of_users.lost), of_users.log)
    strongest, chance = {
        "user": ("item-kNN", "global mean"),
        "ranking": ("ALS fold-in", "random order"),
    }[of_users.setting]
    assert f"is worse than {strongest}, " in said
    assert f"at chance, beside {chance}, " in said


@pytest.mark.slow
def test_a_first_version_above_what_is_simple_is_promoted(of_users, served):
    base = served(candidate=of_users.good)
    assert promoted(base, of_users.log) == base / "1"


@pytest.mark.slow
@pytest.mark.parametrize("current", ["good", "poor"])
def test_an_equal_or_better_candidate_is_promoted(of_users, served, current):
    base = served(getattr(of_users, current), of_users.good)
    assert promoted(base, of_users.log) == base / "2"


@pytest.mark.slow
@pytest.mark.parametrize("candidate", ["poor", "lost"])
def test_a_worse_candidate_is_refused(of_users, served, candidate):
    base = served(of_users.good, getattr(of_users, candidate))
    said = refusal(base, of_users.log)
    assert f"is worse than {base / '1'}, 0." in said
    # What is served says more than what is simple.
    assert "item-kNN" not in said
    assert "ALS fold-in" not in said
    if candidate == "lost":
        assert "at chance" in said


@pytest.mark.slow
def test_a_broken_candidate_is_named(of_users, served):
    base = served(of_users.good, of_users.good)
    version = base / "candidates" / "1"

    def other_scores(manifest):
        (name, *_) = (one for one in manifest["probes"] if "score" in one)
        manifest["probes"][name][0][0] += 0.1

    change_manifest(version, other_scores)
    assert "gives other scores than its manifest's probe" in refusal(base, of_users.log)
    shutil.rmtree(version / "variables")
    assert "cannot be loaded" in refusal(base, of_users.log)
