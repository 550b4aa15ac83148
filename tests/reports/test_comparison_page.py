"""The report of a comparison."""

import pandas as pd

from cmml_tf.reports.comparison_page import ComparisonContent, comparison_page
from cmml_tf.settings.rating.form import RATING

NOTHING = {"mean": None, "half_width": None}


def system(name, mae):
    metrics = {metric: {"mean": mae, "half_width": None} for metric in RATING.columns}
    return {
        "system": name,
        "label": name,
        "seeds": 1,
        "metrics": metrics,
        "controls": {},
        "context_gain": NOTHING,
        "curve": {},
        "p": None,
        "cost": {},
    }


def test_lower_is_better_and_what_is_undefined_is_no_winner():
    systems = [system("undefined", None), system("worse", 0.9), system("better", 0.7)]
    tasks = pd.DataFrame({"task": ["person-1"], "seed": 0, "system": "better", "support": "own"})
    content = ComparisonContent(RATING, {}, {"systems": systems}, tasks)
    assert [one["system"] for one in content.systems] == ["better", "worse", "undefined"]
    text, _ = comparison_page(content)
    assert "better is the best by mae, 0.7000; next is worse, 0.9000." in text
    assert "person-1" not in text


def test_a_system_may_have_any_name():
    named = system("<script>alert(1)</script>", 0.7)
    tasks = pd.DataFrame({"task": ["a"], "seed": 0, "system": "better", "support": "own"})
    text, (picture,) = comparison_page(ComparisonContent(RATING, {}, {"systems": [named]}, tasks))
    assert "<script" not in text
    assert "<script" not in picture.svg
