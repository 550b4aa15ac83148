"""Which Keras `tf.keras` is: TensorFlow Recommenders needs Keras 2 (`tf_keras`).

The choice is an environment variable that TensorFlow reads at the first touch of `tf.keras`, so it
is made when `cmml_tf` is imported, without importing TensorFlow.
"""

import os
import sys

_VARIABLE = "TF_USE_LEGACY_KERAS"
_REMEDY = (
    f"cmml_tf needs Keras 2 (package tf_keras), as TensorFlow Recommenders does. Set {_VARIABLE}=1 "
    "in the environment, or import cmml_tf before anything touches `tf.keras`, and start again."
)


def require_legacy_keras() -> None:
    """Makes `tf.keras` mean Keras 2, or says why that is no longer possible.

    Raises:
      ImportError: `TF_USE_LEGACY_KERAS` is set to something else than 1, or Keras 3 is already
        loaded as `tf.keras`. The message tells the remedy.
    """
    value = os.environ.get(_VARIABLE)
    if value is not None and value not in ("1", "true", "True"):
        raise ImportError(
            f"{_VARIABLE} must be 1 or unset. Received: {_VARIABLE}={value}. {_REMEDY}"
        )
    # A lazy loader until the first touch, then Keras itself; its __dict__ is no touch.
    loader = getattr(sys.modules.get("tensorflow"), "__dict__", {}).get("keras")
    attributes = getattr(loader, "__dict__", {})
    if attributes.get("_tfll_keras_version") == "keras_3" or str(
        attributes.get("__name__")
    ).startswith("keras._tf_keras"):
        raise ImportError(f"Keras 3 is already loaded as `tf.keras`. {_REMEDY}")
    os.environ[_VARIABLE] = "1"
