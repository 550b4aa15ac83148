"""What the pages name exists: files, links, headings, modules, commands."""

import ast
import functools
import importlib
import re
from pathlib import Path

import pytest

import cmml_tf
from cmml_tf.commands.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
PAGES = [*(ROOT / name for name in NAMES), *sorted((ROOT / "docs").glob("*.md"))]
# What a page says of names that are gone.
HISTORY = ROOT / "CHANGELOG.md"
SITE = ROOT / "mkdocs.yml"

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^ {4,}\S.*\n?)+", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
NAMED_PATH = re.compile(r"(?<![\w./-])((?:cmml_tf|pipelines|tests|docs)/[\w./*-]*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?<![\w\"'/=.-])cmml\s+(?!\\)(\S+)(?:\s+(\S+))?")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code_of(page, python=True):
    """The code on a page: blocks, those of Python or not, then spans of what is left."""
    text = page.read_text()
    prose = INDENTED.sub("", FENCED.sub("", text))
    return [
        *(block for kind, block in FENCED.findall(text) if python or kind != "python"),
        *INDENTED.findall(FENCED.sub("", text)),
        *SPAN.findall(prose),
    ]


def python_blocks(page):
    return [block for kind, block in FENCED.findall(page.read_text()) if kind == "python"]


def headings(page):
    """The anchors of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@functools.cache
def resolves(name):
    """Whether a dotted name of the library is a module, or something that a module has."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[end:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=lambda p: p.name)
def test_paths_exist(page):
    named = {path.rstrip(".") for path in NAMED_PATH.findall(page.read_text())}
    assert sorted(path for path in named if not any(ROOT.glob(path.rstrip("/")))) == []


def test_paths_in_the_library_exist():
    """Docstrings and messages send readers to files, too."""
    wrong = []
    for source in sorted((ROOT / "cmml_tf").rglob("*.py")):
        for path in NAMED_PATH.findall(source.read_text()):
            path = path.rstrip(".")
            if path.endswith((".py", ".md")) and not any(ROOT.glob(path)):
                wrong.append(f"{source.relative_to(ROOT)}: {path}")
    assert wrong == []


@every_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not anchor or anchor in headings(file), link


@every_page
def test_commands_exist(page):
    for code in code_of(page, python=False):
        for first, second in COMMAND.findall(code):
            words = [word.strip("`,.;:)") for word in (first, second)]
            if words[0].startswith("-") or words[0] in ("COMMAND", "SUBCOMMAND", ""):
                continue
            assert words[0] in COMMANDS or " ".join(words) in COMMANDS, code


@pytest.mark.parametrize("page", [page for page in PAGES if page != HISTORY], ids=lambda p: p.name)
def test_names_of_the_library_exist(page):
    names = {
        name
        for code in code_of(page)
        for name in re.findall(r"(?<![\w./-])(cmml_tf(?:\.\w+)+)(?![\w/])", code)
        if not name.endswith(".__main__")
    }
    for block in python_blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("cmml_tf"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    assert sorted(name for name in names if not resolves(name)) == []


def test_classes_of_the_paper_exist():
    rows = (line.split("|") for line in (ROOT / "docs" / "paper.md").read_text().splitlines())
    cells = [row[2] for row in rows if len(row) > 3 and "---" not in row[2]]
    names = [name for cell in cells[1:] for name in SPAN.findall(cell)]
    assert len(names) > 20
    assert [name for name in names if not resolves(f"cmml_tf.{name}")] == []


def test_the_index_has_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


def test_the_site_has_every_page():
    listed = re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.(?:md|ipynb))$", SITE.read_text(), re.MULTILINE)
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.*")]
    assert {name for name in pages if name.endswith((".md", ".ipynb"))} <= set(listed)


def documented(module, name):
    """Whether a module defines a name and says what it is."""
    body = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text()).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if getattr(node, "name", None) == name:
            return ast.get_docstring(node) is not None
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if getattr(target, "id", None) == name:
                value = getattr(following, "value", None)
                return isinstance(getattr(value, "value", None), str)
    return False


def test_the_api_reference_has_every_public_name():
    """`__all__` of the library and of its packages, and what pages import."""
    hooks = ast.parse((ROOT / ".ci" / "site_pages.py").read_text()).body
    (reference,) = (
        node.value.values
        for node in hooks
        if isinstance(node, ast.Assign) and node.targets[0].id == "REFERENCE"
    )
    words = [
        word for page in reference for word in ast.walk(page) if isinstance(word, ast.Constant)
    ]
    shown = tuple(f"cmml_tf.{word.value}." for word in words)
    assert [name for name in shown if not resolves(name.rstrip("."))] == []
    public = {(module, name) for name, module in cmml_tf._PUBLIC.items()}
    for package in sorted((ROOT / "cmml_tf").rglob("__init__.py")):
        source = package.read_text()
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and "__all__" in source:
                public |= {(node.module, alias.name) for alias in node.names}
    for block in [block for page in PAGES for block in python_blocks(page)]:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("cmml_tf."):
                public |= {(node.module, alias.name) for alias in node.names}
    # What packages check before they are imported, and names said by the package and its module.
    public = {
        (module, name)
        for module, name in public
        if module.startswith("cmml_tf.")
        and module != "cmml_tf.installation"
        and not (ROOT / module.replace(".", "/")).is_dir()
    }
    assert len(public) > 50
    for module, name in sorted(public):
        assert f"{module}.{name}.".startswith(shown), f"{module}.{name}"
        assert documented(module, name), f"{module}.{name}"


TOLD = {
    "SECURITY.md": (
        "| the model base path (`--model_base_path`, `export/`) | **yes** |",
        "| server configuration (`models.config`, `batching.config`",
        "| requests to a server | no |",
        "| data files: tables, logs, `.npy`, `.npz`, pickles",
        "| weights of others (`cmml import-weights`) | no |",
        "## Reporting a vulnerability",
    ),
    "docs/serving.md": ("Whoever has the export has the list of user ids", "`--hash-user-ids="),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_readers_rely_on_for_their_safety_is_told(name):
    text = (ROOT / name).read_text()
    assert [part for part in TOLD[name] if part not in text] == []
