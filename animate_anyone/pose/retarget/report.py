"""The report of a retargeting, as text and as data."""

from dataclasses import asdict, dataclass
from typing import Any

from .contacts import Contact

SCALES = (0.2, 5.0)  # usual share of its canvas that the reference fills over that of the driver


@dataclass(frozen=True, kw_only=True)
class BoneRatio:
    """The ratio of lengths for one kind of bone: result over driver."""

    bone: str
    ratio: float
    source: str  # matched, blended, pooled, sibling or fallback; mode if the mode sets it


@dataclass(frozen=True, kw_only=True)
class RetargetReport:
    """What was measured and chosen in one retargeting."""

    mode: str
    strength: float
    scale: float  # all bones together; reference over driver
    canvas_scale: float = 1.0  # that fits the driver's canvas into the reference's
    bones: tuple[BoneRatio, ...] = ()
    alpha: float = 0.0  # weight of the matched frame against the whole clip, 0..1
    match_frame: int | None = None  # of the driver; None: no frame is comparable
    match_angle_deg: float | None = None  # difference of its pose from the reference's
    placement_frame: int | None = None  # frame in which the anchor lies on the reference's
    root: str | None = None  # joint whose motion is kept
    anchor: str | None = None  # joint that is placed on the reference's
    fit_scale: float = 1.0  # scale that keeps the clip on its canvas
    people: int = 0
    points: int = 0  # seen points of all people and frames
    points_off_canvas: int = 0
    contacts: tuple[Contact, ...] = ()  # touches that were kept, if that was asked for
    reference_missing: tuple[str, ...] = ()  # body joints that the reference does not show
    warnings: tuple[str, ...] = ()

    @property
    def off_canvas_share(self) -> float:
        """Return the share of seen points that lie off the canvas, 0..1."""
        return self.points_off_canvas / self.points if self.points else 0.0

    def data(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        record = asdict(self)
        record["bones"] = {bone.bone: [bone.ratio, bone.source] for bone in self.bones}
        record["contacts"] = {
            contact.name: [contact.frames, contact.missed] for contact in self.contacts
        }
        record["off_canvas_share"] = self.off_canvas_share
        for name in ("reference_missing", "warnings"):
            record[name] = list(record[name])
        return record

    def text(self) -> str:
        """Return the report as a short table."""
        lines = [f"mode {self.mode}, scale {self.scale:.3f}, strength {self.strength:g}"]
        if self.match_angle_deg is not None:
            lines.append(
                f"nearest pose: frame {self.match_frame}, {self.match_angle_deg:.1f} degrees away, "
                f"weight {self.alpha:.2f}"
            )
        if self.anchor is not None:
            lines.append(
                f"placed by {self.anchor} in frame {self.placement_frame}, moved by {self.root}"
            )
        lines += [f"{bone.bone:<10}{bone.ratio:>7.3f}  {bone.source}" for bone in self.bones]
        for contact in self.contacts:
            missed = f", too far away in {contact.missed}" if contact.missed else ""
            lines.append(f"touch kept: {contact.name} in {contact.frames} frames{missed}")
        if self.fit_scale != 1:
            lines.append(f"scaled by {self.fit_scale:.3f} to stay on the canvas")
        lines.append(
            f"off the canvas: {self.points_off_canvas} of {self.points} points "
            f"({self.off_canvas_share:.1%})"
        )
        if self.reference_missing:
            lines.append(f"reference does not show: {', '.join(self.reference_missing)}")
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)


def doubts(report: RetargetReport) -> tuple[str, ...]:
    """Return warnings, a line each, if the result is probably not what the user wants."""
    lines = []
    low, high = SCALES
    share = report.scale / report.canvas_scale
    if report.bones and not low <= share <= high:
        lines.append(
            f"in its picture the reference's skeleton is {share:.3g} times as large as the "
            f"driver's in its own; look whether both skeletons lie on the people"
        )
    guessed = [bone.bone for bone in report.bones if bone.source == "fallback"]
    if 2 * len(guessed) > len(report.bones):
        lines.append(
            f"{len(guessed)} of {len(report.bones)} ratios are guesses ({', '.join(guessed)}), "
            f"because these bones are not seen in both driver and reference; a reference that "
            f"shows more of the body gives a better result"
        )
    if report.off_canvas_share > 0.5:
        lines.append(
            f"{report.off_canvas_share:.0%} of the points lie off the canvas; choose another "
            f"anchor, or let the clip be fitted to the canvas"
        )
    return tuple(lines)
