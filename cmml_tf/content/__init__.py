"""Content: features of items and users as a few numbers each, fitted without any interaction."""

from cmml_tf.installation import require

require(__name__, "numpy", "scipy")
