"""What the server knows about each model and version."""

import dataclasses

from tensorflow_serving.apis import get_model_status_pb2

from cmml_tf.serving.server.loading.model_config_rules import ModelConfig
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.status import ServingError

State = get_model_status_pb2.ModelVersionStatus


@dataclasses.dataclass
class VersionState:
    """A version that was ever seen."""

    number: int
    state: int = State.START
    error: ServingError | None = None
    servable: Servable | None = None
    serving: bool = False
    """Whether requests are sent to it."""
    users: int = 0
    tried: tuple[tuple[str, int, int], ...] | None = None
    tries: int = 0
    tried_at: float = 0.0


@dataclasses.dataclass
class ModelState:
    """A model, with every version that was ever seen."""

    config: ModelConfig
    versions: dict[int, VersionState] = dataclasses.field(default_factory=dict)
    labels: dict[str, int] = dataclasses.field(default_factory=dict)

    aspired: frozenset[int] = frozenset()
    """Versions asked for when its folder was last looked at."""

    def available(self) -> list[int]:
        """Versions whose state says that they answer, smallest first."""
        return sorted(
            number for number, version in self.versions.items() if version.state == State.AVAILABLE
        )

    def serving(self) -> list[int]:
        """Versions that answer, smallest first."""
        return sorted(number for number, version in self.versions.items() if version.serving)

    def failure(self, max_load_retries: int) -> str | None:
        """Why no version will become available; None while one may, or does."""
        failed = [self.versions[number] for number in self.aspired]
        given_up = [one.error for one in failed if one.error and one.tries > max_load_retries]
        if not given_up or len(given_up) < len(failed) or self.serving():
            return None
        return f"{self.config.name} due to error: {given_up[0].message}"
