"""How the scenario setting is spelled and judged. No TensorFlow."""

from cmml_tf.evaluation.report import Gain
from cmml_tf.models.presets import PRESETS
from cmml_tf.settings.form import SettingForm
from cmml_tf.settings.scenario.options import ScenarioOptions
from cmml_tf.settings.scenario.systems import scenario_systems

SCENARIO = SettingForm(
    name="scenario",
    folder_prefix="",
    gains=(Gain("recall@10"),),
    columns=("recall@5", "recall@10", "recall@20", "recall@50", "ndcg@10", "mrr"),
    watched="recall@20",
    asked=("scenarios", "(scenario, user) rankings"),
    request="100 candidates",
    measured_tasks=(1, "1 scenario"),
    systems=scenario_systems(PRESETS),
    options=ScenarioOptions(),
)
"""Ranking in unseen scenarios (paper section 4.1)."""
