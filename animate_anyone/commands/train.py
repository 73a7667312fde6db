"""The command `train`: the two stages of the paper, and what they leave."""

import argparse
from dataclasses import fields
from pathlib import Path

from .following import add_pose_pair
from .options import (
    add_data,
    add_encoders,
    add_old_name,
    add_out,
    add_run_steps,
    add_threads,
    sentence,
    set_threads,
    tell_sizes,
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `train` and its steps."""
    parser = subparsers.add_parser("train", help="train on clips of your own")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, run, text in (
        ("stage1", _stage, "train everything but the temporal layers on single frames"),
        ("stage2", _stage, "train the temporal layers on clips"),
        ("export", _export, "write the weight files of a run"),
    ):
        step = steps.add_parser(name, help=text, description=sentence(text))
        step.set_defaults(run=run)
        step.add_argument("--folder", type=Path, required=True, help="where the run lives")
        if name == "export":
            add_out(step, "FOLDER", "where the files go", "--target")
        else:
            add_threads(step)
            add_run_steps(step)
            _add_stage_arguments(step)


def _add_stage_arguments(step: argparse.ArgumentParser) -> None:
    """Add what a stage of the paper's training may be told."""
    add = step.add_argument
    add("--recipe", default="aa-mini", help="named settings: aa-mini, paper, 24gb (aa-mini)")
    add("--config", type=Path, help="a JSON file that changes any of the recipe's settings")
    add_data(step, " (drawn characters in the run's folder)")
    group = step.add_argument_group("frozen networks, where data or validation need them")
    add_encoders(group, "the run's own, if any")
    add_pose_pair(group)
    group = step.add_argument_group("what a new run starts from")
    add = group.add_argument
    models = add("--models", metavar="SOURCE", help="a weight set: preset, bundle or folder")
    add_old_name(group, "--weights", models)
    add("--stable-diffusion", type=Path, metavar="PATH", help="SD 1.5: diffusers folder or file")
    add("--animatediff", type=Path, metavar="FILE", help="motion modules: mm_sd_v15_v2.ckpt")
    add("--controlnet-hint", type=Path, metavar="FILE", help="OpenPose ControlNet: hint encoder")


def _stage(options: argparse.Namespace) -> int:
    from ..training.config import read_changes
    from ..training.loop.trainer import Trainer
    from ..training.recipes import get_recipe
    from ..training.stages import Choices, source_of, surroundings_of

    set_threads(options)
    recipe = get_recipe(options.recipe, 1 if options.step == "stage1" else 2)
    steps = {} if options.steps is None else {"steps": options.steps}
    changes = read_changes(options.config) if options.config else {}
    config = recipe.changed(changes | steps)
    choices = Choices(**{entry.name: getattr(options, entry.name) for entry in fields(Choices)})
    source = source_of(choices, config)
    Trainer(config, options.folder, around=surroundings_of(choices, config)).run(source)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..training.export import export

    tell_sizes(export(options.folder, options.out))
    return 0
