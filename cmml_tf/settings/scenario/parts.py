"""What every system of one seed has in common: data, embeddings, evaluation episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config import EmbeddingConfig, FactorConfig, ScenarioRunConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.safe_files.matrix_file import read_matrix
from cmml_tf.datasets.sources.hybrid import combine_scenarios
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisodes, Known
from cmml_tf.episodes.asked.scenario_curve import ScenarioCurve
from cmml_tf.files import write_whole
from cmml_tf.settings.base import Prepared
from cmml_tf.settings.content.side_content import SideContent, side_content
from cmml_tf.settings.scenario.matching_tables import MatchingTables, matching_tables
from cmml_tf.training.run_folder import CONTINUED


@dataclass(frozen=True)
class ScenarioParts(Prepared[ScenarioData, EvaluationEpisodes]):
    """Data and evaluation episodes of one seed; what is fitted is fitted when asked for.

    Attributes:
      folder: Of the run.
      embedding: Where embeddings come from.
      factors: How `matching` is fitted.
      seed: Of its first factors.
    """

    folder: Path
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    factors: FactorConfig = field(default_factory=FactorConfig)
    seed: int = 0

    @property
    def user_embeddings(self) -> np.ndarray:
        """float32 [U, d_u], as a model that learns from pairs may know them."""
        return self._own_embeddings[0]

    @property
    def item_embeddings(self) -> np.ndarray:
        """float32 [I, d_i]."""
        return self._own_embeddings[1]

    @cached_property
    def _own_embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        return _embeddings(self.embedding, self.folder, self.data, self.seed)

    @cached_property
    def known_embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of users and items that are fitted on every pair that training may know.

        Those of the model leave out what is trained on, as a model that learns from pairs must not
        find them in its embeddings. What is not trained, such as a control, knows them all.
        """
        users, items = self.data.training_pairs()
        data = replace(self.data, background_users=users, background_items=items)
        return _embeddings(self.embedding, self.folder, data, self.seed, "known_")

    @cached_property
    def matching(self) -> MatchingTables:
        """What a matching model knows of users and items, fitted when it is first asked for."""
        return matching_tables(
            self.data,
            self.factors,
            self.seed,
            None if self.user_content is None else self.user_content.matrix,
            None if self.item_content is None else self.item_content.matrix,
            self.folder,
        )

    @cached_property
    def user_content(self) -> SideContent | None:
        """Users' features encoded, or found in the folder; None where none are known."""
        return side_content(self.folder, "user", self.data.user_features)

    @cached_property
    def item_content(self) -> SideContent | None:
        """The same of items."""
        return side_content(self.folder, "item", self.data.item_features)


def open_hybrid(config: Any, seed: int) -> ScenarioData:
    """The scenarios of two data sets, `config.data` and `config.hybrid_with`.

    Raises:
      ValueError, FileNotFoundError, ConnectionError: As `open_scenario_data`.
    """

    def with_embeddings(name: str) -> ScenarioData:
        one = open_scenario_data(name, config.scenario, config.split, seed, read=config.read)
        user, item = pretrained_embeddings(one, config.embedding, seed)
        return replace(one, user_embeddings=user, item_embeddings=item)

    first, second = with_embeddings(config.data), with_embeddings(config.hybrid_with)
    return combine_scenarios(first, second, alignment=config.alignment, seed=seed)


def scenario_parts(
    data: ScenarioData, folder: Path, config: ScenarioRunConfig, seed: int
) -> ScenarioParts:
    """Draws the evaluation episodes, or finds them in `folder`."""
    episode, in_order = config.episode, data.protocol == "time"
    known = Known(data.known_users(), data.known_items())

    def asked(name: str, scenarios: Sequence[HeldOutScenario], seed: int) -> EvaluationEpisodes:
        draw = partial(EvaluationEpisodes.draw, scenarios, episode, seed, known, in_order)
        return EvaluationEpisodes.kept(folder / f"{name}.npz", draw)

    validation = asked("validation", data.validation, seed * 4 + 1) if data.validation else None
    meta_test = asked("meta_test", data.meta_test, seed * 4 + 2)
    draw = partial(ScenarioCurve.draw, data.meta_test, episode, seed * 4 + 3)
    curve = ScenarioCurve.kept(
        folder / "curve.npz", lambda: draw(known=known, in_order=in_order, curve=config.curve)
    )
    return ScenarioParts(
        data,
        validation,
        meta_test,
        folder,
        config.embedding,
        config.factors,
        seed,
        curve=curve,
    )


def _embeddings(
    config: EmbeddingConfig, folder: Path, data: ScenarioData, seed: int, prefix: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    user_file, item_file = (folder / f"{prefix}{side}_embeddings.npy" for side in ("user", "item"))
    if not (user_file.exists() and item_file.exists()):
        earlier = [folder / CONTINUED / file.name for file in (user_file, item_file)]
        start = None
        if all(file.exists() for file in earlier):
            start = read_matrix(earlier[0]), read_matrix(earlier[1])
        user, item = pretrained_embeddings(data, config, seed, start)
        for file, matrix in ((user_file, user), (item_file, item)):
            write_whole(file, partial(np.save, arr=matrix))
    # Read as maps: large tables are then in memory once, in the model.
    try:
        return read_matrix(user_file), read_matrix(item_file)
    except ValueError as error:
        raise ValueError(
            f"{error} It is a file of the run in {folder}, which cannot go on with others: remove "
            "that folder, or choose another."
        ) from error
