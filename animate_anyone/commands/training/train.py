"""The command `train`: the paper's two training stages, and export of the weights."""

import argparse
import logging
from dataclasses import fields
from pathlib import Path

from ..following import add_pose_pair
from ..options import (
    add_data,
    add_encoders,
    add_old_name,
    add_out,
    add_run_steps,
    add_threads,
    log_sizes,
    sentence,
    set_threads,
)

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `train` and its steps."""
    parser = subparsers.add_parser("train", help="train on your own clips")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, run, text in (
        ("stage1", _stage, "train all networks without temporal layers on single frames"),
        ("stage2", _stage, "train only the temporal layers on clips"),
        ("export", _export, "write the weight files of a training run"),
    ):
        step = steps.add_parser(name, help=text, description=sentence(text))
        step.set_defaults(run=run)
        step.add_argument("--folder", type=Path, required=True, help="folder of the training run")
        if name == "export":
            add_out(step, "FOLDER", "folder for the weight files", "--target")
            text = "of a run that trained a LoRA: write all networks with it added, not the LoRA"
            step.add_argument("--merged", action="store_true", help=text)
        else:
            add_threads(step)
            add_run_steps(step)
            _add_stage_arguments(step)


def _add_stage_arguments(step: argparse.ArgumentParser) -> None:
    """Add the options of a training stage."""
    add = step.add_argument
    text = "named settings: aa-mini, paper, 24gb or aa-mini-v4 (default: aa-mini)"
    add("--recipe", default="aa-mini", help=text)
    text = "a JSON file with settings that replace the recipe's"
    add("--config", type=Path, help=text)
    text = "show the log in this project of Weights & Biases too; needs the package wandb"
    add("--wandb", metavar="PROJECT", help=text)
    group = step.add_argument_group("what is trained")
    text = (
        "names with commas: denoiser, attention, temporal, reference, pose_guider, image_encoder, "
        "or patterns of parameter names (default: all that the stage trains)"
    )
    group.add_argument("--train", metavar="NAMES", help=text)
    text = "train a LoRA of this rank in the denoiser: attention in stage 1, temporal in stage 2"
    group.add_argument("--lora", type=int, metavar="RANK", help=text)
    text = "multiply the LoRA by this number / RANK (default: RANK)"
    group.add_argument("--lora-alpha", type=float, metavar="NUMBER", help=text)
    add_data(step, " (default: drawn characters in the run's folder)")
    group = step.add_argument_group("frozen networks, if data or validation need them")
    add_encoders(group, "the run's own, if any")
    add_pose_pair(group)
    group = step.add_argument_group("initial weights of a new run")
    add = group.add_argument
    models = add("--models", metavar="SOURCE", help="a weight set: preset, bundle or folder")
    add_old_name(group, "--weights", models)
    text = "Stable Diffusion 1.5 for both UNets: a diffusers folder or a file"
    add("--stable-diffusion", type=Path, metavar="PATH", help=text)
    text = "AnimateDiff's file mm_sd_v15_v2.ckpt for the temporal layers"
    add("--animatediff", type=Path, metavar="FILE", help=text)
    text = "an OpenPose ControlNet, whose hint encoder the Pose Guider starts from"
    add("--controlnet-hint", type=Path, metavar="FILE", help=text)


def _stage(options: argparse.Namespace) -> int:
    from ...places import check_folder
    from ...training.config import read_changes, scheduled
    from ...training.loop.trainer import Trainer
    from ...training.recipes import departures, get_recipe
    from ...training.stages import Choices, source_of, surroundings_of
    from ...weights.sets.table import get_preset

    check_folder(options.folder, name="folder")
    set_threads(options)
    recipe = get_recipe(options.recipe, 1 if options.step == "stage1" else 2)
    options_given = {
        name: getattr(options, name)
        for name in ("steps", "train", "lora", "lora_alpha", "wandb")
        if getattr(options, name) is not None
    }
    changes = read_changes(options.config) if options.config else {}
    config = recipe.changed(changes | options_given)
    if line := departures(options.recipe, scheduled(get_preset(config.preset), config).schedule):
        log.info("%s", line)
    choices = Choices(**{entry.name: getattr(options, entry.name) for entry in fields(Choices)})
    source = source_of(choices, config)
    Trainer(config, options.folder, surroundings=surroundings_of(choices, config)).run(source)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ...training.export import export

    log_sizes(export(options.folder, options.out, merged=options.merged))
    return 0
