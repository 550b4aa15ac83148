"""What is installed beside the client, and which Keras `tf.keras` is.

A plain installation has `cmml_tf.client` and what that needs. Everything else comes with
`cmml_tf[tensorflow]`, and needs Keras 2 (`tf_keras`), as TensorFlow Recommenders does: an
environment variable that TensorFlow reads at the first touch of `tf.keras` makes the choice.
Nothing here imports TensorFlow.
"""

import importlib.util
import os
import sys

_VARIABLE = "TF_USE_LEGACY_KERAS"
_REMEDY = (
    f"cmml_tf needs Keras 2 (package tf_keras), as TensorFlow Recommenders does. Set {_VARIABLE}=1 "
    "in the environment, or import cmml_tf before anything touches `tf.keras`, and start again."
)


def prefer_legacy_keras() -> None:
    """Makes `tf.keras` mean Keras 2 where that is installed and nothing else was chosen.

    A plain installation beside somebody else's TensorFlow changes nothing: the client has no part
    in that choice.
    """
    if _VARIABLE not in os.environ and importlib.util.find_spec("tf_keras") is not None:
        os.environ[_VARIABLE] = "1"


def require(part: str, *modules: str, extra: str = "tensorflow") -> None:
    """Passes where modules are installed.

    Args:
      part: What needs them, for the sentence.
      modules: Their names; they are looked for and not imported.
      extra: What brings them.

    Raises:
      ImportError: One is not installed; says what to type.
    """
    for module in modules:
        if module not in sys.modules and importlib.util.find_spec(module) is None:
            raise ImportError(
                f"{part} needs {module}, which a plain installation of cmml_tf leaves out. "
                f"Type: pip install 'cmml_tf[{extra}]'",
                name=module,
            )


def require_tensorflow(part: str) -> None:
    """Passes where TensorFlow is installed and `tf.keras` can mean Keras 2.

    Args:
      part: What needs them, for the sentence.

    Raises:
      ImportError: TensorFlow or Keras 2 is not installed, `TF_USE_LEGACY_KERAS` is set to something
        else than 1, or Keras 3 is already loaded as `tf.keras`. The message tells the remedy.
    """
    require(part, "tensorflow", "tf_keras", "tensorflow_recommenders")
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
