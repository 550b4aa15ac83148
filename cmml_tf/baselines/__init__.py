"""Systems to compare with: the same episodes in, scores out."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
