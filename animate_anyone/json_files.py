"""JSON: reading what someone else wrote, where damage becomes words, and writing long records."""

import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import AnimateAnyoneError, InputError

MOST_BYTES = 2**30  # of a file; three hours of keypoints of one person have a third of it


def read_whole(
    path: Path,
    what: str,  # the input, for the message
    *,
    raises: type[AnimateAnyoneError] = InputError,
) -> bytes:
    """Return the content of a file; raise if it is missing, a device, a pipe or too large."""
    try:
        require_regular(path)
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise OSError(f"it has {size / 1e6:,.0f} MB; {MOST_BYTES / 1e6:,.0f} are the most")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise raises(f"{what} got {path}; cannot read it: {error}. Check it.") from error


def require_regular(path: Path) -> None:
    """Raise OSError for a device or a pipe, from which reading may never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError("it is a device or a pipe, not a file")


def is_text(text: str) -> bool:
    """Return whether a string of JSON can be a path or be shown: no zero, no half character."""
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


def read_record(
    path: Path,
    what: str,  # the input, for the message
    *,
    raises: type[AnimateAnyoneError] = InputError,
) -> dict[str, Any]:
    """Return the record (JSON object) in a UTF-8 file; raise for anything else."""
    content = read_whole(path, what, raises=raises)
    try:
        values = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        why = "its lists are nested too deeply" if isinstance(error, RecursionError) else error
        raise raises(
            f"{what} got {path}, which cannot be read as JSON ({why}). Name a JSON file of one "
            "record."
        ) from error
    if not isinstance(values, dict):
        raise raises(
            f"{what} got {path}, whose content is a {type(values).__name__}; it must be a record "
            "of names and values: {...}. Correct it."
        )
    return values


def json_parts(
    value: object,
    depth: int = 0,  # of the record that holds it
) -> Iterator[str]:
    """Yield the JSON of a value, with an indent of 1, so that a long one is never whole in memory.

    Records are written name by name, sequences other than lists and tuples item by item.
    """
    if isinstance(value, Mapping) and value:
        signs, items = "{}", ((f"{json.dumps(name)}: ", each) for name, each in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, (str, list, tuple)) and len(value):
        signs, items = "[]", (("", each) for each in value)
    else:
        plain = dict(value) if isinstance(value, Mapping) else value
        plain = list(plain) if isinstance(plain, Sequence) and not isinstance(plain, str) else plain
        yield json.dumps(plain, indent=1).replace("\n", "\n" + " " * depth)
        return
    for number, (name, each) in enumerate(items):
        yield f"{',' if number else signs[0]}\n{' ' * (depth + 1)}{name}"
        yield from json_parts(each, depth + 1)
    yield f"\n{' ' * depth}{signs[1]}"
