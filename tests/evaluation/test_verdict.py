"""What a verdict says: at chance, below a control, better beyond the interval, or not shown."""

import json
import math

import pytest

from cmml_tf.evaluation.statistics import PairedDifference
from cmml_tf.evaluation.verdict import Verdict

LABELS = {
    "chance": "a random order",
    "item_pop": "ItemPop",
    "als_fold_in": "ALS fold-in",
    "twin": "its twin",
    "none": "itself with empty ones",
}
GOOD = {"chance": 0.5, "item_pop": 0.1, "als_fold_in": 0.04, "twin": 0.06, "none": 0.07}


def verdict(half_width=0.02, **changes):
    means = {**GOOD, "swapped": 0.2, "flipped": -0.1, **changes}
    return Verdict(
        "recall@10",
        {name: PairedDifference(mean, half_width, 90, 9) for name, mean in means.items()},
        LABELS,
        "twin",
        "chance",
        "scenarios",
    )


def test_a_good_model_is_said_to_be_good():
    good = verdict()
    assert (good.at_chance, good.below) == (False, [])
    assert good.sentence == (
        "recall@10 is better by its support sets, +0.0600 ± 0.0200 beside its twin; above every "
        "simple control, +0.0400 ± 0.0200 beside ALS fold-in (± 95%, over scenarios)."
    )
    # What is given something wrong on purpose is none to be above.
    assert good.as_json()["better_than"] == [*GOOD, "swapped"]


def test_below_a_control_comes_first_the_worst_before_the_others():
    poor = verdict(item_pop=-0.03, twin=-0.001)
    assert poor.below == ["item_pop", "twin"]
    assert poor.sentence == (
        "recall@10 is below ItemPop by 0.0300 ± 0.0200, below its twin by 0.0010 ± 0.0200 "
        "(± 95%, over scenarios)."
    )


def test_within_the_interval_nothing_is_claimed():
    unsure = verdict(twin=0.01)
    assert not unsure.is_better_than("twin")
    assert "not shown to be better by its support sets, +0.0100 ± 0.0200" in unsure.sentence
    assert unsure.below == []


@pytest.mark.parametrize("chance", [0.01, -0.01])
def test_at_chance(chance):
    lost = verdict(chance=chance, item_pop=-0.4)
    assert lost.at_chance
    assert lost.sentence.startswith(
        f"recall@10 is at chance, {chance:+.4f} ± 0.0200 beside a random order; below ItemPop by"
    )


def test_without_an_interval_nothing_is_better():
    single = verdict(half_width=math.nan)
    assert single.as_json()["better_than"] == []
    assert single.as_json()["differences"]["twin"] == {"difference": 0.06, "interval": None}
    assert "+0.0600 beside its twin" in single.sentence


def test_an_undefined_difference_is_no_gain_and_is_json():
    found = verdict(twin=math.nan).as_json()
    assert "twin" not in found["better_than"]
    assert found["differences"]["twin"]["difference"] is None
    json.dumps(found, allow_nan=False)
