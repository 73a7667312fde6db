"""Sampling a clip: conditions and noise become latents, and latents become frames."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ..config import Preset
from ..diffusion.noise import draw_noise, repeat_noise
from ..diffusion.samplers import SamplingStep, sample
from ..diffusion.schedule import NoiseSchedule
from ..errors import WeightsError
from ..protocols import ENCODER, Progress
from ..types import Size
from .checks import check_inputs
from .condition import PoseFeatures, ReferenceCondition, ReferencePictures, pictures_of
from .kept import Kept
from .persons import check_regions, places_of
from .prediction import ClipPrediction
from .settings import PIXELS_PER_LATENT, Networks, Sampling, sampling_of


def animate(
    models: Networks,
    reference: ReferencePictures,  # (p, 3, H, W), 0..1, or a list of (1, 3, H, W); 1 to 8 pictures
    poses: np.ndarray,  # (f, H, W, 3) uint8 pictures of skeletons; their size is the clip's
    sampling: Sampling | None = None,  # None: the preset's default
    *,
    strengths: Sequence[float] | None = None,  # of the reference pictures; None: all 1
    regions: np.ndarray | None = None,  # (f, p, H, W) bool, where each of p persons is
    progress: Progress | None = None,  # called after each window of each step
    let_go: Callable[[str], None] | None = None,  # as `Models.let_go`; None keeps all networks
) -> Iterator[Tensor]:  # chunks of (f', 3, H, W), 0..1, in order
    """Sample a clip and return an iterator that decodes it chunk by chunk.

    `let_go` is told the name of each network that is not needed any more: ReferenceNet, image
    encoder and the encoder of the autoencoder before sampling, the others before decoding.

    Several pictures show one character. A picture's strength says how much it counts: 0 leaves it
    out, as if it had not been given. The first picture that is left gives the image token.

    With regions each picture shows another person of the clip: inside a person's region attention
    looks at that person's picture alone, elsewhere at all pictures.

    Only the latents, the pose pictures as bytes and, for a short clip, the pose features are kept
    for the whole clip. Decoded frames are never all in memory.
    """
    sampling = sampling or sampling_of(models.preset)
    check_inputs(models, reference, poses, sampling, strengths)
    places = None
    if regions is not None:
        check_regions(regions, poses)
        places = places_of(regions, len(pictures_of(reference)), strengths)
    H, W = poses.shape[1:3]

    let_go = let_go or (lambda _: None)
    guided = sampling.guidance != 1
    condition = ReferenceCondition(
        *(models, reference, Size(W, H)),
        guided=guided,
        strengths=strengths,
        persons=places is not None,
    )
    for name in ("reference_net", "image_encoder", ENCODER):
        let_go(name)
    pose = PoseFeatures(models.pose_guider, poses)
    noise = starting_noise(models.preset, len(poses), Size(W, H), sampling)
    latents = denoise(models, condition, pose, noise, sampling, progress, places=places)
    for name in ("denoiser", "pose_guider"):
        let_go(name)
    return decode(models, latents, sampling.frames_per_decode)


@torch.no_grad()
def denoise(
    models: Networks,
    condition: ReferenceCondition,
    pose: PoseFeatures,
    noise: Tensor,  # (1, c, f, h, w)
    sampling: Sampling,
    progress: Progress | None = None,
    kept: Kept | None = None,  # latents that are known and stay; the others fit to them
    places: Tensor | None = None,  # (f, h, w) the person that each place belongs to
) -> Tensor:  # (1, c, f, h, w), float32
    """Return the denoised latents of a clip, sampled in windows."""
    prediction = ClipPrediction(models, condition, pose, sampling, noise.shape, progress, places)
    noise, schedule = noise.to(prediction.like.device), NoiseSchedule(models.preset.schedule)
    kept = None if kept is None else kept.to(noise)
    latents = sample(
        prediction if kept is None else kept.held_in(prediction, noise, schedule),
        noise,
        schedule,
        sampling.steps,
        sampling.sampler,
        torch.Generator().manual_seed(_next_seed(sampling.seed)),  # for samplers that add noise
        _refuse_nan,
    )
    return latents if kept is None else kept.over(latents)


def decode(
    models: Networks,
    latents: Tensor,  # (1, c, f, h, w)
    frames_per_decode: int = 8,
) -> Iterator[Tensor]:  # chunks of (f', 3, 8h, 8w)
    """Decode latents; yield the frames in chunks of at most `frames_per_decode`."""
    assert models.autoencoder is not None
    for part in rearrange(latents, "1 c f h w -> f c h w").split(frames_per_decode):
        yield models.autoencoder.decode(part)


def starting_noise(
    preset: Preset,
    frames: int,
    size: Size,  # pixels
    sampling: Sampling,
) -> Tensor:  # (1, c, f, h, w), float32, CPU
    """Return the noise that sampling starts from; ComfyUI's nodes draw the same for a seed."""
    generator = torch.Generator().manual_seed(sampling.seed)
    h, w = size.height // PIXELS_PER_LATENT, size.width // PIXELS_PER_LATENT
    noise = draw_noise(
        (1, preset.unet.in_channels, frames, h, w), generator, shared=sampling.shared_noise
    )
    if not sampling.repeat_noise:
        return noise
    windows = sampling.windows
    return repeat_noise(noise, windows.length, sampling.seed, overlap=windows.overlap)


def _next_seed(seed: int) -> int:
    """Return the following seed; torch takes -2^63 to 2^64 - 1."""
    return seed + 1 if seed < 2**64 - 1 else 0


def _refuse_nan(step: SamplingStep) -> None:
    if not bool(torch.isfinite(step.latents).all()):
        raise WeightsError(
            f"denoiser got weights that give NaN or infinite values (in step {step.index + 1} of "
            f"{step.total}); they are damaged, or too large for this number type. Load them again, "
            f"or with --dtype bf16 or fp32. A cfg or a strength far above the usual does the same."
        )
