"""Training in several replicas or processes, over `tf.distribute`.

Whatever the strategy, a step takes the tasks of one global batch: those that a single process would
have taken in that step. With `mirrored` and `multiworker` each replica takes its share of them and
gradients are summed, so that losses are those of one process. With `parameter-server` each worker
takes whole steps, at its own pace.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import tensorflow as tf

from cmml_tf.types import Episode

# What TensorFlow raises where another process of the cluster is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_LARGEST_OFFSET = 2**40


def open_strategy(name: str) -> tf.distribute.Strategy:
    """The strategy of that name; call it before any other TensorFlow operation of the process.

    `none`: this process alone. `mirrored`: all GPUs of this machine. `multiworker`: several
    processes, each started with the environment variable `TF_CONFIG`, which names all of them;
    waits for the others. `parameter-server`: this process coordinates those that `serve_cluster`
    runs.

    Raises:
      ValueError: There is no such strategy, or `TF_CONFIG` does not name the processes it needs.
    """
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        _cluster(name, ("worker",))
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "parameter-server":
        _cluster(name, ("chief", "worker", "ps"))
        return tf.distribute.ParameterServerStrategy(
            tf.distribute.cluster_resolver.TFConfigClusterResolver()
        )
    raise ValueError(
        "`strategy` must be one of none, mirrored, multiworker, parameter-server. "
        f"Received: strategy={name!r}."
    )


def is_served(name: str) -> bool:
    """Whether this process is a worker or server of a `parameter-server` cluster."""
    if name != "parameter-server":
        return False
    return _cluster(name, ("chief", "worker", "ps"))["task"]["type"] != "chief"


def serve_cluster() -> None:
    """Does what the coordinator of the cluster says, until this process is ended."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    tf.distribute.Server(
        resolver.cluster_spec(),
        job_name=resolver.task_type,
        task_index=resolver.task_id,
        protocol="grpc",
    ).join()


def _cluster(name: str, roles: tuple[str, ...]) -> dict[str, dict]:
    """`TF_CONFIG`, checked."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        complete = all(config["cluster"].get(role) for role in roles)
        task = config["task"]["type"], config["task"]["index"]
        complete = complete and 0 <= task[1] < len(config["cluster"][task[0]])
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise ValueError(
            f"The strategy {name} needs the environment variable TF_CONFIG with a cluster of "
            f"{', '.join(roles)} and the task of this process, such as "
            '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}. Received: TF_CONFIG={text!r}.'
        )
    return config


def is_multiworker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes run the same program beside this one."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_parameter_server(strategy: tf.distribute.Strategy) -> bool:
    """Whether workers train at their own pace, which rules out what happens after each step."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the results: of several workers one does."""
    if not is_multiworker(strategy):
        return True
    resolver = strategy.cluster_resolver
    first = resolver.task_type == "worker" and resolver.task_id == 0
    return resolver.task_type == "chief" or (first and not _has_chief(resolver))


def _has_chief(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> bool:
    return "chief" in resolver.cluster_spec().jobs


def agreed(strategy: tf.distribute.Strategy, values: Mapping[str, float]) -> dict[str, float]:
    """The mean of each value over all workers, bit for bit the same in each of them.

    Decisions (early stopping, learning rate, the end of training) rest on such values: workers
    that decided differently would wait for each other for ever. Waits until all have called it.
    """
    if not is_multiworker(strategy):
        return dict(values)
    given = tf.constant(list(values.values()), tf.float64)
    with lost_workers_named(strategy):
        here = strategy.run(tf.identity, [given])
        mean = strategy.reduce(tf.distribute.ReduceOp.MEAN, here, axis=None)
    return dict(zip(values, mean.numpy().tolist(), strict=True))


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every worker has called it."""
    agreed(strategy, {"here": 1.0})


@contextmanager
def chief_first(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Within the context the other workers find the files that the chief has written in it."""
    if not is_chief(strategy):
        wait_for_all(strategy)
    yield
    if is_chief(strategy):
        wait_for_all(strategy)


@contextmanager
def lost_workers_named(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Within the context, the loss of another process is an error of one sentence.

    Raises:
      ConnectionError: Another process of the cluster has ended or cannot be reached.
    """
    try:
        yield
    except _LOST as error:
        if not (is_multiworker(strategy) or is_parameter_server(strategy)):
            raise
        raise ConnectionError(
            "Another process of this training has ended or cannot be reached "
            f"({type(error).__name__}). Start all of them again with the same command: training "
            "goes on behind its last complete epoch."
        ) from error


def distributed_episodes(
    strategy: tf.distribute.Strategy,
    episodes: Callable[[int | tf.Tensor], tf.data.Dataset],
    first_step: int,
) -> tf.data.Dataset | tf.keras.utils.experimental.DatasetCreator:
    """What `fit` reads in this process: its share of the tasks of each step.

    With a parameter server there is no order of steps among workers. Each begins at another random
    step, so that no two train on the same tasks.

    Args:
      strategy: Of the model.
      episodes: The whole steps from a step on.
      first_step: Where to begin.

    Raises:
      ValueError: The tasks cannot be divided equally among the replicas.
    """
    if is_parameter_server(strategy):

        def anywhere(context: tf.distribute.InputContext) -> tf.data.Dataset:
            del context  # does not tell workers apart
            microsecond = tf.cast(1e6 * tf.timestamp(), tf.int64)
            return episodes(first_step + microsecond % _LARGEST_OFFSET)

        return tf.keras.utils.experimental.DatasetCreator(anywhere)

    whole, replicas = episodes(first_step), strategy.num_replicas_in_sync
    if replicas == 1:
        return whole
    B = whole.element_spec.query_user.shape[0]
    if B % replicas:
        raise ValueError(
            f"`tasks_per_step` must be a multiple of the number of replicas, {replicas}. "
            f"Received: tasks_per_step={B}."
        )

    def share(context: tf.distribute.InputContext) -> tf.data.Dataset:
        here = replicas // context.num_input_pipelines
        first = here * context.input_pipeline_id

        def of_replicas(episode: Episode) -> Episode:
            return tf.nest.map_structure(
                lambda part: tf.reshape(part, [replicas, -1, *part.shape[1:]])[
                    first : first + here
                ],
                episode,
            )

        return whole.map(of_replicas).unbatch().prefetch(4)

    return tf.keras.utils.experimental.DatasetCreator(share)
