"""Corrections by hand: how they change a clip, and which texts raise."""

import json

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.pose.corrections import apply_corrections, read_corrections
from animate_anyone.pose.skeleton.joints import body_clip
from animate_anyone.types import Flag, Size

CANVAS = Size(100, 200)


def clip_of(frames=4, people=1):
    xy = np.tile(np.arange(18.0)[:, None] + 10, (frames, people, 1, 2))
    confidence = np.full((frames, people, 18), 0.8)
    confidence[:, :, 17] = 0  # the left ear is never seen
    return body_clip(CANVAS, xy, confidence)


def text(*edits, canvas=(100, 200)):
    return json.dumps({"version": 1, "canvas": list(canvas), "edits": list(edits)})


def edit(joint=4, first=1, last=2, person=0, part="body", **kind):
    where = {"person": person, "part": part, "joint": joint, "first": first, "last": last}
    return where | kind


def corrected(*edits, clip=None, canvas=(100, 200)):
    return apply_corrections(clip or clip_of(), read_corrections(text(*edits, canvas=canvas)))


@pytest.mark.parametrize("nothing", ["", "  ", "{}", '{"version": 1, "edits": []}'])
def test_without_edits_the_same_clip_is_returned(nothing):
    clip = clip_of()
    result, notes = apply_corrections(clip, read_corrections(nothing))
    assert result is clip
    assert notes == ()


def test_a_move_changes_only_its_frames_and_joint():
    result, notes = corrected(edit(move=[5, -3]))
    moved = result.body.xy - clip_of().body.xy
    assert moved[1:3, 0, 4].tolist() == [[5, -3], [5, -3]]
    moved[1:3, 0, 4] = 0
    assert not moved.any()
    assert result.body.flags[:, 0, 4].tolist() == [0, Flag.EDITED, Flag.EDITED, 0]
    assert notes == ("corrected by hand: 1 of 1 edits",)


def test_a_move_leaves_a_missing_joint_missing_and_a_place_does_not():
    moved, _ = corrected(edit(joint=17, move=[5, 5]))
    assert not moved.body.confidence[:, :, 17].any()
    placed, _ = corrected(edit(joint=17, place=[30, 40]))
    assert placed.body.confidence[:, 0, 17].tolist() == [0, 1, 1, 0]
    assert placed.body.xy[1, 0, 17].tolist() == [30, 40]


def test_hidden_joints_are_missing():
    result, _ = corrected(edit(hide=True))
    assert result.body.confidence[:, 0, 4].tolist() == [0.8, 0, 0, 0.8]


def test_only_the_last_edit_of_a_joint_applies():
    result, _ = corrected(
        edit(first=0, last=3, move=[50, 50]), edit(hide=True), edit(first=2, last=2, move=[1, 0])
    )
    shift = (result.body.xy - clip_of().body.xy)[:, 0, 4, 0]
    assert result.body.confidence[:, 0, 4].tolist() == [0.8, 0, 0.8, 0.8]
    assert shift[[0, 2, 3]].tolist() == [50, 1, 50]


def test_edits_of_another_canvas_are_scaled():
    result, _ = corrected(edit(move=[5, 4]), canvas=(50, 400))
    assert (result.body.xy - clip_of().body.xy)[1, 0, 4].tolist() == [10, 2]


def test_edits_beyond_the_clip_are_ignored_with_a_note():
    result, notes = corrected(edit(first=9, last=9, move=[1, 1]), edit(person=3, hide=True))
    assert np.array_equal(result.body.xy, clip_of().body.xy)
    assert notes[0] == "corrected by hand: 0 of 2 edits"
    assert "2 edits name frames or people" in notes[1]


def test_a_span_that_ends_beyond_the_clip_reaches_its_end():
    result, _ = corrected(edit(first=3, last=99, move=[1, 1]))
    assert (result.body.xy - clip_of().body.xy)[:, 0, 4, 0].tolist() == [0, 0, 0, 1]


REFUSED = {
    "cut short": ('{"version": 1, "edits": [', "JSON"),
    "nested too deep": ("[" * 100_000, "JSON"),
    "no text": ({"version": 1}, "text"),
    "a list": ("[]", "object"),
    "another version": ('{"version": 7, "edits": []}', "version 7"),
    "edits that are no list": ('{"version": 1, "edits": {}}', "list"),
    "a canvas of nothing": (text(edit(hide=True), canvas=(0, 5)), "canvas"),
    "a canvas of many numbers": (text(edit(hide=True), canvas=[5] * 9), "[5, 5, 5, 5, 5, 5, ...];"),
    "an edit that is no object": (text(7), "edit 0"),
    "an unknown part": (text(edit(part="tail", hide=True)), "tail"),
    "a list as a part": (text(edit(part=[], hide=True)), "part []"),
    "a joint beyond all numbers": (text(edit(joint=10**400, hide=True)), "joint 1000"),
    "a move beyond all numbers": (text(edit(move=[10**400, 0])), "move"),
    "an unknown joint": (text(edit(joint=18, hide=True)), "joint 18"),
    "half a frame": (text(edit(first=0.5, hide=True)), "first 0.5"),
    "a negative frame": (text(edit(first=-1, hide=True)), "first -1"),
    "an end before the start": (text(edit(first=3, last=2, hide=True)), "from frame 3 to 2"),
    "two kinds at once": (text(edit(hide=True, move=[1, 1])), "one of move, place, hide"),
    "no kind": (text(edit()), "one of move, place, hide"),
    "no number": (text(edit(move=[1, "a"])), "move"),
    "not finite": (text(edit(move=[1, 2])).replace("[1, 2]", "[1, NaN]"), "move"),
    "true as a number": (text(edit(person=True, hide=True)), "person True"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_other_texts_raise(given, words):
    with pytest.raises(InputError, match="corrections got") as error:
        read_corrections(given)
    assert words in str(error.value)
    assert "Press Clear" in str(error.value)
