"""The report of `prepare`: which clips are usable, and why the others are not."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, overload

from ..json_files import json_parts
from ..names.some import some
from ..places import whole_file
from .clip import Outcome
from .find import Found
from .manifest import Manifest
from .spans import CUTS
from .splits import SPLIT_NAMES, Split, ends_of

REPORT = "report.md"
REPORT_DATA = "report.json"
MOST_PRINTED = 12  # entries of a list that the command prints
_LISTED = 5  # clips that a note names
_ENTRY = "- "


class Tally:
    """What is told of the clips of a data set, added clip by clip; of each its place is kept."""

    def __init__(self, split: Split | None) -> None:
        """Begin without clips."""
        self.split = split
        self.clips = 0
        self.frames = 0  # usable ones
        self.usable = array("I")  # places of the usable clips among all
        self.by_part: Counter[str] = Counter()  # usable clips by train, test or ""
        self.skipped: dict[str, array] = defaultdict(_places)  # by reason: places
        self.doubtful = array("I")  # places
        self.notes: dict[str, array] = defaultdict(_places)  # what was assumed -> places
        self._left_out: Counter[str] = Counter()  # frames of usable clips, by reason
        self._listed = {name: set(getattr(split, name)) for name in SPLIT_NAMES if split}

    def add(self, outcome: Outcome) -> None:
        """Add the next clip."""
        if outcome.skipped:
            self.skipped[outcome.skipped].append(self.clips)
        else:
            self.usable.append(self.clips)
            self.frames += sum(len(span) for span in outcome.spans)
            self.by_part[self.split.part(outcome.name) if self.split else ""] += 1
            self._left_out.update(_left_out(outcome))
        if outcome.doubts:
            self.doubtful.append(self.clips)
        for note in outcome.notes:
            self.notes[note].append(self.clips)
        self.clips += 1
        for listed in self._listed.values():
            listed.difference_update(ends_of(outcome.name))

    @property
    def left_out(self) -> dict[str, int]:
        """Return how many frames of usable clips were left out, by reason."""
        return {reason: count for reason, count in self._left_out.items() if count}

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """Return, for each part of the split, the listed names without a clip."""
        return {part: tuple(sorted(names)) for part, names in self._listed.items()}


def write_report(
    out: Path,
    manifest: Manifest,
    tally: Tally,
    found: Sequence[Found],  # all clips
    outcomes: Sequence[Outcome],  # of all clips, which may be read when they are asked for
) -> None:
    """Write the report of a data set, as Markdown and as JSON, clip by clip."""
    split = tally.split
    skipped = array("I", sorted(place for some in tally.skipped.values() for place in some))
    data = {
        "source": manifest.source,
        "clips": tally.clips,
        "usable": len(tally.usable),
        "usable_frames": tally.frames,
        "split": {name or "neither": count for name, count in tally.by_part.items()}
        if split
        else {},
        "skipped": _Told(
            outcomes,
            skipped,
            lambda each: {"reason": each.skipped, "detail": each.detail, **_faults(each)},
        ),
        "read_as": {note: _Names(found, places) for note, places in tally.notes.items()},
        "doubtful": _Told(outcomes, tally.doubtful, lambda each: list(each.doubts)),
        "left_out_frames": tally.left_out,
        "listed_but_missing": tally.missing,
        "note": split.note if split else "",
    }
    with whole_file(out / REPORT_DATA) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(chain(json_parts(data), ["\n"]))
    with whole_file(out / REPORT) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in _lines(manifest, tally, found, outcomes))


def shortened(
    lines: Iterable[str],  # of a report
    most: int = MOST_PRINTED,  # entries of a list
) -> Iterator[str]:
    """Yield the lines of a report, of a long list the first entries and how many more there are."""
    count = 0
    for line in lines:
        listed = line.startswith(_ENTRY)
        if not listed and count > most:
            yield f"{_ENTRY}and {count - most} more, see {REPORT}\n"
        count = count + 1 if listed else 0
        if count <= most:
            yield line
    if count > most:
        yield f"{_ENTRY}and {count - most} more, see {REPORT}\n"


@dataclass(frozen=True)
class _Told(Mapping[str, Any]):
    """What is told of some clips by name, each made when it is asked for."""

    outcomes: Sequence[Outcome]
    places: array
    value: Callable[[Outcome], object]

    def __getitem__(self, name: str) -> object:
        return dict(self.items())[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._each())

    def __len__(self) -> int:
        return len(self.places)

    def items(self) -> Any:  # noqa: ANN401  (an iterable, which a view of items is too)
        """Yield names and values; each outcome is read once."""
        return self._each()

    def _each(self) -> Iterator[tuple[str, object]]:
        found = (self.outcomes[place] for place in self.places)
        return ((outcome.name, self.value(outcome)) for outcome in found)


@dataclass(frozen=True)
class _Names(Sequence[str]):
    """The names of some clips, each made when it is asked for."""

    found: Sequence[Found]
    places: array

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.found[self.places[index]].name


def _places() -> array:
    return array("I")


def _lines(
    manifest: Manifest, tally: Tally, found: Sequence[Found], outcomes: Sequence[Outcome]
) -> Iterator[str]:
    """Yield the lines of the report in Markdown."""
    size, cached = manifest.size, ", ".join(manifest.cached) or "nothing"
    yield from (f"# Clips of {manifest.source}", "")
    yield (
        f"{len(tally.usable)} of {tally.clips} clips are usable, with {tally.frames} frames at "
        f"{size.width}x{size.height} ({manifest.fit}); cached: {cached}."
    )
    yield from _split_lines(tally)
    for reason, places in sorted(tally.skipped.items()):
        yield from ("", f"## Skipped: {reason} ({len(places)})", "")
        for each in map(outcomes.__getitem__, places):
            yield f"- `{each.name}`: {each.detail}{_fault_text(each)}"
    if tally.notes:
        yield from ("", "## How clips were read", "")
        for note, places in tally.notes.items():
            yield f"- {note} ({some(_Names(found, places), _LISTED, '`')})"
    if tally.doubtful:
        yield from ("", f"## Doubtful skeletons ({len(tally.doubtful)})", "")
        for each in map(outcomes.__getitem__, tally.doubtful):
            yield f"- `{each.name}`: {' '.join(each.doubts)}"
    if tally.left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in tally.left_out.items())
        yield from ("", f"Left out of usable clips: {counts}.")


def _split_lines(tally: Tally) -> list[str]:
    split, counts = tally.split, tally.by_part
    if split is None:
        return ["No split was given: all clips are for training, none for testing."]
    lines = [
        f"For training {counts['train']} of {len(split.train)} listed clips, for testing "
        f"{counts['test']} of {len(split.test)}; {counts['']} are on neither list and are not used."
    ]
    for part, names in tally.missing.items():
        if names:
            told = f"On the {part} list, but not in the folder ({len(names)}): "
            lines += ["", f"{told}{some(names, mark='`')}."]
    if any(tally.missing.values()):
        lines += [
            "",
            f"{REPORT_DATA} names all of them. Put those that you have into the folder of clips, "
            "and start the command again; without the others the data set is used as it is.",
        ]
    return [*lines, "", split.note] if split.note else lines


def _left_out(outcome: Outcome) -> Counter[str]:
    """Return how many frames of a usable clip were left out, by reason."""
    kept = sum(len(span) for span in outcome.spans)
    named = sum(count for reason, count in outcome.faults.items() if reason != CUTS)
    return Counter({**outcome.faults, "in runs too short": outcome.frames - kept - named})


def _faults(outcome: Outcome) -> dict[str, dict[str, int]]:
    return {"faults": dict(outcome.faults)} if outcome.faults else {}


def _fault_text(outcome: Outcome) -> str:
    counts = [f"{count} {reason}" for reason, count in outcome.faults.items()]
    return f" ({', '.join(counts)})" if counts else ""
