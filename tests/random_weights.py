"""Weights that no training has made, so that nothing is zero by its first value."""


def random_weights(model, rng, spread=0.3):
    """The model with random numbers in every trainable weight, biases too."""
    for weight in model.trainable_variables:
        weight.assign(rng.normal(0, spread, weight.shape))
    return model
