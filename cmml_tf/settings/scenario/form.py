"""How the scenario setting is spelled and judged. No TensorFlow."""

from cmml_tf.evaluation.criteria import Gain, Simple
from cmml_tf.models.presets.scenario import PRESETS
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.scenario.options import ScenarioOptions
from cmml_tf.settings.scenario.systems import SIMPLE_LABELS, scenario_systems

SCENARIO = SettingForm(
    name="scenario",
    command="train scenario",
    folder_prefix="",
    gains=(Gain("recall@10"),),
    columns=("recall@10", "ndcg@10", "recall@5", "recall@20", "recall@50", "mrr"),
    watched="recall@20",
    asked=("scenarios", "(scenario, user) rankings"),
    request="100 candidates",
    measured_tasks=(1, "1 scenario"),
    simple=Simple(
        SIMPLE_LABELS,
        in_curve=("item_pop", "als_fold_in"),
        chance="chance",
        floor="item_pop",
        of_log=("item_pop", "chance"),
    ),
    systems=scenario_systems(PRESETS),
    options=ScenarioOptions(),
)
"""Ranking in unseen scenarios (paper section 4.1)."""
