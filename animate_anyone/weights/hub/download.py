"""Published weight sets from their hub repositories.

A file counts only when its size and sha256 are those of its record in `weights/sets/`; until then
it stays in a hidden folder, from where an interrupted download goes on.
"""

import hashlib
import inspect
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import DownloadError
from ...protocols import Progress
from ..sets.record import HubFile
from ..sets.table import get_set, published

logger = logging.getLogger(__name__)

PARTIAL = ".partial"


def download(
    name: str,  # of a weight set
    folder: Path,
    progress: Progress | None = None,  # of the file being fetched, in bytes; None: on the terminal
) -> list[Path]:
    """Fetch every file of a weight set into `folder` and return where they are.

    Files that are there already and right are not fetched again. Raises DownloadError, which says
    where to put a file by hand.
    """
    chosen = get_set(name)
    if not chosen.files:
        reason = {
            "pack": "its weights are part of this package",
            "own": "nobody published weights of it",
            "hub": "none of its files is known",
        }[chosen.source]
        raise DownloadError(
            f"weight set got {name!r}, which cannot be downloaded: {reason}. Published sets are "
            f"{', '.join(published())}."
        )
    logger.info("%s; licence: %s", chosen.title, chosen.licence)
    return fetch_all(chosen.files, Path(folder), progress)


def fetch_all(
    files: Sequence[HubFile],
    folder: Path,
    progress: Progress | None = None,  # of the file being fetched, in bytes; None: on the terminal
) -> list[Path]:
    """Return the paths of these files in `folder`, fetched and checked."""
    paths = [fetch(file, folder, progress=progress) for file in files]
    clear_partial(files, folder)
    return paths


def clear_partial(files: Sequence[HubFile], folder: Path) -> None:
    """Remove what fetching these files left beside them; other sets may be half fetched there."""
    for file in files:
        remains = folder / PARTIAL / file.repository
        shutil.rmtree(remains, ignore_errors=True)
        for parent in (remains.parent, folder / PARTIAL):
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def fetch(
    file: HubFile,
    folder: Path,
    get: Callable[..., str] | None = None,  # huggingface_hub.hf_hub_download
    progress: Progress | None = None,  # in bytes; what it raises stops the download
) -> Path:
    """Return the path of one file in `folder`, fetched and checked."""
    target = folder / file.to
    if target.exists():
        check(target, file, target)
        logger.info("%s is there already", target)
        return target
    fetched = _fetched(file, folder, target, get, progress)
    try:
        check(fetched, file, target)
    except DownloadError:
        fetched.unlink(missing_ok=True)  # or the next attempt would take it for complete
        raise
    target.parent.mkdir(parents=True, exist_ok=True)
    fetched.replace(target)
    return target


def check(path: Path, file: HubFile, target: Path) -> None:
    """Raise DownloadError unless the file has the size and sha256 of its record."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise DownloadError(
            f"{path} has {size} bytes, expected are {file.size}: it is truncated or another file. "
            + _by_hand(file, target)
        )
    digest = sha256_of(path)
    if file.sha256 is None:
        logger.warning("%s: no published checksum is known; its sha256 is %s", path, digest)
    elif digest != file.sha256:
        raise DownloadError(
            f"{path} has the sha256 {digest}, expected is {file.sha256}: it is damaged or was "
            "changed by its publisher. " + _by_hand(file, target)
        )


def _fetched(
    file: HubFile,
    folder: Path,
    target: Path,
    get: Callable[..., str] | None,
    progress: Progress | None,
) -> Path:
    if get is None:
        from huggingface_hub import hf_hub_download as get
    raised: list[BaseException] = []
    # Libraries that are too old to be asked for a bar draw their own on the terminal.
    options: dict[str, Any] = {}
    if progress is not None and "tqdm_class" in inspect.signature(get).parameters:
        options["tqdm_class"] = _telling_bar(progress, raised)
    try:
        path = get(
            repo_id=file.repository,
            filename=file.path,
            revision=file.revision,
            local_dir=folder / PARTIAL / file.repository,
            **options,
        )
    except Exception as error:  # the library's own errors and those of three libraries below it
        if raised:
            raise raised[0] from None
        raise DownloadError(
            f"{file.address} could not be fetched ({type(error).__name__}: {error}). Try again: "
            f"what is there already is kept. {_by_hand(file, target)}"
        ) from error
    if raised:  # and taken by the library for a fault of the bar
        raise raised[0]
    return Path(path)


def _telling_bar(progress: Progress, raised: list[BaseException]) -> type:
    """Return a progress bar that draws nothing and tells; `raised` takes what telling raises."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *, initial: int = 0, total: int | None = None, **_: Any) -> None:  # noqa: ANN401
            super().__init__(disable=True)
            self._done, self._total = initial, total or 0

        def update(self, n: float | None = 1) -> None:
            self._done += int(n or 0)
            try:
                progress(self._done, max(self._total, self._done))
            except BaseException as error:
                raised.append(error)
                raise

    return Bar


def _by_hand(file: HubFile, target: Path) -> str:
    return f"By hand: get {file.address} and put it at {target}, in the place of any file there."


def sha256_of(path: Path) -> str:
    """Return the hash of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
