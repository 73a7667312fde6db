"""`parity/public.py` against numbers that the public implementation computed."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from animate_anyone.config import ScheduleConfig
from animate_anyone.diffusion.ddim import next_timesteps
from animate_anyone.diffusion.samplers import sample
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.diffusion.windows import Window
from animate_anyone.parity.golden import public_windows
from animate_anyone.parity.public import (
    UniformWindows,
    public_next_timesteps,
    public_sample,
    public_sum,
)


@pytest.fixture
def tables(golden):
    return load_file(golden / "ddim.safetensors")


@pytest.fixture
def schedule():
    return NoiseSchedule(ScheduleConfig())


@st.composite
def uniform(draw):
    length = draw(st.integers(1, 40))
    return UniformWindows(
        length=length,
        overlap=draw(st.integers(0, length - 1)),
        loop=draw(st.booleans()),
        stride=draw(st.integers(1, 3)),
    )


def test_uniform_equals_the_public_scheduler(golden):
    rows = json.loads((golden / "context_windows.json").read_text())
    assert len(rows) == 436
    for row in rows:
        plan = public_windows(row).plan(row["num_frames"], row["step"])
        assert [list(window.frames) for window in plan] == row["windows"]


def test_uniform_weighs_only_the_last_copy_of_a_frame():
    windows = UniformWindows(length=6, overlap=2, loop=True, stride=2).plan(8, 0)
    doubled = [window for window in windows if len(set(window.frames)) < len(window)]
    assert doubled
    for window in doubled:
        for place, frame in enumerate(window.frames):
            is_last = frame not in window.frames[place + 1 :]
            assert window.weights[place] == (1.0 if is_last else 0.0)


@given(frames=st.integers(1, 300), windows=uniform(), step=st.integers(0, 60))
def test_uniform_windows_are_full_and_weigh_every_frame_somewhere(frames, windows, step):
    plan = windows.plan(frames, step)
    assert {len(window) for window in plan} == {min(frames, windows.length)}
    assert len(plan) == 1 or frames > windows.length
    pairs = [pair for window in plan for pair in zip(window.frames, window.weights, strict=True)]
    assert {frame for frame, weight in pairs if weight > 0} == set(range(frames))


@pytest.mark.parametrize("steps", [4, 10, 20, 25, 30, 50])
def test_steps_go_where_the_public_scheduler_goes(tables, schedule, steps):
    assert public_next_timesteps(schedule, steps) == tables[f"prev_timesteps/{steps}"].tolist()


@pytest.mark.parametrize("steps", [4, 30])
def test_a_run_follows_the_public_trajectory(tables, schedule, steps):
    toy = {name: tables[f"toy/{steps}/{name}"] for name in ("x_init", "v", "x_after", "x0_pred")}
    seen = []
    final = public_sample(
        lambda latents, timestep, step: toy["v"][step],
        *(toy["x_init"], schedule, steps, seen.append),
    )
    assert [step.timestep for step in seen] == tables[f"timesteps/{steps}"].tolist()
    for step in seen:
        assert step.total == steps
        assert (step.latents - toy["x_after"][step.index]).abs().max() <= 1e-5
        assert (step.clean - toy["x0_pred"][step.index]).abs().max() <= 1e-5
    assert torch.equal(final, seen[-1].latents)


def test_our_run_differs_only_where_steps_do_not_divide_1000(schedule):
    noise = torch.randn(1, 4, 2, 3, 3)

    def model(latents, timestep, step):
        return latents * 0.3 + timestep / 1000

    same = {
        steps: torch.equal(
            sample(model, noise, schedule, steps), public_sample(model, noise, schedule, steps)
        )
        for steps in (6, 20)
    }
    assert same == {6: False, 20: True}
    assert next_timesteps(schedule, 20)[:-1] == public_next_timesteps(schedule, 20)[:-1]


def test_a_sum_of_windows_is_not_divided():
    windows = [Window((0, 1), (1.0, 1.0)), Window((1, 2), (3.0, 1.0))]
    parts = [torch.zeros(1, 1, 2, 1, 1), torch.ones(1, 1, 2, 1, 1)]
    assert public_sum(parts, windows, 3).flatten().tolist() == [0.0, 3.0, 1.0]
    doubled = Window((0, 1, 0), (0.0, 1.0, 1.0))
    part = torch.tensor([5.0, 2.0, 3.0]).reshape(1, 1, 3, 1, 1)
    assert public_sum([part], [doubled], 2).flatten().tolist() == [3.0, 2.0]
