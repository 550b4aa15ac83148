"""A TensorFlow Serving stand-in for development and tests: `python -m cmml_tf.serving.server`.

The same flags, gRPC and REST interfaces, version handling and error codes as
`tensorflow_model_server`, in one Python process. It serves any SavedModel, knows nothing of this
library's models, and is not made for production traffic.
"""
