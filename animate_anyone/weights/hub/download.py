"""Published weight sets from their hub repositories.

A file counts only when its size and sha256 are those of its record in `weights/sets/`; until then
it stays in a hidden folder, from where an interrupted download goes on.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import DownloadError
from ...protocols import Progress
from ..sets.record import HubFile
from ..sets.table import get_set, published
from .transfer import transfer

logger = logging.getLogger(__name__)

PARTIAL = ".partial"
Get = Callable[[HubFile, Path, Progress], None]  # as `transfer`


def unwatched(done: int, total: int) -> None:
    """Take progress that nobody wants to see."""


def download(
    name: str,  # of a weight set
    folder: Path,
    progress: Progress = unwatched,  # of the file being fetched, in bytes
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
    progress: Progress = unwatched,  # of the file being fetched, in bytes
) -> list[Path]:
    """Return the paths of these files in `folder`, fetched and checked."""
    paths = [fetch(file, folder, progress) for file in files]
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


def partial_path(file: HubFile, folder: Path) -> Path:
    """Return where a file lies until it is whole and checked."""
    return folder / PARTIAL / file.repository / f"{file.path}.part"


def fetch(file: HubFile, folder: Path, progress: Progress = unwatched, get: Get = transfer) -> Path:
    """Return the path of one file in `folder`, fetched and checked.

    `progress` counts bytes; what it raises stops the download.
    """
    target, part = folder / file.to, partial_path(file, folder)
    if target.exists():
        check(target, file, target)
        logger.info("%s is there already", target)
        return target
    logger.info("Fetching %s", file.address)
    _get(file, part, target, progress, get)
    try:
        check(part, file, target)
    except DownloadError:
        part.unlink(missing_ok=True)  # or the next attempt would take it for complete
        raise
    target.parent.mkdir(parents=True, exist_ok=True)
    part.replace(target)
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


def _get(file: HubFile, part: Path, target: Path, progress: Progress, get: Get) -> None:
    raised: list[BaseException] = []

    def told(done: int, total: int) -> None:
        try:
            progress(done, total)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        get(file, part, told)
    except Exception as error:  # of the network, of the disk, or what `progress` raised
        if raised:
            raise
        raise DownloadError(
            f"{file.address} could not be fetched ({type(error).__name__}: {error}). Try again: "
            f"what is there already is kept. {_by_hand(file, target)}"
        ) from error


def _by_hand(file: HubFile, target: Path) -> str:
    return f"By hand: get {file.address} and put it at {target}, in the place of any file there."


def sha256_of(path: Path) -> str:
    """Return the hash of a file, read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
