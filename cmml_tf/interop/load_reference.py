"""A CMML of either setting with the weights of the reference PyTorch implementation."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from cmml_tf.interop.reference_user_weights import ReferenceUserWeights
from cmml_tf.interop.reference_weights import ReferenceWeights
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.models.rating_model import build_rating_model, named_rating_weights
from cmml_tf.models.weight_names import named_weights
from cmml_tf.types import FeatureColumn


def model_from_reference(reference: ReferenceWeights) -> CMML:
    """Builds the network that the weights belong to and assigns every one of them.

    Args:
      reference: What `read_reference_weights` returns.

    Returns:
      A model that computes the reference implementation's scores.

    Raises:
      ValueError: An array is missing, is not part of the network, or has another shape.
    """
    users, user_dimension = reference.user_embeddings.shape
    items, item_dimension = reference.item_embeddings.shape
    model = build_model(
        reference.config,
        users=users - 1,
        items=items - 1,
        user_dimension=user_dimension,
        item_dimension=item_dimension,
    )
    model.pair_embedding.set_tables(reference.user_embeddings[:-1], reference.item_embeddings[:-1])
    _assign(named_weights(model), reference.weights)
    return model


def user_model_from_reference(
    reference: ReferenceUserWeights,
    item_columns: Sequence[FeatureColumn],
    user_columns: Sequence[FeatureColumn],
) -> CMML:
    """The same for a model of the user setting.

    Args:
      reference: What `read_reference_user_weights` returns.
      item_columns: Features `rate`, `genre`, `director`, `actor`, in this order, with vocabularies
        in the order of the tables.
      user_columns: Features `gender`, `age`, `occupation`, `zip`.

    Raises:
      ValueError: As `model_from_reference`.
    """
    model = build_rating_model(reference.config, item_columns, user_columns)
    _assign(named_rating_weights(model), reference.weights)
    return model


def _assign(variables: Mapping[str, tf.Variable], weights: Mapping[str, np.ndarray]) -> None:
    for name in weights:
        if name not in variables:
            raise ValueError(
                f"`{name}` is not a weight of this network. Accepted: {', '.join(variables)}."
            )
    for name, variable in variables.items():
        if name not in weights:
            raise ValueError(
                f"`{name}` is missing. Accepted: an array of shape {tuple(variable.shape)}."
            )
        values = weights[name]
        if values.shape != tuple(variable.shape):
            raise ValueError(
                f"`{name}` must have the shape {tuple(variable.shape)}. Received: {values.shape}."
            )
        variable.assign(values)
