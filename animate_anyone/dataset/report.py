"""The report of `prepare`: which clips are usable, and why the others are not."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from ..places import whole_file
from .clip import Outcome
from .manifest import Manifest
from .spans import CUTS
from .splits import SPLIT_NAMES, Split

REPORT = "report.md"
REPORT_DATA = "report.json"
_LISTED = 5  # clips that a note names


def write_report(
    out: Path, manifest: Manifest, outcomes: Sequence[Outcome], split: Split | None
) -> None:
    """Write the report of a data set, as Markdown and as JSON."""
    missing = split.missing(outcome.name for outcome in outcomes) if split else {}
    skipped = {outcome.name: outcome for outcome in outcomes if outcome.skipped}
    data = {
        "source": manifest.source,
        "clips": len(outcomes),
        "usable": len(manifest.clips),
        "usable_frames": sum(len(span) for clip in manifest.clips for span in clip.spans),
        "split": Counter(clip.split or "neither" for clip in manifest.clips) if split else {},
        "skipped": {
            name: {"reason": outcome.skipped, "detail": outcome.detail, **_faults(outcome)}
            for name, outcome in skipped.items()
        },
        "read_as": _notes(outcomes),
        "doubtful": {each.name: list(each.doubts) for each in outcomes if each.doubts},
        "left_out_frames": _left_out(outcomes),
        "listed_but_missing": missing,
        "note": split.note if split else "",
    }
    with whole_file(out / REPORT_DATA) as part:
        part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    with whole_file(out / REPORT) as part:
        part.write_text(report_text(manifest, outcomes, split), encoding="utf-8")


def report_text(manifest: Manifest, outcomes: Sequence[Outcome], split: Split | None) -> str:
    """Return the report as Markdown."""
    frames = sum(len(span) for clip in manifest.clips for span in clip.spans)
    size, cached = manifest.size, ", ".join(manifest.cached) or "nothing"
    lines = [
        f"# Clips of {manifest.source}",
        "",
        f"{len(manifest.clips)} of {len(outcomes)} clips are usable, with {frames} frames at "
        f"{size.width}x{size.height} ({manifest.fit}); cached: {cached}.",
        *_split_lines(manifest, outcomes, split),
    ]
    by_reason: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.skipped:
            by_reason[outcome.skipped].append(outcome)
    for reason, skipped in sorted(by_reason.items()):
        lines += ["", f"## Skipped: {reason} ({len(skipped)})", ""]
        lines += [f"- `{each.name}`: {each.detail}{_fault_text(each)}" for each in skipped]
    if notes := _notes(outcomes):
        lines += ["", "## How clips were read", ""]
        lines += [f"- {note} ({_some(names)})" for note, names in notes.items()]
    if doubtful := [each for each in outcomes if each.doubts]:
        lines += ["", f"## Doubtful skeletons ({len(doubtful)})", ""]
        lines += [f"- `{each.name}`: {' '.join(each.doubts)}" for each in doubtful]
    if left_out := _left_out(outcomes):
        counts = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        lines += ["", f"Left out of usable clips: {counts}."]
    return "\n".join(lines) + "\n"


def _notes(outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Return the names of clips by what was assumed or not honoured when they were read."""
    names: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        for note in outcome.notes:
            names[note].append(outcome.name)
    return dict(names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"`{name}`" for name in names[:_LISTED]) + more


def _split_lines(manifest: Manifest, outcomes: Sequence[Outcome], split: Split | None) -> list[str]:
    if split is None:
        return ["No split was given: all clips are for training, none for testing."]
    counts = Counter(clip.split for clip in manifest.clips)
    lines = [
        f"For training {counts['train']} of {len(split.train)} listed clips, for testing "
        f"{counts['test']} of {len(split.test)}; {counts['']} are on neither list and are not used."
    ]
    missing = split.missing(outcome.name for outcome in outcomes)
    for part in SPLIT_NAMES:
        if names := missing[part]:
            lines += ["", f"On the {part} list, but not in the folder ({len(names)}): "]
            lines[-1] += ", ".join(f"`{name}`" for name in names) + "."
    return [*lines, "", split.note] if split.note else lines


def _left_out(outcomes: Sequence[Outcome]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for outcome in outcomes:
        if not outcome.skipped:
            total.update(outcome.faults)
            total["in runs too short"] += (
                outcome.frames
                - sum(len(span) for span in outcome.spans)
                - sum(count for reason, count in outcome.faults.items() if reason != CUTS)
            )
    return {reason: count for reason, count in total.items() if count}


def _faults(outcome: Outcome) -> dict[str, dict[str, int]]:
    return {"faults": dict(outcome.faults)} if outcome.faults else {}


def _fault_text(outcome: Outcome) -> str:
    counts = [f"{count} {reason}" for reason, count in outcome.faults.items()]
    return f" ({', '.join(counts)})" if counts else ""
