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
from cmml_tf.datasets.preparation import interaction_stages
from cmml_tf.datasets.preparation.beam_runner import BeamRunner
from cmml_tf.datasets.preparation.embedding_tables import prepare_embeddings, read_embedding_files
from cmml_tf.datasets.preparation.id_kinds import settle_kinds
from cmml_tf.datasets.preparation.interaction_stages import (
    BELOW,
    DISTINCT,
    FOUND,
    READ,
    UNKNOWN,
    UNTIMED,
)
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
    ROLE_CODES,
    claims_of,
    remainder_part,
    role_shard,
)
from cmml_tf.datasets.preparation.vocabulary import settle_vocabulary
from cmml_tf.datasets.preparation.work_folder import WorkFolder
from cmml_tf.datasets.reading.ids import as_text
from cmml_tf.datasets.tasks.protocols import LogTimes, iso_time, settle_protocol, times_of
from cmml_tf.datasets.tasks.scenario_parts import Claims
from cmml_tf.datasets.tasks.scenario_roles import (
    ORDER_OF_ROLES,
    check_left,
    choose_evaluation_users,
    choose_roles,
)
from cmml_tf.datasets.tasks.scenarios import has_times, none_left_message
from cmml_tf.datasets.tasks.splits import split_counts

# What merging a part or a shard takes for each interaction, with room to spare.
_BYTES_OF_AN_INTERACTION = 200
_NO_ROWS = "{} has no interactions. Give a file with at least one row."
_FREE_TO_CHANGE = ("out", "runner", "beam_options")
"""These change nothing in what is computed, so an unfinished preparation goes on with others."""


def prepare_folder(
    config: PrepareConfig,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Reads, filters and splits the logs of a source, and writes the prepared folder.

    Unfinished work is in `OUT.partial`, beside the folder, and is gone on with when the same is
    asked for again. The folder itself appears in one rename, complete.

    Args:
      config: What, how, and where to.
      progress: Told of every task.

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
    times = times_of(config.split)
    source = open_raw_source(config.data, config.scenario, config.read, times)
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
    prepared, found = _scenarios(prepared, runner)
    counts |= found
    counts |= _split(prepared, runner)
    files = {name: work.result_record(name) for name in _write_result(prepared, progress)}
    moment = None if prepared.protocol.moment is None else iso_time(prepared.protocol.moment)
    protocol = {**asdict(prepared.protocol), "moment": moment}
    manifest = prepared_manifest(source.name, settled, counts, files, protocol)
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


def _scenarios(
    prepared: Preparation, runner: LocalRunner | BeamRunner
) -> tuple[Preparation, dict[str, int]]:
    """Finds and filters the scenarios, and settles protocol, roles and evaluation users."""
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
    kept, starts = _kept_scenarios(prepared)
    if not len(kept):
        raise ValueError(none_left_message(prepared.source.name, prepared.scenario, counts))
    name, split = prepared.source.name, config.split
    protocol = settle_protocol(name, split, _log_times(prepared, starts))
    names = as_text(work.load_one(NAMES, 0, "names"))
    roles = choose_roles(name, names[kept], split, config.seed, protocol, starts)
    vocabulary = work.load(VOCABULARY, 0)
    is_evaluation = choose_evaluation_users(
        vocabulary["user_ids"], split, config.seed, protocol.name
    )
    role = np.full(len(names), -1, np.int8)
    for code, chosen in roles.items():
        role[kept[chosen]] = ROLE_CODES[code]
    work.save(
        ROLES,
        0,
        {
            "names": names,
            "role": role,
            "is_evaluation": is_evaluation,
            "items": np.array(len(vocabulary["item_ids"]), np.int64),
        },
        {},
    )
    return replace(prepared, protocol=protocol), {FOUND: counts.pop(FOUND), **counts}


def _kept_scenarios(prepared: Preparation) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers of the scenarios that pass the filters, sorted, and when each begins."""
    work, shards = prepared.folder, range(prepared.shards)
    kept = np.concatenate([work.load_one(SCENARIOS, shard, "scenario") for shard in shards])
    order = np.argsort(kept)
    if not prepared.source.has_times:
        return kept[order], None
    begins = np.concatenate([work.load_one(SCENARIOS, shard, "begin") for shard in shards])
    return kept[order], begins[order]


def _log_times(prepared: Preparation, starts: np.ndarray | None) -> LogTimes | None:
    """When the pairs were taken; None where there are no times, or all are the same."""
    if starts is None:
        return None
    work, parts = prepared.folder, range(prepared.parts)

    def of_pairs() -> np.ndarray:
        return np.concatenate([work.load_one(PAIRS, part, "time") for part in parts])

    untimed = sum(work.counts(PAIRS, part)[UNTIMED] for part in parts)
    return LogTimes(untimed, of_pairs, starts) if has_times(of_pairs()) else None


def _split(prepared: Preparation, runner: LocalRunner | BeamRunner) -> dict[str, int]:
    """Hands out the pairs, role after role."""
    work, name, shards = prepared.folder, prepared.source.name, range(prepared.shards)
    roles = work.load(ROLES, 0)
    counts: dict[str, Counter[str]] = {}
    kept = {}
    for before, role in enumerate(ORDER_OF_ROLES):
        stage = Stage(role, prepared.shards, partial(role_shard, prepared, role, before))
        runner.run(stage, work)
        counts[role] = sum((Counter(work.counts(role, shard)) for shard in shards), Counter())
        kept[role] = sum(len(work.load_one(role, shard, "number")) for shard in shards)
        found = int((roles["role"] == ROLE_CODES[role]).sum())
        check_left(name, role, kept[role], found, prepared.protocol.name)
        claims = [claims_of(prepared, before)]
        for shard in shards:
            arrays = {one: work.load_one(role, shard, one) for one in Claims._fields}
            claims.append(Claims(**arrays))
        work.save(CLAIMS, before, Claims.together(claims)._asdict(), {})
    stage = Stage(REMAINDER, prepared.parts, partial(remainder_part, prepared))
    runner.run(stage, work)
    rest = sum((Counter(work.counts(REMAINDER, p)) for p in range(prepared.parts)), Counter())
    return split_counts(prepared.protocol, roles["is_evaluation"], kept, counts, rest)


def _write_result(prepared: Preparation, progress: Callable[[str], None]) -> list[str]:
    """The files of the prepared folder, by name."""
    work, shards, parts = prepared.folder, prepared.shards, prepared.parts
    files: dict[str, Callable[[Path], None]] = {}
    evaluation = {"user": {"evaluation": work.load_one(ROLES, 0, "is_evaluation")}, "item": {}}
    for kind, columns in evaluation.items():
        ids = work.load_one(VOCABULARY, 0, f"{kind}_ids")
        files[f"{kind}_ids.parquet"] = partial(write_ids, ids=ids, **columns)
    scenario_names = work.load_one(ROLES, 0, "names")
    for role in ORDER_OF_ROLES:
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
