"""What is said of the days of a log: how continued models differ from those from nothing."""

from pathlib import Path

import pandas as pd
import pytest

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"


@pytest.fixture
def daily(monkeypatch):
    monkeypatch.syspath_prepend(str(PIPELINES))
    from benchmarks import daily

    return daily


def test_a_difference_counts_users_and_its_interval_seeds(daily):
    by_scenario = pd.DataFrame(
        {
            "seed": [0, 0, 1, 1],
            "day": 7,
            "difference": [0.1, 0.2, 0.3, 0.4],
            "users": [30, 10, 30, 10],
        },
        index=["one", "other", "one", "other"],
    )
    rows = [
        {"continued": {"cpu_seconds": 2.0}, "from_nothing": {"cpu_seconds": 12.0}},
        {"continued": {"cpu_seconds": 4.0}},
    ]
    found = daily._summary(rows, by_scenario)
    assert found["share_of_the_cost"] == pytest.approx(3 / 12)
    # Seeds have .125 and .325: their deviation over the root of two, .1, times Student's 12.7.
    for difference in (found["differences"]["7"], found["differences"]["all"]):
        assert difference["mean"] == pytest.approx(0.225)
        assert difference["over_seeds"] == pytest.approx(1.27062)
        assert difference["over_seeds_and_scenarios"] >= 1.27
    one = daily._difference(by_scenario[:1])
    assert one == {"mean": 0.1, "over_seeds": None, "over_seeds_and_scenarios": None}
