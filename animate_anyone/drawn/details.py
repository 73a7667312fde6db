"""Hands, faces and feet of drawn characters: the positions of their keypoints on a posed body.

They are computed from the joints and angles only, without further random numbers.
Units are those of `joints_of`: heights, x right, y down, z towards the viewer.
"""

from dataclasses import dataclass

import numpy as np

from .motions import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, Proportions, head_of, turn_of

Angles = dict[str, float]

HAND_LENGTH = 0.36  # wrist to the tip of the middle finger, in lengths of the forearm
# For each finger, thumb first: positions of its four points along the hand, and across it (towards
# the thumb), in hand lengths.
FINGERS_ALONG = np.array(
    [
        [0.18, 0.34, 0.46, 0.56],
        [0.50, 0.70, 0.84, 0.95],
        [0.52, 0.75, 0.90, 1.00],
        [0.50, 0.70, 0.84, 0.94],
        [0.46, 0.60, 0.70, 0.78],
    ]
)
FINGERS_ACROSS = np.array(
    [
        [0.18, 0.32, 0.42, 0.50],
        [0.16, 0.19, 0.21, 0.22],
        [0.04, 0.05, 0.05, 0.05],
        [-0.08, -0.10, -0.11, -0.12],
        [-0.20, -0.25, -0.28, -0.30],
    ]
)


@dataclass(frozen=True)
class Part:
    """Keypoints of one part of the body."""

    xy: np.ndarray  # (j, 2)
    visible: np.ndarray  # (j,), bool


def details_of(
    body: Proportions,
    angles: Angles,
    xyz: np.ndarray,  # (18, 3), from joints_of
) -> dict[str, Part]:
    """Return hands of 21, a face of 68 and feet of 6 points, by the names in `PoseClip`."""
    front, profile = turn_of(angles["yaw"])
    return {
        "left_hand": _hand(xyz, LEFT_ARM, front, angles["left_elbow"] + angles["left_arm"]),
        "right_hand": _hand(xyz, RIGHT_ARM, -front, angles["right_elbow"] + angles["right_arm"]),
        "face": _face(body, angles, xyz),
        "feet": _feet(xyz, front, profile),
    }


def _hand(
    xyz: np.ndarray,
    arm: tuple[int, ...],
    side: float,  # where the thumb points, -1..1
    turn: float,
) -> Part:
    """Return a hand that opens, bends and spreads with the movement of its arm."""
    forearm = xyz[arm[2]] - xyz[arm[1]]
    length = float(np.linalg.norm(forearm))
    bend = 0.35 * np.sin(2 * turn)
    along = forearm / length
    across = np.array([-along[1], along[0], 0.0])
    across = across / max(float(np.linalg.norm(across)), 0.3) * side
    along, across = (
        np.cos(bend) * along + np.sin(bend) * across,
        np.cos(bend) * across - np.sin(bend) * along,
    )
    grip = 0.25 + 0.25 * np.sin(3 * turn)  # 0: stretched, 1: the fingertips at the knuckles
    reach = FINGERS_ALONG.copy()
    reach[1:, 1:] -= grip * (reach[1:, 1:] - reach[1:, :1])
    spread = 1 + 0.25 * np.cos(3 * turn)
    offsets = reach[..., None] * along + spread * FINGERS_ACROSS[..., None] * across
    points = np.concatenate([np.zeros((1, 3)), offsets.reshape(20, 3)]) * HAND_LENGTH * length
    return Part((xyz[arm[2]] + points)[:, :2], np.ones(21, bool))


def _face(body: Proportions, angles: Angles, xyz: np.ndarray) -> Part:
    """Return the 68 points on the sphere of the head; those on its far side are hidden."""
    centre, up, across = head_of(body, angles, xyz[1])
    turned = FACE[:, 0] + angles["yaw"] + angles["head_yaw"]
    offsets = 0.95 * np.sin(turned)[:, None] * across + FACE[:, 1:] * up
    return Part((centre + body.head * offsets)[:, :2], np.cos(turned) > -0.1)


def _feet(xyz: np.ndarray, front: float, profile: float) -> Part:
    """Return big toe, small toe and heel near each ankle, toes outwards; left foot first."""
    offsets = np.array([[0.014, 0.026], [0.022, 0.022], [-0.006, 0.012]])
    ahead = profile * np.array([[0.026, 0.0], [0.022, 0.0], [-0.012, 0.0]])
    left = xyz[LEFT_LEG[2], :2] + offsets * [front, 1] + ahead
    right = xyz[RIGHT_LEG[2], :2] + offsets * [-front, 1] + ahead
    return Part(np.concatenate([left, right]), np.ones(6, bool))


def _face_table() -> np.ndarray:
    """Return azimuth (radians, positive to the character's left) and height (radii) per point."""
    side = np.linspace(-1.3, 1.3, 17)
    jaw = np.stack([side, 0.05 - np.cos(side * np.pi / 2.6)], 1)
    brow = np.stack([np.linspace(-0.68, -0.2, 5), [0.42, 0.5, 0.52, 0.5, 0.46]], 1)
    nose = [[0, 0.2], [0, 0.1], [0, 0.0], [0, -0.1]]
    nostrils = [[-0.12, -0.17], [-0.06, -0.19], [0, -0.2], [0.06, -0.19], [0.12, -0.17]]
    lid = np.pi * np.array([1, 2 / 3, 1 / 3, 0, -1 / 3, -2 / 3])
    eye = np.stack([0.2 * np.cos(lid), 0.18 + 0.14 * np.sin(lid)], 1)
    lips = np.pi - 2 * np.pi * np.arange(12) / 12
    outer = np.stack([0.25 * np.cos(lips), -0.52 + 0.09 * np.sin(lips)], 1)
    inner_lips = np.pi - 2 * np.pi * np.arange(8) / 8
    inner = np.stack([0.18 * np.cos(inner_lips), -0.52 + 0.03 * np.sin(inner_lips)], 1)
    centre = np.array([0.42, 0.0])
    mirrored = brow[::-1] * [-1, 1]
    eyes = (eye - centre, eye + centre)
    return np.concatenate([jaw, brow, mirrored, nose, nostrils, *eyes, outer, inner])


FACE = _face_table()
assert FACE.shape == (68, 2)
