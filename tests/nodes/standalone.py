"""Sampling without a host, to compare with: the core's networks, schedule and windows."""

import torch


@torch.no_grad()
def denoise(
    core, loaded, scene, noise, *, steps=10, cfg=2.0, windows=None, strengths=None, held=None
):
    """Return latents, (f, c, h, w), of noise of that shape, in the scale of the host's LATENT.

    `strengths` returns how much pose and reference count at a step; `held` are the clip's first
    frames in that scale, if they are known.
    """
    networks, preset = loaded.networks, loaded.preset
    guide = core("diffusion.guidance").guide
    windows = windows or core("diffusion.windows").WindowConfig()
    plan = core("diffusion.windows").plan_windows
    pictures = scene.pictures.movedim(-1, 1)
    features = networks["pose_guider"](pictures).transpose(0, 1)[None]
    token, joined = scene.reference.token, scene.reference.joined()
    tokens = torch.cat([torch.zeros_like(token), token])
    condition = networks["denoiser"].prepare(tokens, joined.features, [False, True], joined.bias)

    def predict(x, timestep, step, seen):
        frames = list(seen[0].frames)
        posed, looked = (1, 1) if strengths is None else strengths(step)
        both = networks["denoiser"](
            torch.cat([x, x]),
            torch.tensor([timestep] * 2),
            condition.at_strength(looked),
            posed * features[:, :, frames],
        )
        return guide(both[:1], both[1:], cfg)

    def model(latents, timestep, step):
        return core("diffusion.fusing").predict_in_windows(
            lambda x, seen: predict(x, timestep, step, seen),
            latents,
            plan(latents.shape[2], windows, step),
        )

    schedule = core("diffusion.schedule").NoiseSchedule(preset.schedule)
    clip = noise.transpose(0, 1)[None]
    sample = core("diffusion.samplers").sample
    if held is None:
        result = sample(model, clip, schedule, steps)
    else:
        known = (held * preset.latent_scale).transpose(0, 1)[None]
        kept = core("animate.kept").Kept.first_frames(known, clip.shape[2])
        result = kept.over(sample(kept.held_in(model, clip, schedule), clip, schedule, steps))
    return result[0].transpose(0, 1) / preset.latent_scale


def relative_error(result, expected):
    """Return the largest difference relative to the largest value."""
    return float((result - expected).abs().max() / expected.abs().max())
