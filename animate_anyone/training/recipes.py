"""Named settings of training runs."""

from dataclasses import replace

from ..config import ScheduleConfig
from ..errors import ConfigError
from .config import TrainingConfig

AA_MINI = {
    1: TrainingConfig(
        stage=1,
        steps=30_000,
        examples=4,
        frames=6,
        learning_rate=1.5e-3,
        decay_from=0.8,
        figure_weight=4.0,
    ),
    2: TrainingConfig(
        stage=2,
        steps=3600,
        examples=1,
        frames=24,
        learning_rate=2e-3,
        losses={"difference": 8.0},
        average_decay=0.995,
        warm_up=50,
    ),
}

# A continuation of aa-mini (`--models aa-mini`) on all kinds of characters, with backs and
# up to three references. A hand is smaller than a latent, so its weight there is a share of this.
AA_MINI_V4 = {
    1: replace(
        AA_MINI[1],
        steps=24_000,
        examples=5,
        frames=4,
        learning_rate=8e-4,
        decay_from=0.5,
        hand_weight=9.0,
        face_weight=4.0,
        references=3,
    ),
    2: replace(AA_MINI[2], steps=1200, learning_rate=1.2e-3, decay_from=0.4, references=2),
}

# Section 4.1: 30,000 steps of 64 single frames at 768x768, then 10,000 of 4 clips of 24 frames,
# learning rate 1e-5. Our choices where the paper says nothing: CLIP stays frozen as section 3.2
# implies, the learning rate is constant from the first step, weight decay is 0.01, gradients are
# clipped at norm 1, the condition is dropped for one example in ten, no moving average.
_PAPER = TrainingConfig(
    preset="paper",
    stage=1,
    steps=30_000,
    examples=64,
    frames=1,
    learning_rate=1e-5,
    warm_up=0,
    decay_from=1.0,
    second_moment=0.999,
    average_decay=0.0,
    figure_weight=0.0,
    train_image_encoder=False,
    gradient_checkpointing=True,
    workers=4,
    save_every=1000,
    validate_every=1000,
)
PAPER = {1: _PAPER, 2: replace(_PAPER, stage=2, steps=10_000, examples=4, frames=24)}

# A step of 64 examples, one after the other, takes a minute or more.
_BY_TIME = {"report_minutes": 5.0, "save_minutes": 30.0}

# The paper's settings on one card of 24 GB: data at 512x512 with cached latents and tokens, one
# example at a time, 8-bit Adam. benchmarks/training_memory.py counts the memory.
ONE_CARD = {
    1: replace(PAPER[1], preset="moore", accumulate=64, optimizer="adamw8bit", **_BY_TIME),
    2: replace(PAPER[2], preset="moore", accumulate=4, optimizer="adamw8bit", **_BY_TIME),
}

# Rows of table 3 in miniature: every variant for the same steps on the same examples, with the
# shipped image encoder, from a denoiser that is pretrained without poses.
ABLATION = replace(
    AA_MINI[1],
    steps=1000,
    decay_from=0.5,
    figure_weight=2.0,
    train_image_encoder=False,
    save_every=100,
    keep_checkpoints=1,
)
PRETRAINING = replace(ABLATION, variant="clip", train="denoiser", steps=1500)

RECIPES: dict[str, dict[int, TrainingConfig]] = {
    "aa-mini": AA_MINI,
    "paper": PAPER,
    "24gb": ONE_CARD,
    "aa-mini-v4": AA_MINI_V4,
}


def get_recipe(name: str, stage: int) -> TrainingConfig:
    """Return the named settings of a stage."""
    if name not in RECIPES:
        raise ConfigError(f"recipe got {name!r}; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name][stage]


def departures(
    recipe: str,
    schedule: ScheduleConfig,  # of the run
) -> str:
    """Return in one line where a run by the paper's settings differs from its text; "": nowhere."""
    if recipe not in ("paper", "24gb"):
        return ""
    different = [
        text
        for there, text in (
            (
                schedule.prediction_type != "epsilon",
                f"prediction_type {schedule.prediction_type} (equation 1: epsilon)",
            ),
            (schedule.zero_snr, "zero_snr true (not mentioned, Stable Diffusion 1.5: false)"),
            (
                schedule.beta_schedule != "scaled_linear",
                f"beta_schedule {schedule.beta_schedule} (not mentioned, Stable Diffusion 1.5: "
                "scaled_linear)",
            ),
        )
        if there
    ]
    if not different:
        return ""
    return (
        f"recipe {recipe} differs from the paper's text, as the public weights do: "
        f"{', '.join(different)}. To train by the text, set these with --config."
    )
