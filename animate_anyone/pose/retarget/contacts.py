"""Keeping the touches of the driver: a hand on the head, on a hip, or at the other hand.

Bones that keep their direction carry a hand past a head of another size. Here the point of the hand
that touches is moved to the same place of the touched surface, which is scaled like the result's
head, hips or hand, and elbow and wrist follow it. A touch has a weight that falls with the distance
in the driver and fades over some frames, so that nothing jumps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .bones import (
    FACE,
    HIPS,
    LEFT_HAND,
    NECK,
    NOSE,
    PELVIS,
    RIGHT_HAND,
    Figure,
    joints_over_time,
)
from .ratios import Ratios

FADE_FRAMES = 8  # before and after a touch
PALM_SHARE = 0.4  # of the forearm; size of a hand whose points are not seen
ARMS = {"right hand": (2, 3, 4), "left hand": (5, 6, 7)}  # shoulder, elbow, wrist
_EARS = (16, 17)
_HEAD_POINTS = (0, 14, 15, 16, 17)
# Distances at which a touch is certain and at which it is none: from the middle of the head in its
# radii, from a hip in torso lengths, between the hands in palms.
_HEAD_NEAR, _HEAD_FAR = 1.15, 1.6
_HIP_NEAR, _HIP_FAR = 0.3, 0.45
_HAND_NEAR, _HAND_FAR = 0.4, 1.2
_STRAIGHT_DEG, _BENT_DEG = 25.0, 50.0  # an arm that hangs down passes the hip but does not touch it
_SOFTNESS = 0.1  # palms; how gradually another point of the hand becomes the touching one
_MISSED = 0.05  # torso lengths by which a touch may fail


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One kind of touch in a clip."""

    name: str  # such as "right hand on head"
    frames: int  # in which the driver touches
    missed: int  # of these, frames in which the arm is too short for it


@dataclass(frozen=True)
class _Touch:
    """A surface that a hand may touch, in every frame."""

    name: str
    weight: np.ndarray  # (f,), 0..1
    goal: np.ndarray  # (f, 2) wrist of the result that touches it


def keep_contacts(
    driver: Figure,
    places: np.ndarray,  # (f, 135, 2) the retargeted points
    joints: np.ndarray,  # (f, NODES, 2) the retargeted joints, also where they are not seen
    ratios: Ratios,
) -> tuple[np.ndarray, tuple[Contact, ...]]:
    """Return the points with arms and hands moved so that touches are kept, and these touches."""
    nodes = joints_over_time(driver)
    torso = _length(nodes[:, NECK] - nodes[:, PELVIS]) if _known(nodes, (NECK, PELVIS)) else None
    hands = {
        name: _Hand(driver, nodes, joints, ratios, arm)
        for name, arm in ARMS.items()
        if _known(nodes, arm)
    }
    result, contacts = places.copy(), []
    longest = _longest(joints, hands)
    for name, hand in hands.items():
        touches = [
            *_on_head(driver, nodes, joints, ratios, hand),
            *_on_hips(nodes, joints, ratios, hand, torso),
            *_at_other_hand(hands, hand),
        ]
        weights = np.stack([_faded(touch.weight) for touch in touches]) if touches else None
        if weights is None or not weights.any():
            continue
        goals = np.stack([touch.goal for touch in touches])
        total = 1 - np.prod(1 - weights, 0)
        shares = weights / np.maximum(weights.sum(0), 1e-9)
        wrist = joints[:, hand.arm[2]]
        goal = wrist + total[:, None] * ((shares[..., None] * goals).sum(0) - wrist)
        shoulder, elbow = joints[:, hand.arm[0]], joints[:, hand.arm[1]]
        elbow_now, wrist_now = reach(shoulder, elbow, wrist, goal, longest, total)
        used = (total > 0)[:, None]
        result[:, hand.arm[1]] += np.where(used, elbow_now - elbow, 0)
        moved = np.where(used, wrist_now - wrist, 0)
        result[:, hand.arm[2]] += moved
        for points, belongs in hand.points:
            result[:, points] += np.where(belongs[:, None, None], moved[:, None], 0)
        limit = np.inf if torso is None else _MISSED * ratios.ratios["spine"] * torso
        short = _length(wrist_now - goal) > limit
        for touch in touches:
            sure = touch.weight > 0.5
            if sure.any():
                missed = int((sure & short).sum())
                text = f"{name} {touch.name}"
                contacts.append(Contact(name=text, frames=int(sure.sum()), missed=missed))
    return result, tuple(contacts)


class _Hand:
    """One hand of the driver, and of the result before it is moved."""

    def __init__(
        self,
        driver: Figure,
        nodes: np.ndarray,
        joints: np.ndarray,
        ratios: Ratios,
        arm: tuple[int, int, int],
    ) -> None:
        self.arm = arm
        self.ratio = ratios.ratios["hand"]
        self.wrist, self.result_wrist = nodes[:, arm[2]], joints[:, arm[2]]
        self.seen = driver.seen[:, arm[2]]
        forearm = self.wrist - nodes[:, arm[1]]
        self.palm = PALM_SHARE * max(float(np.percentile(_length(forearm), 90)), 1e-6)
        upper = nodes[:, arm[1]] - nodes[:, arm[0]]
        turn = upper[:, 0] * forearm[:, 1] - upper[:, 1] * forearm[:, 0]
        self.bend_deg = np.degrees(np.abs(np.arctan2(turn, (upper * forearm).sum(-1))))
        self.points = [
            (points, _belongs(driver, points, nodes, arm[2])) for points in (RIGHT_HAND, LEFT_HAND)
        ]
        self.offsets = self._offsets(driver, forearm)

    def _offsets(self, driver: Figure, forearm: np.ndarray) -> np.ndarray:  # (f, n, 2) from wrist
        """Return the points of the hand that may touch; without seen ones, the forearm's end."""
        points = np.full((len(driver.xy), 21, 2), np.nan)
        for place, belongs in self.points:
            use = belongs & driver.seen[:, place].all(1)
            points[use] = driver.xy[use, place] - self.wrist[use, None]
        known = np.isfinite(points[:, 0, 0])
        if known.mean() <= 0.5:
            length = np.maximum(_length(forearm), 1e-9)[:, None]
            return np.stack([0 * forearm, self.palm * forearm / length], 1)
        frames = np.arange(len(points))
        for point in range(points.shape[1]):
            for axis in range(2):
                values = points[:, point, axis]
                values[~known] = np.interp(frames[~known], frames[known], values[known])
        return points

    def touching(
        self,
        surface: np.ndarray,  # (f, m, 2) points, each with the radius around it
        radius: np.ndarray | float,  # pixels; (f, 1) or one
    ) -> np.ndarray:  # (f, 2)
        """Return the middle of the hand's points on the surface; if none is, of the nearest."""
        points = self.wrist[:, None] + self.offsets
        apart = _length(points[:, :, None] - surface[:, None]).min(2)
        apart = np.maximum(apart - radius, 0)
        weights = np.exp((apart.min(1, keepdims=True) - apart) / (_SOFTNESS * self.palm))
        weights /= weights.sum(1, keepdims=True)
        return (weights[..., None] * points).sum(1)

    def goal_for(
        self,
        point: np.ndarray,  # (f, 2) of the driver's hand
        place: np.ndarray,  # (f, 2) where it must be in the result
    ) -> np.ndarray:  # (f, 2)
        """Return the wrist of the result that brings the point to its place."""
        return place - self.ratio * (point - self.wrist)


def _on_head(
    driver: Figure, nodes: np.ndarray, joints: np.ndarray, ratios: Ratios, hand: _Hand
) -> Iterator[_Touch]:
    radius = _head_radius(driver, nodes)
    if radius is None or not _known(nodes, (NOSE,)):
        return
    nose = nodes[:, NOSE]
    heads = [node for node in _HEAD_POINTS if np.isfinite(nodes[0, node, 0])]
    middle = nodes[:, heads].mean(1)
    point = hand.touching(middle[:, None], radius)
    offset = _scaled(point - nose, _HEAD_NEAR * radius, ratios.ratios["head"], hand.ratio)
    place = joints[:, NOSE] + offset
    apart = _length(point - middle) / radius
    seen = driver.seen[:, _HEAD_POINTS].any(1) & hand.seen
    weight = seen * _near(apart, _HEAD_NEAR, _HEAD_FAR)
    yield _Touch("on head", weight, hand.goal_for(point, place))


def _on_hips(
    nodes: np.ndarray,
    joints: np.ndarray,
    ratios: Ratios,
    hand: _Hand,
    torso: np.ndarray | None,  # (f,)
) -> Iterator[_Touch]:
    if torso is None or not _known(nodes, HIPS):
        return
    bent = 1 - _near(hand.bend_deg, _STRAIGHT_DEG, _BENT_DEG)
    length = np.maximum(torso, np.percentile(torso, 90) / 2)
    hips, middle = nodes[:, list(HIPS)], nodes[:, PELVIS]
    point = hand.touching(hips, 0.1 * length[:, None])
    apart = _length(point[:, None] - hips).min(1) / length
    width = _length(hips[:, 0] - hips[:, 1]) / 2
    offset = point - middle
    offset = _scaled(offset, width + _HIP_NEAR * length, ratios.ratios["hip"], hand.ratio)
    weight = hand.seen * bent * _near(apart, _HIP_NEAR, _HIP_FAR)
    yield _Touch("on hips", weight, hand.goal_for(point, joints[:, PELVIS] + offset))


def _at_other_hand(hands: dict[str, _Hand], hand: _Hand) -> Iterator[_Touch]:
    other = next((one for one in hands.values() if one is not hand), None)
    if other is None:
        return
    near = _HAND_NEAR * max(hand.palm, other.palm)
    mine = hand.touching(other.wrist[:, None] + other.offsets, near)
    theirs = other.touching(hand.wrist[:, None] + hand.offsets, near)
    apart = _length(mine - theirs) / max(hand.palm, other.palm)
    middle = (_carried(hand, mine) + _carried(other, theirs)) / 2
    place = middle + hand.ratio * (mine - theirs) / 2
    weight = hand.seen * other.seen * _near(apart, _HAND_NEAR, _HAND_FAR)
    yield _Touch("at the other hand", weight, hand.goal_for(mine, place))


def _carried(hand: _Hand, point: np.ndarray) -> np.ndarray:
    """Return where a point of the hand lies in the result if nothing is moved."""
    return hand.result_wrist + hand.ratio * (point - hand.wrist)


def reach(
    shoulder: np.ndarray,  # (f, 2), as are all
    elbow: np.ndarray,
    wrist: np.ndarray,
    goal: np.ndarray,  # for the wrist
    longest: tuple[float, float] = (0.0, 0.0),  # upper arm and forearm, not foreshortened
    weight: np.ndarray | None = None,  # (f,) of the touch; 1: the elbow may change its side
) -> tuple[np.ndarray, np.ndarray]:
    """Return elbow and wrist that reach the goal, with the elbow on the same side as before.

    Both bones keep their length in the picture. Only if the goal is too far away for them do they
    lengthen, at most to `longest`: a bone that points at the viewer turns into the picture. If it
    is too near, the longer one shortens. What cannot be reached is approached with a straight arm.
    With a weight, the elbow of a touching arm stays on one side where changing it would be a jump.
    """
    upper, fore = _length(elbow - shoulder), _length(wrist - elbow)
    line = goal - shoulder
    apart = _length(line)
    ahead = np.where((apart > 1e-9)[:, None], line, [[1.0, 0.0]])
    ahead = ahead / np.maximum(_length(ahead), 1e-9)[:, None]
    most = np.maximum(upper, longest[0]), np.maximum(fore, longest[1])
    grow = np.maximum(apart / np.maximum(upper + fore, 1e-9), 1.0)
    upper, fore = np.minimum(upper * grow, most[0]), np.minimum(fore * grow, most[1])
    far = apart > upper + fore
    upper = np.where(far, np.minimum(np.maximum(apart - fore, upper), most[0]), upper)
    fore = np.where(far, np.minimum(np.maximum(apart - upper, fore), most[1]), fore)
    apart = np.minimum(apart, upper + fore)
    upper, fore = np.minimum(upper, fore + apart), np.minimum(fore, upper + apart)
    along = (upper**2 - fore**2 + apart**2) / (2 * np.maximum(apart, 1e-9))
    along = np.clip(along, -upper, upper)
    aside = np.sqrt(np.maximum(upper**2 - along**2, 0))
    before, arm = elbow - shoulder, wrist - shoulder
    side = np.where(arm[:, 0] * before[:, 1] < arm[:, 1] * before[:, 0], -1, 1)
    if weight is not None:
        side = _steady(side, aside, weight)
    across = np.stack([-ahead[:, 1], ahead[:, 0]], -1)
    bent = shoulder + along[:, None] * ahead + (aside * side)[:, None] * across
    return bent, shoulder + apart[:, None] * ahead


def _steady(
    side: np.ndarray,  # (f,) -1 or 1: where the elbow was
    aside: np.ndarray,  # (f,) its distance now from the line between shoulder and wrist, pixels
    weight: np.ndarray,  # (f,) of the touch
) -> np.ndarray:  # (f,) -1 or 1
    """Return sides of the elbow for which the sum of its jumps and of wrong sides is least."""
    sides = np.array([-1, 1])
    wrong = (sides != side[:, None]) * ((1 - weight) * aside)[:, None]
    wrong = np.where((weight <= 0)[:, None] & (sides != side[:, None]), 1e12, wrong)
    change = np.append(2 * np.minimum(aside[:-1], aside[1:]), 0.0)
    best, came = wrong[0], np.zeros((len(side), 2), int)
    for frame in range(1, len(side)):
        moved = best[::-1] + change[frame - 1]
        came[frame] = np.where(moved < best, [1, 0], [0, 1])
        best = np.minimum(best, moved) + wrong[frame]
    result, at = np.empty(len(side), int), int(np.argmin(best))
    for frame in range(len(side) - 1, -1, -1):
        result[frame] = sides[at]
        at = int(came[frame, at])
    return result


def _longest(joints: np.ndarray, hands: dict[str, _Hand]) -> tuple[float, float]:
    """Return the 90th percentile of upper arms and forearms of the result, over both sides."""
    found = []
    for start in (0, 1):
        lengths = [
            _length(joints[:, hand.arm[start + 1]] - joints[:, hand.arm[start]])
            for hand in hands.values()
        ]
        found.append(float(np.percentile(np.concatenate(lengths), 90)) if lengths else 0.0)
    return found[0], found[1]


def _head_radius(driver: Figure, nodes: np.ndarray) -> float | None:
    """Return the radius of the driver's head in pixels; None if its size is never seen."""
    jaw = FACE.start, FACE.start + 16
    for left, right in (_EARS, jaw):
        both = driver.seen[:, left] & driver.seen[:, right]
        if both.any():
            widths = _length(driver.xy[both, left] - driver.xy[both, right])
            return 0.6 * float(np.percentile(widths, 90))
    if _known(nodes, (NOSE, NECK)):
        return 0.6 * float(np.percentile(_length(nodes[:, NOSE] - nodes[:, NECK]), 90))
    return None


def _belongs(driver: Figure, points: slice, nodes: np.ndarray, wrist: int) -> np.ndarray:  # (f,)
    """Return in which frames a hand is nearest to this wrist, since labels are often swapped."""
    other = next(arm[2] for arm in ARMS.values() if arm[2] != wrist)
    start = driver.xy[:, points.start]
    mine, theirs = _length(start - nodes[:, wrist]), _length(start - nodes[:, other])
    own = RIGHT_HAND if wrist == ARMS["right hand"][2] else LEFT_HAND
    return mine <= theirs if points == own else mine < theirs


def _scaled(
    offsets: np.ndarray,  # (f, 2) from the middle of a surface
    radius: np.ndarray | float,  # of the surface, pixels
    inside: float,  # scale up to the radius
    outside: float,  # scale of what is beyond it
) -> np.ndarray:  # (f, 2)
    """Return offsets with the surface scaled, so that what is far away stays in proportion."""
    length = np.maximum(_length(offsets), 1e-9)
    within = np.minimum(length, radius)
    return offsets * ((inside * within + outside * (length - within)) / length)[:, None]


def _near(apart: np.ndarray, near: float, far: float) -> np.ndarray:
    """Return 1 up to `near`, 0 from `far` on, and a smooth step between."""
    share = np.clip((far - apart) / (far - near), 0, 1)
    return share**2 * (3 - 2 * share)


def _faded(weight: np.ndarray) -> np.ndarray:
    """Return the weight, rising before and falling after a touch over FADE_FRAMES."""
    result = weight.copy()
    for step in range(1, min(FADE_FRAMES + 1, len(weight))):
        share = 1 - step / (FADE_FRAMES + 1)
        ease = share**2 * (3 - 2 * share)
        result[step:] = np.maximum(result[step:], ease * weight[:-step])
        result[:-step] = np.maximum(result[:-step], ease * weight[step:])
    return result


def _known(nodes: np.ndarray, joints: tuple[int, ...]) -> bool:
    return bool(np.isfinite(nodes[0, list(joints), 0]).all())


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.hypot(vectors[..., 0], vectors[..., 1])
