"""Prints what a shell needs to complete `cmml`, its subcommands and their options.

cmml completion bash > ~/.local/share/bash-completion/completions/cmml
cmml completion zsh >> ~/.zshrc
"""

import dataclasses
from collections.abc import Iterator, Sequence

from cmml_tf.commands.main import COMMANDS
from cmml_tf.config.comparison import ComparisonConfig
from cmml_tf.config.preparation import GenerateConfig, HybridConfig, PrepareConfig
from cmml_tf.config.ranking import RankingRunConfig
from cmml_tf.config.rating import UserRunConfig
from cmml_tf.config.scenario_run import ScenarioRunConfig
from cmml_tf.program import Arguments

_CONFIGS = {
    "train scenario": (ScenarioRunConfig,),
    "train user": (UserRunConfig, RankingRunConfig),
    "compare": (ComparisonConfig,),
    "prepare": (PrepareConfig,),
    "generate": (GenerateConfig,),
    "hybrid": (HybridConfig,),
}
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"
_SCRIPT = """_cmml() {
  local line=" ${COMP_WORDS[*]:1:COMP_CWORD-1} " words
  case "$line" in
%s
    *) words="%s" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _cmml cmml
"""


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("shell", choices=("bash", "zsh"))
    shell = parser.parse_args(argv).shell
    print((_ZSH if shell == "zsh" else "") + script(), end="")
    return 0


def script() -> str:
    """The completion for bash; zsh reads it too."""
    cases = []
    for name in sorted(COMMANDS, key=len, reverse=True):
        options = ["--help"]
        if name in _CONFIGS:
            flags = {flag for kind in _CONFIGS[name] for flag in _flags(kind)}
            options += ["--help-all", *sorted(flags)]
        cases.append(f'    " {name} "*) words="{" ".join(options)}" ;;')
    groups = {first: [] for name in COMMANDS if " " in name for first in [name.split()[0]]}
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        if first in groups:
            groups[first].append(second)
    cases += [f'    " {first} ") words="{" ".join(words)}" ;;' for first, words in groups.items()]
    firsts = dict.fromkeys(name.split()[0] for name in COMMANDS)
    return _SCRIPT % ("\n".join(cases), " ".join(firsts))


def _flags(kind: type, before: str = "--") -> Iterator[str]:
    for field in dataclasses.fields(kind):
        name = before + field.name.replace("_", "-")
        default = (
            field.default_factory()
            if field.default_factory is not dataclasses.MISSING
            else field.default
        )
        if dataclasses.is_dataclass(default) and not isinstance(default, type):
            yield from _flags(type(default), f"{name}.")
        else:
            yield name
