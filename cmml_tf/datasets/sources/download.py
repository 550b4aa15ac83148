"""MovieLens from GroupLens: downloaded once, checked, resumed where it broke off."""

import http.client
import os
import re
import shutil
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from cmml_tf.datasets.layouts import GROUPLENS_ARCHIVES

BASE_URL = "https://files.grouplens.org/datasets/movielens"

_TIMEOUT_SECONDS = 30


def download_movielens(
    name: str,
    cache_dir: str | Path | None = None,
    base_url: str = BASE_URL,
    checksums: dict[str, str | None] | None = None,
) -> Path:
    """The folder of a GroupLens data set, downloaded unless the cache has it.

    A download that broke off goes on where it stopped when the function is called again.

    Args:
      name: One of `GROUPLENS_ARCHIVES`.
      cache_dir: Where archives and folders are kept; none: the user's cache folder.
      base_url: Where `NAME.zip` and `NAME.zip.md5` are.
      checksums: Name -> sha256 of the archive, or None to ask `NAME.zip.md5`; by default
        `GROUPLENS_ARCHIVES`.

    Raises:
      ModuleNotFoundError: `pooch` is not installed.
      ValueError: The name is unknown, or the archive does not have its checksum.
      ConnectionError: The archive cannot be reached; the message tells the manual steps.
    """
    known = GROUPLENS_ARCHIVES if checksums is None else checksums
    if name not in known:
        raise ValueError(
            f"`name` must be one of {', '.join(sorted(known))}. Received: name={name!r}."
        )
    try:
        import pooch
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Downloading needs the package pooch, which is not installed. Run "
            "pip install 'cmml_tf[demo]'."
        ) from None
    cache = Path(cache_dir) if cache_dir is not None else Path(pooch.os_cache("cmml_tf"))
    folder = cache / name
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    url = f"{base_url}/{name}.zip"
    part = cache / f"{name}.zip.part"
    try:
        expected = f"sha256:{known[name]}" if known[name] else f"md5:{_published_md5(url)}"
        archive = pooch.retrieve(
            url, known_hash=expected, fname=f"{name}.zip", path=cache, downloader=_Resuming(part)
        )
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise ConnectionError(
            f"{url} was not downloaded ({error}). Try again to go on where it stopped, or do it by "
            f"hand: get {url} on a machine with network, unpack it, copy the folder {name} here, "
            f"and give it with --data path/to/{name}."
        ) from error
    except ValueError as error:
        part.unlink(missing_ok=True)
        raise ValueError(
            f"{url} does not have the published checksum {expected}: the download is damaged or "
            "the file was changed. It was deleted; try again later."
        ) from error
    part.unlink(missing_ok=True)
    return _unpack(Path(archive), folder)


class _Resuming:
    """A pooch downloader that keeps what has arrived in a file of its own and asks for the rest."""

    def __init__(self, part: Path) -> None:
        self._part = part

    def __call__(self, url: str, output_file: Any, _pooch: Any, check_only: bool = False) -> None:
        have = self._part.stat().st_size if self._part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            response = urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS
            )
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise
            response = None  # everything had arrived
        if response is not None:
            with response:
                # A server that ignores the range sends the whole file again.
                goes_on = response.status == http.client.PARTIAL_CONTENT
                announced = response.headers.get("Content-Length")
                with self._part.open("ab" if goes_on else "wb") as file:
                    start = file.tell()
                    shutil.copyfileobj(response, file, 1 << 20)
                    arrived = file.tell() - start
            if announced is not None and arrived < int(announced):
                raise ConnectionError(
                    f"the connection ended after {arrived} of {announced} bytes were received"
                )
        if hasattr(output_file, "write"):
            with self._part.open("rb") as file:
                shutil.copyfileobj(file, output_file, 1 << 20)
        else:
            shutil.copyfile(self._part, output_file)


def _published_md5(url: str) -> str:
    with urllib.request.urlopen(f"{url}.md5", timeout=_TIMEOUT_SECONDS) as response:
        text = response.read(4096).decode("ascii", errors="replace")
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    if found is None:
        raise ConnectionError(f"{url}.md5 holds no checksum")
    return found[0].lower()


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpacks beside the final place and renames, so that the folder is whole or not there."""
    partial = folder.with_name(f"{folder.name}.unpacking-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(partial)  # keeps members inside the folder
        if not (partial / folder.name).is_dir():
            raise ValueError(
                f"The archive {archive} must hold a folder {folder.name}. Delete it and try again."
            )
        (partial / folder.name).replace(folder)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"The archive {archive} is no zip file ({error}). Delete it and try again."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
