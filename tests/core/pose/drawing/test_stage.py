"""The payload for the page: exact enough, complete, and small."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from animate_anyone.pose.drawing.draw import FOOT_EDGES
from animate_anyone.pose.drawing.stage import GUESSED, skeleton, stage_payload
from animate_anyone.pose.skeleton.joints import BODY_EDGES, HAND_EDGES, VISIBLE
from animate_anyone.pose.skeleton.stack import POINTS, SLICES, stack, unstack
from animate_anyone.types import Flag, PoseClip, Size

CANVAS = Size(512, 768)
READER = Path(__file__).resolve().parents[4] / "web/pose_stage/payload.js"
# Confidences around the limit, some of which would be equal if stored as bytes.
EDGE = (0.0, 0.29, 0.2995, np.nextafter(VISIBLE, 0), VISIBLE, 0.3005, 0.301, 0.31, 1.0)
LIMIT_BYTES = 2_000_000  # for 1,000 frames


def whole(frames, people=1, canvas=CANVAS) -> PoseClip:
    """Return a clip in which every point is seen in some frame."""
    rng = np.random.default_rng(frames)
    shape = (frames, people, POINTS)
    xy = rng.uniform(0, 1, (*shape, 2)) * (canvas.width, canvas.height)
    empty = PoseClip(canvas=canvas, **dict.fromkeys(SLICES))
    flags = rng.integers(0, 1 << len(Flag), shape).astype(np.uint8)
    return unstack(empty, xy, rng.uniform(0.3, 1, shape), flags)


def numbers(packed, name, dtype):
    return np.frombuffer(base64.b64decode(packed[name]), dtype)


@pytest.mark.parametrize("people", [1, 2])  # three take 2.6 MB
def test_a_thousand_frames_with_hands_and_face_stay_below_two_megabytes(people):
    clip = whole(1000, people)
    payload = stage_payload(clip, driver=clip, reference=clip.at(slice(0, 1)))
    assert len(json.dumps(payload, separators=(",", ":"))) < LIMIT_BYTES


def test_coordinates_are_restored_within_half_a_step():
    clip = whole(5, people=2)
    payload = stage_payload(clip)
    points = stack(clip)
    xy = numbers(payload["result"], "xy", "<i2").reshape(points.xy.shape) * payload["step"]
    assert np.abs(xy - points.xy).max() <= payload["step"] / 2 + 1e-9
    assert payload["step"] < 0.05


def at_the_edge() -> PoseClip:
    """Return a clip whose confidences lie around the limit from which a point is seen."""
    clip, rng = whole(7, people=2), np.random.default_rng(0)
    points = stack(clip)
    return unstack(clip, points.xy, rng.choice(EDGE, points.seen.shape), points.flags)


def test_the_payload_marks_exactly_the_seen_points():
    clip = at_the_edge()
    payload = stage_payload(clip, driver=clip, reference=clip)
    seen = stack(clip).seen
    for layer, wanted in {
        "result": seen,
        "driver": seen[:, :, SLICES["body"]],
        "reference": seen[:1],
    }.items():
        bits = np.unpackbits(numbers(payload[layer], "seen", np.uint8), bitorder="little")
        assert np.array_equal(bits[: wanted.size], wanted.ravel()), layer


def test_the_payload_marks_filled_and_held_points():
    clip = whole(7, people=2)
    flags = stack(clip).flags
    wanted = (flags & Flag.FILLED > 0) | (flags & Flag.HELD > 0)
    bits = np.unpackbits(numbers(stage_payload(clip), "guessed", np.uint8), bitorder="little")
    assert np.array_equal(bits[: wanted.size], wanted.ravel())
    smoothed = unstack(clip, stack(clip).xy, stack(clip).confidence, flags & Flag.SMOOTHED)
    assert "guessed" not in stage_payload(smoothed)


@pytest.mark.skipif(not shutil.which("node"), reason="the page's reader needs Node.js")
def test_the_page_s_reader_unpacks_the_payload(tmp_path):
    clip = at_the_edge()
    payload = stage_payload(clip, driver=clip, reference=clip)
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    script = f"""
import {{ readFileSync }} from "node:fs";
import {{ readPayload }} from "{READER.as_uri()}";
const stage = readPayload(JSON.parse(readFileSync("payload.json", "utf8")));
const layers = [stage.result, stage.driver, stage.reference].map(({{ xy, seen }}) => ({{
  xy: [...xy], seen: [...seen],
}}));
console.log(JSON.stringify([...layers, [...stage.guessed]]));
"""
    (tmp_path / "read.mjs").write_text(script)
    command = [shutil.which("node"), "read.mjs"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    result, driver, reference, guessed = json.loads(run.stdout)
    seen = stack(clip).seen
    assert result["xy"] == numbers(payload["result"], "xy", "<i2").tolist()
    assert result["seen"] == seen.ravel().tolist()
    assert driver["seen"] == seen[:, :, SLICES["body"]].ravel().tolist()
    assert reference["seen"] == seen[:1].ravel().tolist()
    assert guessed == ((stack(clip).flags & GUESSED) > 0).ravel().tolist()


def test_a_driver_of_another_size_is_fitted_into_the_canvas():
    driver = whole(3, canvas=Size(200, 100))
    payload = stage_payload(whole(3, canvas=Size(100, 100)), driver=driver)
    packed = payload["driver"]
    assert (packed["frames"], packed["people"], packed["points"]) == (3, 1, 18)
    xy = numbers(packed, "xy", "<i2").reshape(3, 1, 18, 2) * payload["step"]
    wanted = driver.body.xy / 2 + (0, 25)
    assert np.abs(xy - wanted).max() < 0.05


def test_points_far_off_the_canvas_are_clipped_to_the_reach():
    clip = whole(1)
    clip.body.xy[0, 0, 0] = (1e6, -1e6)
    payload = stage_payload(clip)
    first = numbers(payload["result"], "xy", "<i2")[:2] * payload["step"]
    assert first == pytest.approx([2 * 768, -2 * 768], rel=1e-3)


@pytest.mark.parametrize("people", [0, 1])
def test_clips_without_people_count_as_all_missing(people):
    clip = whole(2, people=people)
    hidden = unstack(clip, stack(clip).xy, stack(clip).confidence * 0, stack(clip).flags)
    payload = stage_payload(hidden)
    assert set(payload["missing"].values()) == {1.0}
    assert payload["people"] == people
    json.dumps(payload, allow_nan=False)


def test_edges_and_colours_cover_all_points():
    data = skeleton()
    assert len(data["joints"]) == POINTS
    assert len(data["edges"]) == len(BODY_EDGES) + 2 * len(HAND_EDGES) + len(FOOT_EDGES)
    for first, second, *colour in data["edges"]:
        assert 0 <= min(first, second) <= max(first, second) < POINTS
        assert len(colour) == 3
    right = [edge for edge in data["edges"] if edge[0] >= SLICES["right_hand"].start]
    assert {point for edge in right for point in edge[:2]} <= set(range(POINTS))
