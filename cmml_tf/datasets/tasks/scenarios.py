"""What a scenario is: groups of interactions by genre, decade, tag or any column."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from cmml_tf.config import ScenarioConfig
from cmml_tf.datasets.interactions import EmbeddingTable, Interactions
from cmml_tf.datasets.reading.ids import as_text, is_text, rows_of
from cmml_tf.datasets.tasks.earlier import Earlier, earlier_first


@dataclass(frozen=True)
class ScenarioPairs:
    """Distinct (user, item) pairs, and the scenarios they are in: none, one, or several.

    Attributes:
      name: Where they come from.
      user_ids: int64 or object of str [U], raw id of each user row.
      item_ids: int64 or object of str [I], raw id of each item row.
      users, items: int32 [P], rows of the pairs, each pair once.
      scenario_names: The scenarios.
      scenario: int32 [K], a scenario, by its place in `scenario_names`; sorted.
      pair: int32 [K], a pair that is in it, by its place in `users`.
      counts: What was read and left out.
      pool_scenario, pool_item: int32 [C], items that are candidates of a scenario though no pair of
        it has them; sorted.
      user_embeddings, item_embeddings: float32 [U, d_u], [I, d_i] where the source ships them.
      times: float64 [P], seconds since 1970, when each pair was taken first; None where the source
        has no times, or one and the same for all.
      member_times: float64 [K], the same of the pairs within their scenarios.
      untimed: Interactions without a time, where others have one.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    users: np.ndarray
    items: np.ndarray
    scenario_names: tuple[str, ...]
    scenario: np.ndarray
    pair: np.ndarray
    counts: dict[str, int]
    pool_scenario: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    pool_item: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    user_embeddings: np.ndarray | None = None
    item_embeddings: np.ndarray | None = None
    times: np.ndarray | None = None
    member_times: np.ndarray | None = None
    untimed: int = 0


def find_scenarios(
    interactions: Interactions, config: ScenarioConfig, earlier: Earlier | None = None
) -> ScenarioPairs:
    """Groups interactions into scenarios and keeps those that are large enough.

    Scenarios of an item (by its `genres`, `year`, `tags` or a catalogue column) have all its pairs;
    with `column:NAME` of the table, each row says where its pair belongs.

    Args:
      interactions: What was read.
      config: The definition and the filters.
      earlier: A state of the log whose ids keep their rows, those included that are gone.

    Raises:
      ValueError: The data has nothing that the definition asks for, no interaction reaches
        `min_value`, or no scenario passes the filters.
    """
    counts = {"interactions read": len(interactions.table), **interactions.counts}
    table = _valued(interactions, config, counts)
    pool = interactions.pool if config.definition == "column:scenario" else None
    user_ids, row_users = _vocabulary(table["user"], interactions.user_embeddings)
    item_ids, row_items = _vocabulary(
        table["item"], interactions.item_embeddings, None if pool is None else pool["item"]
    )
    if earlier is not None:
        user_ids, row_users = _behind(earlier.user_ids, user_ids, row_users)
        item_ids, row_items = _behind(earlier.item_ids, item_ids, row_items)
    known = (row_users >= 0) & (row_items >= 0)
    if not known.all():
        counts["interactions of an id without embedding, left out"] = int((~known).sum())
        table, row_users, row_items = table[known], row_users[known], row_items[known]
        if not len(table):
            raise ValueError(
                f"No interaction of {interactions.name} has a user and an item with an embedding. "
                f"The ids of the embeddings begin with {user_ids[:3]} and {item_ids[:3]}; give "
                "the embeddings of this data set."
            )
    keys, pair_of_row = np.unique(
        row_users.astype(np.int64) * len(item_ids) + row_items, return_inverse=True
    )
    users, items = (part.astype(np.int32) for part in np.divmod(keys, len(item_ids)))
    pair_of_row = pair_of_row.astype(np.int32)
    row_times = table["timestamp"].to_numpy(np.float64)
    times = earliest(row_times, pair_of_row, len(keys))
    counts["repeated (user, item) pairs, counted once"] = len(table) - len(keys)
    counts["users"], counts["items"], counts["pairs"] = len(user_ids), len(item_ids), len(keys)
    column = config.definition.removeprefix("column:")
    if config.definition.startswith("column:") and column in table.columns:
        members = _members_by_row(table[column], row_times, pair_of_row, len(users))
    else:
        columns = interactions.columns or list(table.columns)
        groups = groups_of_items(
            interactions.name, columns, interactions.catalogue, config, item_ids
        )
        members = _members_by_item(groups, items, times)
    names, scenario, pair = members.names, members.scenario, members.pair
    counts["scenarios found"] = len(names)
    pool_scenario, pool_item = _pool(pool, names, item_ids)
    item_keys = np.unique(
        np.concatenate([scenario, pool_scenario]).astype(np.int64) * len(item_ids)
        + np.concatenate([items[pair], pool_item])
    )
    kept, filtered = large_enough(
        np.bincount(item_keys // len(item_ids), minlength=len(names)),
        np.bincount(scenario, minlength=len(names)),
        config,
    )
    counts |= filtered
    if not kept.any():
        raise ValueError(none_left_message(interactions.name, config, counts))
    inside, pool_inside = kept[scenario], kept[pool_scenario]
    is_timed = has_times(times)
    renumbered = np.cumsum(kept, dtype=np.int32) - 1
    return ScenarioPairs(
        name=interactions.name,
        user_ids=user_ids,
        item_ids=item_ids,
        users=users,
        items=items,
        scenario_names=tuple(name for name, keep in zip(names, kept, strict=True) if keep),
        scenario=renumbered[scenario[inside]].astype(np.int32),
        pair=pair[inside].astype(np.int32),
        counts=counts,
        pool_scenario=renumbered[pool_scenario[pool_inside]].astype(np.int32),
        pool_item=pool_item[pool_inside],
        user_embeddings=_matrix(interactions.user_embeddings),
        item_embeddings=_matrix(interactions.item_embeddings),
        times=times if is_timed else None,
        member_times=members.times[inside] if is_timed else None,
        untimed=int(np.isnan(row_times).sum()),
    )


def _valued(
    interactions: Interactions, config: ScenarioConfig, counts: dict[str, int]
) -> pd.DataFrame:
    """The interactions whose value is `min_value` at least; `counts` says how many are not."""
    table, least = interactions.table, config.min_value
    if least is None:
        return table
    kept = table[table["value"].to_numpy() >= least]
    counts[f"below min_value={least:g}, left out"] = len(table) - len(kept)
    if not len(kept):
        raise ValueError(
            f"`min_value` must leave interactions. Received: min_value={least}, and the largest "
            f"value of {interactions.name} is {table['value'].max()}."
        )
    return kept


class _Members(NamedTuple):
    """Names of scenarios, and K pairs that are in one: `scenario` (sorted), `pair`, `times`."""

    names: list[str]
    scenario: np.ndarray
    pair: np.ndarray
    times: np.ndarray


def _members_by_row(
    column: pd.Series, row_times: np.ndarray, pair_of_row: np.ndarray, pairs: int
) -> _Members:
    """Each row says where its pair belongs."""
    scenario, names = pd.factorize(column, sort=True)  # -1 where absent
    inside = scenario >= 0
    keys, member = np.unique(
        scenario[inside].astype(np.int64) * pairs + pair_of_row[inside], return_inverse=True
    )
    scenario, pair = np.divmod(keys, pairs)
    times = earliest(row_times[inside], member, len(keys))
    return _Members([str(name) for name in names], scenario, pair, times)


def _members_by_item(
    groups: Sequence[Sequence[str]], items: np.ndarray, times: np.ndarray
) -> _Members:
    """A pair is in all scenarios of its item.

    Args:
      groups: Names of the scenarios of each item row.
      items, times: Of the pairs.
    """
    names = sorted({name for of_item in groups for name in of_item})
    code = {name: place for place, name in enumerate(names)}
    sizes = np.array([len(of_item) for of_item in groups])
    codes = np.array([code[name] for of_item in groups for name in of_item], np.int32)
    starts = np.cumsum(sizes) - sizes
    of_pair = sizes[items]
    pair = np.repeat(np.arange(len(items), dtype=np.int32), of_pair)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(of_pair) - of_pair, of_pair)
    scenario = codes[starts[items[pair]] + within]
    order = np.argsort(scenario, kind="stable")
    scenario, pair = scenario[order], pair[order]
    return _Members(names, scenario, pair, times[pair])


def earliest(times: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """float64 [groups]: the earliest time in each group, by times [N] and groups [N] of rows.

    NaN is unknown; infinite where no time of a group is known.
    """
    first = np.full(groups, np.inf)
    np.minimum.at(first, group, np.where(np.isnan(times), np.inf, times))
    return first


def has_times(times: np.ndarray) -> bool:
    """Whether times tell anything: not all the same, and not all unknown."""
    known = np.isfinite(times)
    return bool(times.min(initial=np.inf, where=known) < times.max(initial=-np.inf, where=known))


def large_enough(
    item_counts: np.ndarray, pair_counts: np.ndarray, config: ScenarioConfig
) -> tuple[np.ndarray, dict[str, int]]:
    """bool [scenarios]: which pass; a scenario that fails is counted under its first reason.

    Args:
      item_counts, pair_counts: int [scenarios], items and pairs of each.
      config: The filters.
    """
    counts = {}
    kept = np.ones(len(item_counts), bool)
    for reason, failing in (
        ("scenarios with fewer than min_items", item_counts < config.min_items),
        ("scenarios with more than max_items", item_counts > config.max_items),
        ("scenarios with fewer than min_interactions", pair_counts < config.min_interactions),
    ):
        counts[reason] = int((kept & failing).sum())
        kept &= ~failing
    counts["scenarios kept"] = int(kept.sum())
    return kept, counts


def none_left_message(name: str, config: ScenarioConfig, counts: dict[str, int]) -> str:
    """The sentence for filters that no scenario passes; `counts` as `find_scenarios` makes them."""
    return (
        f"No scenario of {name} is left of the {counts['scenarios found']} that "
        f"{config.definition} gives: "
        f"{counts['scenarios with fewer than min_items']} have fewer than "
        f"min_items={config.min_items} items, {counts['scenarios with more than max_items']} "
        f"more than max_items={config.max_items}, "
        f"{counts['scenarios with fewer than min_interactions']} fewer than "
        f"min_interactions={config.min_interactions} interactions. Change these."
    )


def groups_of_items(
    interactions_name: str,
    columns: Sequence[str],
    catalogue: pd.DataFrame,
    config: ScenarioConfig,
    item_ids: np.ndarray,
) -> list[Sequence[str]]:
    """Names of the scenarios of each item row, by what the catalogue knows of it.

    Args:
      interactions_name, columns: Of the table beside the catalogue, for messages.
      catalogue: As `Interactions` has it.
      config: The definition.
      item_ids: int64 or object of str [I].

    Raises:
      ValueError: The catalogue lacks what the definition needs.
    """
    definition = config.definition
    needed = {"genre": ["genres"], "genre-combination": ["genres"], "tag": ["tags"]}
    needed["genre-decade"] = ["genres", "year"]
    wanted = needed.get(definition, [definition.removeprefix("column:")])
    for column in wanted:
        if column not in catalogue.columns:
            known = sorted({*columns, *catalogue.columns})
            raise ValueError(
                f"`definition` {definition} needs a column {column!r}, which {interactions_name} "
                "does not have. If another column says what the scenario is, choose it "
                "(--scenario.definition column:NAME), NAME being one of "
                f"{', '.join(known)}."
            )
    of_item = catalogue.set_index("item")[wanted].reindex(item_ids)
    values = of_item[wanted[0]].tolist()
    if definition == "genre-combination":
        return [(name,) if name else () for name in back_off(values, config.min_items)]
    if definition.startswith("column:"):
        return [() if pd.isna(value) else (str(value),) for value in values]
    lists = [value if isinstance(value, tuple) else () for value in values]
    if definition == "genre-decade":
        return [
            () if np.isnan(year) else [f"{genre}@{int(year) // 10 * 10}s" for genre in genres]
            for genres, year in zip(lists, of_item["year"], strict=True)
        ]
    return lists


def back_off(genres: Sequence[object], min_items: int) -> list[str | None]:
    """The scenario of each item by its combination of genres, e.g. `Comedy|Romance`.

    A combination of fewer than `min_items` items is replaced by its largest sub-combination that
    has as many by itself, the rarest of those of one size; so an item is in one scenario or none.

    Args:
      genres: A tuple of genres for each item; anything else is no genre.
      min_items: Items that make a combination stand by itself.
    """
    combinations = [frozenset(value) if isinstance(value, tuple) else None for value in genres]
    counted = Counter(combination for combination in combinations if combination)
    standing = [combination for combination, count in counted.items() if count >= min_items]
    standing.sort(key=lambda c: (-len(c), counted[c], sorted(c)))
    name_of: dict[frozenset | None, str | None] = {None: None}
    for combination in counted:
        found = next((c for c in standing if c <= combination), None)
        if combination in standing:
            found = combination
        name_of[combination] = "|".join(sorted(found)) if found else None
    return [name_of.get(combination) for combination in combinations]


def _vocabulary(
    column: pd.Series, embeddings: EmbeddingTable | None, more: pd.Series | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sorted raw ids (int64 or object of str), int32 row of each value, -1 without embedding."""
    if embeddings is not None:
        codes, ids = pd.factorize(column)
        return embeddings.ids, rows_of(np.asarray(ids), embeddings.ids)[codes].astype(np.int32)
    together = column if more is None else pd.concat([column, more])
    codes, ids = pd.factorize(together, sort=True)
    ids = np.asarray(ids)
    ids = ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(object)
    return ids, codes[: len(column)].astype(np.int32)


def _behind(
    earlier: np.ndarray, ids: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ids and rows with the ids of an earlier state in front."""
    together = earlier_first(earlier, ids)
    ids = as_text(ids) if is_text(together) else ids
    return together, rows_of(ids, together)[rows].astype(np.int32)


def _pool(
    pool: pd.DataFrame | None, names: Sequence[str], item_ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(scenario, item row) of the pool, int32 [C] each, sorted; unknown ones are left out."""
    if pool is None:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    scenario = rows_of(pool["scenario"].astype(str).to_numpy(object), np.array(names, object))
    item = rows_of(pool["item"].to_numpy(), item_ids)
    known = (scenario >= 0) & (item >= 0)
    keys = np.unique(scenario[known].astype(np.int64) * len(item_ids) + item[known])
    first, second = np.divmod(keys, len(item_ids))
    return first.astype(np.int32), second.astype(np.int32)


def _matrix(embeddings: EmbeddingTable | None) -> np.ndarray | None:
    return None if embeddings is None else embeddings.matrix
