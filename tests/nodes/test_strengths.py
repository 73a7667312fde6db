"""Strengths of pose and reference in parts of the run, in the host."""

import math

import pytest
import torch
from standalone import denoise, relative_error

USUAL = {
    f"{name}_{part}": value
    for name in ("pose", "reference")
    for part, value in (("strength", 1.0), ("from", 0.0), ("until", 1.0))
}


@pytest.fixture
def sampled(run_node, load, scene):
    """Return a function that samples a clip of three frames by Animate."""

    def run(**changes):
        loaded = load()
        clip = scene(loaded, frames=3, width=16, height=16)
        inputs = {"model": loaded.model, "reference": clip.reference, "pose": clip.pose}
        usual = {"seed": 1, "steps": 4, "cfg": 2.0, "sampler": "euler", "scheduler": "trailing"}
        usual |= {"length": 2, "overlap": 1, "fusing": "flat", "shared_noise": 0.0}
        return run_node("Animate", **inputs, **usual | changes)["samples"]

    return run


def test_full_strength_over_the_whole_run_is_what_it_was(sampled):
    assert torch.equal(sampled(**USUAL), sampled())


def test_parts_of_the_run_mean_the_same_steps_as_in_the_core(core, load, scene, run_node, sampled):
    result = sampled(
        pose_strength=0.6, pose_until=0.5, reference_strength=1.5, reference_from=0.25, length=3
    )
    noise = run_node("VideoNoise", seed=1, shared_noise=0.0).generate_noise({"samples": result})
    loaded = load()
    clip = scene(loaded, frames=3, width=16, height=16)
    strength = core("diffusion.strength").Strength
    pose, reference = strength(value=0.6, end=0.5), strength(value=1.5, start=0.25)
    expected = denoise(
        *(core, loaded, clip, noise),
        steps=4,
        strengths=lambda step: (pose.at(step, 4), reference.at(step, 4)),
    )
    assert relative_error(result, expected) < 1e-3
    assert relative_error(sampled(length=3), expected) > 0.01


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2s_ancestral"])
def test_samplers_with_calls_between_steps_take_strengths(sampled, sampler):
    usual, part = sampled(sampler=sampler), sampled(sampler=sampler, pose_until=0.5)
    assert part.isfinite().all()
    assert not torch.allclose(usual, part, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pose_strength": -1.0}, "pose_strength got -1.0; it must be a number from 0.0 to 10.0"),
        ({"reference_strength": math.nan}, "reference_strength got nan"),
        ({"pose_from": 0.7, "pose_until": 0.2}, "pose interval got from 0.7 until 0.2"),
        ({"reference_until": 0.0}, "reference interval got from 0 until 0; both are shares"),
        ({"pose_until": 0.05}, "pose interval got from 0 until 0.05; with 4 steps it has none"),
    ],
)
def test_strengths_that_cannot_be_used_are_named(sampled, changes, message):
    with pytest.raises(ValueError, match=message):
        sampled(**changes)
