"""Training of both networks of the pose pair: settings, losses, and untrained networks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ..loop import LoopConfig, Run
from .batches import Scenes, detector_batch, estimator_batch
from .losses import detection_error, keypoint_error
from .networks import KeypointEstimator, PersonDetector, initialise
from .start import start_from

Losses = tuple[Tensor, Tensor]

STARTED_RATE = 1.5e-3  # learning rate of a training that starts from exported weights
EXAMPLES = 64  # pictures whose statistics the norms of a started network have at first


@dataclass(frozen=True, kw_only=True)
class PoseTraining(LoopConfig):
    """How one of the two networks is trained."""

    batch: int
    size: tuple[int, int]  # height and width of the input, pixels
    widths: tuple[int, int, int, int, int]  # channels at strides 2 to 32
    weights: tuple[float, float]  # of the two errors
    learning_rate: float = 3e-3
    decay_from: float = 0.3  # share of the run after which the learning rate falls to zero
    second_moment: float = 0.999  # Adam's beta 2
    weight_decay: float = 0.02
    clip: float = 5.0  # gradient norm
    mixed_precision: bool = True  # bf16

    def __post_init__(self) -> None:
        super().__post_init__()
        for side in self.size:
            if side % 32:
                raise ConfigError(f"size got {self.size}; both sides must be multiples of 32.")


DETECTOR = PoseTraining(
    steps=6000, batch=32, size=(160, 160), widths=(16, 32, 48, 64, 80), weights=(2.0, 1.0)
)
ESTIMATOR = PoseTraining(
    steps=4500, batch=48, size=(128, 96), widths=(24, 48, 96, 112, 128), weights=(1.0, 2.0)
)


def detector_errors(
    network: PersonDetector, config: PoseTraining, scenes: Scenes, rng: np.random.Generator
) -> Losses:
    """Return the detector's errors in boxes and scores on a drawn batch."""
    side = config.size[0]
    images, boxes = detector_batch(scenes, rng, batch=config.batch, size=side)
    with autocast(config):
        rows = network.rows(images.contiguous(memory_format=torch.channels_last))
    return detection_error(rows, boxes, side)


def estimator_errors(
    network: KeypointEstimator, config: PoseTraining, scenes: Scenes, rng: np.random.Generator
) -> Losses:
    """Return the estimator's errors in place and visibility on a drawn batch."""
    crops, xy, visible = estimator_batch(scenes, rng, batch=config.batch, size=config.size)
    with autocast(config):
        logits = network.logits(crops.contiguous(memory_format=torch.channels_last))
    return keypoint_error(logits, xy, visible)


def autocast(config: PoseTraining) -> torch.autocast:
    """Return a context that computes in bf16 if the configuration has mixed precision."""
    return torch.autocast("cpu", torch.bfloat16, enabled=config.mixed_precision)


def train_detector(
    config: PoseTraining,
    folder: Path,
    scenes: Scenes,
    start: Path | None = None,  # an exported ONNX file; None: random weights
) -> PersonDetector:
    """Train the detector to its last step; resume from `detector.pt` in the folder, if any."""
    network = build_detector(config)
    if start:
        rng = np.random.default_rng(config.seed)
        examples, _ = detector_batch(scenes, rng, batch=EXAMPLES, size=config.size[0])
        start_from(network, start, examples)

    def errors(rng: np.random.Generator) -> Losses:
        return detector_errors(network, config, scenes, rng)

    _train(network, config, folder / "detector.pt", ("box_error", "score_error"), errors)
    return network


def train_estimator(
    config: PoseTraining,
    folder: Path,
    scenes: Scenes,
    start: Path | None = None,  # an exported ONNX file; None: random weights
) -> KeypointEstimator:
    """Train the estimator to its last step; resume from `estimator.pt` in the folder, if any."""
    network = build_estimator(config)
    if start:
        rng = np.random.default_rng(config.seed)
        examples, _, _ = estimator_batch(scenes, rng, batch=EXAMPLES, size=config.size)
        start_from(network, start, examples)

    def errors(rng: np.random.Generator) -> Losses:
        return estimator_errors(network, config, scenes, rng)

    _train(network, config, folder / "estimator.pt", ("place_error", "visibility_error"), errors)
    return network


def _train(
    network: nn.Module,
    config: PoseTraining,
    path: Path,
    names: tuple[str, str],  # of the two errors, in the log
    errors: Callable[[np.random.Generator], Losses],
) -> None:
    """Take all remaining steps; a batch depends only on seed and step."""

    def loss_of(step: int) -> tuple[Tensor, dict[str, float]]:
        both = errors(np.random.default_rng((config.seed, step)))
        loss = config.weights[0] * both[0] + config.weights[1] * both[1]
        return loss, {name: float(error.detach()) for name, error in zip(names, both, strict=True)}

    tensors = _channels_last(network).state_dict(keep_vars=True)
    network.train()
    Run(path, tensors, config).train(loss_of)
    network.eval()


def build_detector(config: PoseTraining) -> PersonDetector:
    """Return an untrained detector."""
    network = PersonDetector(config.widths)
    initialise(network, torch.Generator().manual_seed(config.seed))
    return network


def build_estimator(config: PoseTraining) -> KeypointEstimator:
    """Return an untrained estimator."""
    network = KeypointEstimator(config.size, config.widths)
    initialise(network, torch.Generator().manual_seed(config.seed))
    return network


def _channels_last(network: nn.Module) -> nn.Module:
    """Set the memory format of convolutions that is fastest on a CPU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network
