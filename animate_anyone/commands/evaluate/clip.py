"""`evaluate --result --poses`: how well one clip follows its skeletons."""

import argparse
import logging

from ...errors import InputError
from ...types import Size
from .checks import drop_unused
from .results import write_results

logger = logging.getLogger(__name__)


def run_on_clip(options: argparse.Namespace) -> int:
    """Measure one clip, print and write the figures; return the exit code."""
    import numpy as np

    from ...evaluation.metrics.following import following
    from ...media import clip_info, frames_of, to_pixels
    from ..driving import open_driving, read_driving

    if not (options.result and options.poses):
        raise InputError("--result and --poses belong together; give both.")
    rule = "--result with --poses measures the overlap with skeletons alone, not"
    drop_unused(options, (), rule, "Give --results and --truth for this")
    info = clip_info(options.result)
    frames = np.stack(list(frames_of(info)))
    for remark in info.remarks(len(frames)):
        logger.warning("%s: %s", options.result, remark)
    size = Size(frames.shape[2], frames.shape[1])
    driving = open_driving(options.poses, limit=len(frames), canvas=options.canvas)
    if driving.kind == "video":
        raise InputError(
            f"--poses got {options.poses}, a video of a person; the overlap is measured with "
            "skeletons. Extract them first (pose extract), and fit them as `animate` did "
            "(pose retarget)."
        )
    poses = read_driving(driving, size)
    table = following(to_pixels(frames), to_pixels(poses))
    text = "".join(f"{name:18} {value:.3f}\n" for name, value in table.items())
    write_results(options, text, table)
    return 0
