"""How the user setting is spelled and judged. No TensorFlow."""

from cmml_tf.evaluation.report import Gain
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.rating.options import RatingOptions
from cmml_tf.settings.rating.systems import RATING_SYSTEMS

RATING = SettingForm(
    name="user",
    folder_prefix="user-",
    gains=(Gain("mae", -1.0), Gain("ndcg@3")),
    columns=("mae", "ndcg@3", "ndcg@1"),
    watched="negative_mae",
    asked=("users", "users"),
    request="the query",
    measured_tasks=(32, "32 users"),
    systems=RATING_SYSTEMS,
    options=RatingOptions(),
)
"""Ratings of unseen users (paper section 4.2)."""
