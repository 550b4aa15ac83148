"""The command `cmml`: finds a subcommand, which loads what it needs; errors are one sentence."""

import importlib
import sys
from collections.abc import Callable, Sequence

from cmml_tf.program import run

COMMANDS: dict[str, tuple[str, str]] = {
    "train scenario": ("train_scenario", "train for unseen scenarios, evaluate, export"),
    "train user": ("train_user", "train for new users' ratings, evaluate, export"),
    "promote": ("operation.promote", "serve a candidate, if a new log does not speak against it"),
    "rollback": ("operation.rollback", "go back to the version before the served one"),
    "evaluate": ("evaluate", "evaluate a finished run again, or an export on a log"),
    "export": ("export", "export the model of a finished run, without training"),
    "report": ("report", "write the report of a finished run or comparison again"),
    "compare": ("experiments.compare", "compare systems on the same evaluation tasks"),
    "presets": ("presets", "the models to choose between, and when to take which"),
    "prepare": ("data.prepare", "make a large log ready for training"),
    "generate": ("data.generate", "write a data set of a published layout and any size"),
    "hybrid": ("data.hybrid", "put two data sets side by side"),
    "serve": ("serve", "run TensorFlow Serving, or the development server"),
    "drift": ("operation.drift", "compare what was served with what an export was evaluated on"),
    "init-export": ("init_export", "write the server's configuration files into a folder"),
    "import-weights": ("import_weights", "serve a model of the reference implementation"),
    "reproduce": ("experiments.reproduce", "the paper's tables and figures"),
    "adaptation": ("experiments.adaptation", "experiments about adaptation"),
    "user-results": ("experiments.user_results", "put runs of the user setting side by side"),
    "completion": ("completion", "print what a shell needs to complete this command"),
}
"""Subcommand to its module in this package and what it does."""


def main() -> None:
    """Runs the subcommand that the command line names, and ends the process."""
    run(_named)


def _named(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return 0
    if words[0] == "--version":
        import cmml_tf

        print(cmml_tf.__version__)
        return 0
    name = next((n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS), None)
    if name is None:
        raise ValueError(
            f"There is no command `cmml {' '.join(words[:2])}`. Accepted: {', '.join(COMMANDS)}."
        )
    taken = len(name.split())
    sys.argv = [f"cmml {name}", *words[taken:]]
    return load(name)(words[taken:])


def load(name: str) -> Callable[[Sequence[str]], int]:
    """The function of a subcommand: its arguments to the exit status."""
    return importlib.import_module(f"cmml_tf.commands.{COMMANDS[name][0]}").main


def overview() -> str:
    """What `cmml --help` prints."""
    width = max(map(len, COMMANDS))
    lines = ["usage: cmml COMMAND [OPTIONS]; cmml COMMAND --help says more", ""]
    lines += [f"  {name:<{width}}  {about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(lines)
