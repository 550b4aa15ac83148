"""A CMML with the weights of the reference PyTorch implementation."""

from cmml_tf.interop.reference_weights import ReferenceWeights
from cmml_tf.models.build import build_model
from cmml_tf.models.cmml import CMML
from cmml_tf.models.weight_names import named_weights


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
    variables = named_weights(model)
    for name in reference.weights:
        if name not in variables:
            raise ValueError(
                f"`{name}` is not a weight of this network. Accepted: {', '.join(variables)}."
            )
    for name, variable in variables.items():
        if name not in reference.weights:
            raise ValueError(
                f"`{name}` is missing. Accepted: an array of shape {tuple(variable.shape)}."
            )
        values = reference.weights[name]
        if values.shape != tuple(variable.shape):
            raise ValueError(
                f"`{name}` must have the shape {tuple(variable.shape)}. Received: {values.shape}."
            )
        variable.assign(values)
    return model
