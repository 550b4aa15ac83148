"""The whole catalogue ranked for held-out scenarios, as `recommend` does: Recall@20 as JSON.

A finished run of `cmml-matching` is asked its own evaluation tasks, but all items are ranked, of
which few are of the scenario. What a user took outside the scenario is left out. By size of the
support, of `recommend`, of its scores alone, of `recommend` with another scenario's support, and of
simple systems, clicks with content among them; with the share of items of the scenario among the
20.

python pipelines/whole_catalogue.py runs/cmml-matching-movielens-small-0
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cmml_tf.episodes.asked.evaluation_episodes import EvaluationEpisode
from cmml_tf.evaluation.ranking import candidate_scores
from cmml_tf.program import Arguments, one_thread_an_operation, run
from cmml_tf.serving.catalogue.membership import MembershipReader
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.whole_run import open_run
from cmml_tf.training.run_folder import MODEL, load_config, setting_of

_K = 20
_SIMPLE = ("item_pop", "dot", "als_fold_in")

Scores = Callable[[EvaluationEpisode], np.ndarray]


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a finished run")
    parser.add_argument("--users", type=int, default=20, help="asked users of each scenario")
    given = parser.parse_args(argv)
    if given.users < 1:
        raise ValueError(f"`users` must be a positive integer. Received: users={given.users}.")
    setting = SETTINGS[setting_of(given.run_dir)]
    config = load_config(given.run_dir, setting.form.options.config)
    one_thread_an_operation()
    config = dataclasses.replace(config, run_dir=str(given.run_dir))
    opened = open_run(setting, config, lambda line: None)
    prepared: Any = opened.prepared
    model = opened.trained(MODEL)
    membership = setting.membership(model, prepared)
    if membership is None or prepared.curve is None:
        raise ValueError(
            "`run_dir` must be a run of cmml-matching in the scenario setting. "
            f"Received: {given.run_dir}, of {config.preset}."
        )
    own = candidate_scores(setting.scorer(model))
    reader = MembershipReader(membership)

    def recommend(episode: EvaluationEpisode) -> np.ndarray:
        support = episode.support
        read = reader.of_support(support.item.astype(np.int64), support.label, support.length)
        return own(episode) + reader.of_catalogue(read).numpy()[:, :-1]

    systems: dict[str, Scores] = {"recommend": recommend, "scores alone": own}
    simple = setting.simple_systems(prepared, _SIMPLE)
    systems |= {name: candidate_scores(simple[name]) for name in _SIMPLE}
    if prepared.item_content is not None:
        systems["item_pop, then content"] = _alike(
            systems["item_pop"], prepared.item_content.matrix
        )
    taken = np.zeros([len(prepared.data.user_ids), len(prepared.data.item_ids)], bool)
    taken[prepared.data.training_pairs()] = True
    found: dict[str, Any] = {}
    for size in prepared.curve.sizes.values():
        draws = [prepared.curve.tasks(size, draw) for draw in range(prepared.curve.draws)]
        asked = [_whole(one, taken, given.users) for draw in draws for one in draw]
        found[str(size)] = {
            name: _reached([system(one.episode) for one in asked], asked)
            for name, system in systems.items()
        }
        others = [one for number, draw in enumerate(draws) for one in draw.swapped(number)]
        found[str(size)]["swapped: another's support set"] = _reached(
            [
                recommend(one.episode._replace(support=other.support))
                for one, other in zip(asked, others, strict=True)
            ],
            asked,
        )
    print(json.dumps({"recall@20 by support size": found}, indent=2))
    return 0


def _alike(counts: Scores, content: np.ndarray) -> Scores:
    """Clicks in the support; of as many, whose content is the most like the support's items."""
    norm = np.linalg.norm(content, axis=1, keepdims=True)
    content = content / np.maximum(norm, 1e-12)

    def score(episode: EvaluationEpisode) -> np.ndarray:
        length = int(episode.support.length[0])
        mean = content[episode.support.item[0, :length]].sum(axis=0)
        return np.asarray(counts(episode)) + 1e-3 * (content @ mean) / max(length, 1)

    return score


class _Asked(NamedTuple):
    """A task with all I items as candidates.

    Attributes:
      episode: Of U users.
      left_out: bool [U, I], what is not ranked.
      inside: bool [I], what is the scenario's.
    """

    episode: EvaluationEpisode
    left_out: np.ndarray
    inside: np.ndarray


def _whole(episode: EvaluationEpisode, taken: np.ndarray, users: int) -> _Asked:
    items = taken.shape[1]
    chosen = np.random.default_rng(0).permutation(len(episode.users))[:users]
    relevant = np.zeros([len(chosen), items], bool)
    relevant[:, episode.candidates] = episode.relevant[chosen]
    inside = np.zeros(items, bool)
    inside[episode.candidates] = True
    whole = episode._replace(
        users=episode.users[chosen],
        candidates=np.arange(items, dtype=np.int32),
        relevant=relevant,
        user_known=episode.user_known[chosen],
        candidate_known=np.ones(items, bool),
    )
    return _Asked(whole, taken[whole.users] & ~relevant, inside)


def _reached(scores: Sequence[np.ndarray], asked: Sequence[_Asked]) -> dict[str, float]:
    """Means over scenarios: recall among the best 20, and the share that is of the scenario."""
    recall, share = [], []
    for of_task, (episode, left_out, inside) in zip(scores, asked, strict=True):
        # Ties, of which simple systems have many, are broken at random.
        order = np.random.default_rng(0).permutation(of_task.shape[1])
        ranked = np.where(left_out, -np.inf, of_task)[:, order]
        best = order[np.argsort(-ranked, axis=1, kind="stable")[:, :_K]]
        hits = np.take_along_axis(episode.relevant, best, axis=1).sum(axis=1)
        recall.append(np.mean(hits / np.minimum(_K, episode.relevant.sum(axis=1))))
        share.append(inside[best].mean())
    return {"recall": round(float(np.mean(recall)), 4), "inside": round(float(np.mean(share)), 4)}


if __name__ == "__main__":
    run(main)
