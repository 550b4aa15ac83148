"""Every command line of README and docs is accepted by its command, and run, or said why not."""

import ast
import importlib
import re
import shlex
import sys
from pathlib import Path

import page_commands
import pytest
import tyro

from cmml_tf.commands.main import COMMANDS, load
from cmml_tf.program import Arguments
from cmml_tf.serving.server.flags import parse_flags

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4,}\S.*\n?)+", re.MULTILINE)
PROGRAMS = "cmml|curl|docker|jupyter|kill|kubectl|mkdocs|pip|printf|pytest|python|ruff|sh"
LINE = re.compile(rf"(?:TF_CONFIG=|(?:{PROGRAMS}|tensorflow_model_server) )\S.*")


def command_lines(page):
    """What readers are to type: lines of a page's blocks, joined where continued, no comments."""
    text = page.read_text()
    blocks = [block for kind, block in FENCED.findall(text) if kind != "python"]
    blocks += INDENTED.findall(FENCED.sub("", text))
    lines = [line for block in blocks for line in re.sub(r"\\\n *", "", block).splitlines()]
    lines = [re.sub(r"\s+# .*", "", line.strip()) for line in lines]
    return [" ".join(line.split()) for line in lines if LINE.match(line)]


LINES = list(dict.fromkeys(line for page in PAGES for line in command_lines(page)))
OWN = re.compile(r"(?:^|&& |' )(cmml (?!--|COMMAND)\S.*|python pipelines/\S+ \S.*)")


class ParsedError(Exception):
    """The arguments are known to be right; what would come now is the work."""


@pytest.fixture
def only_parsed(monkeypatch):
    """Commands end behind their parser."""

    def ending(parse):
        def parse_and_end(*arguments, **options):
            parse(*arguments, **options)
            raise ParsedError

        return parse_and_end

    monkeypatch.setattr(Arguments, "parse_args", ending(Arguments.parse_args))
    monkeypatch.setattr(tyro, "cli", ending(tyro.cli))


def command_of(words):
    """(Function, arguments) of a command line of ours."""
    if words[0] == "python":
        script = Path(words[1])
        return importlib.import_module(script.stem).main, words[2:]
    name = next(name for name in (" ".join(words[1:3]), words[1]) if name in COMMANDS)
    return load(name), words[1 + len(name.split()) :]


@pytest.mark.parametrize("line", [found[1] for line in LINES if (found := OWN.search(line))])
def test_options_of_a_line_are_those_of_its_command(line, only_parsed, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "pipelines"))
    words = [word for word in shlex.split(line) if word != "&"]
    monkeypatch.setattr(sys, "argv", words)
    if words[1] == "serve":
        assert parse_flags(words[2:]).model_base_path
        return
    if words[1] == "adaptation":
        # It parses a part, and leaves the rest to the training that it begins.
        words = [*words, "--help"]
        with pytest.raises(SystemExit):
            load("adaptation")(words[2:])
        return
    command, arguments = command_of(words)
    with pytest.raises(ParsedError):
        command(arguments)


def test_every_line_is_run_by_a_test_or_named_with_the_reason():
    assert len(LINES) > 30
    begins = (*page_commands.RUN_BY, *page_commands.NOT_RUN)
    assert [line for line in LINES if not line.startswith(begins)] == []
    assert [begin for begin in begins if not any(line.startswith(begin) for line in LINES)] == []
    assert not set(page_commands.RUN_BY) & set(page_commands.NOT_RUN)


@pytest.mark.parametrize("named", sorted(set(page_commands.RUN_BY.values())))
def test_the_tests_that_run_them_exist(named):
    file, name = named.split("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
