"""JSON files, and folders with one file per frame."""

import json
from pathlib import Path

from ...errors import InputError
from ...json_files import read_whole, require_regular
from ...names.frames import natural, odd_names
from .dialects import is_frame

_BLANK = b" \t\r\n\xef\xbb\xbf"  # what may come before the first bracket; the last is a byte mark
_NAMED = 4  # files that a note names


def holds_keypoints(path: Path | str) -> bool:
    """Return whether a path is for `read_keypoints`: a JSON file, or a folder of such files.

    Files are told by their content, whatever they are called; one named .json is for it even if it
    is damaged. A folder that holds other visible files than .json is one only if most are .json.
    """
    path = Path(path)
    if path.is_dir():
        visible = [file for file in path.iterdir() if file.is_file() and not _is_hidden(file)]
        return 2 * sum(_is_json(file) for file in visible) > len(visible)
    if _is_json(path):
        return True
    try:
        require_regular(path)
        with path.open("rb") as file:
            return file.read(64).lstrip(_BLANK)[:1] in (b"[", b"{")
    except OSError:
        return False


def load_json(path: Path) -> object:
    """Return the content of a JSON file, or of a file with one JSON value per line (JSON Lines).

    UTF-8, UTF-16 and UTF-32 are recognised. InputError if the file cannot be read as either.
    """
    content = read_whole(path, "keypoints")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise InputError(
            f"keypoints got {path}; its lists are nested too deeply for keypoints. Save the "
            "keypoints again."
        ) from error
    except ValueError as error:
        lines = content.splitlines()
        if len(lines) > 1 and lines[0].strip().endswith(b"}"):
            try:
                return [json.loads(line) for line in lines if line.strip()]
            except (ValueError, RecursionError):
                pass
        raise InputError(
            f"keypoints got {path}; it is not JSON ({error}). Save the keypoints again."
        ) from error


def load_folder(path: Path) -> tuple[list[object], list[str]]:
    """Return the frames of a folder in the natural order of names, and notes on skipped files.

    Hidden files are passed over without a word. InputError if no file holds a frame, or if one
    holds a whole clip.
    """
    visible = [file for file in path.iterdir() if not _is_hidden(file)]
    others = [file for file in visible if not _is_json(file)]
    files = sorted((file for file in visible if _is_json(file)), key=lambda f: natural(f.name))
    if not files:
        raise InputError(f"keypoints got {path}; the folder has no JSON file. Choose another.")
    contents = [load_json(file) for file in files]
    if any(
        content == [] or (isinstance(content, list) and not is_frame(content))
        for content in contents
    ):
        raise InputError(
            f"keypoints got the folder {path} with clips in its files; each file must be one "
            f"frame's record. Choose one of the files."
        )
    frames = [content for content in contents if is_frame(content)]
    skipped = [file for file, content in zip(files, contents, strict=True) if not is_frame(content)]
    if not frames:  # the reader says which keys it does not know
        return contents, []
    kept = [file.name for file, one in zip(files, contents, strict=True) if is_frame(one)]
    notes = list(odd_names(kept))
    if passed := sorted([*others, *skipped], key=lambda file: natural(file.name)):
        names = ", ".join(file.name for file in passed[:_NAMED])
        more = f" and {len(passed) - _NAMED} more" if len(passed) > _NAMED else ""
        notes.append(f"files that are no frames were skipped: {names}{more}")
    return frames, notes


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")
