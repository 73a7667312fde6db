"""The held-out test of the pose pair: characters and motions that are not used in training."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...evaluation.held_out import HELD_OUT
from ...pose.networks.detector import SCORE
from ...pose.people.doubt import convincing
from ...pose.skeleton.joints import VISIBLE
from ...weights.pose_models import embedded_pose_models, open_pose_pair
from .scenes import PaintedScene, make_scene, plain_scene
from .wholebody import POINT_GROUPS, torso_length

NEAR = 0.1  # torso lengths within which a point is right
SAME = 0.5  # intersection over union from which a box is a person's
PLACED = 1  # part of the seeds of pictures with random placement


@dataclass(frozen=True, kw_only=True)
class PoseScores:
    """Scores of a detector and an estimator on the test."""

    people: int
    recall: float  # share of people with a box
    precision: float  # share of boxes with a person
    right: dict[str, float]  # per part: share of visible points reported within 0.1 torso
    misseen: dict[str, float]  # per part: share of hidden points that are reported
    error: float  # mean distance of visible body points of found people, torso lengths
    detector_ms: float  # per picture, with pre- and post-processing
    estimator_ms: float  # per person

    def lines(self) -> list[str]:
        """Return the scores as lines of text."""
        parts = [
            f"{part:6} right within {NEAR} torso {self.right[part]:.4f}, "
            f"hidden but reported {self.misseen[part]:.4f}"
            for part in POINT_GROUPS
        ]
        return [
            f"{self.people} people: recall {self.recall:.4f}, precision {self.precision:.4f}",
            *parts,
            f"body points are {self.error:.4f} torso lengths off",
            f"{self.detector_ms:.1f} ms per picture, {self.estimator_ms:.1f} ms per person",
        ]


def held_out_scenes(
    count: int,
    *,
    placed: bool = False,  # True: 0 to 2 people at random places and sizes; False: one, standing
) -> Iterator[PaintedScene]:
    """Yield the first `count` scenes of the test."""
    for index in range(count):
        if placed:
            yield make_scene(np.random.default_rng((HELD_OUT, PLACED, index)))
        else:
            yield plain_scene(np.random.default_rng((HELD_OUT, index)))


def score_pair(
    folder: Path,  # holds the two ONNX files
    scenes: list[PaintedScene],
    provider: str = "cpu",
) -> PoseScores:
    """Run detector and estimator on scenes in the same way as on a user's clip."""
    detector, estimator = open_pose_pair(*embedded_pose_models(folder), provider)
    tally = _Tally()
    for scene in scenes:
        started = time.perf_counter()
        (found,) = detector.detect([scene.picture])
        detected = time.perf_counter()
        xy, scores = estimator.estimate([scene.picture] * len(found), found.boxes)
        tally.seconds += (detected - started, time.perf_counter() - detected)
        body = np.clip(scores[:, POINT_GROUPS["body"]], 0, 1).mean(1)
        kept = convincing(found.scores, body, SCORE)
        tally.add(scene, found.boxes[kept], xy[kept], scores[kept])
    return tally.scores(len(scenes))


class _Tally:
    """Counts over scenes."""

    def __init__(self) -> None:
        self.people = self.boxes = self.matched = 0
        self.seconds = np.zeros(2)
        self.errors: list[np.ndarray] = []
        self.visible, self.right, self.misseen = [], [], []  # (133,) bool per person

    def add(
        self, scene: PaintedScene, boxes: np.ndarray, xy: np.ndarray, scores: np.ndarray
    ) -> None:
        """Compare the people in one picture with the detections."""
        self.people += len(scene.boxes)
        self.boxes += len(boxes)
        partners = matches(scene.boxes, boxes)
        for person in range(len(scene.boxes)):
            visible = scene.visible[person]
            right, seen = np.zeros_like(visible), np.zeros_like(visible)
            if person in partners:
                best = partners[person]
                torso = torso_length(scene.xy[person])
                distance = np.linalg.norm(xy[best] - scene.xy[person], axis=1) / torso
                seen = scores[best] >= VISIBLE
                right = seen & (distance <= NEAR)
                self.matched += 1
                self.errors.append(distance[POINT_GROUPS["body"]][visible[POINT_GROUPS["body"]]])
            self.visible.append(visible)
            self.right.append(right & visible)
            self.misseen.append(seen & ~visible)

    def scores(self, pictures: int) -> PoseScores:
        """Return the scores of all scenes."""
        visible, right, misseen = (
            np.array(values) for values in (self.visible, self.right, self.misseen)
        )
        return PoseScores(
            people=self.people,
            recall=self.matched / self.people,
            precision=self.matched / max(self.boxes, 1),
            right={
                k: float(right[:, p].sum() / visible[:, p].sum()) for k, p in POINT_GROUPS.items()
            },
            misseen={
                k: float(misseen[:, p].sum() / max((~visible[:, p]).sum(), 1))
                for k, p in POINT_GROUPS.items()
            },
            error=float(np.concatenate(self.errors).mean()) if self.errors else float("nan"),
            detector_ms=float(self.seconds[0] / pictures * 1e3),
            estimator_ms=float(self.seconds[1] / max(self.boxes, 1) * 1e3),
        )


def matches(people: np.ndarray, boxes: np.ndarray) -> dict[int, int]:
    """Match people to boxes, best overlaps first, each box once; return box by person."""
    shares = np.array([overlaps(person, boxes) for person in people])
    found: dict[int, int] = {}
    while shares.size and shares.max() >= SAME:
        person, box = np.unravel_index(shares.argmax(), shares.shape)
        found[int(person)] = int(box)
        shares[person], shares[:, box] = 0, 0
    return found


def overlaps(
    box: np.ndarray,  # (4,): left, top, right, bottom
    boxes: np.ndarray,  # (n, 4)
) -> np.ndarray:  # (n,), 0..1
    """Return intersection over union of one box with each of many."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    inner = sides.clip(min=0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod()
    return inner / np.maximum(areas - inner, 1e-9)
