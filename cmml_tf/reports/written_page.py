"""Where a report's files go."""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.files import make_folder, write_whole
from cmml_tf.reports.pictures import Picture

REPORT, FIGURES = "report.html", "figures"


def write_page(folder: Path, text: str, pictures: Sequence[Picture]) -> Path:
    """Writes a page and its pictures into a folder, and returns the page's path.

    Raises:
      OSError: They cannot be written.
    """
    for picture in pictures:
        write_whole(make_folder(folder / FIGURES) / f"{picture.name}.svg", picture.svg)
    write_whole(folder / REPORT, text)
    return folder / REPORT
