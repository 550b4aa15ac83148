"""A TFRS recommender that lets a served CMML re-rank what it retrieves, in scenarios new to both.

A two-tower model (tfrs.tasks.Retrieval) stands on embeddings of what CMML may know, and learns from
the same scenarios. For each user of a held-out scenario it retrieves candidates
among the scenario's items; CMML re-ranks them over gRPC, given the scenario's support set. Prints
recall before and after, and of the sum of both scores, standardised for each user, as a service
that trusts both would rank.

python pipelines/train_scenario.py --export-dir export
python pipelines/tfrs_rerank.py
python pipelines/tfrs_rerank.py --target models.example:8500     # a server that runs already
"""

import argparse
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.alternatives.two_tower import TwoTower, retrieve, train_two_tower
from benchmarks.served.served_model import served_model

from cmml_tf.client import Client, ContextCache
from cmml_tf.config import (
    EmbeddingConfig,
    EpisodeConfig,
    ScenarioConfig,
    ScenarioRunConfig,
    SplitConfig,
)
from cmml_tf.datasets.open_data import open_scenario_data
from cmml_tf.datasets.tasks.scenario_data import ScenarioData
from cmml_tf.embeddings.matrix_factorisation import pretrained_embeddings
from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisode, EvaluationEpisodes
from cmml_tf.metrics.ranking import ranking_metrics
from cmml_tf.program import Arguments, run
from cmml_tf.serving.version.manifest import MANIFEST_FILE
from cmml_tf.serving.version.version_folder import versions

_CUTOFFS = (5, 10, 20)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    arguments = _parser().parse_args(argv)
    _cutoffs(arguments)
    start = time.monotonic()
    split, fingerprint = ScenarioRunConfig().split, None
    if arguments.target is None:
        split, fingerprint = _trained_with(Path(arguments.export_dir))
    data = open_scenario_data(arguments.data, ScenarioConfig(), split, arguments.seed)
    if fingerprint not in (None, data.fingerprint()):
        # A model that has seen the held-out scenarios would be measured on what it knows.
        raise ValueError(
            f"The model in {arguments.export_dir} was trained on other data or another split: give "
            "the --data and --seed of its training."
        )
    print(f"Training a two-tower model on {data.name}")
    pairs = (
        np.concatenate([one.users for one in data.meta_train]),
        np.concatenate([one.items for one in data.meta_train]),
    )
    embeddings = pretrained_embeddings(data, EmbeddingConfig(), arguments.seed)
    two_tower = train_two_tower(
        pairs, embeddings, arguments.dimension, arguments.epochs, arguments.seed
    )
    # The support sets of `train_scenario.py` with the same seed.
    episodes = EvaluationEpisodes.draw(data.meta_test, EpisodeConfig(), arguments.seed * 4 + 2)
    with _target(arguments) as target, _client(target, arguments.model_name) as client:
        client.wait_until_ready()
        figures = _measure(data, episodes, two_tower, client, arguments)
    figures["seconds"] = round(time.monotonic() - start, 1)
    if arguments.json is not None:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    print(_table(figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Arguments(__doc__)
    parser.add_argument("--target", help="host:port of a server; none: one is started")
    parser.add_argument("--model-name", default="cmml")
    parser.add_argument("--export-dir", default="export", help="what a started server serves")
    parser.add_argument("--data", default="movielens-small", help="as the model was trained on")
    parser.add_argument("--seed", type=int, default=0, help="as the model was trained with")
    parser.add_argument("--candidates", type=int, default=50, help="retrieved for each user")
    parser.add_argument("--dimension", type=int, default=32, help="of a tower's output")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--users", type=int, help="users of each scenario at the most")
    parser.add_argument("--json", help="file for the figures")
    return parser


def _trained_with(export_dir: Path) -> tuple[SplitConfig, str]:
    """The split of the newest version's training, and the fingerprint of its data."""
    found = versions(export_dir)
    if not found:
        raise FileNotFoundError(
            f"There is no exported version in {export_dir}. Run pipelines/train_scenario.py "
            "and promote what it made (`cmml promote`), or name the folder of candidates, or a "
            "running server with --target."
        )
    manifest = json.loads((export_dir / str(found[-1]) / MANIFEST_FILE).read_text())
    split = manifest.get("config", {}).get("split")
    if split is None:
        raise ValueError(
            f"The model in {export_dir} does not say how its scenarios were divided: it must be "
            "one that pipelines/train_scenario.py has exported."
        )
    return SplitConfig(**split), manifest["data_fingerprint"]


@contextlib.contextmanager
def _target(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.target is not None:
        yield arguments.target
        return
    flags = (
        f"--model_base_path={Path(arguments.export_dir).resolve()}",
        f"--model_name={arguments.model_name}",
    )
    with served_model(*flags, model_name=arguments.model_name) as served:
        yield served.address


def _client(target: str, model_name: str) -> Client:
    # All users of a scenario share its support set: the cache has it encoded once.
    return Client(target, model_name, timeout=30, context_cache=ContextCache())


def _measure(
    data: ScenarioData,
    episodes: EvaluationEpisodes,
    two_tower: TwoTower,
    client: Client,
    arguments: argparse.Namespace,
) -> dict[str, object]:
    rows: dict[str, list[dict[str, np.ndarray]]] = {"before": [], "after": [], "both": []}
    for episode in episodes:
        users = episode.users[: arguments.users]
        score, item = retrieve(two_tower, users, episode.candidates, arguments.candidates)
        reranked = _rerank(client, data, episode, users, item)
        relevant = episode.relevant[: arguments.users]
        both = _standardised(score) + _standardised(reranked)
        for name, scores in (("before", score), ("after", reranked), ("both", both)):
            # What was not retrieved comes last.
            placed = np.full(relevant.shape, -np.inf, np.float32)
            places = np.searchsorted(episode.candidates, item)
            np.put_along_axis(placed, places, scores, axis=1)
            rows[name].append(ranking_metrics(placed, relevant, _cutoffs(arguments)))
    return {
        "data": data.name,
        "scenarios": len(episodes),
        "user_scenario_pairs": sum(len(row["mrr"]) for row in rows["before"]),
        "candidates": arguments.candidates,
        **{name: _means(part) for name, part in rows.items()},
    }


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and deviation 1; scores of two models can then be added."""
    deviation = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-9)


def _rerank(
    client: Client,
    data: ScenarioData,
    episode: EvaluationEpisode,
    users: np.ndarray,
    items: np.ndarray,
) -> np.ndarray:
    """CMML's scores of the retrieved items [U, k], a request for each user."""
    support_user = data.user_ids[episode.support.user[0]]
    support_item = data.item_ids[episode.support.item[0]]
    scores = [
        client.score(
            support_user,
            support_item,
            episode.support.label[0],
            np.repeat(data.user_ids[user], len(retrieved)),
            data.item_ids[retrieved],
        ).score
        for user, retrieved in zip(users, items, strict=True)
    ]
    return np.stack(scores)


def _cutoffs(arguments: argparse.Namespace) -> list[int]:
    kept = [k for k in _CUTOFFS if k <= arguments.candidates]
    if not kept:
        raise ValueError(
            f"`candidates` must be at least {_CUTOFFS[0]}. "
            f"Received: candidates={arguments.candidates}."
        )
    return kept


def _means(rows: list[dict[str, np.ndarray]]) -> dict[str, float]:
    names = [name for name in rows[0] if name.startswith("recall")]
    return {name: float(np.concatenate([row[name] for row in rows]).mean()) for name in names}


def _table(figures: dict[str, Any]) -> str:
    columns = {"two towers": "before", "re-ranked": "after", "both": "both"}
    lines = [f"{'':12}" + "".join(f"{title:>12}" for title in columns)]
    for name in figures["before"]:
        values = "".join(f"{figures[column][name]:12.4f}" for column in columns.values())
        lines.append(f"{name:12}{values}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
