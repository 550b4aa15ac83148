"""What a matching model knows of users and items, and what it is trained with."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmml_tf.config import EpisodeConfig, FactorConfig
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.embeddings.click_choices import AMONG_ALL, Clicks
from cmml_tf.embeddings.conditional_factors import FactorStart
from cmml_tf.embeddings.leave_scenario_out import (
    KeptFactors,
    ScenarioFactors,
    TableRows,
    fit_scenario_factors,
)
from cmml_tf.embeddings.scenario_tastes import TasteBasis, fit_taste_basis
from cmml_tf.embeddings.training_tables import (
    TrainingTables,
    clicks_of,
    given_tables,
    training_tables,
)
from cmml_tf.embeddings.unseen_rows import UnseenRows
from cmml_tf.embeddings.unseen_scenarios import UnseenScenarios
from cmml_tf.episodes.hiding import Hiding
from cmml_tf.episodes.matching_sampler import MatchingSampler
from cmml_tf.files import write_whole
from cmml_tf.plain_arrays import open_archive
from cmml_tf.settings.scenario.membership import ScenarioMembership, fit_membership
from cmml_tf.training.run_folder import CONTINUED

FACTORS_FILE = "factors.npz"
TASTES_FILE = "tastes.npz"
_OF_EARLIER = {"user_share": 1.0, "among_all": AMONG_ALL, "unseen_rows": 0.0}


@dataclass(frozen=True)
class MatchingTables:
    """Rows of users and items.

    Attributes:
      rows: Of all that the data has: what is exported.
      training: The same and, behind them, rows of each training scenario that know nothing of it.
      user_map, item_map: float32 [c + 1, ...], content with a constant 1 to a row of a user or item
        that nobody has seen; None where there is no content.
      tastes: Directions that the factors of all of these are turned into.
      membership: What tells items of a scenario from the rest of the catalogue.
    """

    rows: TableRows
    training: TrainingTables
    user_map: np.ndarray | None
    item_map: np.ndarray | None
    tastes: TasteBasis
    membership: ScenarioMembership

    @property
    def dimension(self) -> int:
        """d, the leading columns of rows that are factors; then comes whether a row is known."""
        return self.rows.user.shape[1] - 1


def matching_tables(
    data: ScenarioData,
    config: FactorConfig,
    seed: int,
    user_content: np.ndarray | None,
    item_content: np.ndarray | None,
    folder: Path,
) -> MatchingTables:
    """Fits factors on what the protocol lets be known, or takes those that the data set ships.

    They are turned into the directions in which tastes of the training scenarios differ most.

    Args:
      data: Split.
      config: Of the factors.
      seed: Of the first ones.
      user_content, item_content: float32 [U, c_u], [I, c_i].
      folder: Of the run. What the next run starts from is written there; where the run continues
        another, that one's is in it.
    """
    continued = folder / CONTINUED
    if data.user_embeddings is not None:
        tables, rows = given_tables(data)
        user_map = item_map = None
    else:
        earlier = continued / FACTORS_FILE
        kept = _read(earlier) if earlier.exists() else None
        clicks = clicks_of(data, user_content, item_content)
        if kept is None:
            factors, refitted, share = _fitted(clicks, config, seed)
        else:
            factors = fit_scenario_factors(clicks, config, seed, kept)
            refitted, share = kept.unseen_rows, kept.user_share
        _write(folder / FACTORS_FILE, factors.kept(share, refitted))
        user_map, item_map = factors.content_maps()
        learned = UnseenRows(factors, seed) if refitted else factors
        tables, rows = training_tables(data, learned), factors.rows()
        # Rows that lead the tables of training are asked in a comparison.
        known, hidden = np.split(tables.user_rows, 2)
        leading = slice(len(rows.user))
        for part in (rows.user, rows.hidden_user, known[leading], hidden[leading], user_map):
            if part is not None:
                part[:, : config.dimension] *= share
    dimension = rows.user.shape[1] - 1
    tastes = (
        _read_tastes(continued / TASTES_FILE, dimension)
        if continued.exists()
        else fit_taste_basis(tables, dimension)
    )
    write_whole(folder / TASTES_FILE, lambda out: np.savez(out, **tastes._asdict()))
    for part in (*rows, tables.user_rows, tables.item_rows, user_map, item_map):
        if part is not None:
            tastes.turn(part)
    membership = fit_membership(data.meta_train, tables, rows.item, item_content, dimension, seed)
    return MatchingTables(rows, tables, user_map, item_map, tastes, membership)


def matching_sampler(tables: TrainingTables, config: EpisodeConfig, seed: int) -> MatchingSampler:
    """The sampler of a model that is trained with these tables.

    Args:
      tables: Whose rows are the keys.
      config: `varied_supports` is the most positives of a support; each has up to 2 negatives.
      seed: With the step, fixes every draw.
    """
    most = max(config.varied_supports, 1)
    sizes = replace(config, support_positives=most, support_negatives=2 * most)
    hiding = Hiding(tables.users, tables.items, seed)
    return MatchingSampler(tables.data, sizes, seed, hiding, config.query_negatives)


def _fitted(clicks: Clicks, config: FactorConfig, seed: int) -> tuple[ScenarioFactors, bool, float]:
    """Factors, whether training scenarios are to have `UnseenRows`, and `honest_share`."""
    unseen = UnseenScenarios(clicks, config, seed)
    factors = fit_scenario_factors(clicks, config, seed, among_all=unseen.among_all)
    if unseen.knows_too_much(factors):
        # Products of rows that saw nothing tell of training scenarios what they tell of new ones.
        return factors, True, 1.0
    return factors, False, unseen.honest_share(factors)


def _write(file: Path, kept: KeptFactors) -> None:
    numbers = {name: np.float64(getattr(kept, name)) for name in KeptFactors._fields[1:]}
    arrays = {**kept.start._asdict(), **numbers}
    write_whole(file, lambda out: np.savez(out, **arrays))


def _read(file: Path) -> KeptFactors:
    with open_archive(file) as archive:
        arrays = archive.read(lambda name: True)
    # Users of a run of an earlier version of the library were not shrunk, of clicks always a
    # quarter was compared with all, and rows were never refitted.
    share, among_all, refitted = (float(arrays.get(name, or_)) for name, or_ in _OF_EARLIER.items())
    start = FactorStart(arrays["users"], arrays["items"])
    return KeptFactors(start, float(arrays["item_scale"]), share, among_all, bool(refitted))


def _read_tastes(file: Path, dimension: int) -> TasteBasis:
    """Of the run that is continued; one of an earlier version of the library turned nothing."""
    if not file.exists():
        return TasteBasis(np.eye(dimension), np.ones(dimension))
    with open_archive(file) as archive:
        arrays = archive.read(lambda name: True)
    return TasteBasis(arrays["directions"], arrays["variances"])
