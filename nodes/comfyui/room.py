"""What nodes need at the very least, so that what can never fit is refused before the work.

On a CPU a server that needs more memory than there is gets killed, without a word of its own.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ...animate_anyone.animate.room import widest_channels
from ...animate_anyone.config import UNetConfig
from ...animate_anyone.memory import require_room
from ...animate_anyone.networks.call_memory import PIXELS_PER_LATENT, least_working_bytes
from ...animate_anyone.types import Size
from . import host

FLOAT_BYTES = 4  # of a number of an IMAGE, a MASK or a LATENT
HALF_BYTES = 2  # of a number in the networks, at the least
# Patches with which other nodes may make the features inside the network smaller.
_INSIDE = ("input_block_patch", "input_block_patch_after_skip")


def require_room_for_images(
    name: str,  # of the node
    size: Size,
    frames: int,
    values: float,  # bytes of one pixel that exist at once
) -> None:
    """Raise InputError if the frames of a result can never be in memory together."""
    require_room(
        round(size.width * size.height * frames * values),
        f"{name} got {_clip(size, frames)}",
        "Choose a smaller size (width, height), or a clip with fewer frames.",
    )


def require_room_for_reference(net: UNetConfig, size: Size, patcher: host.ModelPatcher) -> None:
    """Raise InputError if ReferenceNet can never run on a CPU at this size."""
    if patcher.load_device.type != "cpu":
        return
    pixels = size.width * size.height
    picture = 3 * pixels * FLOAT_BYTES
    working = least_working_bytes(net, frames=1, size=size, value_bytes=HALF_BYTES)
    require_room(
        picture + working,
        f"width and height got {size.width}x{size.height} pixels",
        "Choose a smaller size: connect a smaller pose_image, or set width and height.",
    )


def require_room_to_decode(
    vae: host.Vae,
    samples: Tensor,  # (f, c, h, w)
    *,
    together: bool,  # all frames are in memory at the end
) -> None:
    """Raise InputError if frames can never be decoded, or kept together, in this memory."""
    frames, h, w = len(samples), *samples.shape[2:]
    size = Size(PIXELS_PER_LATENT * w, PIXELS_PER_LATENT * h)
    if together and host.intermediate_device().type == "cpu":
        # The chunks and the clip that they are joined to exist at once.
        require_room_for_images("latent", size, frames, 2 * 3 * HALF_BYTES)
    network, patcher = getattr(vae, "first_stage_model", None), getattr(vae, "patcher", None)
    if network is None or patcher is None or patcher.load_device.type != "cpu":
        return
    value_bytes = getattr(getattr(vae, "vae_dtype", None), "itemsize", HALF_BYTES)
    # A block holds its input, and what its first convolution reads.
    require_room(
        2 * widest_channels(network) * size.width * size.height * value_bytes,
        f"latent got frames of {size.width}x{size.height} pixels",
        "Choose a smaller size, or decode with ComfyUI's VAE Decode (Tiled).",
    )


def require_room_to_sample(
    patcher: host.ModelPatcher,
    net: UNetConfig,
    shape: tuple[int, ...],  # of the latents: (f, c, h, w)
    window: int | None,  # frames; None: the clip in one window
    options: Mapping[str, Any],  # the model's, with patches of other nodes
) -> None:
    """Raise InputError if one call of the denoiser can never run on a CPU."""
    if patcher.load_device.type != "cpu":
        return
    frames, channels, h, w = shape
    size = Size(PIXELS_PER_LATENT * w, PIXELS_PER_LATENT * h)
    patches = options.get("transformer_options", {}).get("patches", {})
    working = least_working_bytes(
        net,
        frames=min(frames, window or frames),
        size=size,
        value_bytes=max(HALF_BYTES, host.compute_dtype(patcher.model).itemsize),
        fused=True,  # by nodes that compile the model
        smaller_inside=any(name in patches for name in _INSIDE),
    )
    require_room(
        working + 2 * frames * channels * h * w * FLOAT_BYTES,
        f"latent got {_clip(size, frames)}",
        "Choose a smaller size (width and height of Encode Pose), or a shorter window.",
    )


def _clip(size: Size, frames: int) -> str:
    return f"{size.width}x{size.height} pixels for {frames} frame{'s' if frames > 1 else ''}"
