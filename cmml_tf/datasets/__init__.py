"""Raw files to scenarios ready for meta-learning. Nothing here imports TensorFlow."""

from cmml_tf.installation import require

require(__name__, "pandas", "pyarrow", "scipy")
