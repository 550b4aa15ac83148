"""Rows of training scenarios from fits that did not see them, as rows of a new scenario are.

`leave_scenario_out` subtracts a scenario's clicks from one fit of all. That leaves what these
clicks have made of the other side's factors, which is little where users and items have many
clicks, and most of what training would learn from where they have few (`UnseenScenarios`). There
each sixth of the scenarios has rows of a fit without it. Two fits do not have one basis: each is
turned to that of the whole, as near as it comes.
"""

import numpy as np

from cmml_tf.embeddings.leave_scenario_out import ScenarioFactors, TableRows

_PARTS = 6


class UnseenRows:
    """Takes the place of `ScenarioFactors` in training tables.

    Args:
      factors: Of all clicks.
      seed: Of the fits' first factors, and of which scenarios are left out together.

    Attributes:
      order: int [number of scenarios], one part behind the other: `without` holds the rows of one.
    """

    def __init__(self, factors: ScenarioFactors, seed: int) -> None:
        self._factors = factors
        self._seed = seed
        self._part = np.random.default_rng(seed).permutation(len(factors.order)) % _PARTS
        self.order = np.argsort(self._part, kind="stable")
        self._held: tuple[int, TableRows | None] = (-1, None)

    def rows(self) -> TableRows:
        """Every user and item: what is exported."""
        return self._factors.rows()

    def without(self, scenario: int, users: np.ndarray, items: np.ndarray) -> TableRows:
        """Users and items as a fit knows them that saw neither the scenario nor others of its part.

        Where nothing is known without these, as `ScenarioFactors` has them.

        Args:
          scenario: Its number in the clicks.
          users, items: int [N], [M], rows.
        """
        part = self._part[scenario]
        if part != self._held[0]:
            self._held = -1, None  # not beside the next fit
            together = np.flatnonzero(self._part == part)
            self._held = part, self._factors.refitted_without(together, self._seed)
        rows = self._held[1]
        if rows is None:
            return self._factors.without(scenario, users, items)
        return TableRows(
            rows.user[users], rows.item[items], rows.hidden_user[users], rows.hidden_item[items]
        )
