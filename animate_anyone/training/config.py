"""Configuration of a training run; the JSON beside its results restores it exactly."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from ..config import Preset
from ..errors import ConfigError
from ..json_files import read_record
from ..names.some import some
from ..networks.condition import MOST_REFERENCES
from ..places import whole_file
from ..pose.skeleton.part_boxes import BoxRule
from .learning_rate import learning_rate_at
from .loop.losses import MIN_SNR_FORMULAS, loss_weights
from .trainable.names import words_of
from .variants import VARIANTS, Variant

PREDICTIONS = ("epsilon", "v_prediction", "sample")

_FORMER = "difference_weight"  # in files of earlier versions; now losses.difference
_POSITIVE = (
    "steps",
    "examples",
    "frames",
    "accumulate",
    "save_every",
    "report_every",
    "keep_checkpoints",
    "references",
    "least_stride",
    "most_stride",
)
_NOT_NEGATIVE = (
    "learning_rate",
    "warm_up",
    "decay_from",
    "weight_decay",
    "clip",
    "figure_weight",
    "hand_weight",
    "face_weight",
    "min_snr_gamma",
    "noise_offset",
    "workers",
    "seed",
    "validate_every",
    "spike_limit",
    "reference_distance",
    "report_minutes",
    "save_minutes",
    "lora",
    "lora_alpha",
)
_SHARES = (
    "figure_margin",
    "condition_dropout",
    "reference_dropout",
    "average_decay",
    "second_moment",
)
_CHOICES = {
    "stage": (1, 2),
    "variant": VARIANTS,
    "optimizer": ("adamw", "adamw8bit"),
    "mixed_precision": ("no", "bf16", "fp16"),
    "prediction_type": (None, *PREDICTIONS),
    "zero_snr": (None, False, True),
    "beta_schedule": (None, "linear", "scaled_linear"),
    "min_snr_formula": MIN_SNR_FORMULAS,
}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """One stage of the paper's training (sections 3.3 and 4.1).

    Stage 1 trains everything but the temporal layers on single frames; stage 2 trains the
    temporal layers alone on clips.
    """

    preset: str = "aa-mini"
    variant: Variant = "reference_net"  # the others are the rows of the paper's table 3
    stage: Literal[1, 2] = 1
    steps: int = 20_000
    examples: int = 6  # references per step, over all processes and accumulated parts
    frames: int = 4  # stage 1: targets per reference; stage 2: length of the clip
    accumulate: int = 1  # parts of a step that are computed one after the other
    learning_rate: float = 1.5e-3
    warm_up: int = 100  # steps
    decay_from: float = 0.5  # share of the run after which the learning rate falls; 1: never
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"  # adamw8bit needs bitsandbytes
    second_moment: float = 0.98  # Adam's beta 2
    weight_decay: float = 0.01
    clip: float = 1.0  # gradient norm
    spike_limit: float = 4.0  # skip a step whose gradient norm is so many times the usual; 0: none
    average_decay: float = 0.999  # of the moving average of the weights; 0 keeps none
    condition_dropout: float = 0.1  # share of examples without reference and image token
    figure_weight: float = 2.0  # extra weight of the loss inside the figure, if there are masks
    # Prepared clips hold no masks: there the figure is what lies near the limbs, up to this share
    # of the picture's shorter side; 0: it is not known. 0.04 is usual.
    figure_margin: float = 0.0
    # Extra weight inside boxes around hands all of whose points are confident, and around faces;
    # MimicMotion has 9 for hands (arXiv 2406.19680, section 3).
    hand_weight: float = 0.0
    face_weight: float = 0.0
    box_margin: float = 0.2  # of these boxes on each side, as a share of their longer side
    box_threshold: float = 0.5  # confidence from which a point counts
    # How examples are drawn from prepared clips.
    least_stride: int = 1  # stage 2: frames from one target to the next, at 30 frames per second
    most_stride: int = 2
    reference_distance: int = 0  # least frames from the reference to each target
    least_crop: float = 1.0  # random crops have this share of the sides or more; 1: none
    references: int = 1  # most reference pictures of an example, far apart in pose
    reference_dropout: float = 0.5  # share of those after the first that are left out at random
    losses: Mapping[str, float] = field(default_factory=dict)  # weight by term; others: default
    min_snr_gamma: float = 0.0  # min-SNR weighting of the loss (arXiv 2303.09556); 0 is none
    min_snr_formula: str = "paper"  # or "diffusers", that of the public scripts; see min_snr_scale
    noise_offset: float = 0.0  # strength of extra noise that is constant over a channel
    prediction_type: str | None = None  # None: the preset's
    zero_snr: bool | None = None  # None: the preset's
    beta_schedule: str | None = None  # linear or scaled_linear; None: the preset's
    # What is trained: names of `trainable/names.py`, with commas; "": all of the stage.
    train: str = ""
    lora: int = 0  # rank of low-rank changes that are trained in place of the weights; 0: none
    lora_alpha: float = 0.0  # the change is multiplied by alpha / rank; 0: alpha is the rank
    train_image_encoder: bool = True  # stage 1; the paper freezes CLIP, aa-mini has none to freeze
    mixed_precision: Literal["no", "bf16", "fp16"] = "bf16"
    gradient_checkpointing: bool = False  # less memory, a third more time
    workers: int = 0  # processes that load data in advance
    seed: int = 0
    save_every: int = 200  # steps
    keep_checkpoints: int = 2
    report_every: int = 100  # steps
    report_minutes: float = 0.0  # report after this time too; 0: by steps alone
    save_minutes: float = 0.0  # save after this time too; 0: by steps alone
    validate_every: int = 0  # steps; 0 never
    wandb: str = ""  # project of Weights & Biases where the log is shown too; "": none

    def __post_init__(self) -> None:
        if not isinstance(self.losses, Mapping):
            raise ConfigError(f"losses got {self.losses!r}; it must give weights by name.")
        # Every weight is stored, so that a run's file stays complete if defaults change later.
        object.__setattr__(self, "losses", loss_weights(self.losses))
        self._check_kinds()
        for name in _POSITIVE:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be 1 or more.")
        for name in _NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} got {getattr(self, name)}; it must be 0 or more.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} got {getattr(self, name)}; it is a share from 0 to below 1."
                )
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f"{name} got {getattr(self, name)!r}; choose one of "
                    f"{', '.join(map(str, choices))}."
                )

        if self.most_stride < self.least_stride:
            raise ConfigError(
                f"most_stride got {self.most_stride}, below least_stride {self.least_stride}; "
                "it must not be smaller. Raise it."
            )
        if not 0 < self.least_crop <= 1:
            raise ConfigError(
                f"least_crop got {self.least_crop}; it is a share of the sides, above 0 and at "
                "most 1. 1 is the whole picture, 0.8 is usual."
            )
        words_of(self.train)
        if self.lora and self.variant != "reference_net":
            raise ConfigError(
                f"lora got {self.lora} with the variant {self.variant!r}; no loader reads such a "
                "LoRA. Set it to 0, or choose the variant 'reference_net'."
            )
        BoxRule(margin=self.box_margin, threshold=self.box_threshold)
        if self.references > MOST_REFERENCES:
            raise ConfigError(
                f"references got {self.references}; networks take up to {MOST_REFERENCES} pictures "
                "of a character. 3 is usual."
            )

    def box_rule(self, weight: float) -> BoxRule | None:
        """Return how boxes are made around what has this weight; None if it has none."""
        return BoxRule(margin=self.box_margin, threshold=self.box_threshold) if weight else None

    def _check_kinds(self) -> None:
        """Raise ConfigError for values of the wrong type, such as "10", 2.5 steps or null."""
        for entry in fields(self):
            value, usual = getattr(self, entry.name), type(entry.default)
            if usual not in (bool, int, float):
                continue  # names, and settings that may be None
            if usual is bool or isinstance(value, bool):
                fits = usual is type(value)
            else:
                fits = isinstance(value, (int, float) if usual is float else int)
            if not fits:
                raise ConfigError(
                    f"{entry.name} got {value!r}; it must be of the same type as "
                    f"{entry.default!r}. Correct it."
                )

    def changed(self, changes: Mapping[str, Any]) -> "TrainingConfig":
        """Return a copy with these changes; in `losses` only the given terms change."""
        named = changes.get("losses", {})
        losses = {**self.losses, **named} if isinstance(named, Mapping) else named
        return replace(self, **{**changes, "losses": losses})

    def write(self, path: Path) -> None:
        """Write every field as JSON."""
        with whole_file(path) as part:
            part.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "TrainingConfig":
        """Read a configuration; an unknown key is an error."""
        return cls(**read_changes(path))

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: warm-up, constant, linear decay to zero."""
        return learning_rate_at(
            step,
            steps=self.steps,
            learning_rate=self.learning_rate,
            warm_up=self.warm_up,
            decay_from=self.decay_from,
        )


def read_changes(path: Path) -> dict[str, Any]:
    """Return the fields that a JSON file sets; ConfigError for an unknown key."""
    values = read_record(path, "config", raises=ConfigError)
    known = {entry.name for entry in fields(TrainingConfig)}
    if _FORMER in values:
        former = values.pop(_FORMER)
        if isinstance(losses := values.setdefault("losses", {}), dict):
            losses.setdefault("difference", former)
    if surplus := sorted(set(values) - known):
        raise ConfigError(
            f"{path} has the keys {some(surplus)}; known keys are "
            f"{', '.join(sorted(known))}. Remove or rename them."
        )
    return values


def scheduled(preset: Preset, config: TrainingConfig) -> Preset:
    """Return the preset with the configuration's changes to the noise schedule.

    Training and sampling read this preset, so both use the same schedule.
    """
    changes: dict[str, Any] = {}
    if config.prediction_type is not None:
        changes["prediction_type"] = config.prediction_type
    if config.zero_snr is not None:
        changes["zero_snr"] = config.zero_snr
    if config.beta_schedule is not None:
        changes["beta_schedule"] = config.beta_schedule
    schedule = replace(preset.schedule, **changes)
    if schedule.zero_snr and schedule.prediction_type == "epsilon":
        raise ConfigError(
            "prediction_type got 'epsilon' with zero_snr; the last timestep is nothing but noise, "
            "so predicting it teaches nothing. Choose v_prediction, or zero_snr false."
        )
    return replace(preset, schedule=schedule)
