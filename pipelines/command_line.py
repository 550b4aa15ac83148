"""What the commands share: options from preset, YAML file and flags; errors as one sentence."""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cmml_tf.installation import require_tensorflow

# Read when TensorFlow is loaded, which happens behind this import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Commands import this module first of all that a plain installation leaves out.
try:
    require_tensorflow("This command")
except ImportError as missing:
    print(f"error: {missing}", file=sys.stderr)
    sys.exit(2)

import tyro
import yaml

from cmml_tf.config import SCHEDULES, ScenarioRunConfig, override
from cmml_tf.models.presets import MODEL_PRESETS, model_preset, preset_key, preset_schedule
from cmml_tf.plain_yaml import load_plain_yaml

_QUICK = {
    "model": {"encoder_units": 32},
    "episode": {"tasks_per_step": 4},
    "training": {"steps_per_epoch": 25, "max_epochs": 3},
}


def scenario_config(argv: Sequence[str], description: str) -> ScenarioRunConfig | None:
    """Options, each winning over those before: preset, schedule, `--quick`, YAML file, flags.

    Returns:
      The configuration, or None after `--print-config` has printed it.

    Raises:
      ValueError: An option's value is not accepted, or the YAML file cannot be read.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config")
    early.add_argument("--print-config", action="store_true")
    early.add_argument("--preset")
    early.add_argument("--schedule")
    early.add_argument("--quick", action="store_true")
    known, rest = early.parse_known_args(spelled_out(argv))
    from_file = {} if known.config is None else read_options(Path(known.config), ScenarioRunConfig)

    preset = known.preset or from_file.get("preset", ScenarioRunConfig.preset)
    base = ScenarioRunConfig(
        preset=preset_key(preset),
        model=model_preset(preset),
        schedule=known.schedule or from_file.get("schedule", preset_schedule(preset)),
    )
    schedule = SCHEDULES[base.schedule]
    base = dataclasses.replace(
        base,
        training=schedule.training,
        episode=schedule.episode(base.episode),
        split=schedule.split(base.split),
    )
    quick = known.quick or from_file.get("quick", False)
    if quick:
        base = override(base, {**_without_encoder_size(base), "quick": True})
    settled = {"preset": base.preset, "schedule": base.schedule, "quick": quick}
    base = override(base, {**from_file, **settled})
    help_text = (
        f"{description}\n\nPresets: {', '.join(MODEL_PRESETS)}.\n"
        "--config FILE reads options from a YAML file; flags win over it. --print-config prints "
        "the resolved options as such a file and ends."
    )
    config = tyro.cli(
        ScenarioRunConfig,
        default=base,
        args=rest,
        prog=Path(sys.argv[0]).name,
        description=help_text,
    )
    if known.print_config:
        print(yaml.safe_dump(plain_options(config), sort_keys=False), end="")
        return None
    return config


def spelled_out(argv: Sequence[str]) -> list[str]:
    """The arguments with `--columns` as the option that it is short for, `--read.columns`."""
    short, option = "--columns", "--read.columns"
    return [
        option + argument.removeprefix(short)
        if argument == short or argument.startswith(f"{short}=")
        else argument
        for argument in argv
    ]


def run(command: Callable[[Sequence[str]], int]) -> None:
    """Runs a command; what went wrong for a stated reason is one sentence and exit status 2."""
    try:
        status = command(sys.argv[1:])
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        status = 2
    sys.exit(status)


def _without_encoder_size(base: ScenarioRunConfig) -> dict[str, Any]:
    changes = dict(_QUICK)
    if base.model.encoder == "none":
        del changes["model"]
    return changes


def read_options(path: Path, kind: type) -> dict[str, Any]:
    """The options of a YAML file, as far as it has any of the configuration `kind`.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is no YAML file of options, or a value is of another type than its option.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no options file {path}. --print-config writes one that --config reads."
        )
    content = load_plain_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold options by name, as --print-config writes them.")
    _check_types(path, kind, content)
    return content


def _check_types(path: Path, config: type, content: dict[str, Any]) -> None:
    """A file's values are of their options' types; unknown names are refused later."""
    hints = get_type_hints(config)
    for name, value in content.items():
        kind = hints.get(name, Any)
        if dataclasses.is_dataclass(kind) and isinstance(value, dict):
            _check_types(path, kind, value)
        elif not _is_of_type(value, kind):
            raise ValueError(
                f"`{name}` in {path} must be {_spelled(kind)}. Received: {name}={value!r}."
            )


def _spelled(kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        return "options by name"
    plain = isinstance(kind, type)
    return f"of type {kind.__name__ if plain else str(kind).removeprefix('typing.')}"


def _is_of_type(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) is UnionType:
        return any(_is_of_type(value, option) for option in get_args(kind))
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        return isinstance(value, list) and all(_is_of_type(part, item) for part in value)
    if get_origin(kind) is Literal:
        return isinstance(value, str)  # which one, the configuration checks
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def plain_options(config: Any) -> Any:
    """A configuration as YAML holds it."""
    if dataclasses.is_dataclass(config):
        return {f.name: plain_options(getattr(config, f.name)) for f in dataclasses.fields(config)}
    return list(config) if isinstance(config, tuple) else config
