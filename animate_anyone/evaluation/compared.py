"""Which frames of real clips a test compared, and where that is not all that was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Compared:
    """The frames of one clip."""

    frames: range  # their numbers in the clip, from 0; the step is the protocol's stride
    of: int  # frames of the whole clip
    asked: int | None  # how many were asked for at most; None: all

    @property
    def from_start(self) -> bool:
        """Return whether these are all that the clip could give, from its first frame on."""
        return self.frames == range(0, self.of, self.frames.step)[: self.asked]

    @property
    def short(self) -> bool:
        """Return whether fewer were compared than asked for."""
        return self.asked is not None and len(self.frames) < self.asked

    def data(self) -> dict[str, int]:
        """Return the record as JSON holds it."""
        return {
            "first": self.frames[0],
            "last": self.frames[-1],
            "step": self.frames.step,
            "frames": len(self.frames),
            "of": self.of,
        }


def not_whole(clips: Mapping[str, Compared]) -> dict[str, tuple[str, str]]:
    """Return what is not as a protocol says, as `Report.changed`, where clips are not whole."""
    cut = sum(not clip.from_start for clip in clips.values())
    if not cut:
        return {}
    here = f"the longest usable span alone of {cut} of {len(clips)} clips"
    return {"frames of clips": ("from the first on", here)}


def compared_lines(clips: Mapping[str, Compared]) -> list[str]:
    """Return which frames of every clip were compared, and which clips were too short."""
    if not clips:
        return []
    spans = ", ".join(
        f"{name} {clip.frames[0]}..{clip.frames[-1]} of {clip.of}" for name, clip in clips.items()
    )
    lines = [f"Frames compared, counted from 0: {spans}."]
    short = {name: clip for name, clip in clips.items() if clip.short}
    if short:
        asked = max(clip.asked or 0 for clip in short.values())
        told = ", ".join(f"{name} ({len(clip.frames)})" for name, clip in short.items())
        lines.append(f"Shorter than the {asked} frames asked for: {told}.")
    return lines
