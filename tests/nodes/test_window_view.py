"""What the page is told of windows: the core's own plan, and its own words where there is none."""

import asyncio
import threading
import time

import pytest


@pytest.fixture
def ask(pack):
    """Return a function that asks as the page does; it gives status and answer."""
    routes = pack("nodes.page.routes")
    handler = next(h for _, path, h in routes.ROUTES if path == "/windows")
    respond = routes._answering(handler)
    return lambda **query: asyncio.run(respond({key: str(value) for key, value in query.items()}))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"frames": 24}, 1),
        ({"frames": 5}, 1),
        ({"frames": 72}, 4),
        ({"frames": 72, "length": 16, "overlap": 8}, 8),
        ({"frames": 72, "loop": "true"}, 4),
        ({"frames": 72, "overlap": 0, "fuse": "flat"}, 3),
    ],
)
def test_windows_are_those_of_the_core(ask, core, query, count):
    status, told = ask(**query, steps=20)
    assert status == 200
    assert (told["count"], told["calls"]) == (count, 20 * count)
    options = {key: value for key, value in query.items() if key != "frames"}
    if "loop" in options:
        options["loop"] = True
    windows = core("diffusion.windows")
    plan = windows.plan_windows(query["frames"], windows.WindowConfig(**options))
    frames = [list(window.frames) for window in plan]
    assert [window["frames"] for window in told["windows"]] == frames
    assert told["length"] == len(plan[0])


def test_shares_of_a_frame_make_one(ask):
    _, told = ask(frames=50, length=12, overlap=5)
    sums = [0.0] * 50
    for window in told["windows"]:
        for frame, share in zip(window["frames"], window["shares"], strict=True):
            sums[frame] += share
    assert sums == pytest.approx([1.0] * 50, abs=0.002)


@pytest.mark.parametrize("loop", [False, True])
def test_moving_windows_are_as_many_at_every_step(ask, core, loop):
    _, told = ask(frames=100, shift="true", loop=loop, steps=30)
    windows = core("diffusion.windows")
    config = windows.WindowConfig(shift=True, loop=loop)
    counts = [len(windows.plan_windows(100, config, step)) for step in range(30)]
    assert told["moving"]
    assert told["calls"] == sum(counts)


def test_a_single_window_does_not_move(ask):
    assert ask(frames=20, shift="true")[1]["moving"] is False


def test_a_long_clip_is_drawn_in_part(ask):
    _, told = ask(frames=5000)
    assert told["count"] == 250
    assert len(told["windows"]) == 60


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("fuse", ["pyramid", "flat"])
@pytest.mark.parametrize("frames", [9, 12, 13, 100])
def test_shares_are_those_of_all_windows(ask, core, loop, fuse, frames):
    """Only some windows are drawn, but the weights of all count."""
    windows = core("diffusion.windows")
    config = windows.WindowConfig(length=12, overlap=5, loop=loop, fuse=fuse)
    plan = windows.plan_windows(frames, config)
    sums = [0.0] * frames
    for window in plan:
        for frame, weight in zip(window.frames, window.weights, strict=True):
            sums[frame] += weight
    _, told = ask(frames=frames, length=12, overlap=5, loop=loop, fuse=fuse)
    for window, seen in zip(plan, told["windows"], strict=True):
        shares = [w / sums[f] for f, w in zip(window.frames, window.weights, strict=True)]
        assert seen["shares"] == pytest.approx(shares, abs=0.0006)


def test_the_largest_clip_costs_no_more_than_its_drawing(ask):
    """10,000 frames in windows that share all but one frame took 8.5 seconds."""
    started = time.process_time()
    status, told = ask(frames=10_000, length=512, overlap=511)
    assert (status, told["count"]) == (200, 9489)
    assert time.process_time() - started < 1.0


def test_the_server_answers_others_meanwhile(ask, pack, monkeypatch):
    view = pack("nodes.page.window_view")
    threads = []
    for name in ("window_starts", "shares_of"):
        work = getattr(view, name)

        def told(*values, work=work):
            threads.append(threading.get_ident())
            return work(*values)

        monkeypatch.setattr(view, name, told)
    assert ask(frames=10_000, length=64, overlap=60)[1]["count"] == 2485
    assert len(threads) == 2
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"steps": "9" * 4299}, "steps got '999999999'... of 4299 characters; it must be a whole"),
        ({"steps": 10_001}, "steps got 10001; sampling needs 1 to 10000 steps"),
        ({"overlap": 24}, "window overlap got 24; it must be at least 0 and less than the window"),
        ({"length": 0}, "window length got 0; it must be 1 frame or more"),
        ({"fuse": "soft"}, "window fuse got 'soft'; choose pyramid or flat"),
        ({"frames": 0}, "frames got 0; a clip needs 1 frame or more"),
        ({"frames": ""}, "frames got ''; it must be a whole number"),
        ({"frames": "7.5"}, "frames got '7.5'; it must be a whole number"),
        ({"frames": 10_001}, "frames got 10001; windows are drawn for 10000 frames or fewer"),
        ({"length": 513}, "length got 513; a window has at most 512 frames"),
        ({"steps": 0}, "steps got 0; sampling needs 1 to 10000 steps"),
        ({"loop": "perhaps"}, "loop got 'perhaps'; it must be true or false"),
    ],
)
def test_bad_values_are_answered_in_words(ask, query, words):
    status, told = ask(**query)
    assert status == 400
    assert words in told["error"]
