"""Corrections by hand, in prompts for the nodes that have a pose stage."""

import json
import shutil

import numpy as np
import pytest

from comfy_hosts import REPOSITORY

INPUTS = REPOSITORY / "workflows/inputs"
FRAMES = 24
RETARGET = {
    "mode": "limb",
    "strength": 1.0,
    "anchor": "auto",
    "match_frame": 0,
    "lock_x": False,
    "lock_y": False,
    "fit_canvas": False,
}
WRIST, KNEE = 4, 9  # of the body, right
CLEAR = "Press Clear in the pose stage, or correct the text."


def edit(joint, first, last, person=0, **what):
    """Return an edit of a joint of the body."""
    where = {"person": person, "part": "body", "joint": joint, "first": first, "last": last}
    return where | what


def text(*edits, canvas=None):
    """Return the value that the pose stage gives its widget."""
    size = {"canvas": canvas} if canvas else {}
    return json.dumps({"version": 1, **size, "edits": list(edits)})


@pytest.fixture(scope="module", params=["RetargetPose", "LoadKeypoints"])
def run(request, run_node, base, core):
    """Return a function that runs a node with corrections; it returns its clip and answer.

    `run.plain` is the clip without corrections.
    """
    shutil.copy(INPUTS / "motion.json", base / "input/corrected.json")
    inputs = {"file": "corrected.json"}
    if request.param == "RetargetPose":
        driver, _ = run_node("LoadKeypoints", **inputs)
        inputs = {"keypoints": driver, "reference": driver[:1], **RETARGET}
    node = run_node.nodes[f"AnimateAnyone_{request.param}"]

    def call(*corrections):
        value = {"corrections": corrections[0]} if corrections else {}
        answer = node.execute(**inputs, **value)
        return core("pose.files.keypoints").parse_keypoints(answer.args[0]), answer

    call.kind, (call.plain, _) = request.param, call()
    return call


@pytest.fixture
def notes(run, base):
    """Return a function from a node's answer to its notes about corrections."""

    def read(answer):
        (shown,) = answer.ui["aa_pose_stage"]
        payload = json.loads(
            (base / "temp/animate_anyone" / shown["payload"]["filename"]).read_text()
        )
        if run.kind == "RetargetPose":
            assert all(note in answer.args[1] for note in payload["notes"]), "report and stage"
        return payload["notes"]

    return read


def changed(before, after):
    """Return frames and joints of the body that differ in place or confidence."""
    moved = np.abs(after.body.xy - before.body.xy).max(-1) > 1e-6
    return set(zip(*np.nonzero(moved[:, 0]), strict=True))


def edited(core, clip):
    """Return frames and joints of the body that are flagged as corrected by hand."""
    flags = clip.body.flags & core("types").Flag.EDITED
    return set(zip(*np.nonzero(flags[:, 0]), strict=True))


@pytest.mark.parametrize("value", [(), (None,), ("",), ("{}",), (text(),)], ids=str)
def test_nothing_corrected_changes_nothing(run, notes, value):
    before = run.plain
    after, answer = run(*value)
    assert np.array_equal(after.body.xy, before.body.xy)
    assert np.array_equal(after.body.confidence, before.body.confidence)
    assert after.body.flags is None
    assert notes(answer) == []


def test_a_moved_joint_moves_alone(run, core, notes):
    before = run.plain
    after, answer = run(text(edit(WRIST, 3, 3, move=[12.5, -4])))
    offset = after.body.xy[3, 0, WRIST] - before.body.xy[3, 0, WRIST]
    assert offset == pytest.approx([12.5, -4], abs=0.01)
    assert changed(before, after) == edited(core, after) == {(3, WRIST)}
    assert after.body.confidence[3, 0, WRIST] == before.body.confidence[3, 0, WRIST]
    assert notes(answer) == ["corrected by hand: 1 of 1 edits"]


def test_offsets_are_pixels_of_the_canvas_on_which_they_were_made(run):
    before = run.plain
    size = before.canvas
    twice = [2 * size.width, 4 * size.height]
    after, _ = run(text(edit(WRIST, 3, 3, move=[10, 8]), canvas=twice))
    offset = after.body.xy[3, 0, WRIST] - before.body.xy[3, 0, WRIST]
    assert offset == pytest.approx([5, 2], abs=0.01)


def test_a_hidden_joint_is_missing_until_it_is_placed(run, core):
    before = run.plain
    assert before.body.confidence[5, 0, KNEE] > 0.3
    hidden, _ = run(text(edit(KNEE, 5, 5, hide=True)))
    gone = before.body.confidence != hidden.body.confidence
    assert np.argwhere(gone).tolist() == [[5, 0, KNEE]]
    assert hidden.body.confidence[5, 0, KNEE] == 0
    assert edited(core, hidden) == {(5, KNEE)}
    placed, _ = run(text(edit(KNEE, 5, 5, hide=True), edit(KNEE, 5, 5, place=[40, 30])))
    assert placed.body.xy[5, 0, KNEE] == pytest.approx([40, 30], abs=0.01)
    assert placed.body.confidence[5, 0, KNEE] == 1


def test_a_span_has_both_its_ends(run, core):
    before = run.plain
    after, _ = run(text(edit(WRIST, 4, 9, move=[3, 3])))
    wanted = {(frame, WRIST) for frame in range(4, 10)}
    assert changed(before, after) == edited(core, after) == wanted


def test_the_stage_shows_the_clip_before_its_corrections(run, base):
    """The page applies them itself; applied twice, a joint would move twice as far."""

    def result(answer):
        (shown,) = answer.ui["aa_pose_stage"]
        path = base / "temp/animate_anyone" / shown["payload"]["filename"]
        return json.loads(path.read_text())["result"]

    assert result(run()[1]) == result(run(text(edit(WRIST, 0, 23, move=[20, 20])))[1])


@pytest.mark.parametrize(
    "beyond", [edit(WRIST, FRAMES, FRAMES, move=[9, 9]), edit(WRIST, 0, 5, person=1, hide=True)]
)
def test_a_correction_beyond_the_clip_does_nothing_and_is_reported(run, core, notes, beyond):
    before = run.plain
    after, answer = run(text(edit(WRIST, 3, 3, move=[5, 5]), beyond))
    assert changed(before, after) == edited(core, after) == {(3, WRIST)}
    first, second = notes(answer)
    assert first == "corrected by hand: 1 of 2 edits"
    assert second.startswith(
        "warning: 1 edits name frames or people that this clip of 24 frames and 1 people does not "
        "have; they are kept and do nothing"
    )


def test_a_span_that_goes_on_beyond_the_clip_ends_with_it(run, core):
    before = run.plain
    after, _ = run(text(edit(WRIST, FRAMES - 2, FRAMES + 100, move=[5, 5])))
    assert changed(before, after) == edited(core, after) == {(22, WRIST), (23, WRIST)}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"version": 1', """corrections got '{"version": 1'; it must be JSON ("""),
        ("[1, 2]", "corrections got [1, 2]; it must be an object with version, canvas and edits"),
        (7, "corrections got 7; it must be JSON text"),
        ('{"version": 2}', "corrections got version 2; this version of the pack reads 1"),
        ('{"version": 1, "edits": {}}', "corrections got edits {}; they must be a list"),
        (
            text({"person": 0, "part": "tail"}),
            "corrections got edit 0 with part 'tail'; it must be one of body, left_hand,",
        ),
        (
            text(edit(WRIST, 9, 4, hide=True)),
            "corrections got edit 0 from frame 9 to 4; the last frame must not come before",
        ),
        (
            text(edit(WRIST, 4, 9, move=["x", 0])),
            "corrections got edit 0 with move ['x', 0]; it must be x and y, at most 16384 pixels",
        ),
        (
            text(edit(18, 4, 9, hide=True)),
            "corrections got edit 0 with joint 18; it must be a whole number from 0 to 17",
        ),
    ],
    ids=str,
)
def test_malformed_corrections_are_an_error_with_a_text(run, core, value, words):
    with pytest.raises(core("errors").InputError) as told:
        run(value)
    assert words in str(told.value)
    assert str(told.value).endswith(CLEAR)
