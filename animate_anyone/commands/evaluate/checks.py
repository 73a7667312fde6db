"""Options of `evaluate` that contradict each other, or that nothing needs."""

import argparse
import logging
from collections.abc import Collection

from ...errors import InputError

# Options that name the file of a network, and the instrument that the network is opened as.
_NETWORKS = {
    "detector": "pose",
    "estimator": "pose",
    "lpips_backbone": "lpips",
    "fvd_network": "fvd",
}

logger = logging.getLogger(__name__)


def check_options(options: argparse.Namespace, *, drawn: bool) -> None:
    """Refuse options that contradict each other."""
    for name, least in (("pairs", 1), ("frames", 1), ("first", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(f"--{name} got {value}; it must be {least} or more.")
    if bool(options.results) != bool(options.truth):
        raise InputError("--results and --truth belong together; give both.")
    sampled = ("steps", "cfg", "guidance_interval", "step_cache", "vae", "image_encoder")
    given = options.without_motion or bool(options.lora)
    given = given or any(getattr(options, name) is not None for name in sampled)
    if options.results and given:
        raise InputError(
            "--results was given with --steps, --cfg, --guidance-interval, --step-cache, --vae, "
            "--image-encoder, --lora or --without-motion; finished clips are not sampled again. "
            "Leave these out."
        )
    if options.results and options.data:
        raise InputError(
            "--results and --data were both given; clips are either finished or generated now. "
            "Leave one of them out."
        )
    if drawn and (options.results or options.data):
        given = "--results" if options.results else "--data"
        raise InputError(
            f"{given} was given with --protocol {options.protocol}, which draws its own clips. "
            "Choose --protocol ubc or tiktok, or leave it out."
        )
    if not drawn and not (options.results or options.data):
        raise InputError(
            f"--protocol got {options.protocol}, whose clips are not part of this package. Name "
            "--data FOLDER (made by `prepare`), or --results FOLDER and --truth FOLDER."
        )


def drop_unused(
    options: argparse.Namespace,
    metrics: Collection[str],  # the figures that are measured
    rule: str,  # why other figures are not, up to their names
    way_out: str,
) -> None:
    """Unset each network option that no measured figure needs, and log a warning."""
    from ...evaluation.metrics.table import METRICS

    for name, instrument in _NETWORKS.items():
        file = getattr(options, name)
        figures = [figure for figure, metric in METRICS.items() if instrument in metric.needs]
        if file is None or not set(figures).isdisjoint(metrics):
            continue
        option = "--" + name.replace("_", "-")
        logger.warning(
            "%s got %s; %s %s, so the file is not used. %s, or leave the option out.",
            option, file, rule, ", ".join(figures), way_out,
        )  # fmt: skip
        setattr(options, name, None)
