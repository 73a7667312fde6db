"""Error and speed of retargeting, on drawn bodies for which the correct result is known.

    python -m benchmarks.retarget [--json] [--pairs 20]

The correct result is the driver's 3-D motion performed by the reference's body, seen from the same
side and aligned with the reference at the anchor joints. The error is the mean distance of visible
body joints from it, in torso lengths of the reference.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from animate_anyone.drawn.motions import Proportions, make_motion
from animate_anyone.pose.retarget.modes import MODES
from animate_anyone.pose.retarget.placement import joints_of_anchor
from animate_anyone.pose.retarget.retarget import RetargetConfig, retarget
from animate_anyone.types import Points, PoseClip

from .skeletons import (
    CANVAS,
    DRIVER_VIEW,
    NEUTRAL,
    REFERENCE_VIEW,
    Angles,
    film,
    make_body,
    perform,
    reshape,
)

FRAMES = 60
KNEES_AND_ANKLES = (9, 10, 12, 13)
BELOW_THE_WAIST = (8, 11, *KNEES_AND_ANKLES)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A driver, a reference, and the driver's motion on the reference's body."""

    driver: PoseClip
    reference: PoseClip
    truth: PoseClip  # anywhere on the canvas
    torso_px: float  # of the reference's body


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A kind of case. By default: two training bodies, and the reference faces the viewer."""

    name: str
    pose: Callable[[np.random.Generator], Angles] = lambda rng: NEUTRAL
    driver_body: Callable[[Proportions], Proportions] = lambda body: body
    reference_body: Callable[[Proportions], Proportions] = lambda body: body
    hidden: tuple[int, ...] = ()  # body joints that the reference does not show
    hidden_at_first: tuple[int, ...] = ()  # body joints that the driver's frame 0 does not show
    noise_px: float = 0.0
    identity: bool = False  # the reference is a frame of the driver

    def case(self, seed: int) -> Case:
        """Return the case for a seed."""
        rng = np.random.default_rng(seed)
        mine = self.driver_body(make_body(rng))
        theirs = mine if self.identity else self.reference_body(make_body(rng))
        angles = perform(make_motion(rng), FRAMES)
        driver = film(mine, angles, DRIVER_VIEW)
        travel = (theirs.thigh + theirs.shin) / (mine.thigh + mine.shin)
        view = DRIVER_VIEW if self.identity else REFERENCE_VIEW
        truth = film(theirs, angles, view, travel=travel)
        pose = angles[int(rng.integers(FRAMES))] if self.identity else self.pose(rng)
        reference = hide(film(theirs, [pose], view), self.hidden)
        driver = hide(driver, self.hidden_at_first, frames=slice(0, 1))
        if self.noise_px:
            driver, reference = (shaken(clip, self.noise_px, rng) for clip in (driver, reference))
        return Case(
            driver=driver,
            reference=reference,
            truth=truth,
            torso_px=theirs.torso * view.height_px,
        )


def turned(degrees: float) -> Callable[[np.random.Generator], Angles]:
    """Return a function that gives the neutral pose turned to a random side."""
    return lambda rng: {**NEUTRAL, "yaw": math.radians(degrees) * rng.choice([-1, 1])}


def random_pose(rng: np.random.Generator) -> Angles:
    """Return the first pose of a random motion."""
    return make_motion(rng).angles(0)


def seated(rng: np.random.Generator) -> Angles:
    """Return a pose on a chair: thighs towards the viewer, shins down."""
    depth, turn = rng.uniform(1.0, 1.35), rng.uniform(-0.3, 0.3)
    pose = {**NEUTRAL, "yaw": turn}
    for side in ("right", "left"):
        pose |= {f"{side}_leg": 0.2, f"{side}_leg_depth": depth, f"{side}_knee": depth}
    return pose


def pointing(*sides: str) -> Callable[[np.random.Generator], Angles]:
    """Return a function that gives the neutral pose with forearms towards the viewer."""
    changes = {f"{side}_arm_depth": 0.7 for side in sides} | {
        f"{side}_elbow": 1.5 for side in sides
    }
    return lambda rng: {**NEUTRAL, **changes}


SCENARIOS = (
    Scenario(name="identity, any frame of the driver", identity=True),
    Scenario(name="other proportions, frontal"),
    Scenario(name="other proportions, any pose", pose=random_pose),
    Scenario(name="reference turned by 30 degrees", pose=turned(30)),
    Scenario(name="reference turned by 50 degrees", pose=turned(50)),
    Scenario(name="reference in profile", pose=turned(88)),
    Scenario(name="reference without legs", hidden=KNEES_AND_ANKLES),
    Scenario(name="half-length portrait", hidden=BELOW_THE_WAIST),
    Scenario(name="no wrists in the driver's frame 0", hidden_at_first=(4, 7)),
    Scenario(name="2 px noise", noise_px=2.0),
    Scenario(
        name="adult drives a child",
        reference_body=lambda body: reshape(body, head=1.4, arms=0.8, legs=0.75),
        driver_body=lambda body: reshape(body, head=0.8),
    ),
    Scenario(
        name="adult drives a chibi figure",
        reference_body=lambda body: reshape(body, head=2.5, torso=0.8, arms=0.6, legs=0.5),
        driver_body=lambda body: reshape(body, head=0.8),
    ),
    Scenario(name="seated reference", pose=seated),
    Scenario(name="one forearm towards the viewer", pose=pointing("right")),
    Scenario(name="both forearms towards the viewer", pose=pointing("right", "left")),
)


def hide(clip: PoseClip, joints: tuple[int, ...], frames: slice = slice(None)) -> PoseClip:
    """Return the clip without these body joints and without hands and feet that belong to them."""
    hidden = {"body": list(joints)}
    hands = {4: "right_hand", 7: "left_hand"}
    hidden |= {hands[joint]: list(range(21)) for joint in joints if joint in hands}
    if {10, 13} <= set(joints):
        hidden["feet"] = list(range(6))
    parts = {}
    for part, points in hidden.items():
        confidence = getattr(clip, part).confidence.copy()
        confidence[frames, :, points] = 0
        parts[part] = replace(getattr(clip, part), confidence=confidence)
    return replace(clip, **parts)


def shaken(clip: PoseClip, px: float, rng: np.random.Generator) -> PoseClip:
    """Return the clip with normal noise added to all points."""
    parts: dict[str, Points] = {}
    for part in ("body", "left_hand", "right_hand", "face", "feet"):
        points: Points = getattr(clip, part)
        parts[part] = replace(points, xy=points.xy + rng.normal(0, px, points.xy.shape))
    return replace(clip, **parts)


def errors_of(case: Case) -> dict[str, float]:
    """Return the mean error of every mode in torso lengths, compared with the same truth."""
    results = {
        mode: retarget(case.driver, case.reference, RetargetConfig(mode=mode)) for mode in MODES
    }
    report = results["limb"][1]
    assert report.anchor is not None
    joints = joints_of_anchor(report.anchor)
    goal = case.reference.body.xy[0, 0, joints].mean(0)
    start = case.truth.body.xy[report.placement_frame, 0, joints].mean(0)
    truth = case.truth.body.xy + goal - start
    errors = {}
    for mode, (clip, _) in results.items():
        distance = np.linalg.norm(clip.body.xy - truth, axis=-1)
        errors[mode] = float(distance[clip.body.confidence > 0].mean() / case.torso_px)
    return errors


def mean_errors(scenario: Scenario, pairs: int) -> dict[str, float]:
    """Average over pairs of bodies."""
    rows = [errors_of(scenario.case(seed)) for seed in range(pairs)]
    return {mode: float(np.mean([row[mode] for row in rows])) for mode in rows[0]}


def seconds(frames: int = 1000) -> float:
    """Return CPU seconds for retargeting a clip with all parts, the least of five runs."""
    rng = np.random.default_rng(0)
    driver = film(make_body(rng), perform(make_motion(rng), frames), DRIVER_VIEW)
    reference = film(make_body(rng), [NEUTRAL], REFERENCE_VIEW)
    times = []
    for _ in range(5):
        start = time.process_time()
        retarget(driver, reference)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Print the table of errors and the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of bodies per scenario")
    options = parser.parse_args()
    table = {scenario.name: mean_errors(scenario, options.pairs) for scenario in SCENARIOS}
    taken = seconds()
    if options.json:
        json.dump({"unit": "torso", "errors": table, "seconds_1000": taken}, sys.stdout, indent=2)
        print()
        return
    print(f"{'mean joint error / torso':<36}" + "".join(f"{mode:>10}" for mode in MODES))
    for name, row in table.items():
        print(f"{name:<36}" + "".join(f"{row[mode]:>10.4f}" for mode in MODES))
    print(f"1,000 frames of {CANVAS.width}x{CANVAS.height}: {taken:.3f} s on one core")


if __name__ == "__main__":
    main()
