"""Inner steps are set exactly, and what has none says so."""

import pytest

from cmml_tf.config.baselines import BASELINES, RATING_BASELINES
from cmml_tf.experiments.inner_steps import INNER_STEPS, with_inner_steps


@pytest.mark.parametrize("steps", INNER_STEPS)
def test_steps_are_neither_fewer_nor_more(steps):
    s2meta = with_inner_steps(BASELINES["s2meta"], steps)
    assert s2meta.min_steps == s2meta.max_steps == steps
    melu = with_inner_steps(RATING_BASELINES["melu"].model, steps)
    assert melu.steps == melu.training_steps == steps
    assert melu.adapt_embeddings == RATING_BASELINES["melu"].model.adapt_embeddings


def test_system_without_inner_steps_is_refused():
    with pytest.raises(ValueError, match="DcnConfig has no inner steps to set"):
        with_inner_steps(BASELINES["dcn"], 5)
