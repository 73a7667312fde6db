"""The folder of an evaluation: its settings, and a row for every clip that is done.

settings.json       on what the figures depend, and what the report says besides them
rows/000017.json    the figures of a clip, by its place in the whole test
rows/000017.npz     its features for the metrics of whole sets, if there are any

A row appears when it is complete. Processes that measure different parts of a test may share a
folder; parts in several folders are the same rows.
"""

import json
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np

from ...errors import InputError
from ...json_files import json_parts, read_record
from ...names.some import MOST, some
from ...names.texts import Texts
from ...places import LOCK, begin_file, check_folder
from .row import ClipRow, read_row, row_path, write_row

SETTINGS = "settings.json"
VERSION = 1
MOST_PLACES = 10**9  # of clips in a test; a place is part of a file's name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What makes one test of one model; all values are those of JSON."""

    same: dict[str, Any]  # on these the figures depend: other ones are another test
    names: Sequence[str]  # of all clips of the test, in order
    first: int  # place of the first one
    report: dict[str, Any]  # what the report says besides figures

    def data(self) -> dict[str, Any]:
        """Return the record as values for JSON."""
        return {
            "version": VERSION,
            "same": self.same,
            "first": self.first,
            "names": self.names,
            "report": self.report,
        }

    @property
    def places(self) -> range:
        """Return the places of all clips of the test."""
        return range(self.first, self.first + len(self.names))


class KeptRows:
    """The rows of a test in a folder."""

    def __init__(self, folder: Path, settings: Settings, begun: Settings | None = None) -> None:
        """Use a folder that is checked; see `open_rows` and `read_rows`.

        `begun` are the settings in the folder: the same test, perhaps with other packages.
        """
        self.folder, self.settings, self.begun = folder, settings, begun or settings

    def has(self, place: int) -> bool:
        """Return whether the clip of this place is done."""
        return row_path(self.folder, place).is_file()

    def write(self, row: ClipRow) -> None:
        """Keep a row."""
        write_row(self.folder, row)

    def read(self, place: int) -> ClipRow:
        """Return a row; InputError if it is damaged or of another clip."""
        row = read_row(self.folder, place)
        name = self.settings.names[place - self.settings.first]
        if (row.place, row.name) != (place, name):
            raise InputError(
                f"out got {row_path(self.folder, place)}, which is of clip {row.place} "
                f"({row.name}) and not of {place} ({name}). Delete it, and start the command again."
            )
        return row

    @property
    def rows(self) -> "Rows":
        """Return the rows of all clips, which are read when they are asked for."""
        return Rows([self], array("H", bytes(2 * len(self.settings.names))))

    @property
    def missing(self) -> list[int]:
        """Return the places of the clips that are not done."""
        return [place for place in self.settings.places if not self.has(place)]


def open_rows(folder: Path, settings: Settings) -> KeptRows:
    """Open the folder of a test, or begin one.

    InputError if it holds another test, or other things than a test; the error names what differs.
    """
    settings = _as_json(settings)
    path = folder / SETTINGS
    check_folder(folder)
    if not path.is_file():
        others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if others and SETTINGS not in others:
            raise InputError(
                f"out got {folder}, which holds other things ({some(others)}) and no "
                f"{SETTINGS}; figures are kept in a folder of their own. Name a new folder."
            )
        begin_file(path, chain(json_parts(settings.data()), ["\n"]))
    there = read_rows(folder).settings
    if there.names == settings.names:
        there = replace(there, names=settings.names)  # the same texts, once
    if unlike := differences(there, settings):
        raise InputError(
            f"out got {folder}, which holds figures of another test: {'; '.join(unlike)}. Choose "
            "another folder, or give the options, models and data with which it was begun."
        )
    return KeptRows(folder, settings, there)


def read_rows(folder: Path) -> KeptRows:
    """Open a folder of a test that was begun; InputError if it is none."""
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(
            f"out got {folder}; there is no {SETTINGS} in it, so it is not the folder of an "
            "evaluation. Name one that `evaluate --out` has made."
        )
    values = read_record(path, "out")
    try:
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}, this program reads {VERSION}")
        if not 0 <= values["first"] <= MOST_PLACES:
            raise ValueError(f"first is {values['first']}")
        settings = Settings(
            same=dict(values["same"]),
            names=Texts(map(str, values["names"])),
            first=int(values["first"]),
            report=dict(values["report"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"out got {path}, which is damaged or of another version ({error}). Choose another "
            "folder."
        ) from error
    return KeptRows(folder, settings)


class Rows(Sequence[ClipRow]):
    """The rows of a whole test in one or more folders, read from the disk each time.

    Two bytes are kept of a row: which folder it lies in.
    """

    def __init__(
        self,
        parts: Sequence[KeptRows],
        holders: array,  # by clip: the number of the part that has its row
    ) -> None:
        """Use rows that are there; see `merged`."""
        self._parts, self._holders = parts, holders

    def __len__(self) -> int:
        return len(self._holders)

    @overload
    def __getitem__(self, index: int) -> ClipRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ClipRow]: ...
    def __getitem__(self, index: int | slice) -> ClipRow | list[ClipRow]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        part = self._parts[self._holders[index]]
        return part.read(part.settings.places[index])


def merged(parts: Sequence[KeptRows]) -> Rows:
    """Return the rows of a whole test from its parts, in the order of the test.

    InputError for parts of different tests, for clips that no part has, and for clips whose figures
    or features differ between parts.
    """
    first = parts[0]
    for part in parts[1:]:
        if unlike := differences(first.settings, part.settings):
            raise InputError(
                f"merge got {first.folder} and {part.folder}, which are of different tests: "
                f"{'; '.join(unlike)}. Merge parts of one test."
            )
    settings, holders, missing = first.settings, array("H"), _Missing()
    for place, name in zip(settings.places, settings.names, strict=True):
        having = [number for number, part in enumerate(parts) if part.has(place)]
        if not having:
            missing.add(name)
            continue
        holders.append(having[0])
        row = parts[having[0]].read(place)
        for other in having[1:]:
            if not _same(parts[other].read(place), row):
                raise InputError(
                    f"merge got {parts[having[0]].folder} and {parts[other].folder}, in which the "
                    f"clip {name} has different figures. Leave one of them out."
                )
    if missing.count:
        raise InputError(
            f"merge got {', '.join(str(part.folder) for part in parts)}, where {missing.count} of "
            f"{len(settings.names)} clips are missing: {missing}. Start the parts that "
            "have not ended again, or name the folders of all parts."
        )
    return Rows(parts, holders)


class _Missing:
    """Names that are missing: how many, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[str] = []

    def add(self, name: str) -> None:
        """Count a name."""
        self.count += 1
        if len(self._first) < MOST:
            self._first.append(name)

    def __str__(self) -> str:
        more = self.count - len(self._first)
        return ", ".join(self._first) + (f" and {more} more" if more else "")


def _same(one: ClipRow, other: ClipRow) -> bool:
    """Return whether two rows have the same figures (NaN equals NaN) and the same features."""
    texts = [json.dumps(row.figures, sort_keys=True) for row in (one, other)]
    return (
        texts[0] == texts[1]
        and dict(one.pieces) == dict(other.pieces)
        and set(one.features) == set(other.features)
        and all(np.array_equal(value, other.features[name]) for name, value in one.features.items())
    )


def differences(there: Settings, here: Settings) -> list[str]:
    """Return a phrase for each value in which two tests differ, at most eight."""
    values = [dict(_flat("", s.same)) | {"first": s.first} for s in (there, here)]
    unlike = [n for n in {**values[0], **values[1]} if values[0].get(n) != values[1].get(n)]
    found = [
        f"{name} is {_shown(values[0].get(name))} there and {_shown(values[1].get(name))} here"
        f"{_files_of(there, here, name)}"
        for name in unlike
    ]
    if there.names != here.names:
        found.append(f"it has {len(there.names)} clips there and {len(here.names)} here")
        if len(there.names) == len(here.names):
            found[-1] = "its clips have other names"
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    return found[:MOST] + more


def lock_of(part: str) -> str:
    """Return the name of the lock by which a process owns a part of a test in its folder."""
    return f"{LOCK}-{part.replace('/', '-of-')}"


def _as_json(settings: Settings) -> Settings:
    """Return settings as they will be read: tuples become lists."""
    values = {"same": settings.same, "report": settings.report}
    values = json.loads(json.dumps(values, allow_nan=False))
    return replace(settings, names=_texts(settings.names), **values)


def _texts(names: Sequence[str]) -> Texts:
    return names if isinstance(names, Texts) else Texts(names)


def _flat(name: str, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        inner = f"{name} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(inner, value)
        else:
            yield inner, value


def _files_of(there: Settings, here: Settings, name: str) -> str:
    """Return the files of a metric's network in brackets; "" for other values."""
    metric = name.removeprefix("networks of metrics ")
    files = [s.report.get("instruments", {}).get(metric) for s in (there, here)]
    if metric == name or not any(files):
        return ""
    return f" ({_shown(files[0])} there, {_shown(files[1])} here)"


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
