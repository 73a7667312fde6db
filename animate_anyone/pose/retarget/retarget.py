"""Retargeting: a driving clip with the proportions and the position of the reference.

The paper rescales the driving skeleton to that of the character in the reference image (section
4.1) but does not say how. Here, every bone keeps its direction in every frame and gets the length
measured in the reference. The motion of the hips is scaled like the legs, so that standing feet do
not slide. The whole clip is placed on the reference once. If asked for, arms are then bent so that
hands touch what they touch in the driver.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import InputError
from ...fitting import placement
from ...types import Points, PoseClip, Size
from ..skeleton.joints import BODY_JOINTS
from .bones import FACE, KINDS, NODES, PART_SLICES, PELVIS, Figure, figure_of, has_body
from .contacts import keep_contacts
from .modes import MODES, USUAL_MODE, Scales
from .placement import ANCHORS, place
from .ratios import measure
from .report import BoneRatio, RetargetReport, doubts


@dataclass(frozen=True, kw_only=True)
class RetargetConfig:
    """How the driver is fitted to the reference.

    Raises InputError for an unknown mode or anchor, or a number out of range.
    """

    mode: str = USUAL_MODE  # one of MODES
    strength: float = 1.0  # 0: one scale for all bones; 1: each bone has its own
    # Frame of the driver that is compared with the reference and placed on it; None: the best.
    match_frame: int | None = None
    anchor: str = "auto"  # joint placed on the reference's; auto: the best that both show
    lock_x: bool = False  # keep the root at its placed position in x
    lock_y: bool = False  # the same in y
    fit_canvas: bool = False  # shrink and move the whole clip so that all points are on canvas
    contacts: bool = False  # bend arms so that hands touch head, hips and each other as before

    def __post_init__(self) -> None:
        """Reject unknown choices and values out of range."""
        for name, choices in (("mode", MODES), ("anchor", ANCHORS)):
            value = getattr(self, name)
            if value not in choices:
                raise InputError(
                    f"{name} got {value!r}; it must be one of {', '.join(choices)}. Choose one."
                )
        if not 0 <= self.strength <= 1:
            raise InputError(
                f"strength got {self.strength}; it must lie within 0 and 1. Choose 1 for the "
                f"reference's own proportions, 0 for the driver's."
            )

    @property
    def compares(self) -> bool:
        """Return whether the mode compares skeletons and so needs the reference's skeleton."""
        return MODES[self.mode].scales is not None


def retarget(
    driver: PoseClip,  # f frames; person 0 is compared with the reference
    reference: PoseClip,  # only person 0 in the first frame that shows it
    config: RetargetConfig = RetargetConfig(),
) -> tuple[PoseClip, RetargetReport]:
    """Return the driver's motion on the reference's body and canvas, and a report.

    Confidences and flags of points do not change. Other people are moved by the global scale and
    shift of person 0; their proportions are kept. In a mode that does not compare skeletons, or if
    the reference shows no person, the clip is scaled evenly and centred on the reference's canvas.

    Raises InputError if match_frame is not a frame of the driver.
    """
    frame = config.match_frame
    if frame is not None and not 0 <= frame < len(driver):
        raise InputError(
            f"match_frame got {frame}; the driver has frames 0 to {len(driver) - 1}. Choose one "
            f"of them, or none for the best match."
        )
    figures = [figure_of(driver, person) for person in range(driver.body.xy.shape[1])]
    target = _reference_figure(reference)
    scale, left, top = placement(driver.canvas, reference.canvas)
    report = RetargetReport(
        mode=config.mode,
        strength=config.strength,
        scale=scale,
        canvas_scale=scale,
        people=len(figures),
        reference_missing=_missing(target),
        warnings=_missing_people(figures, target),
    )
    scales = MODES[config.mode].scales
    if scales is None and config.contacts:
        text = f"mode {config.mode} moves no arms, so that contacts have no effect"
        report = replace(report, warnings=(*report.warnings, text))
    if scales is None or report.warnings:
        places = [figure.xy * scale + (left, top) for figure in figures]
    else:
        report, places = _put_on_reference(figures, target, scales, config, report)
    return _finished(driver, reference.canvas, figures, places, config.fit_canvas, report)


def _reference_figure(reference: PoseClip) -> Figure:
    """Return person 0 in the first frame that shows it, or a figure without seen points."""
    if not reference.body.xy.shape[1] or not len(reference):
        nothing = np.zeros((1, FACE.stop), bool)
        return Figure(np.zeros((1, FACE.stop, 2)), nothing, nothing)
    figure = figure_of(reference, 0)
    return figure.frame(int(np.argmax(figure.seen[:, :NODES].any(1))))


def _missing(target: Figure) -> tuple[str, ...]:
    return tuple(name for joint, name in enumerate(BODY_JOINTS) if not target.seen[0, joint])


def _missing_people(figures: Sequence[Figure], target: Figure) -> tuple[str, ...]:
    """Return warnings if the reference or person 0 of the driver is missing."""
    warnings = []
    if not has_body(target):
        warnings.append("the reference shows no person; the clip is only fitted into its canvas")
    if not any(has_body(figure) for figure in figures[:1]):
        warnings.append("the driver never shows person 0; nothing is retargeted")
    return tuple(warnings)


def _put_on_reference(
    figures: Sequence[Figure],
    target: Figure,
    scales: Scales,
    config: RetargetConfig,
    report: RetargetReport,
) -> tuple[RetargetReport, list[np.ndarray]]:
    """Return the points of all people on the reference, each (f, 135, 2)."""
    measured = measure(figures[0], target, config.match_frame, report.scale)
    ratios = scales(measured, config.strength)
    placement = place(
        figures[0],
        target,
        ratios,
        frame=config.match_frame,
        anchor=config.anchor,
        locks=(config.lock_x, config.lock_y),
    )
    mine, contacts = placement.xy, ()
    if config.contacts:
        mine, contacts = keep_contacts(figures[0], placement.xy, placement.joints, ratios)
    places = [mine, *(placement.follow(figure.xy) for figure in figures[1:])]
    bones = tuple(
        BoneRatio(bone=kind, ratio=ratios.ratios[kind], source=ratios.sources[kind])
        for kind in KINDS
    )
    report = replace(
        report,
        scale=ratios.scale,
        bones=bones,
        alpha=ratios.match.alpha,
        match_frame=ratios.match.frame,
        match_angle_deg=ratios.match.angle_deg,
        placement_frame=placement.frame,
        root=placement.root,
        anchor=placement.anchor,
        contacts=contacts,
        warnings=_anchor_warning(config.anchor, placement.anchor),
    )
    return report, places


def _anchor_warning(wanted: str, used: str) -> tuple[str, ...]:
    if wanted in ("auto", used):
        return ()
    return (f"anchor {wanted} is not seen in both driver and reference; {used} is used",)


def _finished(
    driver: PoseClip,
    canvas: Size,
    figures: Sequence[Figure],
    places: Sequence[np.ndarray],  # one per person: (f, 135, 2)
    fit_canvas: bool,
    report: RetargetReport,
) -> tuple[PoseClip, RetargetReport]:
    """Return the points as a clip, and the report with the number of points off the canvas."""
    size = np.array((canvas.width, canvas.height), float)
    real = np.arange(FACE.stop) != PELVIS
    seen = [place[figure.seen & real] for place, figure in zip(places, figures, strict=True)]
    together = np.concatenate(seen) if seen else np.zeros((0, 2))
    if fit_canvas and len(together):
        scale, shift = _canvas_fit(together, size)
        places = [place * scale + shift for place in places]
        together = together * scale + shift
        report = replace(report, fit_scale=scale)
    off = ((together < 0) | (together >= size)).any(-1)
    report = replace(report, points=len(together), points_off_canvas=int(off.sum()))
    report = replace(report, warnings=(*report.warnings, *doubts(report)))
    parts = {part: _part(getattr(driver, part), places, at) for part, at in PART_SLICES.items()}
    return PoseClip(canvas=canvas, **parts), report


def _part(points: Points, places: Sequence[np.ndarray], at: slice) -> Points:
    finite = np.isfinite(points.xy).all(-1) & np.isfinite(points.confidence)
    confidence = np.where(finite, points.confidence, 0.0)
    xy = np.zeros(points.xy.shape)
    for person, points_of in enumerate(places):
        xy[:, person] = points_of[:, at]
    return replace(points, xy=np.where(confidence[..., None] > 0, xy, 0.0), confidence=confidence)


def _canvas_fit(points: np.ndarray, size: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the smallest change of scale and shift that brings all points onto the canvas."""
    low, high = points.min(0), points.max(0)
    scale = min(1.0, *((size - 1) / np.maximum(high - low, 1e-9)).tolist())
    middle = (low + high) / 2
    shift = middle * (1 - scale)
    low, high = low * scale + shift, high * scale + shift
    return scale, shift + np.maximum(-low, 0) - np.maximum(high - (size - 1), 0)
