"""Places that are written: checked before the work, finished by a rename, owned by one process."""

import errno
import logging
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from .errors import AnimateAnyoneError, InputError, MediaError

logger = logging.getLogger(__name__)

LOCK = ".lock"  # name of the file in a folder by which a process owns the folder
DEBUG = "--debug"  # the option of the command line that shows an error's traceback
_STEM = 40  # characters of a file's name that its temporary name repeats
_FORGOTTEN = 7 * 24 * 3600  # seconds after which a temporary file is of a killed process


def why_no_file(path: Path) -> str:
    """Return in words why a path that is read is not a file."""
    if path.is_dir():
        return "it is a folder, not a file"
    return "it is a device or a pipe, not a file" if path.exists() else "there is no such file"


def check_place(
    path: Path | str,
    *,
    size: int = 0,  # bytes that will be written, estimated; 0: unknown
    name: str = "out",  # what the user calls this path, for messages
    raises: type[AnimateAnyoneError] = MediaError,
) -> None:
    """Raise unless a file can be written to this path; call it before long work.

    Missing folders are created. A folder or device of that name, a path that is read-only or too
    long, and a disk with less than `size` bytes free are refused. An existing file stays as it is.
    """
    path = Path(path)
    with _writing(path, name, raises):
        require_file(path)
        _check_folder(path.parent, size)
        for part in path.parent.glob(f".{escape(path.stem[:_STEM])}.*.part*"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _FORGOTTEN:
                    part.unlink()


def check_folder(
    folder: Path | str,
    *,
    size: int = 0,  # bytes that will be written, estimated; 0: unknown
    create: bool = True,  # False: leave a missing folder missing, since the work may be refused
    name: str = "out",  # what the user calls this path, for messages
    raises: type[AnimateAnyoneError] = MediaError,
) -> None:
    """Raise unless files can be written to this folder, as `check_place`."""
    folder = Path(folder)
    with _writing(folder, name, raises):
        if not create:
            require_folder(folder)
            folder = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        _check_folder(folder, size)


@contextmanager
def whole_file(
    path: Path | str,
    *,
    suffixed: bool = False,  # the temporary name ends like `path`, for writers that look at it
    name: str = "out",  # what the user calls this path, for messages
    raises: type[AnimateAnyoneError] = MediaError,
) -> Iterator[Path]:
    """Yield a temporary path; it is renamed to `path` when the block ends without an error.

    Raises if the file cannot be written; an existing file is then left unchanged. The temporary
    name is this writer's own: of two writers the later one wins, and each file is whole.
    """
    path = Path(path)
    part = temporary_path(path, path.suffix if suffixed else "")
    with _writing(path, name, raises):
        require_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            mode = usual_mode(part)
            yield part
            part.chmod(mode)  # some writers, as safetensors', let only their user read
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def begin_file(
    path: Path,
    parts: Iterable[str],
    name: str = "out",  # what the user calls this path, for messages
) -> bool:
    """Write a file unless there is one of that name; return whether this call wrote it.

    Of two processes that begin the same folder one is the first; the other one reads its file.
    """
    part = temporary_path(path)
    with _writing(path, name, MediaError):
        try:
            with part.open("w", encoding="utf-8") as file:
                file.writelines(parts)
            try:
                os.link(part, path)
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                part.replace(path)
            return True
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def usual_mode(path: Path) -> int:
    """Return the mode that a new file gets by the user's umask; an empty file is made for it."""
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    path.unlink()
    return mode


def temporary_path(path: Path, suffix: str = "") -> Path:
    """Return a hidden path beside `path` that no other writer uses."""
    return path.with_name(f".{path.stem[:_STEM]}.{secrets.token_hex(4)}.part{suffix}")


def is_temporary(name: str) -> bool:
    """Return whether a file's or folder's name is one that a writer uses until it has finished."""
    return name.startswith(".") and ".part" in name


def require_file(path: Path) -> None:
    """Raise OSError if a path cannot become a file: a folder, a device, a name too long."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name holds a zero character")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(path))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "the file there is read-only", str(path))


def require_folder(path: Path) -> None:
    """Raise OSError if a path cannot become a folder: a file of that name, or above it."""
    for each in (path, *path.parents):
        if each.exists():
            if not each.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(each))
            return


@contextmanager
def owned(
    folder: Path,
    *,
    name: str = LOCK,  # of the lock's file, if several processes may share the folder
    raises: type[AnimateAnyoneError] = InputError,
) -> Iterator[None]:
    """Own a folder within a `with` block; raise if another process owns it now.

    The system releases the lock when the process ends, however it ends.
    """
    from filelock import FileLock, Timeout

    check_folder(folder, name="folder")
    # Another thread of the owner may release it.
    lock = FileLock(folder / name, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise raises(
            f"folder got {folder}, in which another process is working. Wait until it has ended, "
            "or choose another folder."
        ) from error
    except (OSError, NotImplementedError) as error:
        logger.warning(
            "%s: its disk has no locks (%s); do not start a second process there", folder, error
        )
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps the file, which does no harm
            (folder / name).unlink(missing_ok=True)
        lock.release()


def cannot_write(
    path: Path,
    error: Exception,
    name: str = "out",  # what the user calls this path
) -> str:
    """Return the error message for a file that could not be written."""
    return (
        f"{name} got {path}; it cannot be written ({cause_of(error)}). "
        f"Free some space or choose another place."
    )


def system_refused(error: OSError) -> str:
    """Return an error of the system as a sentence: no right, a name too long, a full disk."""
    place = f" {error.filename}" if error.filename is not None else ""
    return f"the system refused{place}: {error.strerror}. Check the path, its rights and space."


def in_a_line(error: Exception) -> str:
    """Return what went wrong as a user can read it; `OSError` is often the system's own limit."""
    if isinstance(error, AnimateAnyoneError):
        return str(error)
    if isinstance(error, MemoryError):
        return "the memory is full. Use fewer frames, a smaller size, or close other programs."
    if isinstance(error, OSError) and error.strerror:
        return system_refused(error)
    said = " ".join(str(error).split()) or "no message"
    return (
        f"an unexpected {type(error).__name__}: {said}. Run the command again with {DEBUG} and "
        "report what it prints."
    )


def cause_of(error: Exception) -> str:
    """Return the operating system's message for an error, otherwise the error's text."""
    return getattr(error, "strerror", None) or str(error)


def _check_folder(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = temporary_path(folder / "probe")
    try:
        probe.write_bytes(b"\0")  # an empty file fits on a full disk
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        needed, left = size / 1e6, free / 1e6
        raise OSError(errno.ENOSPC, f"it needs about {needed:.0f} MB, {left:.0f} MB are free")


@contextmanager
def _writing(path: Path, name: str, raises: type[AnimateAnyoneError]) -> Iterator[None]:
    """Turn errors of the system into words."""
    try:
        yield
    except OSError as error:
        raise raises(cannot_write(path, error, name)) from error
