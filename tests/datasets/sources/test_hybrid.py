"""Two data sets as one: nothing is mixed up, and inner products stay."""

import dataclasses

import numpy as np
import pytest

from cmml_tf.datasets.sources.hybrid import align_embeddings, combine_scenarios
from cmml_tf.datasets.synthetic.planted_scenarios import planted_scenarios


def _planted(name, dimension, seed):
    planted = planted_scenarios(
        meta_train=3,
        validation=1,
        meta_test=2,
        items_per_scenario=12,
        users=60,
        users_per_scenario=20,
        dimension=dimension,
        seed=seed,
    )
    return dataclasses.replace(planted.data, name=name)


@pytest.mark.parametrize("alignment", ["pad", "project"])
def test_scenarios_of_both_with_ids_and_embeddings_of_their_own(alignment):
    sets = _planted("films", 16, 0), _planted("shop", 32, 1)
    both = combine_scenarios(*sets, alignment, seed=0)
    assert both.name == "films+shop"
    assert both.user_embeddings.shape == (120, 32)
    assert len(np.unique(both.user_ids)) == 120
    for data in sets:
        for role in ("meta_train", "validation", "meta_test"):
            of_both = {scenario.name: scenario for scenario in getattr(both, role)}
            for scenario in getattr(data, role):
                found = of_both[f"{data.name}:{scenario.name}"]
                for field, value in vars(scenario).items():
                    if field == "name":
                        continue
                    kind = "user" if "users" in field else "item"
                    ids = getattr(both, f"{kind}_ids")[getattr(found, field)]
                    own = getattr(data, f"{kind}_ids")[value]
                    assert ids.tolist() == [f"{data.name}:{raw}" for raw in own]
                    vectors = getattr(both, f"{kind}_embeddings")[getattr(found, field)]
                    before = getattr(data, f"{kind}_embeddings")[value]
                    np.testing.assert_allclose(vectors @ vectors.T, before @ before.T, atol=1e-5)
    assert both.fingerprint() == combine_scenarios(*sets, alignment, seed=0).fingerprint()


def test_padding_keeps_the_numbers_and_projection_uses_every_dimension():
    narrow, wide = np.ones((2, 3), np.float32), np.full((1, 8), 2, np.float32)
    padded = align_embeddings(narrow, wide, "pad", np.random.default_rng(0))
    assert padded.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]] * 2 + [[2] * 8]
    projected = align_embeddings(wide, narrow, "project", np.random.default_rng(0))
    assert projected[0].tolist() == [2] * 8
    assert (np.abs(projected[1:]) > 1e-3).all()


def test_what_cannot_be_combined_is_said():
    data = _planted("films", 8, 0)
    with pytest.raises(ValueError, match=r"different names.*'films' twice"):
        combine_scenarios(data, data, "pad", seed=0)
    warm = dataclasses.replace(data, name="warm", protocol="warm")
    with pytest.raises(ValueError, match=r"divided by the same protocol.*films strict, warm warm"):
        combine_scenarios(data, warm, "pad", seed=0)
    bare = dataclasses.replace(data, name="bare", user_embeddings=None)
    with pytest.raises(ValueError, match=r"bare has no embeddings to align"):
        combine_scenarios(data, bare, "pad", seed=0)
