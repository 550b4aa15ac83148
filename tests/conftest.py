"""Options of the test run."""

import gc
import os

import pytest

# Workers share the cores: threads of NumPy's own, and of scikit-learn's, which wait for each other
# at full speed, would only be in each other's way. Read when these are loaded, behind this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Each process that a test starts would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# TensorFlow makes millions of objects that stay; to look for garbage behind every 700 new ones, as
# Python does, takes a tenth of the run.
gc.set_threshold(50_000, 5, 2)


def pytest_collection_finish() -> None:
    """What is loaded by now stays, too: no look for garbage reads it again."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        default="python",
        choices=("auto", "python", "tensorflow_model_server"),
        help="The server that tests/serving runs against.",
    )
    parser.addoption(
        "--server-binary",
        default=os.environ.get("TENSORFLOW_MODEL_SERVER"),
        help="A tensorflow_model_server to run tests/serving against, which chooses that engine; "
        "default: the environment variable TENSORFLOW_MODEL_SERVER, or the one on the PATH.",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Slow tests are chosen with `-m slow`, never run by the way.
    if not config.option.markexpr:
        config.option.markexpr = "not slow"
