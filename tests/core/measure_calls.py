"""Measures the memory of calls of networks, in a process of its own.

Usage: measure_calls.py < CALLS.json, a list of [kind, width, height, frames]; kind is "denoiser" or
"decoder". Prints a list of [bytes that the call added at most, least bytes that we count].
"""

import ctypes
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from animate_anyone.animate.room import least_decoding_bytes
from animate_anyone.config import MotionConfig, UNetConfig
from animate_anyone.networks.call_memory import least_working_bytes
from animate_anyone.networks.encoders.tiny_autoencoder import TinyAutoencoder
from animate_anyone.networks.unet import UNet
from animate_anyone.types import Size
from animate_anyone.weights.encoders import NetworkAutoencoder

CONFIG = UNetConfig(
    block_out_channels=(64, 96),
    attention_levels=(False, True),
    layers_per_block=1,
    heads=2,
    cross_attention_dim=12,
    norm_groups=8,
    motion=MotionConfig(max_frames=8, heads=2, attention_blocks=1, norm_groups=8),
)


def status(name: str) -> int:  # bytes
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)
    )
    return 1024 * int(line.split()[1])


def added(call) -> int:
    """Return how many bytes a call adds to the memory of this process at most."""
    call()  # libraries allocate workspaces once
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS:")
    call()
    return status("VmHWM:") - before


@torch.no_grad()
def measured(kind: str, width: int, height: int, frames: int) -> tuple[int, int]:
    size, latents = Size(width, height), torch.randn(1, 4, frames, height // 8, width // 8)
    if kind == "decoder":
        coder = NetworkAutoencoder(TinyAutoencoder(width=16), 1.0)
        return added(lambda: coder.decode(latents[0].movedim(1, 0))), least_decoding_bytes(
            size, frames, coder
        )
    denoiser = UNet(CONFIG).eval()
    condition = denoiser.prepare(torch.randn(1, 1, 12), None, None)
    least = least_working_bytes(CONFIG, frames=frames, size=size, value_bytes=4)
    return added(lambda: denoiser(latents, torch.tensor([300]), condition)), least


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps([measured(*call) for call in json.load(sys.stdin)]))
