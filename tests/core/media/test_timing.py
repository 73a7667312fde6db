from fractions import Fraction

import numpy as np
import pytest

from animate_anyone.media.timing import timing_of


def seconds(times, unit=Fraction(1, 600)):
    return [time * unit for time in times]


def test_even_stamps_keep_all_frames_and_the_speed_of_the_file():
    timing = timing_of(seconds(range(0, 200, 20)), None, [Fraction(30)])
    assert (timing.frames, timing.fps, timing.variable) == (10, 30, False)


def test_stamps_rounded_to_milliseconds_are_even():
    stamps = [Fraction(round(1000 * n * 1001 / 30000), 1000) for n in range(300)]
    timing = timing_of(stamps, Fraction(33, 1000), [])
    assert (timing.frames, timing.fps, timing.variable) == (300, Fraction(30000, 1001), False)


def test_frames_of_varying_speed_come_at_their_time():
    stamps = seconds([*range(0, 600, 50), *range(600, 3000, 200)])
    timing = timing_of(stamps, Fraction(1, 3), [Fraction(96, 17), Fraction(12)])
    frames = ((stamp, np.array([n])) for n, stamp in enumerate(stamps))
    shown = [int(frame[0]) for frame in timing.even(frames)]

    assert (timing.frames, timing.fps) == (60, 12)
    assert shown == [*range(12), *(n for n in range(12, 24) for _ in range(4))]
    for number, frame in enumerate(shown):
        assert stamps[frame] <= Fraction(number, 12)


def test_repeated_frames_are_not_the_same_array():
    timing = timing_of(seconds([0, 50, 100, 400]), None, [Fraction(12)])
    frames = list(timing.even((stamp, np.zeros(1)) for stamp in seconds([0, 50, 100, 400])))
    frames[2][0] = 5
    assert frames[3][0] == 0


def test_frames_nearer_than_the_speed_are_left_out():
    stamps = seconds([*range(0, 2000, 20), 2001, 2002, *range(2600, 4000, 20)])
    timing = timing_of(stamps, None, [])
    shown = list(timing.even((stamp, np.zeros(1)) for stamp in stamps))
    assert timing.fps == 30
    assert len(shown) == timing.frames == 200


def test_stamps_that_jump_are_not_filled_with_thousands_of_frames():
    timing = timing_of(seconds([0, 20, 40, 10**9]), None, [Fraction(30)])
    assert (timing.frames, timing.start) == (4, None)
    assert "time stamps of the file jump" in timing.note


@pytest.mark.parametrize("stamps", [[], [None, None], [Fraction(0)], [Fraction(0), None]])
def test_without_stamps_frames_come_one_after_another(stamps):
    timing = timing_of(stamps, None, [None, Fraction(25)])
    assert (timing.frames, timing.fps, timing.variable) == (len(stamps), 25, False)


def test_a_header_announces_more_frames_than_a_file_that_is_cut_off_holds():
    assert timing_of(seconds([0, 20, 40]), None, [Fraction(30)], announced=9).frames == 9


def test_a_last_frame_that_lasts_as_no_other_does_not_change_the_speed():
    stamps = [40 * n for n in range(10)]
    timing = timing_of(stamps, 33, [Fraction(5000, 197)], unit=Fraction(1, 1000))
    assert (timing.frames, timing.fps, timing.variable) == (10, 25, False)


def test_one_fault_of_a_short_clip_does_not_make_it_fast():
    timing = timing_of([0, 33, 66, 100, 133, 134], 33, [], unit=Fraction(1, 1000))
    assert (timing.frames, timing.fps, timing.variable) == (5, 30, True)
