"""A user model with the weights of the reference PyTorch implementation."""

from collections.abc import Sequence

from cmml_tf.interop.reference_user_weights import ReferenceUserWeights
from cmml_tf.models.cmml import CMML
from cmml_tf.models.rating_model import build_rating_model, named_rating_weights
from cmml_tf.types import FeatureColumn


def user_model_from_reference(
    reference: ReferenceUserWeights,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
) -> CMML:
    """Builds the network that the weights belong to and assigns every one of them.

    Args:
      reference: What `read_reference_user_weights` returns.
      item_columns: Features `rate`, `genre`, `director`, `actor`, in this order, with vocabularies
        in the order of the tables.
      user_columns: Features `gender`, `age`, `occupation`, `zip`.

    Returns:
      A model that computes the reference implementation's scores.

    Raises:
      ValueError: A weight is missing, left over or of another shape.
    """
    model = build_rating_model(reference.config, item_columns, user_columns)
    variables = named_rating_weights(model)
    if variables.keys() != reference.weights.keys():
        names = ", ".join(sorted(variables.keys() ^ reference.weights.keys()))
        raise ValueError(f"The weights and the network must agree. Only one of them has: {names}.")
    for name, variable in variables.items():
        values = reference.weights[name]
        if values.shape != tuple(variable.shape):
            raise ValueError(
                f"`{name}` must have the shape {tuple(variable.shape)}. Received: {values.shape}."
            )
        variable.assign(values)
    return model
