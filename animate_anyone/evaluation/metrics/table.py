"""The metrics: one entry each, and how a table shows them.

To add a metric, add an entry to METRICS. Results, tables, protocols, the command `evaluate` and
the Evaluate node read it from here.
"""

from torch import Tensor

from ...pose.skeleton.part_boxes import Part
from . import frames, motion, parts, poses, video
from .lpips import lpips
from .metric import Instruments, Look, Metric, OfClip, OfFrames, OfSet

Row = dict[str, float]  # value by name of METRICS; without metrics that were not measured

_PERSON = "The driving skeletons must show a person."
_DRAWN = "Only drawn characters at their own size have a known silhouette."
_WINDOWS = (
    "Clips of more than one window, generated here, are needed; their truth must move at the "
    "borders of windows and inside."
)


def _lpips(result: Tensor, truth: Tensor, instruments: Instruments) -> Tensor:
    assert instruments.lpips is not None
    return lpips(result, truth, instruments.lpips)


def _figure_psnr(look: Look) -> float:
    assert look.case.near is not None
    return float(frames.psnr_inside(look.result, look.truth, look.case.near).mean())


def _iou(look: Look) -> float:
    assert look.case.background is not None
    both = (frames.silhouette(clip, look.case.background) for clip in (look.result, look.truth))
    return float(frames.intersection_over_union(*both).mean())


def _flicker(look: Look) -> float | None:
    return video.flicker(look.result, look.truth) if len(look.result) > 1 else None


def _seam_drift(look: Look) -> float | None:
    windows = look.case.windows
    if not video.allows_seam_drift(look.truth, windows):
        return None
    return video.seam_drift(look.result, windows, look.truth)


def _part_metrics(part: Part) -> dict[str, Metric]:
    """Return the metrics inside boxes around hands or faces, by name."""

    def psnr(look: Look) -> float | None:
        assert look.case.skeletons is not None
        return parts.part_psnr(look.result, look.truth, look.case.skeletons, part)

    def perceptual(look: Look) -> float | None:
        network = look.instruments.lpips
        assert look.case.skeletons is not None
        assert network is not None
        return parts.part_lpips(look.result, look.truth, look.case.skeletons, part, network)

    def pck(look: Look) -> float | None:
        return parts.part_pck(*look.poses, part, look.instruments.pck_threshold)

    seen = {"hand": "a hand with all of its points", "face": "half of a face's points"}[part]
    condition = f"The driving skeletons must show {seen}."
    where = f"{part}s"
    return {
        f"{part}_psnr": Metric(
            title=f"PSNR in {where}",
            unit="dB",
            digits=2,
            better="higher",
            needs=("skeletons",),
            measure=OfClip(psnr),
            condition=condition,
        ),
        f"{part}_lpips": Metric(
            title=f"LPIPS in {where}",
            digits=3,
            better="lower",
            needs=("lpips", "skeletons"),
            measure=OfClip(perceptual),
            condition=condition,
        ),
        f"{part}_pck": Metric(
            title=f"PCK of {where}",
            digits=3,
            better="higher",
            needs=("pose", "skeletons"),
            measure=OfClip(pck),
            condition=condition,
        ),
    }


METRICS = {
    "psnr": Metric(
        title="PSNR",
        unit="dB",
        digits=2,
        better="higher",
        measure=OfFrames(lambda result, truth, _: frames.psnr(result, truth)),
    ),
    "ssim": Metric(
        title="SSIM",
        digits=3,
        better="higher",
        measure=OfFrames(lambda ours, true, tools: frames.SSIMS[tools.ssim](ours, true)),
    ),
    "psnr_uint8_legacy": Metric(
        title="PSNR as in this field's tables (overflows)",
        unit="dB",
        digits=2,
        better="higher",
        measure=OfFrames(lambda result, truth, _: frames.psnr_uint8_legacy(result, truth)),
        legacy=True,
    ),
    "lpips": Metric(
        title="LPIPS",
        digits=3,
        better="lower",
        needs=("lpips",),
        measure=OfFrames(_lpips),
    ),
    "fvd": Metric(
        title="FVD",
        digits=1,
        better="lower",
        needs=("fvd",),
        measure=OfSet(
            features=lambda clip, fps, instruments: video.fvd_features(clip, fps, instruments.fvd),
            value=video.frechet_distance,
            check=lambda instruments, lengths: video.check_fvd(instruments.fvd, lengths),
        ),
    ),
    "pck": Metric(
        title="PCK",
        digits=3,
        better="higher",
        needs=("pose", "skeletons"),
        condition=_PERSON,
        measure=OfClip(lambda look: poses.pck(*look.poses, look.instruments.pck_threshold)),
    ),
    "oks": Metric(
        title="OKS",
        digits=3,
        better="higher",
        needs=("pose", "skeletons"),
        condition=_PERSON,
        measure=OfClip(lambda look: poses.oks(*look.poses)),
    ),
    "pose_error": Metric(
        title="pose error (torsos)",
        unit="torsos",
        digits=3,
        better="lower",
        needs=("pose", "skeletons"),
        condition=_PERSON,
        measure=OfClip(lambda look: poses.pose_error(*look.poses)),
    ),
    "figure_psnr": Metric(
        title="PSNR in the figure",
        unit="dB",
        digits=2,
        better="higher",
        needs=("near",),
        condition=_DRAWN,
        measure=OfClip(_figure_psnr),
    ),
    "iou": Metric(
        title="silhouette IoU",
        digits=3,
        better="higher",
        needs=("background",),
        condition=_DRAWN,
        measure=OfClip(_iou),
    ),
    "flicker": Metric(
        title="flicker",
        unit="levels of 255",
        digits=2,
        better="lower",
        condition="Clips of 2 frames or more are needed.",
        measure=OfClip(_flicker),
    ),
    "seam_drift": Metric(
        title="seam drift",
        digits=2,
        better="nearer 1",
        needs=("windows",),
        condition=_WINDOWS,
        measure=OfClip(_seam_drift),
    ),
    **_part_metrics("hand"),
    **_part_metrics("face"),
    "sharpness": Metric(
        title="sharpness",
        digits=3,
        better="nearer 1",
        condition="Clips whose truth has structures of fewer than 8 pixels are needed.",
        measure=OfClip(lambda look: frames.sharpness(look.result, look.truth)),
    ),
    "motion_error": Metric(
        title="motion error (still: 1)",
        digits=3,
        better="lower",
        needs=("pose", "skeletons"),
        condition="Clips of 5 frames or more with a person that moves are needed.",
        measure=OfClip(lambda look: motion.motion_error(*look.poses)),
    ),
}


def names_for(*, drawn: bool) -> tuple[str, ...]:
    """Return the metrics that drawn or real clips can have, in the table's order."""
    of_drawn = {"background", "near"}
    return tuple(name for name, each in METRICS.items() if drawn or not of_drawn & {*each.needs})


def names_without_files(
    *,
    lpips: bool = False,  # whether its network is there
) -> tuple[str, ...]:
    """Return the metrics that need only two clips and skeletons, those of poses last."""
    given = {"pose", "skeletons", *(["lpips"] if lpips else [])}
    chosen = [
        name
        for name, each in METRICS.items()
        if given >= {*each.needs} and not each.legacy and not isinstance(each.measure, OfSet)
    ]
    return tuple(sorted(chosen, key=lambda name: "skeletons" in METRICS[name].needs))


def cell(name: str, row: Row, error: Row | None = None) -> str:
    """Return a figure as a table shows it, with its standard error if there is one."""
    if name not in row:
        return ""
    digits = METRICS[name].digits
    text = f"{row[name]:.{digits}f}"
    if error and name in error:
        text += f" ± {error[name]:.{digits}f}"
    return text
