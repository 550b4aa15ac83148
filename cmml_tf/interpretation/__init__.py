"""What a model has learnt, to look at: contexts of tasks and the routes they activate (4.3)."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
