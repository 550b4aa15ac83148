"""Measurements: each module prints nothing and returns figures for the JSON of `benchmark.py`."""

# Before TensorFlow is imported it chooses Keras 2, which TFRS asks for.
import cmml_tf  # noqa: F401
