"""Training: optimiser, callbacks and the resumable fit loop."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
