"""Download published weight sets from their hub repositories.

A file is accepted only if its size and sha256 match its record in `weights/sets/`. Until then it
stays in a hidden folder, where an interrupted download is resumed.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import DownloadError
from ...places import check_folder, check_place, owned
from ...protocols import Progress
from ..sets.record import HubFile
from ..sets.table import get_set, published
from .transfer import transfer

logger = logging.getLogger(__name__)

PARTIAL = ".partial"
Get = Callable[[HubFile, Path, Progress], None]  # as `transfer`


def ignore_progress(done: int, total: int) -> None:
    """Discard progress reports."""


def download(
    name: str,  # of a weight set
    folder: Path,
    progress: Progress = ignore_progress,  # bytes of the file being downloaded
) -> list[Path]:
    """Download every file of a weight set into `folder`; return their paths.

    Existing files that pass the check are not downloaded again. The DownloadError of a failure
    says where to put the file by hand.
    """
    chosen = get_set(name)
    if not chosen.files:
        reason = {
            "pack": "its weights are part of this package",
            "own": "no weights of it are published",
            "hub": "no files of it are listed",
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
    progress: Progress = ignore_progress,  # bytes of the file being downloaded
) -> list[Path]:
    """Download and check these files; return their paths in `folder`."""
    check_folder(folder, size=_lacking(files, folder), raises=DownloadError)
    paths = [fetch(file, folder, progress) for file in files]
    clear_partial(files, folder)
    return paths


def _lacking(files: Sequence[HubFile], folder: Path) -> int:
    """Return how many bytes of these files are still to come; files of unknown size count 0."""
    sizes = 0
    for file in files:
        part = partial_path(file, folder)
        if not (folder / file.to).exists():
            sizes += max(0, (file.size or 0) - (part.stat().st_size if part.is_file() else 0))
    return sizes


def clear_partial(files: Sequence[HubFile], folder: Path) -> None:
    """Remove the partial downloads of these files; those of other repositories stay."""
    for file in files:
        remains = folder / PARTIAL / file.repository
        shutil.rmtree(remains, ignore_errors=True)
        for parent in (remains.parent, folder / PARTIAL):
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def partial_path(file: HubFile, folder: Path) -> Path:
    """Return the path of a file until it is complete and checked."""
    return folder / PARTIAL / file.repository / f"{file.path}.part"


def fetch(
    file: HubFile, folder: Path, progress: Progress = ignore_progress, get: Get = transfer
) -> Path:
    """Download and check one file; return its path in `folder`.

    `progress` receives bytes and may raise to cancel the download.
    """
    target, part = folder / file.to, partial_path(file, folder)
    if target.exists():
        check(target, file, target)
        logger.info("%s is already downloaded", target)
        return target
    logger.info("Downloading %s", file.address)
    # Two processes would append to the same part.
    with owned(part.parent, name=f"{part.name}.lock", raises=DownloadError):
        _get(file, part, target, progress, get)
        try:
            check(part, file, target)
        except DownloadError:
            part.unlink(missing_ok=True)  # otherwise the next attempt would treat it as complete
            raise
        check_place(target, raises=DownloadError)
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

    def report(done: int, total: int) -> None:
        try:
            progress(done, total)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        get(file, part, report)
    except Exception as error:  # from the network, the disk or `progress`
        if raised:
            raise
        raise DownloadError(
            f"{file.address} could not be fetched ({type(error).__name__}: {error}). Try again: "
            f"the part that has arrived is kept. {_by_hand(file, target)}"
        ) from error


def _by_hand(file: HubFile, target: Path) -> str:
    return f"By hand: get {file.address} and save it as {target}; replace any file there."


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal; the file is read block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
