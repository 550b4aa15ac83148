"""Options of the test run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        default="python",
        choices=("auto", "python", "tensorflow_model_server"),
        help="The server that tests/serving runs against.",
    )
