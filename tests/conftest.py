"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        default="python",
        choices=("auto", "python", "tensorflow_model_server"),
        help="The server that tests/serving runs against.",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Slow tests are chosen with `-m slow`, never run by the way.
    if not config.option.markexpr:
        config.option.markexpr = "not slow"
