"""Training objectives: scenario ranking (hinge, equation 4) and rating prediction (equation 5)."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
