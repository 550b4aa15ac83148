"""What a command finds in the environment where nobody has imported the library before."""

import os

_SET_BY_THE_LIBRARY = ("TF_USE_LEGACY_KERAS",)


def fresh_environment(**variables: str) -> dict[str, str]:
    """The variables of this process and further ones, without what an import has set in it."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in _SET_BY_THE_LIBRARY
    }
    return inherited | variables
