"""The training loss: the weighted sum of the terms in LOSSES.

To add a term, add an entry. Its weight is then a key in `losses` of the configuration, the
trainers add it, and the log shows it as loss_<name> in every run that uses several terms.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...diffusion.schedule import NoiseSchedule
from ...errors import ConfigError

log = logging.getLogger(__name__)

MIN_SNR_FORMULAS = ("paper", "diffusers")
NEARLY_NO_WEIGHT = 1e-2  # a weight below this teaches next to nothing


class LossSettings(Protocol):
    """The fields of a configuration that define its loss."""

    @property
    def losses(self) -> Mapping[str, float]:
        """Return the weight of each term, by its name in LOSSES."""
        ...

    @property
    def figure_weight(self) -> float:
        """Return the extra weight of the figure; it is used if there are masks."""
        ...

    @property
    def min_snr_gamma(self) -> float:
        """Return the gamma of min-SNR weighting; 0 is none."""
        ...

    @property
    def min_snr_formula(self) -> str:
        """Return the formula of these weights, of MIN_SNR_FORMULAS."""
        ...


@dataclass(frozen=True, kw_only=True)
class BatchFacts:
    """The inputs of a loss term besides output and target."""

    settings: LossSettings
    schedule: NoiseSchedule
    noisy: Tensor  # (b, c, f, h, w): the input of the networks
    timesteps: Tensor  # (b, f), on the CPU
    masks: Tensor | None  # (b, 1, f, h, w), 0..1: where the figure is, if known
    extra: Tensor | None = None  # (b, 1, f, h, w): extra weights of hands and faces, if any


@dataclass(frozen=True)
class Loss:
    """One term of the loss."""

    weight: float  # default; 0: the term is not computed
    # Takes output and target, (b, c, f, h, w); returns a mean over the batch.
    value: Callable[[Tensor, Tensor, BatchFacts], Tensor]


def loss_weights(given: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of every term; ConfigError for an unknown name or an invalid weight."""
    for name, weight in given.items():
        if name not in LOSSES:
            raise ConfigError(
                f"losses got {name!r}; known are {', '.join(LOSSES)}. Remove or rename it."
            )
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not (number and 0 <= weight < math.inf):
            raise ConfigError(f"losses.{name} got {weight!r}; it must be a number of 0 or more.")
    weights = {name: given.get(name, loss.weight) for name, loss in LOSSES.items()}
    if not any(weights.values()):
        raise ConfigError("losses got no weight above 0; training needs one. Set one above 0.")
    return weights


def total_loss(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
    facts: BatchFacts,
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss, and its weighted terms for the log if there is more than one."""
    terms = {
        name: weight * LOSSES[name].value(output, target, facts)
        for name, weight in facts.settings.losses.items()
        if weight
    }
    shown = terms if len(terms) > 1 else {}
    total = torch.stack([*terms.values()]).sum()
    return total, {f"loss_{name}": float(term.detach()) for name, term in shown.items()}


def weighted_error(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
    weights: Tensor,  # (b, 1, f, h, w)
    scale: Tensor | None = None,  # (b, f): of each frame's error, after the weights are normalised
) -> Tensor:
    """Return the mean squared error under weights that are normalised per example.

    Per example, so that the mean over the parts of a batch equals the mean over the whole batch.
    """
    error = (output.float() - target.float()).square() * weights
    if scale is not None:
        error = error * scale[:, None, :, None, None]
    total = weights.sum((1, 2, 3, 4)) * output.shape[1]
    return (error.sum((1, 2, 3, 4)) / total).mean()


def figure_weights(
    masks: Tensor | None,  # (b, 1, f, h, w), 0..1
    like: Tensor,  # (b, c, f, h, w)
    figure_weight: float,
) -> Tensor:  # (b, 1, f, h, w)
    """Return 1 + figure_weight inside the figure and 1 elsewhere; 1 everywhere without masks."""
    if masks is None:
        return torch.ones_like(like[:, :1])
    return 1 + figure_weight * masks


def min_snr_scale(
    schedule: NoiseSchedule,
    timesteps: Tensor,  # (b, f)
    gamma: float,  # 5 is usual
    formula: str = "paper",  # of MIN_SNR_FORMULAS
) -> Tensor:  # (b, f)
    """Return min-SNR weights of each frame's error (arXiv 2303.09556, section 3.4).

    `paper`: the error of the clean picture has the weight min(SNR, gamma). The error of v is
    SNR + 1 times as large, and that of the noise SNR times, so their weights are divided by these
    factors. `diffusers`: in its training scripts, and so in the public ones of this paper, v has
    the weight min(SNR + 1, gamma) / (SNR + 1), which is 1 for pure noise; the weight of the noise
    is the same, and that of the clean picture is left as the paper has it.
    """
    snr = schedule.snr(timesteps)
    if formula == "diffusers" and schedule.config.prediction_type == "v_prediction":
        return (snr + 1).clamp(max=gamma) / (snr + 1)
    clipped = snr.clamp(max=gamma)
    if schedule.config.prediction_type == "sample":
        return clipped
    if schedule.config.prediction_type == "v_prediction":
        return clipped / (snr + 1)
    return torch.where(snr > gamma, gamma / snr, 1.0)  # also 1 at a signal-to-noise ratio of 0


def warn_of_unweighted_steps(
    schedule: NoiseSchedule,
    gamma: float,  # 0: no min-SNR weights
    formula: str,
) -> None:
    """Log a warning if the timesteps with which sampling begins get next to no weight."""
    if not gamma:
        return
    every = torch.arange(schedule.config.train_timesteps)
    weights = min_snr_scale(schedule, every, gamma, formula)
    if float(weights[-1]) < NEARLY_NO_WEIGHT**2:
        few = int((weights < NEARLY_NO_WEIGHT).sum())
        log.warning(
            "min_snr_gamma %g gives pure noise the weight %.2g, and %d of %d timesteps less than "
            "%g: the first steps of sampling are hardly trained. Choose v_prediction with "
            "min_snr_formula diffusers, or set min_snr_gamma to 0.",
            *(gamma, float(weights[-1]), few, len(every), NEARLY_NO_WEIGHT),
        )


def difference_error(
    output: Tensor,  # (b, c, f, h, w)
    target: Tensor,  # (b, c, f, h, w)
) -> Tensor:
    """Return the mean squared error of the changes from frame to frame; 0 for a single frame.

    A constant error costs nothing here, and a flickering one counts twice. Only temporal layers can
    reduce this error.
    """
    if output.shape[2] < 2:
        return output.float().sum() * 0
    return (output.float().diff(dim=2) - target.float().diff(dim=2)).square().mean()


def figure_error(output: Tensor, target: Tensor, masks: Tensor) -> float:
    """Return the mean squared error inside the figure; it falls if training works."""
    error = (output.float() - target.float()).square().mean(1, keepdim=True)
    return float((error * masks).sum() / masks.sum().clamp(min=1))


def _prediction_error(output: Tensor, target: Tensor, facts: BatchFacts) -> Tensor:
    """Return the error of the prediction with the weights of figure, hands, faces and min-SNR."""
    weights = figure_weights(facts.masks, target, facts.settings.figure_weight)
    if facts.extra is not None:
        weights = weights + facts.extra
    scale = None
    if gamma := facts.settings.min_snr_gamma:
        formula = facts.settings.min_snr_formula
        scale = min_snr_scale(facts.schedule, facts.timesteps, gamma, formula).to(target.device)
    return weighted_error(output, target, weights, scale)


LOSSES = {
    "prediction": Loss(1.0, _prediction_error),
    # Only temporal layers can reduce it; used in the recipe of aa-mini's stage 2.
    "difference": Loss(0.0, lambda output, target, _: difference_error(output, target)),
}
