"""The exporter refuses what adapts by gradients, and names an operation of the gradient."""

import numpy as np
import pytest

from cmml_tf.baselines.build import build_baseline
from cmml_tf.baselines.build_rating import build_rating_baseline
from cmml_tf.config.baselines import (
    DcnConfig,
    FineTuningConfig,
    MeluConfig,
    RatingDcnConfig,
    S2MetaConfig,
)
from cmml_tf.serving.export import export_model
from cmml_tf.types import Feature, FeatureColumn

BY_GRADIENTS = {
    "DCN-F": FineTuningConfig(DcnConfig(1, (3,)), steps=2),
    "s2Meta": S2MetaConfig(units=(3,), controller_units=2, batch_pairs=2),
}

USER_BY_GRADIENTS = {
    "MeLU": MeluConfig((3,), 2),
    "MetaCS-DNN": MeluConfig((3,), 2, adapt_embeddings=True),
    "DCN-F": RatingDcnConfig(DcnConfig(1, (3,)), 3, 2, FineTuningConfig(steps=2)),
}
GENRE = Feature("genre", "multi-hot", ("Drama", "War"))
GENRES = FeatureColumn(GENRE, np.int32([1, 0, 1]), np.int64([0, 2, 2, 3, 3]))


@pytest.mark.parametrize("config", USER_BY_GRADIENTS.values(), ids=USER_BY_GRADIENTS)
def test_adaptation_to_a_user_by_gradients_is_refused_by_name(config, tmp_path):
    model = build_rating_baseline(config, [GENRES], [], users=2)
    with pytest.raises(ValueError, match=r"op `\w+` \('gradient_tape/.* computes a gradient"):
        export_model(model, tmp_path, range(2), range(3), scale=(0.5, 5.0))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("config", BY_GRADIENTS.values(), ids=BY_GRADIENTS)
def test_adaptation_by_gradients_is_refused_by_name(config, tmp_path):
    model = build_baseline(config, 3, 4, 2, 2)
    with pytest.raises(ValueError, match=r"op `\w+` \('gradient_tape/.* computes a gradient"):
        export_model(model, tmp_path, range(3), range(4))
    assert not any(tmp_path.iterdir())


def test_a_forward_pass_of_another_kind_is_refused_as_such(tmp_path):
    model = build_baseline(DcnConfig(1, (3,)), 3, 4, 2, 2)
    with pytest.raises(
        TypeError, match=r"`model` must be a CMML or a MatchingCMML\. Received: DCN\."
    ):
        export_model(model, tmp_path, range(3), range(4))
