"""Keras layers of the paper's section 3, one file a subsection, in its order."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
