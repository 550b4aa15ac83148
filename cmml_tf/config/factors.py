"""How the factors are fitted that matching starts from."""

from dataclasses import dataclass

from cmml_tf.config.checks import PositiveFloat, PositiveInt, check


@dataclass(frozen=True)
class FactorConfig:
    """Conditional factors (`cmml_tf.embeddings.conditional_factors`)."""

    dimension: PositiveInt = 16
    """Numbers of a user's and of an item's factors. Not read where a data set ships its own."""
    user_penalty: PositiveFloat = 1.0
    """Precision of the users' prior; users are whitened, so their variance is about 1."""
    item_penalty: PositiveFloat = 10.0
    """Precision of the items' prior."""
    content_penalty: PositiveFloat = 30.0
    """L2 factor of the regression of factors on features."""
    sweeps: PositiveInt = 8
    """Alternations."""

    def __post_init__(self) -> None:
        check(self)
