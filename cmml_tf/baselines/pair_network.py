"""What baselines have in common: pair embeddings, a network that scores them, a configuration."""

from dataclasses import asdict
from typing import Any, ClassVar

import tensorflow as tf

from cmml_tf.layers.building import build_named, serialize
from cmml_tf.models.adapting_model import AdaptingModel


class PairNetwork(AdaptingModel):
    """A network of pair embeddings; a subclass says how it adapts.

    Args:
      pair_embedding: Ids or features to pair embeddings e.
      network: Pair embeddings to scores, with weights of each task or with its own (None).
      config: Of the kind `config_kind`; None where there is none.
      task, gradient_clip: As of `EpisodeModel`.
    """

    config_kind: ClassVar[type | None] = None
    saved_parts: ClassVar[tuple[str, ...]] = ("pair_embedding", "network")
    """Arguments of the constructor that are layers."""

    def __init__(
        self,
        pair_embedding: tf.keras.layers.Layer,
        network: tf.keras.layers.Layer,
        config: Any = None,
        task: tf.keras.layers.Layer | None = None,
        gradient_clip: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(task, gradient_clip, **kwargs)
        self.pair_embedding = pair_embedding
        self.network = network
        self.config = config

    def build_parts(self) -> None:
        """Creates the weights of embedding and network."""
        build_named(self.pair_embedding, [None, None])
        build_named(self.network, [None, None, self.pair_embedding.dimension])

    def score_adapted(
        self, adapted: Any, query_user: tf.Tensor, query_item: tf.Tensor
    ) -> tf.Tensor:
        """Weights of each task and int [B, Q] rows -> score float32 [B, Q]."""
        return self.network(self.pair_embedding(query_user, query_item), adapted)

    def get_config(self) -> dict[str, Any]:
        parts = {name: serialize(getattr(self, name)) for name in self.saved_parts}
        config = {} if self.config_kind is None else {"config": asdict(self.config)}
        return {**super().get_config(), **parts, **config}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Any:
        """A model of the same parts, with first weights of its own."""
        if cls.config_kind is not None:
            config = {**config, "config": cls.config_kind(**config["config"])}
        return super().from_config(config, custom_objects)
