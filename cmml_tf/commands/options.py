"""Options of a command: from preset, schedule, YAML file and flags, each winning over those."""

import contextlib
import dataclasses
import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cmml_tf.installation import require_tensorflow

# Commands import this module first of all that a plain installation leaves out.
try:
    require_tensorflow("This command")
except ImportError as missing:
    print(f"error: {missing}", file=sys.stderr)
    sys.exit(2)

import tyro
import yaml

from cmml_tf.commands.former_options import is_former, without_idle
from cmml_tf.commands.short_help import short_help
from cmml_tf.config import override
from cmml_tf.config.checks import shown
from cmml_tf.plain_yaml import load_plain_yaml
from cmml_tf.program import Arguments
from cmml_tf.settings.form import RunOptions

# `float | None`, and the same with an annotated type.
_UNIONS = (UnionType, Union)


def run_config(argv: Sequence[str], description: str, options: RunOptions) -> Any | None:
    """Options, each winning over those before: preset, schedule, `--quick`, YAML file, flags.

    Args:
      argv: The command line.
      description: Of the command.
      options: Of the setting.

    Returns:
      The configuration, or None after help or `--print-config` has been printed.

    Raises:
      ValueError: An option's value is not accepted, or the YAML file cannot be read.
    """
    early = Arguments(add_help=False)
    early.add_argument("--config")
    early.add_argument("--print-config", action="store_true")
    early.add_argument("--preset")
    early.add_argument("--schedule")
    early.add_argument("--quick", action="store_true")
    early.add_argument("-h", "--help", action="store_true")
    known, rest = early.parse_known_args(spelled_out(argv))
    from_file = {} if known.config is None else read_options(Path(known.config), options.config)
    base = options.base(
        known.preset or from_file.get("preset"), known.schedule or from_file.get("schedule")
    )
    quick = known.quick or from_file.get("quick", False)
    if quick:
        base = override(base, {**options.quick(base), "quick": True})
    settled = {"preset": base.preset, "schedule": base.schedule, "quick": quick}
    base = override(base, {**from_file, **settled})
    help_text = (
        f"{description}\n"
        "--config FILE reads options from a YAML file; flags win over it. --print-config prints\n"
        "the resolved options as such a file and ends. --help-all lists every option."
    )
    if known.help:
        print(short_help(help_text, program(), base, options.common))
        return None
    every = f"{help_text}\n\nPresets: {', '.join(options.presets)}."
    config = parse(options.config, rest, every, base)
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


def parse(kind: type, argv: Sequence[str], description: str, default: Any = None) -> Any:
    """The configuration of class `kind` that flags give, or the help that they ask for, and an end.

    Args:
      kind: A dataclass.
      argv: The command line.
      description: Of the command.
      default: Values where no flag is given; None: the class's own.

    Raises:
      ValueError: There is no such option, or it does not take the value.
    """
    given = {} if default is None else {"default": default}
    texts = {"prog": program(), "description": description}
    if "--help-all" in argv:
        tyro.cli(kind, **given, **texts, args=["--help"])
    if not {"-h", "--help"}.isdisjoint(argv):
        base = kind if default is None else default
        own = [f.name for f in dataclasses.fields(kind) if not dataclasses.is_dataclass(f.type)]
        text = f"{description.rstrip()}\n\n--help-all lists every option."
        print(short_help(text, program(), base, own))
        sys.exit(0)
    # What is drawn depends on the standard output: its encoding, and whether it is a terminal.
    box = io.TextIOWrapper(io.BytesIO(), "utf-8")
    try:
        with contextlib.redirect_stdout(box), contextlib.redirect_stderr(box):
            return tyro.cli(kind, **given, **texts, args=spelled_out(argv))
    except SystemExit as end:
        box.seek(0)
        if not end.code:  # tyro's own completion
            print(box.read(), end="")
            raise
        raise ValueError(_sentence(box.read())) from None


def _sentence(box: str) -> str:
    """What a box of tyro says, with the names of the options that it thinks were meant."""
    rows = [row.strip("│ ") for row in box.splitlines() if row[:1] not in ("╭", "╰")]
    said, *more = re.split(r"^─+$", "\n".join(rows), flags=re.MULTILINE)
    if said.startswith("Missing from"):
        said = f"Required: {', '.join(_flags(said))}"
    said = " ".join(said.split()).removeprefix("Error parsing ").rstrip(".")
    # A configuration's own sentence names its option.
    said = re.sub(r"^[^`\s]+: `", "`", said)
    meant = _flags(more[0]) if more and "Perhaps you meant" in more[0] else []
    hint = f"Perhaps you meant {', '.join(meant)}. " if meant else ""
    return f"{said}. {hint}--help-all lists every option."


def _flags(rows: str) -> list[str]:
    """The options that rows begin with."""
    return re.findall(r"^--[\w.-]+", rows, re.MULTILINE)


def program() -> str:
    """The command as it is called."""
    return Path(sys.argv[0]).name


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
    if not is_former(content):
        return content
    content, dropped = without_idle(kind, content)
    if dropped:
        print(
            f"warning: {path} is of an earlier version; left out, since the model reads nothing of "
            f"it: {', '.join(dropped)}. --print-config writes the file anew.",
            file=sys.stderr,
        )
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
                f"`{name}` in {path} must be {_spelled(kind)}. Received: {name}={shown(value)}."
            )


def _spelled(kind: Any) -> str:
    if dataclasses.is_dataclass(kind):
        return "options by name"
    return f"of type {_type_name(kind)}"


def _type_name(kind: Any) -> str:
    if get_origin(kind) in _UNIONS:
        return " | ".join(map(_type_name, get_args(kind)))
    if isinstance(kind, type):
        return "None" if kind is NoneType else kind.__name__
    return str(kind).removeprefix("typing.")


def _is_of_type(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) in _UNIONS:
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
