"""What a model is required to be before it is exported."""

import pytest

from cmml_tf.config import ScenarioRunConfig
from cmml_tf.config.judging import SCENARIO_CONTROLS, USER_CONTROLS, required_controls
from cmml_tf.config.rating import UserRunConfig
from cmml_tf.program import UnmetRequirementError
from cmml_tf.settings.rating.form import RATING
from cmml_tf.settings.requirement import check_required
from cmml_tf.settings.scenario.form import SCENARIO

VERDICT = {
    "better_than": ["twin"],
    "differences": {
        "twin": {"difference": 0.1, "interval": 0.01},
        "item_pop": {"difference": -0.2, "interval": 0.05},
        "none": {"difference": 0.1, "interval": None},
    },
}


def test_controls_are_named_as_metrics_have_them_or_with_dashes():
    assert required_controls(None, SCENARIO_CONTROLS) == ()
    assert required_controls("better-than=Item-Pop, twin,twin", SCENARIO_CONTROLS) == (
        "item_pop",
        "twin",
    )
    for form, controls in ((SCENARIO, SCENARIO_CONTROLS), (RATING, USER_CONTROLS)):
        assert tuple(form.simple.labels) == controls
        assert form.simple.chance in controls
        assert set(form.simple.in_curve) < set(controls)


@pytest.mark.parametrize("require", ["twin", "better-than=", "better-than=bpr", "above=twin"])
def test_anything_else_is_refused_with_what_is_accepted(require):
    with pytest.raises(ValueError, match=r"`require` must be better-than=NAMES, .* item_pop"):
        ScenarioRunConfig(require=require)
    with pytest.raises(ValueError, match=r"`require` must be better-than=NAMES, .* blend"):
        UserRunConfig(require=require)


def test_what_is_not_better_beyond_its_interval_is_named():
    check_required(("twin",), VERDICT)
    check_required((), VERDICT)
    with pytest.raises(
        UnmetRequirementError,
        match=r"better than twin, item_pop, none and is not, beyond the interval: "
        r"item_pop -0\.2000 \(± 0\.0500\), none \+0\.1000 \(no interval\)",
    ):
        check_required(("twin", "item_pop", "none"), VERDICT)
    with pytest.raises(ValueError, match=r"controls of this run: twin, item_pop, none.*'swapped'"):
        check_required(("swapped",), VERDICT)


def test_an_undefined_difference_is_said_to_be_one():
    undefined = {"twin": {"difference": None, "interval": None}}
    with pytest.raises(UnmetRequirementError, match=r"twin undefined \(no interval\)"):
        check_required(("twin",), {"better_than": [], "differences": undefined})
