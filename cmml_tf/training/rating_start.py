"""Weights that a user model has before its first step, where random ones would be a poor start."""

import numpy as np

from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.datasets.tasks.users.rating_tasks import RatingData
from cmml_tf.embeddings.ratings.rating_factors import fit_rating_factors
from cmml_tf.layers.closed_form.rating_ridge import RidgeRecommender
from cmml_tf.models.cmml import CMML


def set_first_weights(model: CMML, data: RatingData, config: RatingModelConfig, seed: int) -> None:
    """Item ids of a `ridge` model start from a matrix factorisation of the meta-training ratings.

    Its offset begins at their mean, so does the bias of a network's output layer. No rating of a
    validation or meta-test user is read.
    """
    mean = float(data.meta_train.rating.mean())
    if not isinstance(model.recommender, RidgeRecommender):
        output = model.recommender.output_layer
        if output is not None:
            output.bias.assign([mean])
        return
    factors = fit_rating_factors(
        data.meta_train,
        len(data.item_ids),
        config.ridge_features,
        config.factor_penalty,
        config.bias_penalty,
        config.factor_iterations,
        seed,
    )
    column, field = data.item_columns[0], model.pair_embedding.item_fields[0]
    known = column.values[:-1] < len(column.feature.vocabulary)
    table = np.zeros(field.table.shape, np.float32)
    table[column.values[:-1][known], 0] = factors.offset[known]
    table[column.values[:-1][known], 1:] = factors.factors[known]
    field.table.assign(table)
    model.recommender.basis.offset.assign([factors.mean])
