import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.config import ScheduleConfig
from animate_anyone.diffusion.ddim import next_timesteps
from animate_anyone.diffusion.sampler_table import SAMPLERS
from animate_anyone.diffusion.samplers import sample
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.errors import InputError

SHAPE = (1, 4, 3, 5, 5)


@pytest.fixture(scope="module")
def tables(golden):
    return load_file(golden / "ddim.safetensors")


def perfect_model(schedule, clean):
    """Return a model whose outputs always lead to these clean latents."""

    def model(latents, timestep, step):
        alpha = schedule.alphas_cumprod[timestep]
        noise = (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()
        return schedule.target(clean, noise, timestep)

    return model


@pytest.mark.parametrize("steps", [1, 6, 7, 30])
def test_default_steps_to_the_next_timestep_and_ends_clean(steps):
    schedule = NoiseSchedule(ScheduleConfig())
    timesteps = schedule.timesteps(steps)
    assert next_timesteps(schedule, steps) == [*timesteps[1:], -1]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("spacing", ["trailing", "leading"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_perfect_model_gives_the_clean_latents(sampler, spacing, prediction):
    schedule = NoiseSchedule(
        ScheduleConfig(
            prediction_type=prediction, spacing=spacing, zero_snr=prediction != "epsilon"
        )
    )
    clean = torch.randn(SHAPE)
    generator = torch.Generator().manual_seed(1)
    steps = []
    final = sample(
        perfect_model(schedule, clean),
        torch.randn(SHAPE, generator=generator),
        schedule,
        12,
        sampler,
        generator,
        steps.append,
    )
    torch.testing.assert_close(final, clean, atol=1e-4, rtol=0)
    assert [step.index for step in steps] == list(range(12))
    for step in steps:
        torch.testing.assert_close(step.clean, clean, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("sampler", ["ddim", "euler"])
def test_ddim_and_euler_agree_with_ddim_of_diffusers(sampler):
    schedule, noise = NoiseSchedule(ScheduleConfig()), torch.randn(SHAPE)

    def model(latents, timestep, step):
        return torch.tanh(latents) * 0.5 + timestep / 2000

    theirs = schedule.scheduler("ddim")
    theirs.set_timesteps(20)
    latents = noise
    for index, timestep in enumerate(theirs.timesteps.tolist()):
        output = model(latents, timestep, index)
        latents = theirs.step(output, timestep, latents).prev_sample
    ours = sample(model, noise, schedule, 20, sampler)
    limit = 1e-5 if sampler == "ddim" else 1e-3 * latents.abs().max().item()
    assert (ours - latents).abs().max() <= limit


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp_2m_sde"])
def test_noise_added_at_steps_comes_from_the_generator(sampler):
    schedule, noise = NoiseSchedule(ScheduleConfig()), torch.randn(SHAPE)

    def run(seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(lambda x, t, i: x * 0.5, noise, schedule, 5, sampler, generator)

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_the_state_is_full_precision_even_for_half_noise():
    noise = torch.randn(SHAPE).to(torch.float16)
    seen = []

    def model(latents, timestep, step):
        seen.append(latents.dtype)
        return latents.half()

    final = sample(model, noise, NoiseSchedule(ScheduleConfig()), 3)
    assert set(seen) == {torch.float32}
    assert final.dtype == torch.float16


def test_a_callback_may_interrupt():
    class Interrupt(Exception):  # noqa: N818 - named as a host names it
        pass

    calls = []

    def stop(step):
        calls.append(step.index)
        if step.index == 1:
            raise Interrupt

    with pytest.raises(Interrupt):
        sample(
            lambda x, t, i: x, torch.randn(SHAPE), NoiseSchedule(ScheduleConfig()), 9, callback=stop
        )
    assert calls == [0, 1]


def test_impossible_requests_are_refused_before_the_model_runs():
    def model(latents, timestep, step):
        raise AssertionError("the model ran")

    noise, schedule = torch.randn(SHAPE), NoiseSchedule(ScheduleConfig())
    with pytest.raises(InputError, match="steps got 0"):
        sample(model, noise, schedule, 0)
    with pytest.raises(InputError, match="sampler got 'magic'"):
        sample(model, noise, schedule, 4, "magic")
