"""A sampler added to the table is listed and used everywhere."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from animate_anyone.__main__ import main
from animate_anyone.config import ScheduleConfig
from animate_anyone.diffusion.sampler_table import SAMPLERS, Sampler, find_sampler
from animate_anyone.diffusion.samplers import sample
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "diffusers", "cv2", "av", "onnxruntime")


def guess(latents, timestep, step):
    """Stand in for a model."""
    return torch.tanh(latents) * 0.5 + timestep / 2000


def help_of(command, capsys):
    """Return the help text of a command on one line."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_an_entry_with_a_class_of_diffusers_is_enough(monkeypatch, capsys):
    entry = Sampler(summary="made up in a test", scheduler="EulerAncestralDiscreteScheduler")
    monkeypatch.setitem(SAMPLERS, "euler_a", entry)

    assert f"--sampler {{{','.join(SAMPLERS)}}}" in help_of("animate", capsys)
    assert "euler_a: made up in a test" in help_of("animate", capsys)
    schedule, noise = NoiseSchedule(ScheduleConfig()), torch.randn(1, 4, 3, 5, 5)
    latents, generators = noise, [torch.Generator().manual_seed(1) for _ in range(2)]
    theirs = schedule.scheduler("euler_a")
    theirs.set_timesteps(8)
    latents = latents * theirs.init_noise_sigma
    for index, moment in enumerate(theirs.timesteps):
        seen = theirs.scale_model_input(latents, moment)
        output = guess(seen, round(float(moment)), index)
        latents = theirs.step(output, moment, latents, generator=generators[0]).prev_sample
    assert torch.equal(sample(guess, noise, schedule, 8, "euler_a", generators[1]), latents)


def test_an_entry_with_its_own_loop_is_enough(monkeypatch):
    def jump(run, latents):
        first = run.schedule.timesteps(run.steps)[0]
        clean = run.schedule.to_clean(run.model(latents, first, 0), latents, first)
        run.report(0, first, clean, clean)
        return clean

    monkeypatch.setitem(SAMPLERS, "jump", Sampler(summary="", scheduler="DDIMScheduler", loop=jump))
    schedule, noise, seen = NoiseSchedule(ScheduleConfig()), torch.randn(1, 4, 3, 5, 5), []
    result = sample(guess, noise, schedule, 4, "jump", callback=seen.append)
    assert torch.equal(result, schedule.to_clean(guess(noise, 999, 0), noise, 999))
    assert [step.timestep for step in seen] == [999]


def test_an_unknown_sampler_is_refused_with_a_list_of_all(monkeypatch):
    monkeypatch.setitem(SAMPLERS, "still", Sampler(summary="", scheduler="DDIMScheduler"))
    with pytest.raises(InputError, match=r"sampler got 'magic'; choose one of ddim, .*, still\."):
        find_sampler("magic")


@pytest.mark.parametrize("words", [["--help"], ["animate", "--help"], ["animate", "--sampler=x"]])
def test_help_and_mistyped_samplers_are_answered_without_torch(words):
    script = f"""
import sys
from animate_anyone.__main__ import main
try:
    main({words})
except SystemExit:
    print(sorted(set(sys.modules) & set({HEAVY})))
"""
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
