"""The compared frames of clips: as data, in words, and as a change of the protocol."""

import pytest

from animate_anyone.evaluation.compared import Compared, compared_lines, not_whole

CASES = {
    "whole": (Compared(range(9), 9, None), True, False),
    "first frames": (Compared(range(4), 9, 4), True, False),
    "every second": (Compared(range(0, 9, 2), 9, None), True, False),
    "later": (Compared(range(3, 9), 9, None), False, False),
    "ends early": (Compared(range(7), 9, None), False, False),
    "later, as many": (Compared(range(3, 7), 9, 4), False, False),
    "short clip": (Compared(range(9), 9, 24), True, True),
    "short span": (Compared(range(3, 9), 9, 8), False, True),
}


@pytest.mark.parametrize(("compared", "begun", "short"), CASES.values(), ids=CASES)
def test_a_clip_is_complete_if_compared_from_its_first_frame_on(compared, begun, short):
    assert compared.from_start == begun
    assert compared.short == short


def test_clips_are_listed_with_first_frame_last_frame_and_length():
    clips = {"a": Compared(range(3, 9, 2), 12, 8), "b": Compared(range(8), 8, 8)}
    assert compared_lines(clips) == [
        "Frames compared, counted from 0: a 3..7 of 12, b 0..7 of 8.",
        "Shorter than the 8 frames asked for: a (3).",
    ]
    assert clips["a"].data() == {"first": 3, "last": 7, "step": 2, "frames": 3, "of": 12}
    assert compared_lines({}) == []


def test_cut_clips_are_reported_as_a_change_of_the_protocol():
    whole, cut = Compared(range(9), 9, None), Compared(range(3, 9), 9, None)
    assert not_whole({"a": whole, "b": whole}) == {}
    assert not_whole({"a": whole, "b": cut}) == {
        "frames of clips": ("from the first on", "only the longest usable span in 1 of 2 clips")
    }
