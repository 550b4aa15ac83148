"""How files of tables are called."""

from pathlib import Path

TABLE_SUFFIXES = (".csv", ".parquet", ".pq", ".tsv")
PACKED_SUFFIXES = (".gz", ".zst")


def is_table_name(path: Path) -> bool:
    """Whether a file is called as tables are; case does not count."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in TABLE_SUFFIXES


def table_stem(path: Path) -> str:
    """The name of a table's file without its suffixes: `log` of log.csv.gz."""
    name = path.name
    for suffixes in (PACKED_SUFFIXES, TABLE_SUFFIXES):
        if Path(name).suffix.lower() in suffixes:
            name = Path(name).stem
    return name


def table_files(path: Path) -> list[Path]:
    """The files of a table: the file itself, or those of a folder that are called as tables are.

    Files whose names begin with `_` or `.` are none, as `_SUCCESS` beside the parts of a table.
    """
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.iterdir()
        if file.is_file() and is_table_name(file) and not file.name.startswith(("_", "."))
    )


def check_table(path: Path) -> None:
    """Refuses a path that is neither a folder nor a file that is called as tables are.

    Raises:
      FileNotFoundError: There is no such file.
      ValueError: It is called otherwise.
    """
    if not path.exists():
        raise FileNotFoundError(f"The table {path} is missing. Give an existing file.")
    if not path.is_dir() and not is_table_name(path):
        raise ValueError(
            f"A table must be one of {', '.join(TABLE_SUFFIXES)} files, packed as "
            f"{' or '.join(PACKED_SUFFIXES)} or not. Received: {path.name}."
        )
