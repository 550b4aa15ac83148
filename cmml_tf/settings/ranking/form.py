"""How the ranking setting is spelled and judged. No TensorFlow."""

from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.models.presets.ranking import RANKING_PRESETS
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.ranking.options import RankingOptions
from cmml_tf.settings.ranking.systems import SIMPLE_LABELS, ranking_systems

RANKING = SettingForm(
    name="ranking",
    command="train user --objective ranking",
    folder_prefix="ranking-",
    gains=(Gain("recall@20"), Gain("ndcg@100")),
    columns=("recall@20", "ndcg@100"),
    watched="recall@20",
    asked=("users", "(user, size) tasks"),
    request="the catalogue",
    measured_tasks=(32, "32 users"),
    simple=Simple(
        SIMPLE_LABELS,
        in_curve=("popularity", "item_knn", "ease", "als_fold_in", "mult_vae", "knn_ease"),
        chance="chance",
        floor="popularity",
        first=("item_knn", "ease", "als_fold_in", "knn_ease"),
    ),
    systems=ranking_systems(RANKING_PRESETS),
    options=RankingOptions(),
)
"""What new users take, among a whole catalogue."""
