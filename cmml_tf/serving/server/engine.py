"""Which server answers: `tensorflow_model_server` where it is installed, this package otherwise.

Nothing here imports TensorFlow, so that handing over to the real server costs no import.
"""

import gc
import importlib
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from cmml_tf.installation import require
from cmml_tf.serving.server.flags import OWN_FLAGS, parse_flags

_log = logging.getLogger(__name__)

REAL_SERVER = "tensorflow_model_server"


def real_server_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that `tensorflow_model_server` does not know."""
    kept, skip = [], False
    for position, argument in enumerate(arguments):
        name, equals, _ = argument.removeprefix("--").partition("=")
        if skip:
            skip = False
        elif not argument.startswith("--") or name not in OWN_FLAGS:
            kept.append(argument)
        else:
            following = arguments[position + 1 : position + 2]
            skip = not equals and (
                bool(OWN_FLAGS[name]) or following in (["true"], ["false"], ["1"], ["0"])
            )
    return kept


def run(arguments: Sequence[str]) -> int:
    """Starts the chosen server; returns the exit code once it was asked to stop.

    With `--engine=auto` and `tensorflow_model_server` on the PATH, or with
    `--engine=tensorflow_model_server`, this process is replaced by the real server.
    """
    flags = parse_flags(arguments)
    path = shutil.which(REAL_SERVER)
    if flags.engine == REAL_SERVER and path is None:
        sys.stderr.write(
            f"`{REAL_SERVER}` is not on the PATH. Install it, or use --engine=python. "
            "Received: --engine=tensorflow_model_server.\n"
        )
        return 2
    # The many small operations of a request cost less without oneDNN: see docs/serving.md.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if flags.engine != "python" and path is not None:
        os.execv(path, [path, *real_server_arguments(arguments)])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _log.warning(
        "This is cmml_tf's server for development and tests, not for production: with %s on the "
        "PATH --engine=auto starts that instead.",
        REAL_SERVER,
    )
    try:
        require("The development server", "grpc_health", extra="server")
    except ImportError as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _load_tensorflow()
    from cmml_tf.serving.server.lifecycle import serve

    return serve(flags)


def _load_tensorflow() -> None:
    """Loads TensorFlow, where that has not been done, without Keras: a saved graph needs none.

    TensorFlow loads Keras, and pandas and SciPy with it, to know its optimisers, and does without
    where it is not installed. Garbage is not looked for among a million objects that stay.
    """
    modules: dict[str, Any] = sys.modules
    if "tensorflow" in modules:
        return
    hidden = [name for name in ("keras", "tf_keras") if name not in modules]
    modules.update(dict.fromkeys(hidden))
    gc.disable()
    try:
        importlib.import_module("tensorflow")
    finally:
        gc.enable()
        for name in hidden:
            del modules[name]
