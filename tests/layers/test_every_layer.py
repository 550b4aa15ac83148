"""Every layer of the library keeps the recipe, and none is forgotten."""

import importlib
import inspect
import pkgutil

import pytest
import tensorflow as tf
from layers import (
    baseline_recipes,
    catalogue_recipes,
    matching_recipes,
    ordinal_recipes,
    test_affinity,
    test_embedding,
    test_feature_embedding,
    test_hybrid_context,
    test_label_features,
    test_mlp,
    test_query_attention,
    test_step_noise,
)
from layers.backbones import test_backbone, test_modulation, test_soft_modules
from layers.closed_form import test_rating_ridge, test_ridge_head, test_scenario_ridge
from layers.encoders import test_attention_encoder, test_context_encoder
from layers.layer_recipe import LayerRecipe

import cmml_tf.baselines
import cmml_tf.layers

RECIPES = [
    test_affinity.TestAffinity,
    test_attention_encoder.TestAttentionEncoder,
    test_backbone.TestBackbone,
    test_context_encoder.TestMeanPooling,
    test_context_encoder.TestMaxPooling,
    test_context_encoder.TestMeanPoolingWithPrior,
    test_context_encoder.TestMaxPoolingWithPrior,
    test_context_encoder.TestSequential,
    test_context_encoder.TestInterleavedMeanOfStates,
    test_embedding.TestPairEmbedding,
    test_feature_embedding.TestOneValue,
    test_feature_embedding.TestSeveralValues,
    test_feature_embedding.TestNumber,
    test_feature_embedding.TestFeaturePairs,
    test_hybrid_context.TestDot,
    test_hybrid_context.TestDotOfTwoVectors,
    test_hybrid_context.TestMlp,
    test_hybrid_context.TestNone,
    test_label_features.TestRatingFeatures,
    test_label_features.TestRatingItself,
    test_mlp.TestMLP,
    test_modulation.TestHyperNetwork,
    test_modulation.TestFilm,
    test_modulation.TestResidualFilm,
    test_modulation.TestSigmoid,
    test_modulation.TestLinear,
    test_modulation.TestRatingLinear,
    test_query_attention.TestQueryAttention,
    test_rating_ridge.TestBasis,
    test_rating_ridge.TestEncoder,
    test_rating_ridge.TestRecommender,
    test_ridge_head.TestItem,
    test_ridge_head.TestPair,
    test_ridge_head.TestHidden,
    test_scenario_ridge.TestBasis,
    test_scenario_ridge.TestEncoder,
    test_scenario_ridge.TestRecommender,
    test_soft_modules.TestSoftModules,
    test_step_noise.TestStepDropout,
    test_step_noise.TestStepNoise,
    matching_recipes.TestItemTower,
    matching_recipes.TestScenarioTaste,
    matching_recipes.TestCountPosterior,
    matching_recipes.TestClickerPosterior,
    matching_recipes.TestItemFoldIn,
    matching_recipes.TestOwnClicks,
    matching_recipes.TestUserVotes,
    matching_recipes.TestPairTaste,
    matching_recipes.TestMatching,
    matching_recipes.TestMatchingWithoutCorrection,
    catalogue_recipes.TestKnownItemsContext,
    catalogue_recipes.TestItemEvidence,
    catalogue_recipes.TestStandInWorth,
    catalogue_recipes.TestTableBackbone,
    catalogue_recipes.TestItemTables,
    catalogue_recipes.TestItemTablesWithContent,
    catalogue_recipes.TestItemTablesWithStandIns,
    catalogue_recipes.TestItemTablesWithContentAndStandIns,
    catalogue_recipes.TestItemContent,
    ordinal_recipes.TestRatingTables,
    ordinal_recipes.TestFoldInEncoder,
    ordinal_recipes.TestNeighbourContext,
    ordinal_recipes.TestOrdinalRecommender,
    baseline_recipes.InteractionRecipe,
    baseline_recipes.DeepCrossRecipe,
    baseline_recipes.ProjectedDeepCrossRecipe,
    baseline_recipes.CrossConnectedRecipe,
    baseline_recipes.StopRecipe,
    baseline_recipes.UpdateRecipe,
]


def checks():
    """Every check of every recipe, with a name to read.

    What is saved is read again of one recipe of a layer; of its others that is slow.
    """
    saved = set()
    for recipe in RECIPES:
        layer = type(recipe().make())
        for name in dir(recipe):
            if name.startswith("check_") and getattr(recipe, name) is not None:
                label = f"{recipe.__module__.rpartition('.')[2]}-{recipe.__name__}-{name}"
                again = "_saved_and_loaded_" in name and layer in saved
                marks = [pytest.mark.slow] if again else []
                yield pytest.param(recipe, name, id=label, marks=marks)
        saved.add(layer)


@pytest.mark.parametrize(("recipe", "check"), [*checks()])
def test_layer(recipe, check, request):
    method = getattr(recipe(), check)
    names = inspect.signature(method).parameters
    method(**{name: request.getfixturevalue(name) for name in names})


def is_abstract(method):
    return getattr(method, "__isabstractmethod__", False)


def layers_of(package):
    """Every public layer class that a module of the package defines."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        loaded = importlib.import_module(module.name)
        for name, found in vars(loaded).items():
            if (
                inspect.isclass(found)
                and issubclass(found, tf.keras.layers.Layer)
                and not issubclass(found, tf.keras.Model)
                and found.call is not tf.keras.layers.Layer.call  # what others are made from
                and not any(is_abstract(method) for method in vars(found).values())
                and found.__module__ == loaded.__name__
                and not name.startswith("_")
            ):
                yield found


def test_the_list_has_every_layer_of_the_library():
    tried = {type(recipe().make()) for recipe in RECIPES}
    assert {*layers_of(cmml_tf.layers), *layers_of(cmml_tf.baselines)} <= tried


def test_the_list_has_every_recipe():
    """A class of these modules that can make its layer is a recipe."""
    modules = {inspect.getmodule(recipe) for recipe in RECIPES}
    found = {
        member
        for module in modules
        for name, member in vars(module).items()
        if inspect.isclass(member) and issubclass(member, LayerRecipe) and name.startswith("Test")
    }
    assert found <= set(RECIPES)
