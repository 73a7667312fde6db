"""The training loop of both networks of the pose pair; resumable, the same for each."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ConfigError
from ...training.loop.checkpoints import load_checkpoint, save_checkpoint
from .batches import Scenes, detector_batch, estimator_batch
from .losses import detection_error, keypoint_error
from .networks import KeypointEstimator, PersonDetector, initialise

log = logging.getLogger(__name__)

Losses = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class PoseTraining:
    """How one of the two networks is trained."""

    steps: int
    batch: int
    size: tuple[int, int]  # height and width of the input, pixels
    widths: tuple[int, int, int, int, int]  # channels at strides 2 to 32
    weights: tuple[float, float]  # of the two errors
    learning_rate: float = 3e-3
    warm_up: int = 50  # steps
    decay_from: float = 0.3  # share of the run after which the learning rate falls to zero
    weight_decay: float = 0.02
    clip: float = 5.0  # gradient norm
    mixed_precision: bool = True  # bf16
    seed: int = 0
    report_every: int = 50  # steps
    save_every: int = 200  # steps

    def __post_init__(self) -> None:
        for side in self.size:
            if side % 32:
                raise ConfigError(f"size got {self.size}; both sides must be multiples of 32.")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: warm-up, constant, linear decay to zero."""
        rise = (step + 1) / max(self.warm_up, 1)
        fall = (1 - step / self.steps) / (1 - self.decay_from)
        return self.learning_rate * min(1.0, rise, fall)


DETECTOR = PoseTraining(
    steps=2400, batch=32, size=(160, 160), widths=(16, 32, 48, 64, 80), weights=(2.0, 1.0)
)
ESTIMATOR = PoseTraining(
    steps=2200, batch=48, size=(128, 96), widths=(24, 48, 96, 112, 128), weights=(1.0, 2.0)
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
    """Compute in bf16 where the configuration says so."""
    return torch.autocast("cpu", torch.bfloat16, enabled=config.mixed_precision)


def train_detector(config: PoseTraining, folder: Path, scenes: Scenes) -> PersonDetector:
    """Train the detector to its last step, from `detector.pt` in the folder if it is there."""
    network = build_detector(config)
    _Run("detector", network, config, folder).train(
        lambda rng: detector_errors(network, config, scenes, rng)
    )
    return network


def train_estimator(config: PoseTraining, folder: Path, scenes: Scenes) -> KeypointEstimator:
    """Train the estimator to its last step, from `estimator.pt` in the folder if it is there."""
    network = build_estimator(config)
    _Run("estimator", network, config, folder).train(
        lambda rng: estimator_errors(network, config, scenes, rng)
    )
    return network


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
    """Lay out the weights of convolutions so that they run fastest on a CPU."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


class _Run:
    """Where the training of one network stands, in memory and on disk."""

    def __init__(self, name: str, network: nn.Module, config: PoseTraining, folder: Path) -> None:
        self.name, self.config, self.folder = name, config, folder
        self.network = _channels_last(network)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), weight_decay=config.weight_decay, fused=True
        )
        self.step, self.seconds = 0, 0.0
        if state := load_checkpoint(folder / f"{name}.pt"):
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]

    def train(self, errors: Callable[[np.random.Generator], Losses]) -> None:
        """Take all steps that are left; seed and step alone decide what is in a batch."""
        config = self.config
        self.network.train()
        history: list[tuple[float, float]] = []
        started = time.process_time() - self.seconds
        while self.step < config.steps:
            losses = errors(np.random.default_rng((config.seed, self.step)))
            history.append((float(losses[0].detach()), float(losses[1].detach())))
            self._descend(losses)
            self.seconds = time.process_time() - started
            if self.step % config.report_every == 0:
                self._report(history)
                history = []
            if self.step % config.save_every == 0 or self.step == config.steps:
                self._save()
        self.network.eval()

    def _descend(self, losses: Losses) -> None:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        (config.weights[0] * losses[0] + config.weights[1] * losses[1]).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip)
        self.optimizer.step()
        self.step += 1

    def _report(self, history: list[tuple[float, float]]) -> None:
        errors = np.mean(history, 0).round(4).tolist()
        record = {"step": self.step, "errors": errors, "cpu_seconds": round(self.seconds, 1)}
        log.info("%s %s", self.name, record)
        with (self.folder / f"{self.name}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_checkpoint(self.folder / f"{self.name}.pt", state)
