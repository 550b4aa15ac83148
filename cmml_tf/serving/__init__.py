"""Serving the model: export, development server."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
