"""Training tasks as a `tf.data` pipeline."""

import tensorflow as tf

from cmml_tf.config import EpisodeConfig
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.episodes.sampled_steps import sampled_steps
from cmml_tf.episodes.sampler import EpisodeSampler


def training_episodes(
    data: ScenarioData, config: EpisodeConfig, seed: int, first_step: int = 0
) -> tf.data.Dataset:
    """An endless dataset of `Episode`s, one training step an element.

    Args:
      data: Its meta-training scenarios are sampled.
      config: Sizes of a task and of a step.
      seed: With the step number, fixes an element.
      first_step: Where to begin: element k is that of step `first_step + k`, so a resumed training
        goes on with the same tasks without replaying those before.

    Raises:
      ValueError: `first_step` is negative, or see `EpisodeSampler`.
    """
    if first_step < 0:
        raise ValueError(f"`first_step` must be zero or more. Received: first_step={first_step}.")
    return sampled_steps(EpisodeSampler(data, config, seed).sample, first_step)
