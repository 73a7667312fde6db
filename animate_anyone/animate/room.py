"""What a clip needs at the very least, so that one that can never fit is refused before the work.

On a CPU a process that needs more memory than there is gets killed, without a word of its own.
"""

import torch
from torch import nn

from ..config import Preset
from ..memory import require_room
from ..networks.call_memory import least_working_bytes
from ..protocols import Autoencoder
from ..types import Size
from .settings import PIXELS_PER_LATENT, Sampling

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
    latents with one prediction of them, and the larger one of a call of the denoiser and of a
    decoded chunk.
    """
    pixels = size.width * size.height
    needed = 3 * pixels * frames
    if device.type == "cpu":
        places = pixels // PIXELS_PER_LATENT**2
        needed += 2 * preset.unet.in_channels * places * frames * _FLOAT_BYTES
        window = min(sampling.windows.length, frames)
        call = least_working_bytes(preset.unet, frames=window, size=size, value_bytes=value_bytes)
        chunk = min(sampling.frames_per_decode, frames)
        needed += max(call, least_decoding_bytes(size, chunk, autoencoder))
    plural = "s" if frames > 1 else ""
    require_room(
        needed,
        f"size got {size.width}x{size.height} pixels for {frames} frame{plural}",
        "Choose a smaller size, or fewer frames at once (--frames, --chunk, --window).",
    )


def least_decoding_bytes(
    size: Size,
    frames: int,  # in one chunk
    autoencoder: Autoencoder | None,
) -> int:
    """Return a lower bound for decoding a chunk: its frames in float32, or one frame's features."""
    network = getattr(autoencoder, "network", None)
    features, value_bytes = 0, 0
    if network is not None:
        features = last_channels(network)
        value_bytes = next(network.parameters()).itemsize
    pixels = size.width * size.height
    return max(3 * frames * _FLOAT_BYTES, features * value_bytes) * pixels


def last_channels(network: nn.Module) -> int:
    """Return how many channels an autoencoder's last convolution reads; 0 if it is not known.

    They exist at full resolution.
    """
    decoder = getattr(network, "decoder", getattr(network, "taesd_decoder", None))
    if not isinstance(decoder, nn.Module):
        return 0
    convolutions = [each for each in decoder.modules() if isinstance(each, nn.Conv2d)]
    last = next(reversed(convolutions), None)
    return last.in_channels if last is not None and last.out_channels == 3 else 0
