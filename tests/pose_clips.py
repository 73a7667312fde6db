"""Pose clips for tests of functions that change points over time."""

from dataclasses import replace

import numpy as np

from animate_anyone.drawn.characters import make_character
from animate_anyone.drawn.motions import joints_of, make_motion
from animate_anyone.pose.skeleton.joints import PART_JOINTS, VISIBLE
from animate_anyone.types import Points, PoseClip, Size

CANVAS = Size(512, 512)
PARTS = tuple(PART_JOINTS)


def motion(seed: int, frames: int) -> np.ndarray:
    """Return a drawn character's body joints in pixels of the canvas, (f, 18, 2)."""
    rng = np.random.default_rng(seed)
    character = make_character(rng, close_up=False)
    moves = make_motion(rng)
    heights = [joints_of(character.body, moves.angles(frame))[0] for frame in range(frames)]
    xy = np.stack(heights)[..., :2] * character.height * 512
    return xy + np.array([character.centre, character.ground]) * 512


def random_clip(seed: int, frames: int, people: int = 2, share_seen: float = 0.7) -> PoseClip:
    """Return a clip whose points move and disappear at random; torsos are about 100 pixels."""
    rng = np.random.default_rng(seed)
    parts = {}
    for part, joints in PART_JOINTS.items():
        place = rng.uniform(100, 400, (1, people, joints, 2))
        steps = rng.normal(0, 6, (frames, people, joints, 2))
        seen = rng.random((frames, people, joints)) < share_seen
        confidence = np.where(seen, rng.uniform(VISIBLE, 1, seen.shape), 0.0)
        parts[part] = Points(xy=place + steps.cumsum(0), confidence=confidence)
    return PoseClip(canvas=CANVAS, **parts)


def one_point(xs: list[float | None], joint: int = 4, part: str = "body") -> PoseClip:
    """Return a body with a torso of 100 pixels; one joint moves along x (None: missing)."""
    frames = len(xs)
    clip = random_clip(0, frames, 1, share_seen=0)
    for index, place in ((1, (200, 100)), (8, (190, 200)), (11, (210, 200))):
        clip.body.xy[:, 0, index] = place
        clip.body.confidence[:, 0, index] = 1
    points = getattr(clip, part)
    for frame, x in enumerate(xs):
        points.xy[frame, 0, joint] = (0, 0) if x is None else (x, 50)
        points.confidence[frame, 0, joint] = x is not None
    return clip


def seen(clip: PoseClip) -> np.ndarray:
    return np.concatenate([getattr(clip, part).confidence for part in PARTS], 2) >= VISIBLE


def positions(clip: PoseClip) -> np.ndarray:
    return np.concatenate([getattr(clip, part).xy for part in PARTS], 2)


def flags(clip: PoseClip) -> np.ndarray:
    parts = [getattr(clip, part) for part in PARTS]
    nothing = [np.zeros(part.confidence.shape, np.uint8) for part in parts]
    return np.concatenate(
        [n if part.flags is None else part.flags for part, n in zip(parts, nothing, strict=True)], 2
    )


def mapped(clip: PoseClip, scale: float = 1.0, offset: tuple[float, float] = (0, 0)) -> PoseClip:
    """Return the clip in a canvas `scale` times as large, moved by `offset`."""
    size = Size(round(clip.canvas.width * scale), round(clip.canvas.height * scale))
    parts = {
        part: replace(getattr(clip, part), xy=getattr(clip, part).xy * scale + offset)
        for part in PARTS
    }
    return PoseClip(canvas=size, **parts)


def reverse(clip: PoseClip) -> PoseClip:
    parts = {}
    for part in PARTS:
        points = getattr(clip, part)
        turned = None if points.flags is None else points.flags[::-1]
        parts[part] = Points(xy=points.xy[::-1], confidence=points.confidence[::-1], flags=turned)
    return PoseClip(canvas=clip.canvas, **parts)


def same(a: PoseClip, b: PoseClip, tolerance: float = 1e-8) -> bool:
    where = seen(a)
    return (
        np.array_equal(where, seen(b))
        and np.array_equal(flags(a), flags(b))
        and np.allclose(positions(a)[where], positions(b)[where], rtol=1e-9, atol=tolerance)
    )
