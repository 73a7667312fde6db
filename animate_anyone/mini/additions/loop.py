"""The training loop of both additions: resumable, and a step's number decides what is in it."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import ConfigError, TrainingError
from ...networks.condition import Conditions
from ...training.loop.checkpoints import Average, load_checkpoint, save_checkpoint
from ...training.loop.draws import draw_step
from ...training.loop.losses import BatchFacts, figure_error, loss_weights, total_loss
from ...training.sources.batch import Batch
from ...weights.report import compare_keys
from .base import FrozenBase
from .examples import Examples

log = logging.getLogger(__name__)

_POSITIVE = ("steps", "characters", "frames", "examples", "report_every", "save_every")

# Of noisy latents, timesteps, what a batch tells, and its hints: the prediction.
Predict = Callable[[Tensor, Tensor, Conditions, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class AdditionTraining:
    """How an addition is trained."""

    steps: int
    characters: int  # that are painted
    frames: int = 6  # of each
    examples: int = 4  # characters per step
    learning_rate: float
    warm_up: int = 30  # steps
    decay_from: float = 0.4  # share of the run after which the learning rate falls to zero
    weight_decay: float = 0.01
    clip: float = 1.0  # gradient norm
    average_decay: float = 0.98  # of the moving average of the weights
    condition_dropout: float = 0.1  # share of examples without reference and image token
    figure_weight: float = 2.0  # extra weight of the loss inside the figure
    losses: Mapping[str, float] = field(default_factory=dict)  # weights of terms; the rest: usual
    min_snr_gamma: float = 0.0  # as in TrainingConfig
    seed: int = 0
    report_every: int = 50  # steps
    save_every: int = 100  # steps
    held_out: int = 24  # characters on which it is measured; 0 leaves that out
    mixed_precision: bool = True  # bf16

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", loss_weights(self.losses))
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be 1 or more.")
        if self.examples > self.characters:
            raise ConfigError(
                f"examples got {self.examples} per step; there are {self.characters} characters, "
                "and a step takes none twice. Choose fewer, or more characters."
            )

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: warm-up, constant, linear decay to zero."""
        rise = (step + 1) / max(self.warm_up, 1)
        fall = (1 - step / self.steps) / (1 - self.decay_from)
        return self.learning_rate * min(1.0, rise, fall)


class AdditionRun:
    """Where the training of one addition stands, in memory and on disk."""

    def __init__(
        self, name: str, parameters: dict[str, nn.Parameter], config: AdditionTraining, folder: Path
    ) -> None:
        """Continue from the checkpoint in the folder if there is one."""
        self.name, self.parameters, self.config, self.folder = name, parameters, config, folder
        self.optimizer = torch.optim.AdamW(
            parameters.values(), weight_decay=config.weight_decay, betas=(0.9, 0.98), fused=True
        )
        self.average = Average(parameters, config.average_decay)
        self.step, self.seconds = 0, 0.0
        self._path = folder / f"{name}.pt"
        if state := load_checkpoint(self._path):
            self._check(state["parameters"])
            for key, value in state["parameters"].items():
                parameters[key].data.copy_(value)
            self.optimizer.load_state_dict(state["optimizer"])
            self.average.load_state_dict(state["average"])
            self.step, self.seconds = state["step"], state["seconds"]

    def train(self, base: FrozenBase, examples: Examples, predict: Predict) -> None:
        """Take all steps that are left."""
        config, history = self.config, []
        started = time.process_time() - self.seconds
        while self.step < config.steps:
            batch, hints = examples.batch(
                np.random.default_rng((config.seed, self.step)), config.examples
            )
            loss, others = self._errors(base, batch, hints, predict)
            history.append({"loss": self._finite(loss), **others})
            self._descend(loss)
            self.seconds = time.process_time() - started
            if self.step % config.save_every == 0 or self.step == config.steps:
                self._save()
            if self.step % config.report_every == 0:
                self.report({n: float(np.mean([row[n] for row in history])) for n in history[0]})
                history = []

    def report(self, values: dict[str, float]) -> None:
        """Write figures to the log, with step and time."""
        rounded = {name: round(float(value), 4) for name, value in values.items()}
        record = {"step": self.step, **rounded, "cpu_seconds": round(self.seconds, 1)}
        log.info("%s %s", self.name, record)
        with (self.folder / f"{self.name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def _errors(
        self, base: FrozenBase, batch: Batch, hints: Tensor, predict: Predict
    ) -> tuple[Tensor, dict[str, float]]:
        config, targets = self.config, batch.targets
        drawn = draw_step(
            config.seed,
            self.step,
            range(len(targets)),
            targets.shape[1:],
            train_timesteps=base.schedule.config.train_timesteps,
            shared_timestep=False,
            dropout=config.condition_dropout,
            noise_offset=0.0,
        )
        noisy = base.schedule.add_noise(targets, drawn.noise, drawn.timesteps)
        wanted = base.schedule.target(targets, drawn.noise, drawn.timesteps)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.mixed_precision):
            conditions = base.conditions(batch, drawn.keep)
            output = predict(noisy, drawn.timesteps, conditions, hints)
        assert batch.masks is not None
        facts = BatchFacts(
            settings=config,
            schedule=base.schedule,
            noisy=noisy,
            timesteps=drawn.timesteps,
            masks=batch.masks,
        )
        loss, terms = total_loss(output, wanted, facts)
        return loss, {"figure_error": figure_error(output.detach(), wanted, batch.masks), **terms}

    def _check(self, found: dict[str, Tensor]) -> None:
        """Refuse a checkpoint of other parameters."""
        shapes = (
            {key: tuple(value.shape) for key, value in tensors.items()}
            for tensors in (self.parameters, found)
        )
        if report := compare_keys(*shapes):
            raise TrainingError(
                f"{self._path} is the checkpoint of other parameters: {report}. Remove it to begin "
                "again, or choose another folder."
            )

    def _finite(self, loss: Tensor) -> float:
        if math.isfinite(value := float(loss.detach())):
            return value
        raise TrainingError(
            f"loss got {value} in step {self.step} of {self.name}; it must be a finite number. No "
            "weights are written. Lower learning_rate, or turn mixed_precision off."
        )

    def _descend(self, loss: Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), self.config.clip)
        self.optimizer.step()
        self.average.update(self.parameters)
        self.step += 1

    def _save(self) -> None:
        state = {
            "parameters": {key: value.detach() for key, value in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_checkpoint(self._path, state)
