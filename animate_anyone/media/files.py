"""What a file is, told by its content, and opening it whatever its name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import InputError, MediaError
from ..json_files import require_regular
from ..names.frames import natural
from ..places import cause_of, why_no_file
from .pictures import PICTURE_SUFFIXES, moves

Kind = Literal["pictures", "moving", "video"]

_HEAD = 96  # bytes that show what a file is
_PICTURES = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|P[1-6]\s|qoif"
    rb"|....ftyp(avif|avis)|\0\0\0\x0cjP  ",
    re.DOTALL,
)
_PHOTO = re.compile(rb"....ftyp(heic|heix|heif|mif1|msf1|hevc|hevx)", re.DOTALL)
_OTHERS = (  # what is often given in the place of a clip
    (rb"%PDF", "it is a PDF document. Export its pictures as PNG"),
    (
        rb"PK\x03\x04.{26}[^/]*\.npy",
        "it holds arrays of NumPy. Save the keypoints as JSON, or pictures as PNG",
    ),
    (rb"PK\x03\x04|Rar!|7z\xbc\xaf", "it is an archive (ZIP, RAR or 7z). Unpack it first"),
    (rb"\x1f\x8b", "it is packed by gzip. Unpack it first"),
    (rb"\x93NUMPY", "it is an array of NumPy. Save the keypoints as JSON, or pictures as PNG"),
    (rb"\x80[\x02-\x05]", "it is a pickle of Python. Save the keypoints as JSON"),
    (rb"HIERARCHY\s", "it is a motion in space (BVH). Give keypoints, or a video of it"),
    (rb"\x89HDF", "it is an HDF5 file. Save the keypoints as JSON, or pictures as PNG"),
    (rb"(?i)\s*<(!doctype html|html)", "it is a web page: a download that failed. Download again"),
    (rb"version https://git-lfs", "it is a pointer of Git LFS, not the file. Run git lfs pull"),
)
_VIDEOS = re.compile(
    rb"....(ftyp|moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01\xba", re.DOTALL
)


def kind_of_file(path: Path) -> Kind:
    """Return whether a path holds still pictures, a moving picture (GIF, WebP, APNG) or a video.

    The content decides, the suffix only where the content says nothing.
    """
    if path.is_dir():
        return "pictures"
    head = _head(path)
    for sign, what in _OTHERS:
        if re.match(sign, head, re.DOTALL):
            raise InputError(f"frames got {path}; {what}.")
    if _PHOTO.match(head) and not _is_avif(head):
        raise InputError(
            f"frames got {path}; it is a HEIC photo, which cannot be read here. "
            "Export it as JPEG or PNG."
        )
    if is_picture(path):
        return "moving" if moves(path) else "pictures"
    return "video"


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture, or claims to be one and is not a video."""
    head = _head(path)
    if _PICTURES.match(head) or _is_avif(head):
        return True
    return path.suffix.lower() in PICTURE_SUFFIXES and not _VIDEOS.match(head)


def _is_avif(head: bytes) -> bool:
    """Return whether one of the brands of a file is AVIF's, though not the first one."""
    if head[4:8] != b"ftyp":
        return False
    brands = head[8 : int.from_bytes(head[:4], "big")]
    return any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


def is_hidden(path: Path) -> bool:
    """Return whether a file is none of the user's: `._1.png`, `.DS_Store`, `Thumbs.db`."""
    return path.name.startswith(".") or path.name.lower() in ("thumbs.db", "desktop.ini")


def pictures_in(path: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures of a folder in natural order, and the names of its other files."""
    if not path.is_dir():
        return [path], []
    files = sorted(
        (each for each in path.iterdir() if not is_hidden(each)),
        key=lambda each: natural(each.name),
    )
    pictures = [each for each in files if each.is_file() and is_picture(each)]
    if not pictures:
        raise InputError(
            f"frames got {path}; the folder holds no pictures "
            f"({', '.join(sorted(PICTURE_SUFFIXES))}). Choose another or give a video file."
        )
    taken = set(pictures)
    return pictures, [each.name for each in files if each.is_file() and each not in taken]


def name_for_ffmpeg(path: Path) -> str:
    """Return a file's name as FFmpeg opens it: `take: 1.mp4` alone would be a protocol."""
    return f"file:{path}"


def open_clip(path: Path) -> InputContainer:
    """Open a video or sound file; InputError or MediaError names the file if this fails."""
    if not path.is_file():
        why = why_no_file(path) if path.exists() else "there is no such file or folder"
        raise InputError(f"frames got {path}; {why}. Check the path.")
    try:
        # Tags may be in any code, and nothing here uses them.
        return av.open(name_for_ffmpeg(path), metadata_errors="replace")
    except (OSError, FFmpegError) as error:
        raise MediaError(cannot_decode(path, error)) from error


@contextmanager
def opened_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Yield a file and its video; errors in the block become a MediaError with its name."""
    container = open_clip(path)
    try:
        stream = container.streams.best("video")
        if not isinstance(stream, VideoStream) or is_cover(stream):
            raise InputError(f"frames got {path}; it holds no video. Choose a video file.")
        if getattr(stream, "codec_context", None) is None:
            raise MediaError(cannot_decode(path, ValueError("nobody here knows its codec")))
        yield container, stream
    except (OSError, FFmpegError) as error:
        raise MediaError(cannot_decode(path, error)) from error
    finally:
        container.close()


def is_cover(stream: VideoStream) -> bool:
    """Return whether a stream is the cover picture of a sound file."""
    return bool(stream.disposition & Disposition.attached_pic)


def cannot_decode(path: Path, error: Exception) -> str:
    """Return the error message for a file that is no clip, or a damaged one."""
    return (
        f"frames got {path}; it cannot be decoded ({cause_of(error)}). "
        f"It may be truncated or damaged: copy or export it again."
    )


def _head(path: Path) -> bytes:
    try:
        require_regular(path)
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError:
        return b""  # whoever reads the file names the fault
