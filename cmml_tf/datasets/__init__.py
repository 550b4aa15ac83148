"""Raw files to scenarios ready for meta-learning. Nothing here imports TensorFlow."""

from cmml_tf.installation import require

require(__name__, "pandas", "pyarrow", "scipy")

from cmml_tf.datasets.interactions import Interactions
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.synthetic.planted_scenarios import PlantedScenarios, planted_scenarios
from cmml_tf.datasets.tasks.scenario_data import HeldOutScenario, Scenario, ScenarioData

__all__ = [
    "HeldOutScenario",
    "Interactions",
    "PlantedScenarios",
    "Scenario",
    "ScenarioData",
    "open_scenario_data",
    "planted_scenarios",
]
