"""The frames of real clips that a test compared, and whether these are all that it should."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..names.some import some

LISTED = 100  # clips that the table names; as many as the largest published test has


@dataclass(frozen=True)
class Compared:
    """The compared frames of one clip."""

    frames: range  # their numbers in the clip, from 0; the step is the protocol's stride
    of: int  # frames of the whole clip
    asked: int | None  # the protocol's greatest number of frames; None: all
    notes: tuple[str, ...] = ()  # what was assumed when the files were read, or not honoured

    @property
    def from_start(self) -> bool:
        """Return whether these are all frames that the protocol takes, from the first one on."""
        return self.frames == range(0, self.of, self.frames.step)[: self.asked]

    @property
    def short(self) -> bool:
        """Return whether fewer frames were compared than the protocol asks for."""
        return self.asked is not None and len(self.frames) < self.asked

    def data(self) -> dict[str, int | list[str]]:
        """Return the record as values for JSON."""
        notes = {"notes": list(self.notes)} if self.notes else {}
        return notes | {
            "first": self.frames[0],
            "last": self.frames[-1],
            "step": self.frames.step,
            "frames": len(self.frames),
            "of": self.of,
        }

    def stored(self) -> dict[str, Any]:
        """Return every field as values for JSON, from which `restored` makes the record again."""
        taken = self.frames
        return {
            "frames": [taken.start, taken.stop, taken.step],
            "of": self.of,
            "asked": self.asked,
            "notes": list(self.notes),
        }

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> "Compared":
        """Return the record from the values of `stored`."""
        notes = tuple(values["notes"])
        return cls(range(*values["frames"]), values["of"], values["asked"], notes)


def not_whole(clips: Mapping[str, Compared]) -> dict[str, tuple[str, str]]:
    """Return the entry for `Report.changed` if clips were not compared from their first frame."""
    cut = sum(not clip.from_start for clip in clips.values())
    if not cut:
        return {}
    here = f"only the longest usable span in {cut} of {len(clips)} clips"
    return {"frames of clips": ("from the first on", here)}


def compared_lines(clips: Mapping[str, Compared]) -> list[str]:
    """Return lines that list the compared frames of clips, and the clips that were short.

    The file of figures has those of all clips.
    """
    if not clips:
        return []
    spans = [
        f"{name} {clip.frames[0]}..{clip.frames[-1]} of {clip.of}" for name, clip in clips.items()
    ]
    lines = [f"Frames compared, counted from 0: {some(spans, LISTED)}."]
    short = {name: clip for name, clip in clips.items() if clip.short}
    if short:
        asked = max(clip.asked or 0 for clip in short.values())
        listed = [f"{name} ({len(clip.frames)})" for name, clip in short.items()]
        lines.append(f"Shorter than the {asked} frames asked for: {some(listed, LISTED)}.")
    notes: dict[str, list[str]] = {}
    for name, clip in clips.items():
        for note in clip.notes:
            notes.setdefault(note, []).append(name)
    return lines + [f"{note} ({some(names, LISTED)})" for note, names in notes.items()]
