"""How much a scenario that no fit has seen is told by the scenarios that a user came to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clicks_as_data import scenario_data

from cmml_tf.config import FactorConfig
from cmml_tf.embeddings.click_choices import Clicks
from cmml_tf.embeddings.conditional_factors import ConditionalFactors
from cmml_tf.embeddings.leave_scenario_out import fit_scenario_factors
from cmml_tf.embeddings.training_tables import clicks_of
from cmml_tf.embeddings.unseen_scenarios import UnseenScenarios
from cmml_tf.settings.scenario.matching_tables import FACTORS_FILE, TASTES_FILE, matching_tables
from cmml_tf.training.run_folder import CONTINUED

USERS, FIELDS, SHOWN, SCENARIOS = 400, 7, 24, 48
PAPERS = np.arange(FIELDS * 30)
CONFIG = FactorConfig(dimension=8)


def papers(by_field: bool, seed: int) -> Clicks:
    """Of readers of two fields each, a click or two in a scenario.

    A scenario in four shows papers of all fields. All others show papers of one, and those who come
    are its readers, or anybody.
    """
    rng = np.random.default_rng(seed)
    reads = rng.permuted(np.tile(np.arange(FIELDS) < 2, (USERS, 1)), axis=1)
    parts = []
    for scenario in range(SCENARIOS):
        of_one = scenario % 4 > 0
        shown = np.flatnonzero(scenario % FIELDS == PAPERS % FIELDS) if of_one else PAPERS
        shown = rng.choice(shown, SHOWN, replace=False)
        comes = reads[:, scenario % FIELDS] if of_one and by_field else np.ones(USERS, bool)
        who = np.repeat(rng.choice(np.flatnonzero(comes), 80, replace=False), 2)
        liking = 3.0 * reads[who][:, shown % FIELDS] + rng.gumbel(size=(len(who), SHOWN))
        pairs = np.unique(np.c_[who, shown[liking.argmax(axis=1)]], axis=0)
        parts.append(np.c_[pairs, np.full(len(pairs), scenario)])
    user, item, scenario = np.concatenate(parts).T
    return Clicks(user, item, scenario, USERS, len(PAPERS), SCENARIOS)


@pytest.mark.parametrize("by_field", [True, False])
def test_clicks_are_compared_with_all_where_coming_tells_what_is_taken(by_field):
    for seed in range(3):
        found = UnseenScenarios(papers(by_field, seed), CONFIG, seed).among_all
        assert found > 0.25 if by_field else found == 0.25


def test_a_run_fits_with_what_was_found_and_the_next_one_goes_on_with_it(tmp_path: Path):
    data = scenario_data(papers(True, 0), "warm")
    clicks = clicks_of(data)
    found = UnseenScenarios(clicks, CONFIG, 0).among_all
    assert found > 0.25
    run, later = tmp_path / "run", tmp_path / "later"
    for folder in (run, later / CONTINUED):
        folder.mkdir(parents=True)
    matching_tables(data, CONFIG, 0, None, None, run)
    with np.load(run / FACTORS_FILE) as file:
        assert float(file["among_all"]) == found
        np.testing.assert_array_equal(
            file["users"], ConditionalFactors(clicks, CONFIG, 0, among_all=found).basis_users
        )
    # Of other clicks, by which nothing would have been found.
    (later / CONTINUED / FACTORS_FILE).write_bytes((run / FACTORS_FILE).read_bytes())
    (later / CONTINUED / TASTES_FILE).write_bytes((run / TASTES_FILE).read_bytes())
    matching_tables(scenario_data(papers(False, 0), "warm"), CONFIG, 0, None, None, later)
    with np.load(later / FACTORS_FILE) as file:
        assert float(file["among_all"]) == found


def test_what_a_strict_scenario_hides_is_not_known_by_its_copies():
    """Every click of one scenario stands in another, too: without the first neither is known."""
    made = papers(True, 0)
    copied = made.scenario == 1
    two = Clicks(
        np.concatenate([made.users, made.users[copied]]),
        np.concatenate([made.items, made.items[copied]]),
        np.concatenate([made.scenario, np.full(np.count_nonzero(copied), 2)]),
        USERS, len(PAPERS), SCENARIOS,
    )  # fmt: skip
    for protocol, known in (("strict", False), ("warm", True)):
        clicks = clicks_of(scenario_data(two, protocol))
        assert clicks.copies_known == known
        rows = fit_scenario_factors(clicks, CONFIG, 0).without(1, np.arange(USERS), PAPERS)
        again = fit_scenario_factors(replace(clicks, copies_known=True), CONFIG, 0)
        assert np.array_equal(rows.user, again.without(1, np.arange(USERS), PAPERS).user) == known
