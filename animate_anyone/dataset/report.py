"""The report of `prepare`: which clips are usable, and why the others are not."""

import json
from array import array
from collections import Counter, defaultdict
from pathlib import Path

from ..places import whole_file
from .clip import Outcome
from .manifest import Manifest
from .spans import CUTS
from .splits import SPLIT_NAMES, Split, ends_of

REPORT = "report.md"
REPORT_DATA = "report.json"
_LISTED = 5  # clips that a note names


class Tally:
    """What is told of the clips of a data set, added clip by clip.

    Of a usable clip of which nothing is to be told four bytes are kept: its place.
    """

    def __init__(self, split: Split | None) -> None:
        """Begin without clips."""
        self.split = split
        self.clips = 0
        self.frames = 0  # usable ones
        self.usable = array("I")  # places of the usable clips among all
        self.by_part: Counter[str] = Counter()  # usable clips by train, test or ""
        self.skipped: list[Outcome] = []
        self.doubtful: dict[str, list[str]] = {}  # by name
        self.notes: dict[str, list[str]] = defaultdict(list)  # what was assumed -> names
        self._left_out: Counter[str] = Counter()  # frames of usable clips, by reason
        self._listed = {name: set(getattr(split, name)) for name in SPLIT_NAMES if split}

    def add(self, outcome: Outcome) -> None:
        """Add the next clip."""
        if outcome.skipped:
            self.skipped.append(outcome)
        else:
            self.usable.append(self.clips)
            self.frames += sum(len(span) for span in outcome.spans)
            self.by_part[self.split.part(outcome.name) if self.split else ""] += 1
            self._left_out.update(_left_out(outcome))
        self.clips += 1
        if outcome.doubts:
            self.doubtful[outcome.name] = list(outcome.doubts)
        for note in outcome.notes:
            self.notes[note].append(outcome.name)
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


def write_report(out: Path, manifest: Manifest, tally: Tally) -> None:
    """Write the report of a data set, as Markdown and as JSON."""
    split = tally.split
    data = {
        "source": manifest.source,
        "clips": tally.clips,
        "usable": len(tally.usable),
        "usable_frames": tally.frames,
        "split": {name or "neither": count for name, count in tally.by_part.items()}
        if split
        else {},
        "skipped": {
            each.name: {"reason": each.skipped, "detail": each.detail, **_faults(each)}
            for each in tally.skipped
        },
        "read_as": tally.notes,
        "doubtful": tally.doubtful,
        "left_out_frames": tally.left_out,
        "listed_but_missing": tally.missing,
        "note": split.note if split else "",
    }
    with whole_file(out / REPORT_DATA) as part:
        part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    with whole_file(out / REPORT) as part:
        part.write_text(_text(manifest, tally), encoding="utf-8")


def _text(manifest: Manifest, tally: Tally) -> str:
    """Return the report as Markdown."""
    size, cached = manifest.size, ", ".join(manifest.cached) or "nothing"
    lines = [
        f"# Clips of {manifest.source}",
        "",
        f"{len(tally.usable)} of {tally.clips} clips are usable, with {tally.frames} frames at "
        f"{size.width}x{size.height} ({manifest.fit}); cached: {cached}.",
        *_split_lines(tally),
    ]
    by_reason: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in tally.skipped:
        by_reason[outcome.skipped].append(outcome)
    for reason, skipped in sorted(by_reason.items()):
        lines += ["", f"## Skipped: {reason} ({len(skipped)})", ""]
        lines += [f"- `{each.name}`: {each.detail}{_fault_text(each)}" for each in skipped]
    if tally.notes:
        lines += ["", "## How clips were read", ""]
        lines += [f"- {note} ({_some(names)})" for note, names in tally.notes.items()]
    if tally.doubtful:
        lines += ["", f"## Doubtful skeletons ({len(tally.doubtful)})", ""]
        lines += [f"- `{name}`: {' '.join(doubts)}" for name, doubts in tally.doubtful.items()]
    if tally.left_out:
        counts = ", ".join(f"{count} {reason}" for reason, count in tally.left_out.items())
        lines += ["", f"Left out of usable clips: {counts}."]
    return "\n".join(lines) + "\n"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"`{name}`" for name in names[:_LISTED]) + more


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
            lines += ["", f"On the {part} list, but not in the folder ({len(names)}): "]
            lines[-1] += ", ".join(f"`{name}`" for name in names) + "."
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
