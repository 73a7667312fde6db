"""ComfyUI's own nodes between ours act, or are told or refused by name."""

import importlib
import logging
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import core_nodes
import pytest
import torch
from standalone import relative_error

FRAMES, WIDTH, HEIGHT = 3, 96, 128


@dataclass
class Bench:
    """One loaded model, bound to two references."""

    bound: tuple
    other: tuple  # of another reference
    text: list
    windowed: object  # from a length to the model in windows
    sample: object
    folder: Path


@pytest.fixture(scope="module")
def bench(run_node, load, tmp_path_factory):
    """Return one model of the public layout and its inputs, for all cases."""
    loaded = load(layout="public")
    model = loaded.model
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(FRAMES, HEIGHT, WIDTH, 3, generator=generator)
    pose = run_node(
        "EncodePose",
        image=pictures,
        pose_guider=loaded.pose_guider,
        width=0,
        height=0,
        keep="automatic",
    )

    @torch.inference_mode()  # as the host runs nodes
    def bind(number):
        reference = run_node(
            "EncodeReference",
            image=pictures[number : number + 1],
            vae=loaded.vae,
            clip_vision=loaded.clip_vision,
            reference_net=loaded.reference_net,
            width=WIDTH,
            height=HEIGHT,
        )
        return run_node("Apply", model=model, reference=reference, pose=pose)

    def windowed(length):
        options = {"length": length, "overlap": 0, "fusing": "flat", "loop": False, "shift": False}
        return run_node("ContextWindows", model=bound[0], **options, shuffle_noise=False)

    bound, other = bind(0), bind(1)
    noise = torch.randn(bound[3]["samples"].shape, generator=generator)

    @torch.inference_mode()
    def sample(bound, steps):
        sampler = importlib.import_module("comfy.sample").sample
        options = {"disable_pbar": True, "seed": 0}
        if len(bound) == 2:
            guider, latent = bound
            sigmas = run_node("TrailingSigmas", model=model, steps=steps, denoise=1.0)
            euler = importlib.import_module("comfy.samplers").sampler_object("euler")
            return guider.sample(noise, latent["samples"], euler, sigmas, **options)
        patched, positive, negative, latent = bound
        kind = (steps, 2.0, "euler", "simple")
        return sampler(patched, noise, *kind, positive, negative, latent["samples"], **options)

    text = [[torch.randn(1, 77, 32, generator=generator), {}]]
    folder = tmp_path_factory.mktemp("core_nodes")
    return Bench(bound, other, text, windowed, sample, folder)


@pytest.fixture(scope="module")
def plain(bench):
    """Return a function from a number of steps to the latents without the node."""
    return cache(lambda steps: bench.sample(bench.bound, steps))


@pytest.mark.parametrize("case", core_nodes.CASES, ids=lambda case: case.node)
def test_core_node(bench, plain, case, caplog, comfy_host):
    if case.newer and comfy_host.version == core_nodes.OLDEST:
        pytest.skip("this ComfyUI does not have the node")
    caplog.set_level(logging.WARNING)
    oldest = comfy_host.version == core_nodes.OLDEST
    if refused := case.refused or (oldest and case.refused_by_oldest):
        with pytest.raises(ValueError, match=refused):
            bench.sample(case.make(bench), case.steps)
        return
    result = bench.sample(case.make(bench), case.steps)
    assert result.isfinite().all()
    ours = [one.getMessage() for one in caplog.records if "animate_anyone" in one.name]
    if case.told:
        assert len(ours) == 1
        assert re.search(case.told, ours[0]), ours
    elif case.same_as is not None:
        assert torch.equal(result, bench.sample(case.same_as(bench), case.steps))
    else:
        assert not ours
        assert relative_error(result, plain(case.steps)) > 1e-3


def test_the_table_is_that_of_the_cases():
    assert core_nodes.TABLE.read_text(encoding="utf-8") == core_nodes.table(), core_nodes.__doc__
