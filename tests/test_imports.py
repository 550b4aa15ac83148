"""The architecture, read from the source: who imports whom, and how large a module may be."""

import ast
import functools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "cmml_tf"
MOST_LINES = 400

PLAIN_FILES = {"plain_arrays", "plain_yaml"}
DATA = {"config", "types", "datasets"}

# What each part may import beside itself; imports point one way.
MAY_IMPORT = {
    "installation": set(),
    "client": set(),
    "types": set(),
    "files": set(),
    "program": set(),
    "plain_arrays": set(),
    "plain_yaml": set(),
    "request_limits": set(),
    "compiled_size": set(),
    "hashed_ids": set(),
    "config": {"request_limits"},
    "datasets": {*PLAIN_FILES, "config", "files", "types"},
    "embeddings": {"config", "datasets", "types"},
    "content": {"files", "plain_arrays", "types"},
    "episodes": {*DATA, "files", "plain_arrays"},
    "metrics": set(),
    "monitoring": {"client"},
    "layers": {"types"},
    "models": {"config", "types", "layers"},
    "tasks": {"config"},
    "baselines": {*DATA, "layers", "models", "episodes"},
    "training": {*DATA, "files", "plain_yaml", "layers", "models", "embeddings"},
    "evaluation": {"types", "metrics", "models", "episodes"},
    "interop": {"plain_arrays", "config", "types", "models"},
    "interpretation": {"types", "layers", "models"},
    "serving": {
        *("content", "files", "types", "layers", "models", "request_limits", "hashed_ids"),
        "compiled_size",
    },
    "reports": {"evaluation", "files", "training"},
    "settings": {
        *(
            *DATA,
            "files",
            "plain_arrays",
            "hashed_ids",
            "program",
            "content",
            "models",
            "tasks",
            "embeddings",
            "episodes",
        ),
        *("baselines", "training", "evaluation", "serving", "reports", "compiled_size"),
    },
    "experiments": {
        *("config", "files", "program", "datasets", "episodes", "models", "training"),
        *("evaluation", "interpretation", "reports", "settings"),
    },
    "operation": {
        *("config", "types", "files", "program", "request_limits", "hashed_ids", "datasets"),
        *("episodes", "client"),
        *("evaluation", "serving", "settings"),
    },
    "api": {"config", "files", "datasets", "training", "settings", "experiments"},
    "commands": {
        *("config", "files", "plain_yaml", "request_limits", "hashed_ids", "program", "datasets"),
        *("embeddings", "training", "interop", "serving", "monitoring", "reports", "settings"),
        *("experiments", "operation", "compiled_size"),
    },
}
# What a plain installation leaves out may be asked for by each part but these.
for name in MAY_IMPORT.keys() - {"installation", "client", "types"}:
    MAY_IMPORT[name] = MAY_IMPORT[name] | {"installation"}
CLIENT = "cmml_tf.client"


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def imported(name):
    """Modules that a module imports, anywhere in its source, as full names."""
    path = SOURCES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    nodes = [*ast.walk(ast.parse(path.read_text()))]
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            members = {f"{base}.{alias.name}" for alias in node.names}
            members.discard("cmml_tf.__version__")
            submodules = members & SOURCES.keys()
            found |= submodules
            if len(submodules) < len(members):
                found.add(base)
    taken = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "cmml_tf"
    }
    # The package's version may be asked for by all; its other names load modules of any part.
    return found - {name} - ({"cmml_tf"} if taken == {"__version__"} else set())


def part(name):
    """`layers` of `cmml_tf.layers.encoders.gru`; empty for the package itself."""
    return [*name.split("."), ""][1]


def loaded_with(name):
    """Our modules that importing a module runs, with the packages they stand in."""
    seen, waiting = set(), [name]
    while waiting:
        current = waiting.pop()
        if current in seen or current not in SOURCES:
            continue
        seen.add(current)
        waiting += imported(current)
        waiting.append(current.rpartition(".")[0])
    return seen


def foreign(names):
    """Top-level names of what modules import from elsewhere."""
    return {target.split(".")[0] for name in names for target in imported(name)} - {"cmml_tf"}


def test_imports_point_one_way():
    (package, *names) = SOURCES
    assert package == "cmml_tf"
    assert {target for target in imported(package) if target.startswith("cmml_tf")} == {
        "cmml_tf.installation"
    }
    wrong = {}
    for name in names:
        ours = {part(target) for target in imported(name) if target.split(".")[0] == "cmml_tf"}
        assert part(name) in MAY_IMPORT, f"{name}: say in MAY_IMPORT what this part may import"
        if not ours <= MAY_IMPORT[part(name)] | {part(name)}:
            wrong[name] = ours - MAY_IMPORT[part(name)] - {part(name)}
    assert wrong == {}


def test_every_edge_of_the_table_exists():
    found = {
        (part(name), part(target))
        for name in SOURCES
        for target in imported(name)
        if target.split(".")[0] == "cmml_tf"
    }
    stated = {(above, below) for above, parts in MAY_IMPORT.items() for below in parts}
    assert sorted(edge for edge in stated - found if edge[1] != "installation") == []


def test_parts_are_layered():
    """The table itself has no way round in a circle."""
    remaining = {name: set(below) for name, below in MAY_IMPORT.items()}
    while remaining:
        lowest = {name for name, below in remaining.items() if not below & remaining.keys()}
        assert lowest, f"a circle among {sorted(remaining)}"
        remaining = {name: below for name, below in remaining.items() if name not in lowest}


def reached(name):
    """Our modules that a module imports, itself or through others."""
    found, waiting = set(), [*imported(name)]
    while waiting:
        current = waiting.pop()
        if current in SOURCES and current not in found:
            found.add(current)
            waiting += imported(current)
    return found


def test_no_module_imports_itself_through_others():
    assert [name for name in SOURCES if name in reached(name)] == []


def test_library_imports_neither_pipelines_nor_tests():
    others = {"pipelines", "tests", "reference", "pytest"}
    assert [name for name in SOURCES if foreign([name]) & others] == []


def test_data_layer_loads_no_tensorflow():
    heavy = {"tensorflow", "tf_keras", "keras", "tensorflow_recommenders"}
    data = [name for name in SOURCES if part(name) in {"config", "types", "datasets"}]
    assert data
    assert [name for name in data if foreign(loaded_with(name)) & heavy] == []


def test_options_and_paths_are_checked_before_libraries_are_loaded():
    libraries = foreign(loaded_with("cmml_tf.experiments.forms"))
    assert libraries - set(sys.stdlib_module_names) == {"numpy", "yaml"}


def test_client_needs_nothing_of_the_rest():
    clients = [name for name in SOURCES if name == CLIENT or name.startswith(f"{CLIENT}.")]
    assert clients
    for name in clients:
        loaded = loaded_with(name)
        others = {n for n in loaded if n != CLIENT and not n.startswith(f"{CLIENT}.")}
        assert others <= {"cmml_tf", "cmml_tf.installation"}
        assert foreign(loaded) <= {"google", "grpc", "numpy", *sys.stdlib_module_names}


def test_modules_are_of_a_size_to_read():
    lines = {name: len(path.read_text().splitlines()) for name, path in SOURCES.items()}
    assert {name: count for name, count in lines.items() if count >= MOST_LINES} == {}
    vague = {"utils", "util", "helpers", "misc"}
    assert [name for name, path in SOURCES.items() if path.stem in vague] == []
