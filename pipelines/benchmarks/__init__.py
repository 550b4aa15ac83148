"""Measurements: each module prints nothing and returns figures for the JSON of `benchmark.py`."""

import cmml_tf  # noqa: F401: chooses Keras 2, which TFRS asks for, before TensorFlow is imported
