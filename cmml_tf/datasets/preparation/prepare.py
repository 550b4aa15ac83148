"""The preparation from beginning to end: stages, and between them what one process settles."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cmml_tf.config.preparation import PrepareConfig
from cmml_tf.datasets.preparation import interaction_stages, split_stages
from cmml_tf.datasets.preparation.beam_runner import BeamRunner
from cmml_tf.datasets.preparation.embedding_tables import prepare_embeddings, read_embedding_files
from cmml_tf.datasets.preparation.id_kinds import settle_kinds
from cmml_tf.datasets.preparation.interaction_stages import BELOW, DISTINCT, FOUND, READ, UNKNOWN
from cmml_tf.datasets.preparation.local_runner import LocalRunner
from cmml_tf.datasets.preparation.plan import (
    CLAIMS,
    NAMES,
    PAIRS,
    REMAINDER,
    ROLES,
    SCENARIOS,
    VOCABULARY,
    Preparation,
    Shuffle,
    Stage,
    blocks_of,
    check_malformed,
)
from cmml_tf.datasets.preparation.prepared_folder import (
    prepared_manifest,
    write_ids,
    write_pairs,
    write_role,
)
from cmml_tf.datasets.preparation.raw_source import RawSource, open_raw_source
from cmml_tf.datasets.preparation.split_stages import (
    BACKGROUND,
    BEYOND,
    DROPPED,
    META_TEST,
    META_TRAIN,
    ROLE_CODES,
    VALIDATION,
)
from cmml_tf.datasets.preparation.vocabulary import settle_vocabulary
from cmml_tf.datasets.preparation.work_folder import WorkFolder
from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.scenarios import none_left_message
from cmml_tf.datasets.tasks.splits import check_left, choose_evaluation_users, choose_roles

# What merging a part or a shard takes for each interaction, with room to spare.
_BYTES_OF_AN_INTERACTION = 200
_NO_ROWS = "{} has no interactions. Give a file with at least one row."
_FREE_TO_CHANGE = ("out", "runner", "beam_options")
"""These change nothing in what is computed, so an unfinished preparation goes on with others."""


def prepare_folder(
    config: PrepareConfig,
    progress: Callable[[str], None] = lambda _: None,
    cache_dir: str | Path | None = None,
) -> dict[str, Any]:
    """Reads, filters and splits the logs of a source, and writes the prepared folder.

    Unfinished work is in `OUT.partial`, beside the folder, and is gone on with when the same is
    asked for again. The folder itself appears in one rename, complete.

    Args:
      config: What, how, and where to.
      progress: Told of every task.
      cache_dir: Where downloads are kept; none: the user's cache folder.

    Returns:
      The manifest.

    Raises:
      ValueError: The folder exists, the data is damaged or too small, or the unfinished work there
        is another.
      FileNotFoundError: A file of the data set is missing.
      ModuleNotFoundError: The runner is not installed.
    """
    out = Path(config.out).absolute()
    if out.exists():
        raise ValueError(f"`out` must be a folder that does not exist. Received: out={config.out}.")
    runner = (
        LocalRunner(progress)
        if config.runner == "local"
        else BeamRunner(config.beam_options, progress)
    )
    source = open_raw_source(config.data, config.scenario, config.read, cache_dir)
    work = WorkFolder(out.with_name(f"{out.name}.partial"))
    settled = {name: v for name, v in asdict(config).items() if name not in _FREE_TO_CHANGE}
    stamps = {str(path): _stamp(path) for path in source.files()}
    # A limit that was raised, as the message about malformed lines says, changes nothing done.
    limits = {name: v for name, v in settled["read"].items() if name != "max_malformed"}
    work.claim({**settled, "read": limits, "files": stamps})
    source = _unpacked(source, work, progress)
    blocks = blocks_of(source.logs, config.read.block_bytes)
    if not blocks:
        raise ValueError(_NO_ROWS.format(source.name))
    rows = sum(log.rows_about() for log in source.logs)
    parts = max(1, math.ceil(rows * _BYTES_OF_AN_INTERACTION / (config.memory_mb * 2**20)))
    prepared = Preparation(
        config=config,
        source=source,
        work=work.path,
        blocks=blocks,
        parts=parts,
        shards=max(config.shards, parts),
    )
    counts: dict[str, int] = {}
    of_vectors = []
    if source.embeddings is not None:
        of_vectors = read_embedding_files(prepared, runner.run)
    prepared = settle_kinds(prepared, runner.run, of_vectors)
    if source.embeddings is not None:
        counts |= prepare_embeddings(prepared, runner.run, progress)
    counts = {**_pairs(prepared, runner), **counts}
    distinct = counts.pop(DISTINCT)
    counts |= {**settle_vocabulary(prepared), DISTINCT: distinct}
    counts |= _scenarios(prepared, runner)
    counts |= _split(prepared, runner)
    files = {name: work.result_record(name) for name in _write_result(prepared, progress)}
    manifest = prepared_manifest(source.name, settled, counts, files)
    work.publish(out, manifest)
    return manifest


def _unpacked(source: RawSource, work: WorkFolder, progress: Callable[[str], None]) -> RawSource:
    """The source with every packed log unpacked into the work folder, so that it can be divided."""
    logs = [*source.logs, *([] if source.pool is None else [source.pool])]
    logs += source.embeddings or ()
    for number, log in enumerate(logs):
        if log.is_packed:
            progress(f"unpacked: {log.path.name}")
            logs[number] = log.unpacked(work.unpacked(number, log.content))
    of_logs, rest = logs[: len(source.logs)], logs[len(source.logs) :]
    pool = None if source.pool is None else rest.pop(0)
    return replace(source, logs=tuple(of_logs), pool=pool, embeddings=tuple(rest) or None)


def _pairs(prepared: Preparation, runner: LocalRunner | BeamRunner) -> dict[str, int]:
    work, tasks = prepared.folder, len(prepared.blocks)
    stage = Shuffle(
        PAIRS,
        tasks,
        partial(interaction_stages.read_block, prepared),
        prepared.parts,
        partial(interaction_stages.merge_part, prepared),
    )
    runner.run(stage, work)
    of_blocks = [work.counts(stage.divided, task) for task in range(tasks)]
    malformed = check_malformed(prepared, prepared.source.logs, prepared.blocks, of_blocks)
    total = sum(map(Counter, of_blocks), Counter())
    if not total[READ]:
        raise ValueError(_NO_ROWS.format(prepared.source.name))
    of_parts = sum((Counter(work.counts(PAIRS, part)) for part in range(prepared.parts)), Counter())
    counts = {READ: total[READ], **prepared.source.counts}
    if malformed:
        counts["malformed lines, left out"] = malformed
    least = prepared.scenario.min_value
    if least is not None:
        counts[f"below min_value={least:g}, left out"] = total[BELOW]
        if total[BELOW] == total[READ]:
            raise ValueError(
                f"`min_value` must leave interactions. Received: min_value={least}, and no value "
                f"of {prepared.source.name} reaches it."
            )
    if of_parts[UNKNOWN]:
        counts[UNKNOWN] = of_parts[UNKNOWN]
    if not of_parts[DISTINCT]:
        raise ValueError(
            f"{prepared.source.name} has no interactions of users and items that are known. Give "
            "the embeddings of this data set, or a file with at least one row."
        )
    counts[interaction_stages.REPEATED] = of_parts[interaction_stages.REPEATED]
    return {**counts, DISTINCT: of_parts[DISTINCT]}


def _scenarios(prepared: Preparation, runner: LocalRunner | BeamRunner) -> dict[str, int]:
    """Finds and filters the scenarios, and settles their roles and the evaluation users."""
    work, config = prepared.folder, prepared.config
    stage = Shuffle(
        SCENARIOS,
        prepared.parts,
        partial(interaction_stages.place_part, prepared),
        prepared.shards,
        partial(interaction_stages.merge_shard, prepared),
    )
    runner.run(stage, work)
    counts: dict[str, int] = {}
    for shard in range(prepared.shards):
        for name, count in work.counts(SCENARIOS, shard).items():
            counts[name] = counts.get(name, 0) + count
    kept = np.sort(
        np.concatenate(
            [work.load_one(SCENARIOS, shard, "scenario") for shard in range(prepared.shards)]
        )
    )
    if not len(kept):
        raise ValueError(none_left_message(prepared.source.name, prepared.scenario, counts))
    rng = np.random.default_rng(config.seed)
    test, validation, train = choose_roles(prepared.source.name, len(kept), config.split, rng)
    vocabulary = work.load(VOCABULARY, 0)
    users = len(vocabulary["user_ids"])
    is_evaluation = choose_evaluation_users(users, config.split, rng)
    names = work.load_one(NAMES, 0, "names")
    role = np.full(len(names), -1, np.int8)
    for code, chosen in ((META_TEST, test), (VALIDATION, validation), (META_TRAIN, train)):
        role[kept[chosen]] = ROLE_CODES[code]
    work.save(
        ROLES,
        0,
        {
            "names": as_text(names),
            "role": role,
            "is_evaluation": is_evaluation,
            "items": np.array(len(vocabulary["item_ids"]), np.int64),
        },
        {},
    )
    return {FOUND: counts.pop(FOUND), **counts, "evaluation users": int(is_evaluation.sum())}


def _split(prepared: Preparation, runner: LocalRunner | BeamRunner) -> dict[str, int]:
    """Hands out the pairs: meta-test comes first, then validation, then meta-train."""
    work, name = prepared.folder, prepared.source.name
    role = work.load_one(ROLES, 0, "role")
    counts: dict[str, dict[str, int]] = {}
    claimed = unused = np.zeros(0, np.int64)
    for before, kind in enumerate((META_TEST, VALIDATION, META_TRAIN)):
        if kind == META_TRAIN:
            run = partial(split_stages.learn_shard, prepared, before)
        else:
            run = partial(split_stages.hold_out_shard, prepared, kind, before)
        runner.run(Stage(kind, prepared.shards, run), work)
        shards = range(prepared.shards)
        of_shards = [work.load(kind, shard) for shard in shards]
        counts[kind] = dict(sum((Counter(work.counts(kind, s)) for s in shards), Counter()))
        counts[kind]["scenarios"] = sum(len(arrays["number"]) for arrays in of_shards)
        label = "meta-training" if kind == META_TRAIN else kind.replace("_", "-")
        found = int((role == ROLE_CODES[kind]).sum())
        check_left(name, label, counts[kind]["scenarios"], found)
        claimed = np.unique(np.concatenate([claimed, *(a["claimed"] for a in of_shards)]))
        unused = np.unique(np.concatenate([unused, *(a["unused"] for a in of_shards)]))
        work.save(CLAIMS, before, {"claimed": claimed, "unused": unused}, {})
    stage = Stage(REMAINDER, prepared.parts, partial(split_stages.remainder_part, prepared))
    runner.run(stage, work)
    rest = sum((Counter(work.counts(REMAINDER, p)) for p in range(prepared.parts)), Counter())
    held_out = {
        f"{label} {kind} pairs": counts[role_name].get(f"{kind} pairs", 0)
        for label, role_name in (("validation", VALIDATION), ("meta-test", META_TEST))
        for kind in ("support", "evaluation")
    }
    return {
        "scenarios without support, evaluation or training pairs, dropped": sum(
            of_role.get(DROPPED, 0) for of_role in counts.values()
        ),
        "meta-train scenarios": counts[META_TRAIN]["scenarios"],
        "validation scenarios": counts[VALIDATION]["scenarios"],
        "meta-test scenarios": counts[META_TEST]["scenarios"],
        BACKGROUND: rest[BACKGROUND],
        "meta-train pairs": counts[META_TRAIN].get(split_stages.LEARNT, 0),
        **held_out,
        "support pairs beyond max_support_pairs, unused": rest[BEYOND],
    }


def _write_result(prepared: Preparation, progress: Callable[[str], None]) -> list[str]:
    """The files of the prepared folder, by name."""
    work, shards, parts = prepared.folder, prepared.shards, prepared.parts
    files: dict[str, Callable[[Path], None]] = {}
    for kind in ("user", "item"):
        ids = work.load_one(VOCABULARY, 0, f"{kind}_ids")
        files[f"{kind}_ids.parquet"] = partial(write_ids, ids=ids)
    scenario_names = work.load_one(ROLES, 0, "names")
    for role in (META_TRAIN, VALIDATION, META_TEST):
        for shard in range(shards):
            name = f"{role}-{shard:05d}-of-{shards:05d}.parquet"
            files[name] = partial(_write_shard, work, role, shard, scenario_names)
    for kind in ("background", "history"):
        for part in range(parts):
            name = f"{kind}-{part:05d}-of-{parts:05d}.parquet"
            files[name] = partial(_write_part, work, kind, part)
    for place, (name, write) in enumerate(files.items(), start=1):
        state = "" if work.result_file(name, write) else ", kept from before"
        progress(f"result: {place} of {len(files)}{state}")
    if prepared.source.embeddings is None:
        return list(files)
    return [*files, "user_embeddings.npy", "item_embeddings.npy"]


def _write_shard(work: WorkFolder, role: str, shard: int, names: np.ndarray, path: Path) -> None:
    arrays = work.load(role, shard)
    write_role(path, role, arrays, names[arrays["number"]])


def _write_part(work: WorkFolder, kind: str, part: int, path: Path) -> None:
    pairs = (work.load_one(REMAINDER, part, f"{kind}_{side}") for side in ("user", "item"))
    write_pairs(path, *pairs)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
