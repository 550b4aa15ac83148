"""Embeddings of users and items, fitted before the model is trained."""

from cmml_tf.installation import require

require(__name__, "pandas", "scipy")
