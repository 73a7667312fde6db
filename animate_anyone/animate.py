"""The paper's figure 2: a reference picture and pose pictures become the frames of a clip."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .config import Preset
from .diffusion.fusing import predict_in_windows
from .diffusion.guidance import guide
from .diffusion.noise import draw_noise, repeat_noise
from .diffusion.sampler_table import USUAL_SAMPLER, find_sampler
from .diffusion.samplers import SamplingStep, sample
from .diffusion.schedule import NoiseSchedule
from .diffusion.windows import Window, WindowConfig, plan_windows
from .errors import InputError, WeightsError
from .media import fit_picture, to_pixels
from .networks.condition import as_clips, prepare_condition, seen_features
from .networks.unet import PreparedCondition, UNet
from .protocols import Autoencoder, ImageEncoder, Progress
from .types import Size

logger = logging.getLogger(__name__)

KEPT_POSE_BYTES = 128 << 20  # pose features of longer clips are computed when a window needs them
PIXELS_PER_LATENT = 8


class Networks(Protocol):
    """The networks of one weight set, as `weights.load.Models` holds them."""

    preset: Preset
    denoiser: UNet
    reference_net: UNet
    pose_guider: nn.Module
    autoencoder: Autoencoder | None
    image_encoder: ImageEncoder | None


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a clip is sampled."""

    steps: int = 20
    guidance: float = 3.5  # 1: none, at half the cost; higher: follow the reference more closely
    sampler: str = USUAL_SAMPLER
    seed: int = 0
    windows: WindowConfig = field(default_factory=WindowConfig)
    windows_per_call: int = 1  # higher values use the device better and need more memory
    shared_noise: float = 0.0  # 0..1, the part of the noise that all frames have in common
    repeat_noise: bool = False  # all windows start from the same noise, in shuffled order
    frames_per_decode: int = 8  # frames decoded together; limits the memory of decoding


def sampling_of(preset: Preset) -> Sampling:
    """Return a preset's default sampling."""
    overlap = min(4, preset.window_frames - 1)
    return Sampling(
        steps=preset.steps,
        guidance=preset.guidance,
        windows=WindowConfig(length=preset.window_frames, overlap=overlap),
    )


def animate(
    models: Networks,
    reference: Tensor,  # (1, 3, any H, any W), 0..1
    poses: np.ndarray,  # (f, H, W, 3) uint8 pictures of skeletons; their size is the clip's
    sampling: Sampling | None = None,  # None: the preset's default
    *,
    progress: Progress | None = None,  # called after each window of each step
    let_go: Callable[[str], None] | None = None,  # as `Models.let_go`; None keeps all networks
) -> Iterator[Tensor]:  # chunks of (f', 3, H, W), 0..1, in order
    """Sample a clip and return an iterator that decodes it chunk by chunk.

    `let_go` is told the name of each network that is not needed any more: ReferenceNet and image
    encoder before sampling, the others but the autoencoder before decoding.

    Only the latents, the pose pictures as bytes and, for a short clip, the pose features are kept
    for the whole clip. Decoded frames are never all in memory.
    """
    sampling = sampling or sampling_of(models.preset)
    check_inputs(models, reference, poses, sampling)
    H, W = poses.shape[1:3]

    let_go = let_go or (lambda _: None)
    condition = _Condition(models, reference, Size(W, H), guided=sampling.guidance != 1)
    for name in ("reference_net", "image_encoder"):
        let_go(name)
    pose = PoseFeatures(models.pose_guider, poses)
    noise = starting_noise(models.preset, len(poses), Size(W, H), sampling)
    latents = denoise(models, condition, pose, noise, sampling, progress)
    for name in ("denoiser", "pose_guider"):
        let_go(name)
    return decode(models, latents, sampling.frames_per_decode)


class _Condition:
    """The reference picture, encoded once for the whole clip."""

    @torch.no_grad()
    def __init__(self, models: Networks, reference: Tensor, size: Size, *, guided: bool) -> None:
        assert models.image_encoder is not None
        assert models.autoencoder is not None
        like = next(models.denoiser.parameters())
        self._token = models.image_encoder.encode(reference).to(like)
        picture = _fit_reference(reference, size)
        latents = models.autoencoder.encode(picture).to(like)
        self._features = seen_features(models.reference_net, latents, self._token, (True,))
        self._denoiser = models.denoiser
        self._attends = (False, True) if guided else (True,)
        self._prepared: dict[int, PreparedCondition] = {}
        self.rows = len(self._attends)

    def for_windows(self, count: int) -> PreparedCondition:
        """Return the condition for a call with `count` windows.

        With guidance its first rows are the unconditional ones of all windows, then the
        conditional ones. It depends on the present weights, so each sampling run makes its own.
        """
        if count not in self._prepared:
            attends = [attends for attends in self._attends for _ in range(count)]
            self._prepared[count] = prepare_condition(
                self._denoiser, self._token, self._features, attends
            )
        return self._prepared[count]


class PoseFeatures:
    """The Pose Guider's features of frames: stored for a short clip, else computed on demand."""

    def __init__(
        self,
        guider: nn.Module,
        poses: np.ndarray,  # (f, H, W, 3) uint8
        kept_bytes: int = KEPT_POSE_BYTES,
    ) -> None:
        self._guider, self._poses = guider, poses
        self._kept: Tensor | None = None
        chunks = torch.arange(len(poses)).split(8)
        first = self._make(chunks[0].tolist())
        if first[0].nbytes * len(poses) <= kept_bytes:
            others = (self._make(chunk.tolist()) for chunk in chunks[1:])
            self._kept = torch.cat([first, *others])

    def of(
        self,
        frames: Sequence[int],
    ) -> Tensor:  # (1, c, len(frames), h, w)
        """Return the features of these frames."""
        features = self._make(frames) if self._kept is None else self._kept[list(frames)]
        return as_clips(features)

    @torch.no_grad()
    def _make(self, frames: Sequence[int]) -> Tensor:
        like = next(self._guider.parameters())
        return self._guider(to_pixels(self._poses[list(frames)]).to(like))


@torch.no_grad()
def denoise(
    models: Networks,
    condition: _Condition,
    pose: PoseFeatures,
    noise: Tensor,  # (1, c, f, h, w)
    sampling: Sampling,
    progress: Progress | None = None,
) -> Tensor:  # (1, c, f, h, w), float32
    """Return the denoised latents of a clip, sampled in windows."""
    like = next(models.denoiser.parameters())
    frames = noise.shape[2]
    total = sum(len(plan_windows(frames, sampling.windows, i)) for i in range(sampling.steps))
    done = 0

    def predict(timestep: int, latents: Tensor, windows: Sequence[Window]) -> Tensor:
        nonlocal done
        rows = repeat(latents.to(like), "k c f h w -> (rows k) c f h w", rows=condition.rows)
        poses = torch.cat([pose.of(window.frames) for window in windows])
        if len(windows) > 1:
            poses = repeat(poses, "k c f h w -> (rows k) c f h w", rows=condition.rows)
        prediction = models.denoiser(
            rows,
            torch.full((len(rows),), timestep, device=like.device),
            condition.for_windows(len(windows)),
            poses,
        ).float()
        done += len(windows)
        if progress is not None:
            progress(done, total)
        if condition.rows == 1:
            return prediction
        unconditional, conditional = prediction.chunk(2)
        return guide(unconditional, conditional, sampling.guidance)

    def model(latents: Tensor, timestep: int, step: int) -> Tensor:
        windows = plan_windows(frames, sampling.windows, step)
        per_call = sampling.windows_per_call
        return predict_in_windows(
            partial(predict, timestep), latents, windows, windows_per_call=per_call
        )

    return sample(
        model,
        noise.to(like.device),
        NoiseSchedule(models.preset.schedule),
        sampling.steps,
        sampling.sampler,
        torch.Generator().manual_seed(sampling.seed + 1),  # for samplers that add noise
        _refuse_nan,
    )


def decode(
    models: Networks,
    latents: Tensor,  # (1, c, f, h, w)
    frames_per_decode: int = 8,
) -> Iterator[Tensor]:  # chunks of (f', 3, 8h, 8w)
    """Decode latents; yield the frames in chunks of at most `frames_per_decode`."""
    assert models.autoencoder is not None
    for part in rearrange(latents, "1 c f h w -> f c h w").split(frames_per_decode):
        yield models.autoencoder.decode(part)


def check_inputs(
    models: Networks, reference: Tensor, poses: np.ndarray, sampling: Sampling
) -> None:
    """Check the inputs before anything is computed; WeightsError or InputError if invalid."""
    if models.autoencoder is None or models.image_encoder is None:
        missing = "autoencoder" if models.autoencoder is None else "image_encoder"
        raise WeightsError(
            f"{missing} got none; {models.preset.title} needs one. Add its file to the weights."
        )
    if reference.ndim != 4 or reference.shape[1] != 3 or not reference.numel():
        raise InputError(
            f"reference got shape {tuple(reference.shape)}; it must be (1, 3, H, W), RGB. "
            f"Load it as a picture."
        )
    if len(reference) > 1:
        raise InputError(
            f"reference got {len(reference)} pictures; one picture is animated at a time. "
            f"Choose one of them."
        )
    if not bool(torch.isfinite(reference).all()):
        raise InputError(
            "reference got NaN or infinite values; all must be finite. Load the picture again."
        )
    if poses.ndim != 4 or poses.shape[3] != 3 or poses.dtype != np.uint8:
        raise InputError(
            f"poses got {poses.dtype} of shape {poses.shape}; they must be uint8 pictures "
            f"(frames, H, W, 3). Draw them with draw_pose."
        )
    check_plan(models.preset, len(poses), Size(poses.shape[2], poses.shape[1]), sampling)


def check_plan(preset: Preset, frames: int, size: Size, sampling: Sampling) -> None:
    """Check length, size and settings against a weight set; InputError if they do not fit."""
    if frames < 1:
        raise InputError("poses got 0 frames; a clip needs one or more. Choose a longer one.")
    if snap_size(size) != size:
        near = snap_size(size)
        raise InputError(
            f"size got {size.width}x{size.height}; both sides must be multiples of "
            f"{PIXELS_PER_LATENT}. Choose {near.width}x{near.height}."
        )
    motion, length = preset.unet.motion, min(sampling.windows.length, frames)
    if motion is not None and length > motion.max_frames:
        raise InputError(
            f"window got {length} frames; the motion modules of {preset.title} have positions for "
            f"{motion.max_frames}. Choose a window of {motion.max_frames} frames or fewer."
        )
    if not sampling.guidance >= 1:
        raise InputError(
            f"cfg got {sampling.guidance:g}; it must be 1 or more. Choose 1 to sample without "
            f"guidance, at half the cost, or {preset.guidance:g} as this weight set suggests."
        )
    find_sampler(sampling.sampler)
    for name in ("windows_per_call", "frames_per_decode"):
        if getattr(sampling, name) < 1:
            raise InputError(f"{name} got {getattr(sampling, name)}; it must be 1 or more.")
    NoiseSchedule(preset.schedule).timesteps(sampling.steps)


def snap_size(size: Size) -> Size:
    """Return the nearest size whose sides are multiples of 8 pixels."""
    width, height = (
        max(1, round(side / PIXELS_PER_LATENT)) * PIXELS_PER_LATENT
        for side in (size.width, size.height)
    )
    return Size(width, height)


def _fit_reference(reference: Tensor, size: Size) -> Tensor:
    """Return the picture at the clip's size; log a warning if its shape differs."""
    H, W = reference.shape[-2:]
    if not 0.98 < (W * size.height) / (H * size.width) < 1.02:
        logger.warning(
            "reference is %dx%d, the clip %dx%d: the picture's edges are continued to fill it",
            *(W, H, size.width, size.height),
        )
    return fit_picture(reference, size)


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


def _refuse_nan(step: SamplingStep) -> None:
    if not bool(torch.isfinite(step.latents).all()):
        raise WeightsError(
            f"denoiser got weights that give NaN or infinite values (in step {step.index + 1} of "
            f"{step.total}); they are damaged, or too large for this number type. Load them again, "
            f"or with --dtype bf16 or fp32."
        )
