"""What a cluster needs for many clips: bytes and seconds of a clip, and the bottleneck.

    python -m benchmarks.cluster_needs [--cards 64] [--clips 100000] [--tflops 200] [--disk 5]

Operations are counted on the meta device with the networks of Stable Diffusion 1.5's size, as in
`benchmarks.flops`; a multiply-add is two. Those of the pose networks are their authors' figures.
Speeds of cards, disk and network are assumptions: give your own.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from animate_anyone.networks.encoders.clip_vision import ClipVision, ClipVisionConfig
from animate_anyone.networks.unet import UNet
from animate_anyone.weights.sets.moore import MOORE
from benchmarks.flops import FRAMES, count, networks

# TFLOP of a frame: YOLOX-L at 640x640 (155.6 GFLOP), DWPose-l at 384x288 (17.7 GFLOP).
POSE = 0.1556 + 0.0177
WIDTH, HEIGHT, STEPS = 512, 768, 20
VIDEO = 5e5  # bytes of a second of video in H.264, 4 Mbit/s
PNG = 1.5  # bytes of a pixel of film as PNG; 3 is no compression
KEYPOINTS, TOKEN = 134 * 3 * 4, 2 * 768  # bytes of a frame

AUTOENCODER: dict[str, Any] = {  # of Stable Diffusion
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
}


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Counted operations in TFLOP, and parameters."""

    step: float  # of sampling, a window of 24 frames with guidance
    once: float  # ReferenceNet, once per clip
    encode: float  # of the autoencoder, a frame
    decode: float  # the same back
    token: float  # of the image encoder, a frame
    train: float  # forward pass of an example of stage 1 at 512x512
    trained: float  # parameters of stage 1
    parameters: float  # of denoiser and ReferenceNet
    frozen: float  # of autoencoder and image encoder


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The machines and the work."""

    cards: int
    clips: int
    seconds: float  # of a clip
    fps: float
    tflops: float  # that a card sustains in bf16
    disk: float  # GB/s that the shared disk reads or writes
    network: float  # GB/s between cards

    @property
    def frames(self) -> float:
        """Return the frames of a clip."""
        return self.seconds * self.fps


@dataclass(frozen=True, kw_only=True)
class Work:
    """One kind of work on all clips."""

    name: str
    card_seconds: float  # of a clip on a card
    read: float  # bytes of a clip
    written: float

    def hours(self, cluster: Cluster) -> tuple[float, float]:
        """Return the hours that all clips keep the cards and the shared disk busy."""
        cards = cluster.clips * self.card_seconds / cluster.cards
        disk = cluster.clips * (self.read + self.written) / (cluster.disk * 1e9)
        return cards / 3600, disk / 3600


def works(found: Operations, cluster: Cluster) -> list[Work]:
    """Return what animating a clip and preparing one need."""
    frames, pixels = cluster.frames, WIDTH * HEIGHT
    windows = max(1.0, frames / (FRAMES - 4))  # windows overlap by four frames
    video = VIDEO * cluster.seconds
    animate = found.once + STEPS * windows * found.step + frames * (found.decode + POSE)
    prepare = frames * (POSE + found.encode + found.token)
    caches = frames * (pixels / 64 * 4 * 2 + TOKEN + KEYPOINTS)
    return [
        Work(name="animate", card_seconds=animate / cluster.tflops, read=video, written=video),
        Work(
            name="prepare",
            card_seconds=prepare / cluster.tflops,
            read=2 * video,  # every clip is read twice
            written=frames * pixels * PNG + caches,
        ),
    ]


def training_step(found: Operations, cluster: Cluster) -> tuple[float, float]:
    """Return seconds of a step of 64 examples of stage 1: in the networks, and in the exchange.

    The backward pass has twice the operations of the forward pass, and checkpointing repeats that.
    A ring sends every gradient twice, in float32.
    """
    compute = 4 * found.train * 64 / cluster.cards / cluster.tflops
    exchange = 2 * 4 * found.trained / (cluster.network * 1e9)
    return compute, exchange


def lines(found: Operations, cluster: Cluster) -> list[str]:
    """Return the table in Markdown."""
    rows = [
        "| work | operations' seconds a clip | bytes read | bytes written | hours, cards "
        "| hours, disk | bottleneck |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    animate, prepare = works(found, cluster)
    for work in (animate, prepare):
        cards, disk = work.hours(cluster)
        rows.append(
            f"| {work.name} | {work.card_seconds:.1f} | {work.read / 1e6:.1f} MB | "
            f"{work.written / 1e6:.1f} MB | {cards:.1f} | {disk:.1f} | "
            f"{'cards' if cards >= disk else 'disk'} |"
        )
    weights = 2 * (found.parameters + found.frozen)
    start = cluster.cards * weights / (cluster.disk * 1e9)
    compute, exchange = training_step(found, cluster)
    return [
        *rows,
        "",
        f"cores: a card prepares {cluster.frames / prepare.card_seconds:.0f} frames a second, each "
        "of which is decoded twice and written once",
        f"start: {weights / 1e9:.1f} GB of weights for each of {cluster.cards} processes, "
        f"{start:.0f} s from the shared disk",
        f"a training step of 64 examples: {compute:.2f} s in the networks, {exchange:.2f} s of "
        f"exchange at {cluster.network:g} GB/s",
    ]


def counted() -> Operations:
    """Count the operations of all networks."""
    from diffusers import AutoencoderKL

    denoiser, reference_net = networks()
    still = UNet(replace(MOORE.unet, motion=None), device="meta")
    sampling = count(denoiser, reference_net, HEIGHT // 8, WIDTH // 8)
    with torch.device("meta"):
        autoencoder: Any = AutoencoderKL(**AUTOENCODER)
        clip = ClipVision(
            ClipVisionConfig(
                hidden_size=1024,
                intermediate_size=4096,
                num_hidden_layers=24,
                num_attention_heads=16,
                patch_size=14,
                image_size=224,
                projection_dim=768,
            )
        )
        picture = torch.empty(1, 3, HEIGHT, WIDTH)
        latent, square = torch.empty(1, 4, HEIGHT // 8, WIDTH // 8), torch.empty(1, 4, 64, 64)
        token, square_token = torch.empty(1, 3, 224, 224), torch.empty(1, 1, 768)

    def example() -> None:
        features = reference_net.reference_features(square, square_token)
        condition = still.prepare(square_token, features)
        pose = torch.empty(1, 320, 1, 64, 64, device="meta")
        still(square[:, :, None], torch.zeros(1, device="meta"), condition, pose)

    def size(*modules: nn.Module) -> float:
        return float(sum(value.numel() for each in modules for value in each.parameters()))

    return Operations(
        step=sampling.step,
        once=sampling.once,
        encode=_operations(lambda: autoencoder.encode(picture)),
        decode=_operations(lambda: autoencoder.decode(latent)),
        token=_operations(lambda: clip(token)),
        train=_operations(example),
        trained=size(still, reference_net),
        parameters=size(denoiser, reference_net),
        frozen=size(autoencoder, clip),
    )


@torch.no_grad()
def _operations(work: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e12


def main() -> None:
    """Print what the cluster needs."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--cards", type=int, default=64)
    add("--clips", type=int, default=100_000)
    add("--seconds", type=float, default=10.0, help="of a clip (default: 10)")
    add("--fps", type=float, default=24.0)
    text = "that a card sustains in bf16 (default: 200; the peak of an A100 is 312)"
    add("--tflops", type=float, default=200.0, help=text)
    add("--disk", type=float, default=5.0, help="GB/s of the shared disk (default: 5)")
    add("--network", type=float, default=25.0, help="GB/s between cards (default: 25)")
    cluster = Cluster(**vars(parser.parse_args()))
    found = counted()
    print(", ".join(f"{name} {value:.4g}" for name, value in vars(found).items()))
    print("\n".join(lines(found, cluster)))


if __name__ == "__main__":
    main()
