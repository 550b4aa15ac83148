"""Writes the configuration files of a server into a model base path, each field commented.

cmml init-export export
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.files import make_folder, write_whole
from cmml_tf.program import Arguments

FILES = (
    *("models.config", "batching.config", "monitoring.config"),
    *("Dockerfile", ".dockerignore", "kubernetes.yaml", "nginx.conf"),
    *("nightly.sh", "nightly.yaml", "grafana.json"),
)
"""TensorFlow Serving's own, and what runs it; nothing is needed for one model alone."""


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("folder", type=Path, help="model base path; created if it is missing")
    folder = make_folder(parser.parse_args(argv).folder)
    source = shipped_folder()
    for name in FILES:
        file, content = folder / name, (source / name).read_text(encoding="utf-8")
        if file.exists() and file.read_text(encoding="utf-8") != content:
            print(f"Kept as it is: {file}")
            continue
        write_whole(file, content)
        if file.suffix == ".sh":  # whoever may read it may run it; a wheel does not say so
            mode = file.stat().st_mode
            file.chmod(mode | (mode & 0o444) >> 2)
        print(f"Written: {file}")
    return 0


def shipped_folder() -> Path:
    """Where the files come from: the installed package, or the checkout beside it.

    Raises:
      FileNotFoundError: Neither is there.
    """
    found = importlib.util.find_spec("cmml_tf.shipped")
    places = [] if found is None else [Path(one) for one in found.submodule_search_locations or ()]
    places.append(Path(__file__).resolve().parents[2] / "export")
    for place in places:
        if all((place / name).is_file() for name in FILES):
            return place
    raise FileNotFoundError(
        f"The configuration files ({', '.join(FILES)}) are in none of "
        f"{', '.join(map(str, places))}. Install cmml_tf anew."
    )
