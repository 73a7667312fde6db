"""Complete skeletons of drawn bodies without perspective, as a perfect detector would return them.

Bodies are those of the drawn characters used for training. Hands, face and feet are added here as
rigid 3-D shapes that turn and foreshorten with forearm, head and ankle.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.motions import Motion, Proportions, joints_of
from animate_anyone.types import Points, PoseClip, Size

CANVAS = Size(512, 768)
Angles = dict[str, float]

NEUTRAL: Angles = {
    "yaw": 0.0,
    "lean": 0.0,
    "head_yaw": 0.0,
    "head_roll": 0.0,
    "right_arm": 0.45,
    "left_arm": 0.45,
    "right_arm_depth": 0.0,
    "left_arm_depth": 0.0,
    "right_elbow": 0.15,
    "left_elbow": 0.15,
    "right_leg": 0.08,
    "left_leg": 0.08,
    "right_leg_depth": 0.0,
    "left_leg_depth": 0.0,
    "right_knee": 0.0,
    "left_knee": 0.0,
    "shift": 0.0,
    "hop": 0.0,
}
# Outlines of jaw, brows, nose, eyes and mouth: (azimuth, height) on a sphere, in iBUG's order.
_FACE = np.array(
    [(a, 0.2 - 0.9 * np.cos(a) ** 2) for a in np.linspace(-1.35, 1.35, 17)]
    + [(a, 0.45) for a in np.linspace(-0.7, 0.7, 10)]
    + [(0.0, h) for h in (0.25, 0.15, 0.0, -0.1)]
    + [(a, -0.2) for a in np.linspace(-0.15, 0.15, 5)]
    + [(side + 0.13 * np.cos(t), 0.2 + 0.05 * np.sin(t)) for side in (-0.42, 0.42)
       for t in np.linspace(0, 2 * np.pi, 6, endpoint=False)]
    + [(0.3 * np.cos(t), -0.4 + 0.1 * np.sin(t))
       for t in np.linspace(0, 2 * np.pi, 20, endpoint=False)]
)  # fmt: skip
_NOSE = np.array([0.05, 0.1, 0.18, 0.25])  # how far its ridge stands out, in radii of the head
_FINGERS = np.array(
    [(0.0, 0.0)]
    + [(0.35 * step, -0.35 - 0.1 * step) for step in (0.5, 0.9, 1.2, 1.5)]
    + [(0.9 + 0.25 * step, side) for side in (-0.25, -0.08, 0.08, 0.25) for step in range(4)]
)  # (along the forearm, across), in lengths of the palm
_FOOT = np.array([(0.9, 0.15), (0.75, -0.25), (-0.3, 0.0)])  # (forward, inward) in foot lengths

assert len(_FACE) == 68
assert len(_FINGERS) == 21


@dataclass(frozen=True, kw_only=True)
class View:
    """Position and size of a figure in its picture."""

    height_px: float  # of the standing figure
    ground: tuple[float, float]  # x, y in pixels of the point on the floor below the hips


DRIVER_VIEW = View(height_px=560, ground=(256, 700))
REFERENCE_VIEW = View(height_px=520, ground=(260, 690))
CLOSE_VIEW = View(height_px=1300, ground=(300, 1500))  # of a half-length portrait
WALL = Size(2000, 2000)  # a picture that shows bodies of any size completely
WALL_VIEW = View(height_px=520, ground=(1000, 1400))


def make_body(rng: np.random.Generator) -> Proportions:
    """Return the body of a random training character."""
    return make_character(rng, close_up=False).body


def reshape(
    body: Proportions,
    *,
    head: float = 1.0,
    torso: float = 1.0,
    arms: float = 1.0,
    legs: float = 1.0,
) -> Proportions:
    """Return the body with its parts scaled by these factors."""
    return replace(
        body,
        head=body.head * head,
        torso=body.torso * torso,
        shoulders=body.shoulders * torso,
        hips=body.hips * torso,
        upper_arm=body.upper_arm * arms,
        forearm=body.forearm * arms,
        thigh=body.thigh * legs,
        shin=body.shin * legs,
    )


def perform(motion: Motion, frames: int) -> list[Angles]:
    """Return the angles of a motion for every frame."""
    return [motion.angles(frame) for frame in range(frames)]


def film(
    body: Proportions,
    angles: Sequence[Angles],
    view: View,
    *,
    travel: float = 1.0,  # factor on sideways shifts and hops, which are given in body heights
    canvas: Size = CANVAS,
) -> PoseClip:
    """Return the skeletons of one person performing a motion."""
    frames = [_pose(body, turn, travel) for turn in angles]
    parts = {}
    for part in frames[0]:
        xy = np.stack([frame[part][0] for frame in frames])[:, None, :, :2]
        seen = np.stack([frame[part][1] for frame in frames])[:, None]
        parts[part] = Points(
            xy=xy * view.height_px + np.array(view.ground), confidence=seen.astype(float)
        )
    return PoseClip(canvas=canvas, **parts)


def _pose(
    body: Proportions, angles: Angles, travel: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    moved = {**angles, "shift": angles["shift"] * travel, "hop": angles["hop"] * travel}
    xyz, visible = joints_of(body, moved)
    forward = np.array([np.sin(angles["yaw"]), 0.0, np.cos(angles["yaw"])])
    sideways = np.array([np.cos(angles["yaw"]), 0.0, -np.sin(angles["yaw"])])
    feet = [
        xyz[ankle] + 0.3 * body.shin * (length * forward + inward * side * sideways + [0, 0.2, 0])
        for ankle, side in ((13, -1), (10, 1))
        for length, inward in _FOOT
    ]
    head_visible = visible[0] and visible[[14, 15]].any()
    return {
        "body": (xyz, visible),
        "left_hand": (_hand(xyz[6], xyz[7], body), np.ones(21, bool)),
        "right_hand": (_hand(xyz[3], xyz[4], body), np.ones(21, bool)),
        "face": (_face(xyz, body), np.full(68, bool(head_visible))),
        "feet": (np.array(feet), np.ones(6, bool)),
    }


def _hand(elbow: np.ndarray, wrist: np.ndarray, body: Proportions) -> np.ndarray:
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    across = np.cross(along, [0.0, 0.0, 1.0])
    across /= max(np.linalg.norm(across), 1e-9)
    palm = 0.4 * body.forearm
    return wrist + palm * (_FINGERS[:, :1] * along + _FINGERS[:, 1:] * across)


def _face(xyz: np.ndarray, body: Proportions) -> np.ndarray:
    centre = (xyz[16] + xyz[17]) / 2
    across = xyz[17] - xyz[16]
    across /= np.linalg.norm(across)
    forward = xyz[0] - centre
    forward -= (forward @ across) * across
    forward /= np.linalg.norm(forward)
    up = np.cross(across, forward)
    azimuth, height = _FACE.T[..., None]
    depth = np.cos(azimuth)
    depth[27:31] += _NOSE[:, None]
    on_sphere = np.sin(azimuth) * across + depth * forward + (height - 0.1) * up
    return centre + body.head * on_sphere
