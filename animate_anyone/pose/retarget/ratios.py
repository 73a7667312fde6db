"""Ratios of bone lengths, reference over driver, measured in 2-D.

Two estimates are blended. If a frame of the driver has the reference's pose, its bones are equally
foreshortened and lengths can be compared directly. Otherwise the greatest lengths over the clip
are compared, since foreshortening makes a bone look shorter, never longer; `foreshortening` judges
which bones of the reference are affected.
"""

import math
from dataclasses import dataclass

import numpy as np

from .bones import KINDS, LARGE, MIRRORED, SEGMENT_KINDS, Figure, segments_of
from .foreshortening import corrected

MATCH_ANGLE_DEG = 6.0  # direction difference at which a matched frame has weight 1/e
SAME_ANGLE_DEG = 0.5  # all directions this near: the same pose, whatever the lengths
LARGEST_DEVIATION = 3.0  # of a bone's ratio from the global scale, as a factor
LARGEST_HEAD_DEVIATION = 6.0  # for heads, which are very large in drawn characters
PERCENTILE = 90  # of a driver's bone over frames and sides
RARELY = 0.1  # bones seen in fewer than this share of the driver's frames are not measured

_IS_LARGE = np.isin(SEGMENT_KINDS, LARGE)
# (kind, kind, tolerance): kinds whose ratios are similar for any two bodies, and the difference of
# log ratios that is normal. If they differ more in a frame, one is foreshortened in one picture
# only, although it has the same direction.
_SIMILAR = (("thigh", "shin", 0.25), ("upper_arm", "forearm", 0.25), ("shoulder", "spine", 0.8))
_GROUPS = (  # parts of the body that decide the scale together if the spine is not seen
    ("shoulder",), ("upper_arm", "forearm"), ("thigh", "shin"), ("neck", "head"),
)  # fmt: skip
_SIBLINGS = {
    "thigh": "shin",
    "shin": "thigh",
    "upper_arm": "forearm",
    "forearm": "upper_arm",
    "hip": "shoulder",
    "shoulder": "hip",
    "hand": "forearm",
    "neck": "head",
    "head": "neck",
}


@dataclass(frozen=True, kw_only=True)
class Match:
    """The driver's frame whose pose is most similar to the reference's."""

    frame: int | None  # None: no frame shows enough of the reference's bones
    angle_deg: float | None  # length-weighted RMS difference of directions
    alpha: float  # weight of that frame's lengths, 0..1


@dataclass(frozen=True, kw_only=True)
class Ratios:
    """Ratios of lengths, reference over driver: per kind of bone, and one global scale."""

    scale: float
    ratios: dict[str, float]  # every kind of KINDS
    sources: dict[str, str]  # matched, blended, pooled, sibling or fallback
    match: Match

    @property
    def legs(self) -> float:
        """Return the ratio of the legs, by which the motion of the root is scaled."""
        return math.sqrt(self.ratios["thigh"] * self.ratios["shin"])

    def weakened(self, strength: float) -> "Ratios":
        """Return ratios between the global scale (strength 0) and these ratios (1)."""
        weak = {
            kind: self.scale ** (1 - strength) * ratio**strength
            for kind, ratio in self.ratios.items()
        }
        return Ratios(scale=self.scale, ratios=weak, sources=self.sources, match=self.match)


def measure(
    driver: Figure,  # f frames
    reference: Figure,  # one frame
    frame: int | None,  # of the driver to compare with the reference; None: the best
    default: float,  # scale to use if nothing can be measured
) -> Ratios:
    """Return the estimated ratios of all bones."""
    theirs, certain = _measurable_segments(reference)
    # If the reference has low confidence, so has the driver's frame that was used as reference.
    ours = _measurable_segments(driver)[0] if certain else segments_of(driver, certain=False)
    matched = _match(ours, theirs, frame)
    lengths, wanted = _norm(ours), _norm(theirs)[0]
    pooled, sizes = _pooled(lengths, wanted)
    direct = {} if matched.frame is None else _direct(lengths[matched.frame], wanted)
    logs = corrected(pooled, sizes, reference)
    middle = _scale(logs, sizes, default)
    logs = {kind: middle + _clamped(kind, value - middle) for kind, value in logs.items()}
    for kind, value in direct.items():
        logs[kind] = matched.alpha * value + (1 - matched.alpha) * logs.get(kind, middle)
    sources = {kind: _source(matched.alpha if kind in direct else 0.0) for kind in logs}
    scale = _scale(logs, sizes, default)
    _fill(logs, sources, scale)
    ratios = {kind: math.exp(logs[kind]) for kind in KINDS}
    return Ratios(scale=math.exp(scale), ratios=ratios, sources=sources, match=matched)


def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[..., 0], vectors[..., 1])


def _measurable_segments(figure: Figure) -> tuple[np.ndarray, bool]:  # (f, segments, 2)
    """Return segments between certain points and True; if too few, between seen ones and False."""
    vectors = segments_of(figure, certain=True)
    if _large(vectors) >= 2:
        return vectors, True
    return segments_of(figure, certain=False), False


def _large(vectors: np.ndarray) -> int:
    """Return the number of large bones that are shown in any frame."""
    return int(np.isfinite(vectors[:, _IS_LARGE, 0]).any(0).sum())


def _match(
    ours: np.ndarray,  # (f, segments, 2)
    theirs: np.ndarray,  # (1, segments, 2)
    frame: int | None,
) -> Match:
    """Return the frame (if None, the best one) and how well directions of large bones match there.

    Directions are weighted by the bones' lengths. They do not show depth, so `_depth` adds a
    penalty for lengths that cannot be explained by different bodies.
    """
    chosen = np.isfinite(theirs[0, :, 0])
    if _large(theirs):
        chosen &= _IS_LARGE
    a, b = ours[:, chosen], theirs[:, chosen]
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    angles = np.degrees(np.arctan2(cross, (a * b).sum(-1)))
    seen = np.isfinite(angles)
    enough = seen.any(1) & (seen.sum(1) >= 0.7 * chosen.sum())
    if not enough.any() or (frame is not None and not enough[frame]):
        return Match(frame=frame, angle_deg=None, alpha=0.0)
    weights = np.nan_to_num(_norm(a))
    total = np.maximum(weights.sum(1), 1e-9)
    squares = (weights * np.nan_to_num(angles) ** 2).sum(1) / total
    chance = -np.expm1(-squares / SAME_ANGLE_DEG**2)  # that equal directions hide another depth
    squares += chance * _depth(_norm(ours), _norm(theirs)) / total
    difference = np.sqrt(squares[enough])
    indices = np.flatnonzero(enough)
    best = int(np.argmin(difference) if frame is None else np.searchsorted(indices, frame))
    angle = float(difference[best])
    alpha = math.exp(-((angle / MATCH_ANGLE_DEG) ** 2))
    return Match(frame=int(indices[best]), angle_deg=angle, alpha=alpha)


def _depth(
    ours: np.ndarray,  # (f, segments)
    theirs: np.ndarray,  # (1, segments)
) -> np.ndarray:  # (f,) squared degrees times pixels
    """Return a penalty for bones that are foreshortened differently, weighted by their lengths."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = np.where(both, ours, 0.0), np.where(both, theirs, 0.0)
    sums = {}
    for kind in LARGE:
        columns = kind == SEGMENT_KINDS
        sums[kind] = ours[:, columns].sum(1), theirs[:, columns].sum(1)
    total = np.zeros(len(ours))
    for one, other, tolerance in _SIMILAR:
        (mine, wanted), (mine_other, wanted_other) = sums[one], sums[other]
        usable = np.minimum(mine, mine_other) > 0
        product = np.where(usable, wanted * mine_other, 1.0)
        product_other = np.where(usable, wanted_other * mine, 1.0)
        share = np.minimum(product, product_other) / np.maximum(product, product_other)
        angles = np.degrees(np.arccos(np.minimum(share * math.exp(tolerance), 1.0)))
        total += angles**2 * (mine + mine_other)
    return total


def _direct(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Return log ratios from one frame's lengths, with both sides of the body summed."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    logs = {}
    for kind in KINDS:
        columns = both & (kind == SEGMENT_KINDS)
        if columns.any():
            logs[kind] = math.log(theirs[columns].sum() / ours[columns].sum())
    return logs


def _pooled(
    ours: np.ndarray,  # (f, segments)
    theirs: np.ndarray,  # (segments,)
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return log ratios of the greatest lengths, and these lengths: (driver's, reference's)."""
    sizes: dict[str, tuple[float, float]] = {}
    for kind, columns in MIRRORED:
        mine, wanted = ours[:, columns], theirs[columns]
        mine, wanted = mine[np.isfinite(mine)], wanted[np.isfinite(wanted)]
        if mine.size > RARELY * ours[:, columns].size and wanted.size:
            before = sizes.get(kind, (0.0, 0.0))
            sizes[kind] = (
                before[0] + _high(mine),
                before[1] + float(wanted.max()),
            )
    return {kind: math.log(theirs / ours) for kind, (ours, theirs) in sizes.items()}, sizes


def _high(lengths: np.ndarray) -> float:
    """Return the PERCENTILE of a few numbers; np.percentile would dominate the running time."""
    place = (len(lengths) - 1) * PERCENTILE / 100
    below = math.floor(place)
    ordered = np.sort(lengths)[below : below + 2]
    return float(ordered[0] + (place - below) * (ordered[-1] - ordered[0]))


def _scale(
    logs: dict[str, float],
    sizes: dict[str, tuple[float, float]],
    default: float,
) -> float:
    """Return the mean log ratio of the large bones, weighted by driver lengths.

    Without a spine it is the median of shoulders, arms, legs and head, since any of them alone may
    be unusual or misread.
    """
    kinds = [kind for kind in LARGE if kind in logs]
    if "spine" not in kinds:
        groups = [[logs[kind] for kind in group if kind in logs] for group in _GROUPS]
        means = [float(np.mean(group)) for group in groups if group]
        if not means:
            return float(np.mean(list(logs.values()))) if logs else math.log(default)
        return float(np.median(means))
    weights = [sizes[kind][0] for kind in kinds]
    return float(np.average([logs[kind] for kind in kinds], weights=weights))


def _source(alpha: float) -> str:
    if alpha > 0.99:
        return "matched"
    return "blended" if alpha > 0.01 else "pooled"


def _fill(logs: dict[str, float], sources: dict[str, str], scale: float) -> None:
    """Set the ratio of bones without a measurement to that of a related bone, or the scale."""
    measured = dict(logs)
    for kind in KINDS:
        if kind in measured:
            continue
        sibling = _SIBLINGS.get(kind, "")
        logs[kind] = measured.get(sibling, scale)
        sources[kind] = "sibling" if sibling in measured else "fallback"
    for kind in ("thigh", "shin"):
        if sources[kind] == "fallback":
            logs[kind] = logs["spine"]


def _clamped(kind: str, deviation: float) -> float:
    largest = LARGEST_HEAD_DEVIATION if kind in ("head", "neck") else LARGEST_DEVIATION
    return float(np.clip(deviation, -math.log(largest), math.log(largest)))
