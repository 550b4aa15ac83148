"""Routes that a task activates in a soft-modularised backbone (section 3.4.3, figure 4)."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.cluster.hierarchy import leaves_list, linkage

from cmml_tf.layers.backbones.soft_modules import SoftModularBackbone
from cmml_tf.models.cmml import CMML
from cmml_tf.types import Support


class Clustering(NamedTuple):
    """Tasks joined by how alike their routes are.

    Attributes:
      linkage: float64 [T - 1, 4], SciPy's table of joins (average distance).
      order: int [T], the tasks from left to right of its tree.
    """

    linkage: np.ndarray
    order: np.ndarray


def task_routes(model: CMML, support: Support, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Mean route weights of a task over query pairs, one behind the other: float32 [R].

    Each query pair has a hybrid context of its own, so its routes are its own too; their mean is
    the task's. R = (L - 1) * M * M + M: layer by layer source module by target module, then the
    weights of the last mixture. `split_routes` takes it apart.

    Args:
      model: With soft modules.
      support: One task ([1, S]).
      users, items: int32 [N], the query pairs.

    Raises:
      ValueError: The model has no soft modules.
    """
    if not isinstance(model.recommender, SoftModularBackbone):
        raise ValueError(
            "Routes are those of soft modules (preset cmml-soft-m). "
            f"Received: a model with {type(model.recommender).__name__}."
        )
    context = model.encode_context(Support(*map(tf.constant, support)))
    routes = model.modulation(context, tf.constant(users[None]), tf.constant(items[None]))
    in_order = [routes[f"route_{index}"] for index in range(1, len(routes) + 1)]
    return np.concatenate([np.ravel(tf.reduce_mean(route, axis=[0, 1])) for route in in_order])


def split_routes(routes: np.ndarray, modules: int) -> list[np.ndarray]:
    """Route matrices of a vector [R]: [M, M] (source, target) each, the last [M, 1]."""
    square = modules * modules
    between = routes[:-modules].reshape(-1, square)
    return [*(one.reshape(modules, modules) for one in between), routes[-modules:, None]]


def route_names(layers: int, modules: int) -> list[str]:
    """Names of the R routes, `layer:source>target`, counted from 1; `out` is the last mixture."""
    numbers = range(1, modules + 1)
    between = [f"{layer}:{i}>{j}" for layer in range(1, layers) for i in numbers for j in numbers]
    return between + [f"{layers}:{i}>out" for i in numbers]


def cluster_tasks(routes: np.ndarray) -> Clustering:
    """Joins tasks by the distance of their routes [T, R], T >= 2 (average linkage)."""
    joins = linkage(routes, method="average", optimal_ordering=True)
    return Clustering(joins, leaves_list(joins))
