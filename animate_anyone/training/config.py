"""Configuration of a training run; read back exactly from the JSON beside its results."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from ..errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One stage of the paper's training (section 3.3).

    Stage 1 trains everything but the temporal layers on single frames; stage 2 trains the
    temporal layers alone on clips.
    """

    preset: str = "aa-mini"
    stage: Literal[1, 2] = 1
    steps: int = 20_000
    characters: int = 6  # per step; each brings one reference
    frames: int = 4  # stage 1: targets per reference; stage 2: length of the clip
    learning_rate: float = 1.5e-3
    warm_up: int = 100  # steps
    decay_from: float = 0.5  # share of the run after which the learning rate falls to zero
    weight_decay: float = 0.01
    clip: float = 1.0  # gradient norm
    average_decay: float = 0.999
    condition_dropout: float = 0.1  # share of steps without reference and image token
    figure_weight: float = 2.0  # extra weight of the loss inside the figure
    difference_weight: float = 0.0  # stage 2: weight of the error in changes between frames
    train_image_encoder: bool = True  # stage 1; the paper freezes CLIP, aa-mini has none to freeze
    mixed_precision: Literal["no", "bf16"] = "bf16"
    seed: int = 0
    save_every: int = 200  # steps
    report_every: int = 100  # steps

    def __post_init__(self) -> None:
        for name in ("steps", "characters", "frames"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be 1 or more.")
        if not 0 <= self.condition_dropout < 1:
            raise ConfigError(
                f"condition_dropout got {self.condition_dropout}; it is a share from 0 to below 1."
            )

    def write(self, path: Path) -> None:
        """Write every field as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "TrainingConfig":
        """Read a configuration; an unknown key is an error."""
        values = json.loads(path.read_text())
        known = {entry.name for entry in fields(cls)}
        if surplus := sorted(set(values) - known):
            raise ConfigError(
                f"{path} has the keys {', '.join(surplus)}; known keys are "
                f"{', '.join(sorted(known))}. Remove or rename them."
            )
        return cls(**values)

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: warm-up, constant, linear decay to zero."""
        rise = (step + 1) / max(self.warm_up, 1)
        fall = (1 - step / self.steps) / (1 - self.decay_from) if self.decay_from < 1 else 1.0
        return self.learning_rate * max(min(1.0, rise, fall), 0.0)
