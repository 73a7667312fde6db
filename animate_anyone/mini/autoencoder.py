"""Training of aa-mini's autoencoder: the TAESD layout, 16 latent channels, on drawn characters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..drawn import PICTURE_SIZE
from ..drawn.characters import make_character
from ..drawn.clip import paint_any_clip
from ..drawn.motions import make_motion
from ..drawn.painting import Painting, paint
from ..errors import WeightsError
from ..networks.encoders.tiny_autoencoder import TinyAutoencoder, TinyEncoder
from ..training.loop.checkpoints import load_checkpoint
from ..training.trained import AUTOENCODER, own_autoencoder
from ..types import Size
from ..weights.bundle import save_weights
from ..weights.encoders import NetworkAutoencoder
from ..weights.read import read_weights
from ..weights.sets.aa_mini import AA_MINI
from .loop import LoopConfig, Run

DECODERS = ("decoder.pt", "polished.pt")  # files of a run; each continues the one before


@dataclass(frozen=True, kw_only=True)
class AutoencoderTraining(LoopConfig):
    """How the autoencoder is trained."""

    latent_channels: int = 16
    steps: int = 1600
    batch: int = 8  # crops
    crop: int = 64  # pixels
    learning_rate: float = 1e-3
    warm_up: int = 60  # steps
    decay_to: float = 0.01  # share of the learning rate at the end
    clip: float = 0.5  # gradient norm
    absolute: float = 0.5  # weight of the absolute error, beside 4 of the squared one
    latent_noise: float = 0.05  # standard deviation added before decoding
    sampled: int = 0  # crops of a batch that are results of the networks
    average_decay: float = 0.995  # of the moving average
    pictures: int = 6000  # painted before the first step
    kinds: bool = False  # half of the pictures show any kind of character, also from behind


CropBatch = tuple[Tensor, Tensor | None]
"""Pixels (b, 3, H, W) in -1..1, and the latents (k, c, h, w) of the last k if they are results."""


def build_autoencoder(
    latent_channels: int,
    crops: Tensor,  # (b, 3, H, W) in -1..1, some hundred pictures like those of the training
    generator: torch.Generator,
) -> TinyAutoencoder:
    """Return an autoencoder in the layout of TAESD, before training.

    Sixty plain convolutions without normalisation need long to learn what to keep of a patch.
    Statistics give a good start: the encoder starts as the projection of 8x8 patches on their
    principal components, scaled to unit variance, with zero output from every residual branch.
    """
    model = TinyAutoencoder(latent_channels)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if name.endswith("conv.4"):
                module.weight.data.mul_(0.0 if name.startswith("encoder") else 0.3)
    with torch.no_grad():
        _start_encoder(model.encoder, latent_channels, crops)
        last = model.decoder.layers[-1]
        last.get_parameter("weight").mul_(0.1)
        last.get_parameter("bias").fill_(0.5)
    return model


def _start_encoder(encoder: TinyEncoder, count: int, crops: Tensor) -> None:
    """Set the convolutions so that the latents are the leading components of each patch."""
    first, *halvings, final = (m for m in encoder.layers if isinstance(m, nn.Conv2d))
    first.weight[:3] = 0
    first.weight[range(3), range(3), 1, 1] = 1  # identity; ReLUs pass pixels, which are positive
    for halving, channels in zip(halvings[:2], (3, 12), strict=True):
        halving.weight[: 4 * channels] = 0
        for channel in range(channels):
            for place in range(4):
                halving.weight[4 * channel + place, channel, 1 + place // 2, 1 + place % 2] = 1
    mean, variances, vectors = _components((crops + 1) / 2, count)
    # (count, 48 channels of a 4x4 patch, 2x2 of those patches). Each halving takes one binary
    # digit of a pixel's row (y2 y1 y0) and column (x2 x1 x0) in its 8x8 patch, the last one first.
    digits = dict.fromkeys(("y2", "y1", "y0", "x2", "x1", "x0"), 2)
    kernel = rearrange(vectors, "n (c y2 y1 y0 x2 x1 x0) -> n (c y0 x0 y1 x1) y2 x2", **digits)
    halvings[2].weight[: 2 * count] = 0
    halvings[2].weight[:count, :48, 1:, 1:] = kernel  # the ReLU keeps positive values here,
    halvings[2].weight[count : 2 * count, :48, 1:, 1:] = -kernel  # and negative ones here
    scale = variances.rsqrt()
    final.weight.zero_()
    final.weight[range(count), range(count), 1, 1] = scale
    final.weight[range(count), range(count, 2 * count), 1, 1] = -scale
    assert final.bias is not None
    final.bias.copy_(-(vectors @ mean) * scale)


def _components(pixels: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (192,), variances (count,) and directions (count, 192) of 8x8 patches."""
    patches = rearrange(pixels, "b c (h y) (w x) -> (b h w) (c y x)", y=8, x=8)
    mean = patches.mean(0)
    centred = patches - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(patches))
    return mean, values[-count:].flip(0), vectors.T[-count:].flip(0)


def train_autoencoder(config: AutoencoderTraining, folder: Path) -> dict[str, Tensor]:
    """Train, or resume a run in the same folder; return the averaged weights."""
    generator = torch.Generator().manual_seed(config.seed)
    crops = crops_of(config)
    sample = torch.cat([next(crops)[0] for _ in range(50)])
    model = build_autoencoder(config.latent_channels, sample, generator)
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    values = train_on(model, model, crops, folder / "autoencoder.pt", config, generator)
    write_autoencoder(folder)
    return values


def train_on(
    model: TinyAutoencoder,
    trained: nn.Module,  # the model, or the part of it that is trained
    batches: Iterator[CropBatch],  # starts with the batch of the run's first step
    path: Path,  # of the checkpoint
    config: AutoencoderTraining,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Train, or resume from the checkpoint if there is one; return the averaged weights."""
    run = Run(path, trained.state_dict(keep_vars=True), config, generator)
    left = islice(batches, run.step, None)
    run.train(lambda _: _loss(model, next(left), config, generator))
    return run.average.values


def _loss(
    model: TinyAutoencoder,
    batch: CropBatch,
    config: AutoencoderTraining,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch, and its PSNR in dB."""
    pixels, results = batch
    encoded = pixels if results is None else pixels[: -len(results)]
    with torch.autocast("cpu", torch.bfloat16):
        latents = model.encoder(encoded).float()
        noise = torch.randn(latents.shape, generator=generator)
        noisy = latents + config.latent_noise * noise
        noisy = noisy if results is None else torch.cat([noisy, results])
        result = model.decoder(noisy).float()
    error = F.mse_loss(result, pixels) / 4  # pixels in 0..1
    absolute = F.l1_loss(result, pixels) / 2
    mean, variance = latents.mean((0, 2, 3)), latents.var((0, 2, 3))
    spread = mean.square().mean() + (variance - 1).square().mean()
    loss = 4 * error + config.absolute * absolute + 0.01 * spread
    return loss, {"psnr": float(-10 * error.detach().log10())}


def crops_of(config: AutoencoderTraining) -> Iterator[CropBatch]:
    """Yield batches of crops around the figure, forever."""
    rng = np.random.default_rng(config.seed)
    frames, bounds = [], []
    for number in range(config.pictures // 2):
        for painting in _two_pictures(rng, any_kind=config.kinds and number % 2 == 1):
            frames.append(painting.picture)
            bounds.append(bounds_of(painting.mask))
    while True:
        batch = []
        for index in rng.integers(len(frames), size=config.batch - config.sampled):
            y, x = corner_of(rng, bounds[index], config.crop, PICTURE_SIZE)
            crop = frames[index][y : y + config.crop, x : x + config.crop]
            batch.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        yield as_pixels(batch), None


def _two_pictures(rng: np.random.Generator, *, any_kind: bool) -> list[Painting]:
    """Return two moments of a new character."""
    if any_kind:
        return paint_any_clip(rng, rng.uniform(0, 400, 2), PICTURE_SIZE)
    character, motion = make_character(rng), make_motion(rng)
    times = rng.uniform(0, 200, 2)
    return [paint(character, motion.angles(time), PICTURE_SIZE) for time in times]


def bounds_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of a figure."""
    rows, columns = np.nonzero(mask)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def corner_of(
    rng: np.random.Generator, bounds: tuple[int, int, int, int], crop: int, size: Size
) -> tuple[int, int]:
    """Return y and x of a random crop, centred on the figure if the picture's borders allow it."""
    top, bottom, left, right = bounds
    y = np.clip(rng.integers(top, bottom + 1) - crop // 2, 0, size.height - crop)
    x = np.clip(rng.integers(left, right + 1) - crop // 2, 0, size.width - crop)
    return int(y), int(x)


def as_pixels(crops: Sequence[np.ndarray]) -> Tensor:
    """Return crops (H, W, 3) uint8 as one batch in -1..1."""
    pixels = rearrange(torch.from_numpy(np.stack(crops)), "b H W c -> b c H W").float()
    return (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def trained_autoencoder(folder: Path) -> NetworkAutoencoder:
    """Return the autoencoder of a run, with the newest decoder."""
    found = own_autoencoder(folder, AA_MINI.latent_scale)
    if found is None:
        raise WeightsError(
            f"folder got {folder}; it holds no {AUTOENCODER}. Train the autoencoder first."
        )
    return found


def write_autoencoder(folder: Path) -> None:
    """Write the averaged weights of a run's autoencoder, with the newest decoder.

    A run that continues a finished autoencoder has its file alone, without a checkpoint.
    """
    state = load_checkpoint(folder / "autoencoder.pt")
    values = read_weights(folder / AUTOENCODER) if state is None else state["average"]["values"]
    values = dict(values)
    for name in DECODERS:
        refined = load_checkpoint(folder / name)
        if refined is not None:
            values |= {f"decoder.{key}": v for key, v in refined["average"]["values"].items()}
    save_weights(folder / AUTOENCODER, values, dtype=torch.float32)
