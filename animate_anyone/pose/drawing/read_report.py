"""The report on a clip of drawn skeletons that was read back."""

from dataclasses import dataclass

from .draw import SHORT_SIDE_PX

_FEW = (
    "Less than half of the joints were read: the clip shows a part of the body only, or its "
    "skeletons are drawn in another way than OpenPose's, such as with thin lines. Use the clip as "
    "it is, or keypoints of its source."
)


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """What was found in a clip of drawn skeletons."""

    frames: int
    empty_frames: tuple[int, ...]  # frames without a skeleton
    seen: float  # share of body joints that were seen, over all frames
    estimated: float  # share of body joints estimated from the ends of limbs
    swapped: bool  # red and blue were exchanged in the clip
    certain: bool = True  # enough limbs fit to tell whether they were
    line_side: int = SHORT_SIDE_PX  # short side in pixels for which its lines are as wide as usual

    def __str__(self) -> str:
        order = "red and blue are exchanged in the clip" if self.swapped else "colours in order"
        if not self.certain:
            order = f"{order}, as far as the few limbs tell"
        if self.line_side != SHORT_SIDE_PX:
            order = (
                f"{order}; its lines are narrow for its size, so it was read as one with a short "
                f"side of {self.line_side} pixels"
            )
        text = (
            f"{self.frames} frames, {len(self.empty_frames)} of them without a skeleton; body "
            f"joints: {self.seen:.0%} seen, {self.estimated:.0%} estimated; {order}; hands and "
            f"faces are not read"
        )
        return f"{text}\n{_FEW}" if self._is_poor() else text

    def _is_poor(self) -> bool:
        """Return whether less than half of the joints of the frames with a skeleton were read."""
        drawn = self.frames - len(self.empty_frames)
        return 2 * (self.seen + self.estimated) * self.frames < drawn or not drawn
