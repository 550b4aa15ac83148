"""Options of the user setting's command: preset, `--quick`, YAML file and flags."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro
import yaml
from command_line import plain_options, read_options, spelled_out

from cmml_tf.config import override
from cmml_tf.models.rating_presets import RATING_PRESETS, rating_preset_key
from cmml_tf.user_config import RatingDataConfig, UserRunConfig

_QUICK = {"training": {"steps_per_epoch": 20, "max_epochs": 2}}


def user_config(argv: Sequence[str], description: str) -> UserRunConfig | None:
    """Options, each winning over those before: preset, `--quick`, YAML file, flags.

    Returns:
      The configuration, or None after `--print-config` has printed it.

    Raises:
      ValueError: An option's value is not accepted, or the YAML file cannot be read.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config")
    early.add_argument("--print-config", action="store_true")
    early.add_argument("--preset")
    early.add_argument("--quick", action="store_true")
    known, rest = early.parse_known_args(spelled_out(argv))
    from_file = {}
    if known.config is not None:
        from_file = read_options(Path(known.config), UserRunConfig)
    key = rating_preset_key(known.preset or from_file.get("preset", UserRunConfig.preset))
    preset = RATING_PRESETS[key]
    quick = known.quick or from_file.get("quick", False)
    base = UserRunConfig(
        preset=key,
        tasks=RatingDataConfig(validation_fraction=preset.validation_fraction),
        model=preset.model,
        episode=preset.episode,
        training=preset.training,
    )
    if quick:
        base = override(base, _QUICK)
    base = override(base, {**from_file, "preset": key, "quick": quick})
    help_text = (
        f"{description}\n\nPresets: {', '.join(RATING_PRESETS)}.\n"
        "--config FILE reads options from a YAML file; flags win over it. --print-config prints "
        "the resolved options as such a file and ends."
    )
    config = tyro.cli(
        UserRunConfig,
        default=base,
        args=rest,
        prog=Path(sys.argv[0]).name,
        description=help_text,
    )
    if known.print_config:
        print(yaml.safe_dump(plain_options(config), sort_keys=False), end="")
        return None
    return config
