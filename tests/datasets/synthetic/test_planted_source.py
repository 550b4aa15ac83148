"""Planted scenarios by name: options reach the generator, and wrong ones are named."""

import numpy as np
import pytest

from cmml_tf.config import ScenarioConfig, SplitConfig
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios

SIZES = "meta_train=10,meta_test=3,users=60,users_per_scenario=20,items_per_scenario=8"


def _open(data, **split):
    return open_scenario_data(data, ScenarioConfig(), SplitConfig(**split), seed=1)


def test_options_reach_the_generator_and_validation_comes_out_of_training():
    opened = _open(f"planted:{SIZES},subspace=3,std=0.5", max_support_pairs=7)
    assert (len(opened.meta_train), len(opened.validation), len(opened.meta_test)) == (9, 1, 3)
    made = planted_scenarios(
        meta_train=9,
        validation=1,
        meta_test=3,
        users=60,
        users_per_scenario=20,
        items_per_scenario=8,
        subspace=3,
        std=0.5,
        max_support_pairs=7,
        seed=1,
    )
    assert opened.fingerprint() == made.data.fingerprint()


def test_a_seed_in_the_name_wins_over_the_runs():
    default, other = _open(f"planted:{SIZES}"), _open(f"planted:{SIZES},seed=2")
    assert default.fingerprint() != other.fingerprint()
    assert _open(f"planted:{SIZES},seed=1").fingerprint() == default.fingerprint()


def test_the_bare_name_is_the_default_size():
    data = _open("planted")
    assert len(data.meta_train) + len(data.validation) == 51
    assert np.isclose(data.item_embeddings.std(), 0.25, atol=0.01)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("planted:colour=3", r"no option of planted scenarios: 'colour'\. Accepted: meta_train"),
        ("planted:validation=3", r"no option of planted scenarios: 'validation'"),
        ("planted:subspace=many", r"`subspace` in `data` must be of type int\. .*'many'"),
        ("planted:subspace", r"`subspace` in `data` must be of type int"),
        ("planted:subspace=0", r"`subspace` must be at least 1"),
        ("planted:strength=1e400", r"`strength` in `data` must be finite\. .*'1e400'"),
        ("planted:std=inf", r"`std` in `data` must be finite"),
    ],
)
def test_what_is_wrong_is_named(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        _open(name)


def test_unknown_names_hear_of_planted_data():
    with pytest.raises(ValueError, match=r"planted\[:OPTION=VALUE"):
        _open("ml-3m")
