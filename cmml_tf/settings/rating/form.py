"""How the user setting is spelled and judged. No TensorFlow."""

from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.models.presets.rating import RATING_PRESETS
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.rating.options import RatingOptions
from cmml_tf.settings.rating.systems import SIMPLE_LABELS, rating_systems

RATING = SettingForm(
    name="user",
    command="train user",
    folder_prefix="user-",
    gains=(Gain("mae", -1.0), Gain("ndcg@3")),
    columns=("mae", "ndcg@3", "mae_median", "mae_rounded", "ndcg@1"),
    shown=4,
    watched="negative_mae",
    asked=("users", "users"),
    request="the query",
    measured_tasks=(32, "32 users"),
    simple=Simple(
        SIMPLE_LABELS,
        in_curve=("item_mean", "blend"),
        chance="global_mean",
        floor="item_mean",
        first=("user_mean", "item_knn", "als_fold_in", "blend"),
    ),
    predicts_labels=True,
    systems=rating_systems(RATING_PRESETS),
    options=RatingOptions(),
)
"""Ratings of unseen users (paper section 4.2)."""
