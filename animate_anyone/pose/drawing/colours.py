"""Whether pictures show drawn skeletons, and the order of their colours."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .read_back import CERTAIN_LIMBS, LEAST_SIDE_PX, exchanged_lead

_DARK = 40  # of 0..255: darker pixels count as the black background of a skeleton
_LEAST_DARK = 0.6  # share of dark pixels in a skeleton clip
# Share of full colours or white among the other pixels; edges and compression make some grey.
_LEAST_PALETTE = 0.5
_TRIED_FRAMES = 5  # skeletons that are looked at until their limbs tell the order


def is_skeleton(
    frame: np.ndarray,  # (H, W, 3) uint8 RGB
) -> bool:
    """Return whether a frame is mostly black, and the rest in full colours or white.

    A black frame counts as a skeleton frame without people.
    """
    brightest, darkest = frame.max(-1), frame.min(-1)
    drawn = brightest >= _DARK
    if drawn.mean() > 1 - _LEAST_DARK:
        return False
    coloured = darkest[drawn] <= 0.5 * brightest[drawn]
    white = darkest[drawn] >= 200
    return not drawn.any() or float((coloured | white).mean()) >= _LEAST_PALETTE


def with_colours_in_order(
    frames: Iterable[np.ndarray],  # each (H, W, 3) uint8, as the networks are to see them
    tell: Callable[[str], object],  # called once if colours were put in order
) -> Iterator[np.ndarray]:
    """Yield frames of skeletons; where red and blue are exchanged, they are exchanged back.

    Networks know a limb by its colour: with red and blue exchanged, arms and legs are other limbs.
    Programs that write pictures with OpenCV make such clips. Frames are yielded as they are if
    their limbs do not tell the order: pictures without skeletons, or with hands and faces alone.
    """
    iterator, waiting, lead, tried = iter(frames), list[np.ndarray](), 0, 0
    for frame in iterator:
        waiting.append(frame)
        if frame.any():
            tried += 1
            if min(frame.shape[:2]) >= LEAST_SIDE_PX and is_skeleton(frame):
                lead += exchanged_lead(frame)
        if abs(lead) >= CERTAIN_LIMBS or tried >= _TRIED_FRAMES:
            break
        if not tried:
            yield waiting.pop()
    exchanged = lead >= CERTAIN_LIMBS
    if exchanged:
        tell(
            "red and blue of its skeletons are exchanged, as limbs show; they are put in the order "
            "that the networks know"
        )
    for part in (waiting, iterator):
        for frame in part:
            yield np.ascontiguousarray(frame[..., ::-1]) if exchanged else frame
