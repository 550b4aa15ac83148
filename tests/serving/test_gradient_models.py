"""The exporter refuses what adapts by gradients, and names an operation of the gradient."""

import pytest

from cmml_tf.baseline_config import DcnConfig, FineTuningConfig
from cmml_tf.baselines.build import build_baseline
from cmml_tf.serving.export import export_model

BY_GRADIENTS = {"DCN-F": FineTuningConfig(DcnConfig(1, (3,)), steps=2)}


@pytest.mark.parametrize("config", BY_GRADIENTS.values(), ids=BY_GRADIENTS)
def test_adaptation_by_gradients_is_refused_by_name(config, tmp_path):
    model = build_baseline(config, 3, 4, 2, 2)
    with pytest.raises(ValueError, match=r"op `\w+` \('gradient_tape/.* computes a gradient"):
        export_model(model, tmp_path, range(3), range(4))
    assert not any(tmp_path.iterdir())


def test_a_forward_pass_of_another_kind_is_refused_as_such(tmp_path):
    model = build_baseline(DcnConfig(1, (3,)), 3, 4, 2, 2)
    with pytest.raises(TypeError, match=r"`model` must be a CMML\. Received: DCN\."):
        export_model(model, tmp_path, range(3), range(4))
