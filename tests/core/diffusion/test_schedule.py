import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from animate_anyone.config import ScheduleConfig
from animate_anyone.diffusion.sampler_table import SAMPLERS
from animate_anyone.diffusion.schedule import SMALLEST_ALPHA, NoiseSchedule
from animate_anyone.errors import ConfigError, InputError

PREDICTIONS = ["epsilon", "v_prediction", "sample"]


@pytest.fixture(scope="module")
def tables(golden):
    return load_file(golden / "ddim.safetensors")


def largest(a, b):
    return (a - b).abs().max().item()


def test_tables_equal_the_public_ones(tables):
    schedule = NoiseSchedule(ScheduleConfig())
    assert largest(schedule.alphas_cumprod, tables["alphas_cumprod"]) <= 1e-6
    plain = NoiseSchedule(ScheduleConfig(zero_snr=False))
    assert largest(plain.alphas_cumprod, tables["alphas_cumprod_no_rescale"]) <= 1e-6
    # The rescaled betas are ratios of two numbers near 0. Where the last bit of a square root
    # differs, as between two processors, they change by 4e-6. Only their products are used.
    assert largest(schedule.betas, tables["betas"]) <= 5e-6


def test_zero_snr_leaves_nothing_of_the_picture_at_the_end():
    assert NoiseSchedule(ScheduleConfig()).alphas_cumprod[-1] == 0
    assert NoiseSchedule(ScheduleConfig(zero_snr=False)).alphas_cumprod[-1] > 0


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_tables_equal_those_of_diffusers(beta_schedule, zero_snr):
    schedule = NoiseSchedule(ScheduleConfig(beta_schedule=beta_schedule, zero_snr=zero_snr))
    theirs = schedule.scheduler("ddim")
    assert largest(schedule.betas, theirs.betas) <= 1e-6
    assert largest(schedule.alphas_cumprod, theirs.alphas_cumprod) <= 1e-6


@pytest.mark.parametrize("steps", [4, 10, 20, 25, 30, 50])
def test_trailing_timesteps_equal_the_public_ones(tables, steps):
    expected = tables[f"timesteps/{steps}"].tolist()
    assert NoiseSchedule(ScheduleConfig()).timesteps(steps) == expected


@pytest.mark.parametrize("spacing", ["trailing", "leading"])
def test_timesteps_equal_those_of_diffusers_and_fall(spacing):
    schedule = NoiseSchedule(ScheduleConfig(spacing=spacing))
    theirs = schedule.scheduler("ddim")
    for steps in [*range(1, 101), 333, 500, 999, 1000]:
        ours = schedule.timesteps(steps)
        theirs.set_timesteps(steps)
        assert ours == theirs.timesteps.tolist()[:steps]  # they return 62 for 61
        assert len(ours) == steps
        assert all(np.diff(ours) < 0)
        assert 0 <= ours[-1] <= ours[0] <= 999


@pytest.mark.parametrize("steps", [1, 3, 10, 500, 1000])
def test_leading_offset_never_leaves_the_table(steps):
    schedule = NoiseSchedule(ScheduleConfig(spacing="leading", steps_offset=1))
    timesteps = schedule.timesteps(steps)
    assert max(timesteps) <= 999
    assert min(timesteps) == (1 if steps < 1000 else 0)


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, True])
def test_impossible_step_counts_are_refused(steps):
    with pytest.raises(InputError, match="steps got"):
        NoiseSchedule(ScheduleConfig()).timesteps(steps)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("timesteps", [0, 500, 998, "per row", "per frame"])
def test_target_leads_back_to_clean_and_noise(prediction, timesteps):
    schedule = NoiseSchedule(ScheduleConfig(prediction_type=prediction, zero_snr=False))
    if timesteps == "per row":
        timesteps = torch.tensor([10, 700])
    elif timesteps == "per frame":
        timesteps = torch.randint(0, 999, (2, 5))
    clean, noise = torch.randn(2, 2, 4, 5, 3, 3, dtype=torch.float64)
    noisy = schedule.add_noise(clean, noise, timesteps)
    target = schedule.target(clean, noise, timesteps)
    torch.testing.assert_close(
        schedule.to_clean(target, noisy, timesteps), clean, atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        schedule.to_noise(target, noisy, timesteps), noise, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("timesteps", [torch.tensor([3, 900]), torch.tensor([[3, 5], [900, 7]])])
def test_batched_timesteps_equal_single_ones(timesteps):
    schedule = NoiseSchedule(ScheduleConfig())
    clean, noise = torch.randn(2, 2, 4, 2, 3, 3)
    noisy = schedule.add_noise(clean, noise, timesteps)
    for row in range(2):
        for frame in range(2):
            timestep = int(timesteps[row] if timesteps.ndim == 1 else timesteps[row, frame])
            alone = schedule.add_noise(clean[row, :, frame], noise[row, :, frame], timestep)
            assert torch.equal(noisy[row, :, frame], alone)


def test_half_precision_stays_half():
    schedule = NoiseSchedule(ScheduleConfig())
    clean = torch.randn(1, 4, 2, 3, 3, dtype=torch.bfloat16)
    assert schedule.add_noise(clean, clean, 10).dtype == torch.bfloat16


def test_snr_falls_to_zero():
    ratios = NoiseSchedule(ScheduleConfig()).snr(torch.arange(1000))
    assert ratios[-1] == 0
    assert all(np.diff(ratios.numpy()) < 0)


def test_sigmas_are_finite_and_end_at_zero():
    schedule = NoiseSchedule(ScheduleConfig())
    sigmas = schedule.sigmas(20)
    assert sigmas.shape == (21,)
    assert sigmas[0].item() == pytest.approx((1 / SMALLEST_ALPHA - 1) ** 0.5, rel=1e-6)
    assert sigmas[0].item() == pytest.approx(4518.76, abs=0.1)
    assert sigmas[-1] == 0
    alphas = schedule.alphas_cumprod[schedule.timesteps(20)[1:]]
    torch.testing.assert_close(1 / (1 + sigmas[1:-1] ** 2), alphas)


def test_epsilon_at_pure_noise_is_refused():
    schedule = NoiseSchedule(ScheduleConfig(prediction_type="epsilon"))
    noise = torch.randn(1, 4, 2, 3, 3)
    with pytest.raises(ConfigError, match="zero_snr"):
        schedule.to_clean(noise, noise, 999)


@pytest.mark.parametrize("timestep", [-1, 1000])
def test_timesteps_outside_the_table_are_refused(timestep):
    clean = torch.zeros(1, 4, 2, 3, 3)
    with pytest.raises(InputError, match="timesteps got"):
        NoiseSchedule(ScheduleConfig()).add_noise(clean, clean, timestep)


@pytest.mark.parametrize(
    "options", [{"beta_schedule": "cosine"}, {"beta_start": 0.5}, {"beta_start": 0.0}], ids=str
)
def test_impossible_betas_are_refused(options):
    with pytest.raises(ConfigError, match="beta_"):
        NoiseSchedule(ScheduleConfig(**options))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_schedulers_of_diffusers_share_our_tables(sampler):
    theirs = NoiseSchedule(ScheduleConfig(beta_schedule="scaled_linear")).scheduler(sampler)
    ours = NoiseSchedule(ScheduleConfig(beta_schedule="scaled_linear"))
    assert theirs.config.prediction_type == "v_prediction"
    assert largest(theirs.betas, ours.betas) <= 1e-6


def test_unknown_sampler_is_refused_with_the_list():
    with pytest.raises(InputError, match="choose one of ddim"):
        NoiseSchedule(ScheduleConfig()).scheduler("magic")
