from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from animate_anyone.diffusion.windows import WindowConfig, plan_windows, van_der_corput
from animate_anyone.errors import ConfigError, InputError


@st.composite
def configs(draw):
    length = draw(st.integers(1, 40))
    return WindowConfig(
        length=length,
        overlap=draw(st.integers(0, length - 1)),
        fuse=draw(st.sampled_from(["pyramid", "flat"])),
        loop=draw(st.booleans()),
        shift=draw(st.booleans()),
    )


def frames_of(windows):
    return [list(window.frames) for window in windows]


@given(frames=st.integers(1, 300), config=configs(), step=st.integers(0, 60))
def test_every_frame_is_covered_with_positive_weight(frames, config, step):
    trusted = {
        frame
        for window in plan_windows(frames, config, step)
        for frame, weight in zip(window.frames, window.weights, strict=True)
        if weight > 0
    }
    assert trusted == set(range(frames))


@given(frames=st.integers(1, 300), config=configs(), step=st.integers(0, 60))
def test_every_window_is_full_unless_the_clip_is_shorter(frames, config, step):
    windows = plan_windows(frames, config, step)
    assert {len(window) for window in windows} == {min(frames, config.length)}
    assert len(windows) == 1 or frames > config.length


@given(frames=st.integers(1, 300), config=configs(), step=st.integers(0, 60))
def test_windows_share_at_least_the_overlap(frames, config, step):
    assume(frames > config.length)
    starts = [window.frames[0] for window in plan_windows(frames, config, step)]
    if config.loop:
        ordered = sorted(starts)
        gaps = [b - a for a, b in pairwise([*ordered, ordered[0] + frames])]
    else:
        gaps = [b - a for a, b in pairwise(starts)]
    assert all(0 < gap <= config.length - config.overlap for gap in gaps)


@given(frames=st.integers(1, 300), config=configs(), step=st.integers(0, 60))
def test_windows_never_wrap_unless_they_loop(frames, config, step):
    assume(not config.loop)
    windows = plan_windows(frames, config, step)
    for window in windows:
        assert list(window.frames) == list(range(window.frames[0], window.frames[-1] + 1))
    assert windows[0].frames[0] == 0
    assert windows[-1].frames[-1] == frames - 1


@given(frames=st.integers(1, 300), config=configs(), step=st.integers(0, 60))
def test_windows_hold_no_frame_twice_and_weigh_all(frames, config, step):
    for window in plan_windows(frames, config, step):
        assert len(set(window.frames)) == len(window)
        assert min(window.weights) > 0


@pytest.mark.parametrize(
    ("frames", "length", "overlap", "starts"),
    [
        pytest.param(24, 24, 4, [0], id="one window"),
        pytest.param(10, 24, 4, [0], id="shorter than a window"),
        pytest.param(25, 24, 4, [0, 1], id="one frame more"),
        pytest.param(44, 24, 4, [0, 20], id="two exactly"),
        pytest.param(48, 24, 4, [0, 12, 24], id="evenly spread"),
        pytest.param(72, 24, 4, [0, 16, 32, 48], id="four"),
        pytest.param(48, 24, 0, [0, 24], id="no overlap"),
        pytest.param(5, 1, 0, [0, 1, 2, 3, 4], id="single frames"),
    ],
)
def test_windows_are_spread_evenly(frames, length, overlap, starts):
    windows = plan_windows(frames, WindowConfig(length=length, overlap=overlap))
    assert [window.frames[0] for window in windows] == starts


def test_windows_are_the_same_at_every_step_without_shift():
    assert plan_windows(72, WindowConfig(), step=7) == plan_windows(72, WindowConfig(), step=0)


@pytest.mark.parametrize("frames", [44, 48, 72, 100, 600])
def test_shift_moves_the_seams_by_half_a_stride_or_more(frames):
    config = WindowConfig(shift=True)
    second = {plan_windows(frames, config, step)[1].frames[0] for step in range(16)}
    assert max(second) - min(second) >= 8
    still = len(plan_windows(frames, WindowConfig()))
    assert all(len(plan_windows(frames, config, s)) <= still + 1 for s in range(16))


def test_loop_puts_the_first_frame_after_the_last():
    windows = plan_windows(48, WindowConfig(loop=True))
    assert any({47, 0} <= set(window.frames) for window in windows)


def test_loop_of_one_window_starts_elsewhere_when_shifted():
    config = WindowConfig(loop=True, shift=True)
    assert frames_of(plan_windows(8, config, step=1)) == [[4, 5, 6, 7, 0, 1, 2, 3]]


def test_pyramid_weighs_the_middle_most():
    (window,) = plan_windows(5, WindowConfig(fuse="pyramid"))
    assert window.weights == (1.0, 2.0, 3.0, 2.0, 1.0)


def test_van_der_corput_fills_the_unit_interval():
    assert [van_der_corput(step) for step in range(8)] == [
        0,
        0.5,
        0.25,
        0.75,
        0.125,
        0.625,
        0.375,
        0.875,
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"length": 0},
        {"overlap": 24},
        {"overlap": -1},
        {"fuse": "sharp"},
    ],
    ids=str,
)
def test_contradictions_are_refused(options):
    with pytest.raises(ConfigError, match="window"):
        WindowConfig(**options)


def test_an_empty_clip_is_refused():
    with pytest.raises(InputError, match="frames got 0"):
        plan_windows(0, WindowConfig())
