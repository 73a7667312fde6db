"""The training loop of aa-mini's own networks: one process, one file, resumable."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError, TrainingError
from ..places import owned
from ..training.learning_rate import learning_rate_at
from ..training.loop.checkpoints import (
    Average,
    load_checkpoint,
    save_checkpoint,
    warn_if_not_resumable,
)
from ..training.loop.journal import drop_entries_after, write_entry
from ..weights.report import compare_keys

StepLoss = Callable[[int], tuple[Tensor, dict[str, float]]]
"""Takes the number of a step, from 0; returns its loss, and figures for the log."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of the loop; each training adds its own."""

    steps: int
    learning_rate: float
    warm_up: int = 50  # steps
    decay_from: float = 0.5  # share of the run after which the learning rate falls
    decay_to: float = 0.0  # share of the learning rate at the end
    second_moment: float = 0.98  # Adam's beta 2
    weight_decay: float = 0.01
    clip: float = 1.0  # gradient norm
    average_decay: float = 0.0  # of the moving average of the weights; 0 keeps none
    seed: int = 0
    report_every: int = 50  # steps
    save_every: int = 200  # steps

    def __post_init__(self) -> None:
        self.require_positive("steps", "report_every", "save_every")

    def require_positive(self, *names: str) -> None:
        """Raise ConfigError if one of these fields is below 1."""
        for name in names:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be 1 or more.")


class Run:
    """The state of a training, in memory and on disk."""

    def __init__(
        self,
        path: Path,  # of the checkpoint, NAME.pt; the log is NAME.jsonl in the same folder
        tensors: Mapping[str, Tensor],  # parameters, which are trained, and buffers
        config: LoopConfig,
        generator: torch.Generator | None = None,  # saved with the run, if steps draw from one
    ) -> None:
        """Resume from the checkpoint if there is one."""
        self.name, self.config = path.stem, config
        self.tensors, self.generator = tensors, generator
        self.parameters = {k: v for k, v in tensors.items() if isinstance(v, nn.Parameter)}
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            betas=(0.9, config.second_moment),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.average = Average(self.parameters, config.average_decay)
        self.step, self.seconds, self._skipped = 0, 0.0, 0
        self._path, self._log = path, path.with_suffix(".jsonl")
        if state := load_checkpoint(path):
            self._restore(state)

    def train(self, loss_of: StepLoss) -> None:
        """Take all remaining steps.

        A loss that is not finite ends the run before any weight is changed; a step whose gradient
        is not finite is skipped.
        """
        with owned(self._path.parent, name=f".{self.name}.lock"):
            warn_if_not_resumable()
            self._train(loss_of)

    def _train(self, loss_of: StepLoss) -> None:
        config, history = self.config, []
        drop_entries_after(self._log, self.step)
        started = time.process_time() - self.seconds
        while self.step < config.steps:
            loss, figures = loss_of(self.step)
            history.append({"loss": self._finite(loss), **figures})
            self._descend(loss)
            self.seconds = time.process_time() - started
            if self.step % config.save_every == 0 or self.step == config.steps:
                self._save()
            if self.step % config.report_every == 0:
                means = {name: np.mean([entry[name] for entry in history]) for name in history[0]}
                self.report({name: float(value) for name, value in means.items()})
                history.clear()

    def report(self, values: dict[str, float]) -> None:
        """Write figures to the log, with step and CPU time."""
        if self._skipped:
            values = {**values, "skipped_steps": self._skipped}
            self._skipped = 0
        values = {**values, "cpu_seconds": self.seconds}
        write_entry(self._log, self.step, values, run=self.name)

    def _finite(self, loss: Tensor) -> float:
        if math.isfinite(value := float(loss.detach())):
            return value
        raise TrainingError(
            f"loss got {value} in step {self.step} of {self.name}; it must be a finite number. No "
            "weights are written. Lower learning_rate, or turn mixed_precision off."
        )

    def _descend(self, loss: Tensor) -> None:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(
                self.step,
                steps=config.steps,
                learning_rate=config.learning_rate,
                warm_up=config.warm_up,
                decay_from=config.decay_from,
                decay_to=config.decay_to,
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), config.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.parameters)
        else:
            self._skipped += 1
        self.step += 1

    def _save(self) -> None:
        state = {
            "tensors": {key: value.detach() for key, value in self.tensors.items()},
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict(),
            "generator": None if self.generator is None else self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        save_checkpoint(self._path, state)

    def _restore(self, state: dict[str, Any]) -> None:
        """Restore a checkpoint; TrainingError if its tensors have other names or shapes."""
        shapes = (
            {key: tuple(value.shape) for key, value in tensors.items()}
            for tensors in (self.tensors, state.get("tensors", {}))
        )
        if report := compare_keys(*shapes):
            raise TrainingError(
                f"{self._path} is the checkpoint of other parameters: {report}. Remove it to start "
                "again, or choose another folder."
            )
        with torch.no_grad():
            for key, value in state["tensors"].items():
                self.tensors[key].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.load_state_dict(state["average"])
        if self.generator is not None:
            self.generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]
