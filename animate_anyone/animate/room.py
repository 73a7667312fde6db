"""What a clip needs at the very least, so that one that can never fit is refused before the work.

On a CPU a process that needs more memory than there is gets killed, without a word of its own.
"""

import re

import torch
from torch import nn

from ..config import Preset
from ..diffusion.windows import plan_windows
from ..memory import require_room
from ..networks.call_memory import least_working_bytes
from ..protocols import Autoencoder
from ..types import Size
from .settings import PIXELS_PER_LATENT, Sampling

# The first convolution of a block of the decoder, and of the block at full size.
_DIFFUSERS, _COMFYUI = re.compile(r"up_blocks\.\d\.resnets\.0\.conv1"), "up.0.block.0.conv1"
_FLOAT_BYTES = 4  # of a number in float32


def require_room_for_clip(
    preset: Preset,
    frames: int,  # that are sampled at once: of a piece
    size: Size,
    sampling: Sampling,
    device: torch.device,  # of the denoiser
    value_bytes: int,  # of a number in the networks
    autoencoder: Autoencoder | None = None,  # None: not loaded yet
) -> None:
    """Raise InputError if a clip can never be made with the memory of this machine.

    Counted is only what surely exists at the same time: the pictures of skeletons, and on a CPU the
    latents with one prediction of them, and the larger one of a call of the denoiser, with all of
    its rows and windows, and of a decoded chunk.
    """
    pixels = size.width * size.height
    needed = 3 * pixels * frames
    if device.type == "cpu":
        places = pixels // PIXELS_PER_LATENT**2
        needed += 2 * preset.unet.in_channels * places * frames * _FLOAT_BYTES
        together = frames_of_call(frames, sampling)
        call = least_working_bytes(preset.unet, frames=together, size=size, value_bytes=value_bytes)
        chunk = min(sampling.frames_per_decode, frames)
        needed += max(call, least_decoding_bytes(size, chunk, autoencoder))
    plural = "s" if frames > 1 else ""
    require_room(
        needed,
        f"size got {size.width}x{size.height} pixels for {frames} frame{plural}",
        "Choose a smaller size, or fewer frames at once (--frames, --chunk, --window).",
    )


def frames_of_call(
    frames: int,  # that are sampled at once
    sampling: Sampling,
) -> int:
    """Return how many frames the largest call of the denoiser has, of all rows and windows."""
    windows = plan_windows(frames, sampling.windows)
    guided = sampling.guidance > 1 and len(sampling.interval.steps(sampling.steps)) > 0
    first = windows[: sampling.windows_per_call]
    return sum(map(len, first)) * (2 if guided else 1)


def least_decoding_bytes(
    size: Size,
    frames: int,  # in one chunk
    autoencoder: Autoencoder | None,
) -> int:
    """Return a lower bound for decoding a chunk: its frames in float32, or a call's features."""
    network, in_call = (getattr(autoencoder, name, None) for name in ("network", "frames_in_call"))
    features, pixels = 0, size.width * size.height
    if network is not None and in_call is not None:
        together = min(frames, in_call(pixels))
        features = 3 * widest_channels(network) * next(network.parameters()).itemsize * together
    return max(3 * frames * _FLOAT_BYTES, features) * pixels


def widest_channels(network: nn.Module) -> int:
    """Return how many channels the first block at full size reads in an autoencoder's decoder.

    0 if the network is not known. A residual block holds its input, and before its first
    convolution reads, the input normed and the same activated; a tiny autoencoder's block holds
    its input, the result of its convolutions, and their sum.
    """
    decoder = getattr(network, "decoder", getattr(network, "taesd_decoder", None))
    if not isinstance(decoder, nn.Module):
        return 0
    layers = dict(decoder.named_modules())
    convolutions = [each for each in layers.values() if isinstance(each, nn.Conv2d)]
    if not convolutions or convolutions[-1].out_channels != 3:
        return 0
    # diffusers counts blocks from the latents to the picture, ComfyUI the other way round.
    last = max((name for name in layers if _DIFFUSERS.fullmatch(name)), default=_COMFYUI)
    first = layers.get(last)
    return (first if isinstance(first, nn.Conv2d) else convolutions[-1]).in_channels
