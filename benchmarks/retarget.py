"""Error and speed of retargeting, on drawn bodies for which the correct result is known.

    python -m benchmarks.retarget [--json] [--pairs 20] [--first-seed 0] [--before EARLIER.json]

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
from pathlib import Path
from typing import Any

import numpy as np

from animate_anyone.drawn.motions import Proportions, make_motion
from animate_anyone.pose.retarget.modes import MODES
from animate_anyone.pose.retarget.placement import joints_of_anchor
from animate_anyone.pose.retarget.retarget import RetargetConfig, retarget
from animate_anyone.types import Points, PoseClip, Size

from .skeletons import (
    CANVAS,
    CLOSE_VIEW,
    DRIVER_VIEW,
    NEUTRAL,
    REFERENCE_VIEW,
    WALL,
    WALL_VIEW,
    Angles,
    View,
    film,
    make_body,
    perform,
    reshape,
)

FRAMES = 60
KNEES_AND_ANKLES = (9, 10, 12, 13)
HIPS = (8, 11)
BELOW_THE_WAIST = (*HIPS, *KNEES_AND_ANKLES)
BELOW_THE_NECK = (3, 4, 6, 7, *BELOW_THE_WAIST)


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
    unusual: tuple[str, ...] = ()  # parts of the reference's body that get a random size
    same_pose: bool = False  # the reference stands as in one frame of the driver
    view: View = REFERENCE_VIEW
    canvas: Size = CANVAS  # of the reference

    def case(self, seed: int) -> Case:
        """Return the case for a seed."""
        rng = np.random.default_rng(seed)
        mine = self.driver_body(make_body(rng))
        theirs = mine if self.identity else self.reference_body(make_body(rng))
        angles = perform(make_motion(rng), FRAMES)
        apart = np.random.default_rng((seed, 1))  # leaves the draws of the other rows as they are
        theirs = unusual(theirs, self.unusual, apart)
        driver = film(mine, angles, DRIVER_VIEW)
        travel = (theirs.thigh + theirs.shin) / (mine.thigh + mine.shin)
        view = DRIVER_VIEW if self.identity else self.view
        truth = film(theirs, angles, view, travel=travel, canvas=self.canvas)
        known = self.identity or self.same_pose
        pose = angles[int(rng.integers(FRAMES))] if known else self.pose(rng)
        reference = hide(film(theirs, [pose], view, canvas=self.canvas), self.hidden)
        driver = hide(driver, self.hidden_at_first, frames=slice(0, 1))
        if self.noise_px:
            driver, reference = (shaken(clip, self.noise_px, rng) for clip in (driver, reference))
        return Case(
            driver=driver,
            reference=reference,
            truth=truth,
            torso_px=theirs.torso * view.height_px,
        )


RANGES = {  # of the random sizes, as factors
    "legs": (0.35, 2.0),
    "arms": (0.35, 2.0),
    "shoulders": (0.4, 1.6),
    "head": (0.6, 3.0),
    "torso": (0.7, 1.4),
    "hips": (0.6, 1.5),
}
UPPER = ("shoulders", "arms", "head")
ALL = tuple(RANGES)
SIZED = {  # the lengths that a part of RANGES changes
    "legs": ("thigh", "shin"),
    "arms": ("upper_arm", "forearm"),
    "torso": ("torso", "shoulders", "hips"),
}


WHOLE: dict[str, Any] = {"view": WALL_VIEW, "canvas": WALL}


def unusual(body: Proportions, parts: tuple[str, ...], rng: np.random.Generator) -> Proportions:
    """Return the body with these parts scaled by random factors, even on a log scale."""
    for part in parts:
        low, high = RANGES[part]
        factor = math.exp(rng.uniform(math.log(low), math.log(high)))
        lengths = SIZED.get(part, (part,))
        body = replace(body, **{name: factor * getattr(body, name) for name in lengths})
    return body


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


def face_to_the_viewer(rng: np.random.Generator) -> Angles:
    """Return the neutral pose turned by 40 degrees, with the face turned back to the viewer."""
    pose = turned(40)(rng)
    return {**pose, "head_yaw": -pose["yaw"]}


def reaching(rng: np.random.Generator) -> Angles:
    """Return the neutral pose with both straight arms stretched half towards the viewer."""
    depth = rng.uniform(0.5, 1.0)
    return {**NEUTRAL, "right_arm_depth": depth, "left_arm_depth": depth}


def raised(rng: np.random.Generator) -> Angles:
    """Return the neutral pose with arms raised, each by its own angle."""
    arms = {f"{side}_arm": rng.uniform(1.2, 2.4) for side in ("right", "left")}
    return {**NEUTRAL, **arms}


def chibi(body: Proportions) -> Proportions:
    """Return a body with a very large head and very short limbs."""
    return reshape(body, head=2.5, torso=0.8, arms=0.6, legs=0.5)


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
        reference_body=chibi,
        driver_body=lambda body: reshape(body, head=0.8),
    ),
    Scenario(name="seated reference", pose=seated),
    Scenario(name="one forearm towards the viewer", pose=pointing("right")),
    Scenario(name="both forearms towards the viewer", pose=pointing("right", "left")),
    Scenario(name="reference without hips", hidden=HIPS, pose=raised),
    Scenario(name="portrait, close up", hidden=BELOW_THE_WAIST, view=CLOSE_VIEW),
    Scenario(name="portrait, unusual body", hidden=BELOW_THE_WAIST, view=CLOSE_VIEW, unusual=UPPER),
    Scenario(name="bust, unusual body", hidden=BELOW_THE_NECK, view=CLOSE_VIEW, unusual=UPPER),
    Scenario(name="turned by 40 degrees, face to the viewer", pose=face_to_the_viewer),
    Scenario(name="both arms reach to the viewer", pose=reaching),
    Scenario(name="chibi figure, same pose", reference_body=chibi, same_pose=True),
    Scenario(name="chibi figure, arms raised", reference_body=chibi, pose=raised),
    Scenario(name="unusual legs, arms raised", unusual=("legs",), pose=raised, **WHOLE),
    Scenario(name="unusual arms, arms raised", unusual=("arms",), pose=raised, **WHOLE),
    Scenario(name="unusual shoulders, arms raised", unusual=("shoulders",), pose=raised, **WHOLE),
    Scenario(name="unusual body, same pose", unusual=ALL, same_pose=True, **WHOLE),
    Scenario(name="unusual body, arms raised", unusual=ALL, pose=raised, **WHOLE),
    Scenario(name="unusual body, any pose", unusual=ALL, pose=random_pose, **WHOLE),
    Scenario(name="unusual body, turned by 40 degrees", unusual=ALL, pose=turned(40), **WHOLE),
    Scenario(name="unusual body, seated", unusual=ALL, pose=seated, **WHOLE),
    Scenario(name="unusual body, one forearm", unusual=ALL, pose=pointing("right"), **WHOLE),
    Scenario(name="unusual body, without hips", unusual=ALL, hidden=HIPS, pose=raised, **WHOLE),
    Scenario(name="unusual body, 2 px noise", unusual=ALL, noise_px=2.0, pose=raised, **WHOLE),
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


def mean_errors(scenario: Scenario, pairs: int, first: int = 0) -> dict[str, float]:
    """Average over pairs of bodies, with seeds from `first` on."""
    rows = [errors_of(scenario.case(seed)) for seed in range(first, first + pairs)]
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
    parser.add_argument("--first-seed", type=int, default=0, help="other seeds are other bodies")
    parser.add_argument("--before", type=Path, help="JSON of an earlier run, to compare with")
    options = parser.parse_args()
    table = {
        scenario.name: mean_errors(scenario, options.pairs, options.first_seed)
        for scenario in SCENARIOS
    }
    taken = seconds()
    if options.json:
        json.dump({"unit": "torso", "errors": table, "seconds_1000": taken}, sys.stdout, indent=2)
        print()
        return
    before = json.loads(options.before.read_text())["errors"] if options.before else {}
    titles = [*MODES, *(["limb before"] if before else [])]
    print(f"{'mean joint error / torso':<42}" + "".join(f"{title:>12}" for title in titles))
    for name, row in table.items():
        earlier = f"{before[name]['limb']:>12.4f}" if name in before else ""
        print(f"{name:<42}" + "".join(f"{row[mode]:>12.4f}" for mode in MODES) + earlier)
    print(f"1,000 frames of {CANVAS.width}x{CANVAS.height}: {taken:.3f} s on one core")


if __name__ == "__main__":
    main()
