"""Motions of drawn characters: smooth joint angles over time, and the joints at these angles.

The skeleton is three-dimensional and is projected along the z axis without perspective, so limbs
that point at the viewer look shorter and a turned body looks narrower. The character faces the
viewer: its right side has negative x. Lengths are fractions of the standing height.
"""

from dataclasses import dataclass, replace

import numpy as np

# Degrees of freedom with (lowest centre, highest centre, largest swing), in radians or heights.
DEGREES_OF_FREEDOM = {
    "yaw": (-0.35, 0.35, 0.45),
    "lean": (-0.08, 0.08, 0.14),
    "head_yaw": (-0.2, 0.2, 0.35),
    "head_roll": (-0.1, 0.1, 0.2),
    "right_arm": (0.15, 2.2, 0.7),
    "left_arm": (0.15, 2.2, 0.7),
    "right_arm_depth": (-0.3, 0.5, 0.4),
    "left_arm_depth": (-0.3, 0.5, 0.4),
    "right_elbow": (0.1, 1.5, 0.7),
    "left_elbow": (0.1, 1.5, 0.7),
    "right_leg": (0.0, 0.3, 0.2),
    "left_leg": (0.0, 0.3, 0.2),
    "right_leg_depth": (-0.1, 0.3, 0.4),
    "left_leg_depth": (-0.1, 0.3, 0.4),
    "right_knee": (0.0, 0.35, 0.35),
    "left_knee": (0.0, 0.35, 0.35),
    "shift": (-0.06, 0.06, 0.06),
    "hop": (0.0, 0.0, 0.03),
}
JOINTS = 18  # OpenPose order
FRONT = 0.69  # cosine of the largest turn that counts as a front; make_motion stays below
RIGHT_LEG, LEFT_LEG = (8, 9, 10), (11, 12, 13)
RIGHT_ARM, LEFT_ARM = (2, 3, 4), (5, 6, 7)


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Bone lengths and widths as fractions of the standing height."""

    head: float  # radius
    neck: float  # shoulder line to chin
    torso: float
    shoulders: float  # full width
    hips: float  # full width
    upper_arm: float
    forearm: float
    thigh: float
    shin: float
    arm_width: float  # radius at the shoulder
    leg_width: float  # radius at the hip


@dataclass(frozen=True)
class Motion:
    """A sum of two sinusoids per degree of freedom; time is in frames."""

    centre: np.ndarray  # (dof,)
    swing: np.ndarray  # (dof, 2)
    frequency: np.ndarray  # (dof, 2), radians per frame
    phase: np.ndarray  # (dof, 2)

    def angles(self, frame: float) -> dict[str, float]:
        """Return the value of every degree of freedom at a frame."""
        values = self.centre + (self.swing * np.sin(self.frequency * frame + self.phase)).sum(1)
        return dict(zip(DEGREES_OF_FREEDOM, values.tolist(), strict=True))


def make_motion(rng: np.random.Generator) -> Motion:
    """Return a random motion with periods of 16 to 60 frames, from nearly still to lively."""
    ranges = np.array(list(DEGREES_OF_FREEDOM.values()))
    energy = rng.uniform(0.3, 1.0)
    swing = ranges[:, 2:] * energy * rng.uniform(0.2, 1.0, (len(ranges), 2)) * [[0.7, 0.3]]
    period = np.stack([rng.uniform(24, 60, len(ranges)), rng.uniform(16, 30, len(ranges))], 1)
    return Motion(
        centre=rng.uniform(ranges[:, 0], ranges[:, 1]),
        swing=swing,
        frequency=2 * np.pi / period,
        phase=rng.uniform(0, 2 * np.pi, (len(ranges), 2)),
    )


def turning(motion: Motion, rng: np.random.Generator) -> Motion:
    """Return the motion on a body that turns: any direction, swings of up to half a turn."""
    return _with_yaw(
        motion,
        centre=rng.uniform(-np.pi, np.pi),
        swing=rng.uniform(0.2, np.pi),
        period=rng.uniform(60, 120),
    )


def seen_from(
    motion: Motion,
    yaw: float,  # radians; 0: from the front, pi: from behind
    rng: np.random.Generator,
) -> Motion:
    """Return the motion on a body that is seen from one direction, with small turns."""
    swing, period = rng.uniform(0.0, 0.35), rng.uniform(24, 60)
    return _with_yaw(motion, centre=yaw, swing=swing, period=period)


def _with_yaw(motion: Motion, *, centre: float, swing: float, period: float) -> Motion:
    row = list(DEGREES_OF_FREEDOM).index("yaw")
    parts = {name: getattr(motion, name).copy() for name in ("centre", "swing", "frequency")}
    parts["centre"][row] = centre
    parts["swing"][row] = swing, 0.0
    parts["frequency"][row, 0] = 2 * np.pi / period
    return replace(motion, **parts)


def joints_of(
    body: Proportions,
    angles: dict[str, float],
) -> tuple[np.ndarray, np.ndarray]:  # (18, 3) positions, (18,) visible
    """Return the joints in heights, x right, y down, z towards the viewer, feet near y = 0."""
    cos_yaw, sin_yaw = np.cos(angles["yaw"]), np.sin(angles["yaw"])
    turn = np.array([[cos_yaw, 0, sin_yaw], [0, 1, 0], [-sin_yaw, 0, cos_yaw]])
    lean = angles["lean"]
    up = np.array([np.sin(lean), -np.cos(lean), 0.0])
    across = np.array([np.cos(lean), np.sin(lean), 0.0])
    xyz = np.zeros((JOINTS, 3))
    neck = body.torso * up
    xyz[1] = neck
    for side, arm, leg, name in (
        (-1, RIGHT_ARM, RIGHT_LEG, "right"),
        (1, LEFT_ARM, LEFT_LEG, "left"),
    ):
        xyz[arm[0]] = neck + side * body.shoulders / 2 * across
        reach, depth = angles[f"{name}_arm"], angles[f"{name}_arm_depth"]
        bend = angles[f"{name}_elbow"]
        xyz[arm[1]] = xyz[arm[0]] + body.upper_arm * _direction(side, reach, depth)
        fore = _direction(side, reach + bend, depth + 0.3 * bend)
        xyz[arm[2]] = xyz[arm[1]] + body.forearm * fore
        xyz[leg[0]] = side * body.hips / 2 * np.array([1.0, 0.0, 0.0])
        spread, forward = angles[f"{name}_leg"], angles[f"{name}_leg_depth"]
        knee = max(angles[f"{name}_knee"], 0.0)
        xyz[leg[1]] = xyz[leg[0]] + body.thigh * _direction(side, spread, forward)
        shin = _direction(side, spread * 0.6, forward - knee)
        xyz[leg[2]] = xyz[leg[1]] + body.shin * shin
    xyz = xyz @ turn.T
    visible = _place_face(xyz, body, angles)
    xyz[:, 0] += angles["shift"]
    xyz[:, 1] -= xyz[[RIGHT_LEG[2], LEFT_LEG[2]], 1].max() + max(angles["hop"], 0.0)
    return xyz, visible


def turn_of(yaw: float) -> tuple[float, float]:
    """Return how far the body shows its front (1) or back (-1), and its left profile (-1) or right.

    Up to 46 degrees it counts as a front: hands and feet of such figures do not turn.
    """
    front = float(np.clip(np.cos(yaw) / FRONT, -1, 1))
    return front, float(np.sign(np.sin(yaw)) * np.sqrt(1 - front**2))


def _direction(side: int, reach: float, depth: float) -> np.ndarray:
    """Return a unit vector: reach turns outwards from straight down, depth towards the viewer."""
    return np.array(
        [side * np.sin(reach) * np.cos(depth), np.cos(reach) * np.cos(depth), np.sin(depth)]
    )


def head_of(
    body: Proportions,
    angles: dict[str, float],
    neck: np.ndarray,  # (3,), between the shoulders
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # centre, up, across: (3,) each
    """Return the centre of the head and its axes, which show how it is tilted."""
    front, _ = turn_of(angles["yaw"])  # from behind, the head tilts to the other side
    lean, roll = front * angles["lean"], front * (angles["lean"] + angles["head_roll"])
    spine = np.array([np.sin(lean), -np.cos(lean), 0.0])
    up = np.array([np.sin(roll), -np.cos(roll), 0.0])
    across = np.array([np.cos(roll), np.sin(roll), 0.0])
    return neck + body.neck * spine + body.head * up, up, across


def _place_face(xyz: np.ndarray, body: Proportions, angles: dict[str, float]) -> np.ndarray:
    """Set nose, eyes and ears on the sphere of the head; far ears and eyes are hidden."""
    centre, head_up, head_across = head_of(body, angles, xyz[1])
    facing = angles["yaw"] + angles["head_yaw"]
    visible = np.ones(JOINTS, bool)
    # joint, azimuth on the head (positive is the character's left), height above the centre
    for joint, azimuth, height in (
        (0, 0.0, -0.1), (14, -0.42, 0.18), (15, 0.42, 0.18), (16, -1.5, 0.05), (17, 1.5, 0.05)
    ):  # fmt: skip
        angle = azimuth + facing
        xyz[joint] = centre + body.head * (0.95 * np.sin(angle) * head_across + height * head_up)
        xyz[joint, 2] += body.head * np.cos(angle)
        visible[joint] = np.cos(angle) > -0.25
    return visible
