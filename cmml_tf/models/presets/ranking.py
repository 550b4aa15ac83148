"""Named models of the ranking setting, each with the training that goes with it."""

from dataclasses import dataclass, field

from cmml_tf.config import TrainingConfig
from cmml_tf.config.ranking import RankingEpisodeConfig, RankingModelConfig, RankingRunConfig


@dataclass(frozen=True)
class RankingPreset:
    """A model, the tasks that it learns from and its optimiser.

    Attributes:
      model, episode, training: Their configurations.
      label: How tables spell it; empty: by its name.
      when: When to take it; empty for what a user does not choose between.
    """

    model: RankingModelConfig = field(default_factory=RankingModelConfig)
    episode: RankingEpisodeConfig = field(default_factory=RankingEpisodeConfig)
    training: TrainingConfig = field(default_factory=lambda: RankingRunConfig().training)
    label: str = ""
    when: str = ""


RANKING_PRESETS: dict[str, RankingPreset] = {
    # Not in the paper: item-item tables in closed form, weighed by how much is known.
    "table-mixture": RankingPreset(
        label="CMML table mixture", when="clicks of new users, from the first one on"
    ),
}
"""Models of the ranking setting, by name."""
