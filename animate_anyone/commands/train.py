"""The command `train`: every step of a run, each resumable."""

import argparse
import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from . import additions
from .options import parse_size

_POSE_HELP = "ONNX files that measure poses in validation; default: aa-mini's, for drawn characters"

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `train` and its steps."""
    parser = subparsers.add_parser("train", help="train on clips of your own, or aa-mini")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, run, text in (
        ("autoencoder", _autoencoder, "aa-mini: train the autoencoder"),
        ("decoder", _autoencoder, "aa-mini: go on with the autoencoder's decoder alone"),
        ("data", _data, "aa-mini: paint and encode examples"),
        ("stage1", _stage, "train everything but the temporal layers on single frames"),
        ("stage2", _stage, "train the temporal layers on clips"),
        ("results", _results, "aa-mini: sample new characters with stage 1, for the step polish"),
        ("polish", _autoencoder, "aa-mini: go on with the decoder on those results too"),
        ("export", _export, "write the weight files of a run"),
    ):
        step = steps.add_parser(name, help=text)
        step.set_defaults(run=run)
        step.add_argument("--folder", type=Path, required=True, help="where the run lives")
        step.add_argument("--threads", type=int, default=None, help="of torch; default: its own")
        if name in ("autoencoder", "decoder", "polish", "stage1", "stage2"):
            step.add_argument("--steps", type=int, help="length of the run; default: the recipe's")
        if name in ("stage1", "stage2"):
            _add_stage_arguments(step)
        if name == "data":
            step.add_argument("--shards", type=int, default=10, help="files of examples (10)")
            step.add_argument("--first", type=int, default=0, help="seed of the first shard (0)")
            step.add_argument("--clips", type=int, default=100, help="characters per shard (100)")
            step.add_argument("--frames", type=int, default=7, help="pictures per character (7)")
            step.add_argument("--consecutive", action="store_true", help="running clips")
            step.add_argument("--size", type=parse_size, default="128x128", help="(128x128)")
        if name == "results":
            step.add_argument("--shards", type=int, default=12, help="of 60 characters (12)")
        if name == "export":
            step.add_argument("--target", type=Path, required=True, help="folder of the files")
    _add_pose_steps(steps)
    additions.add_steps(steps)


def _add_stage_arguments(step: argparse.ArgumentParser) -> None:
    """Add what a stage of the paper's training may be told."""
    add = step.add_argument
    add("--recipe", default="aa-mini", help="named settings: aa-mini, paper, 24gb (aa-mini)")
    add("--config", type=Path, help="a JSON file that changes any of the recipe's settings")
    add(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="a data set made by `prepare`; default: drawn characters in the run's folder",
    )
    add = step.add_argument_group(
        "frozen networks, where data or validation need them"
    ).add_argument
    add(
        "--vae",
        type=Path,
        dest="autoencoder",
        metavar="FILE",
        help="the autoencoder; default: the run's own, if any",
    )
    add("--image-encoder", type=Path, metavar="FILE", help="CLIP vision model with projection")
    add("--pose-models", nargs=2, type=Path, metavar=("DETECTOR", "ESTIMATOR"), help=_POSE_HELP)
    add = step.add_argument_group("what a new run starts from").add_argument
    add("--weights", metavar="SOURCE", help="a whole weight set: preset, bundle or folder")
    add("--stable-diffusion", type=Path, metavar="PATH", help="SD 1.5: diffusers folder or file")
    add("--animatediff", type=Path, metavar="FILE", help="motion modules: mm_sd_v15_v2.ckpt")
    add("--controlnet-hint", type=Path, metavar="FILE", help="OpenPose ControlNet: hint encoder")


def _add_pose_steps(steps: argparse._SubParsersAction) -> None:
    """Add the steps of aa-mini's pose pair."""
    for name, run, text in (
        ("pose-data", _pose_data, "paint scenes for the pose pair"),
        ("detector", _pose_network, "train the person detector"),
        ("estimator", _pose_network, "train the keypoint estimator"),
        ("pose-export", _pose_export, "write detector and estimator as ONNX files"),
        ("pose-test", _pose_test, "measure ONNX files on characters kept out of training"),
    ):
        step = steps.add_parser(name, help=text)
        step.set_defaults(run=run)
        where = "the ONNX files are" if name == "pose-test" else "the run lives"
        step.add_argument("--folder", type=Path, required=True, help=f"where {where}")
        step.add_argument("--threads", type=int, default=None, help="of torch; default: its own")
        if name == "pose-data":
            step.add_argument("--shards", type=int, default=6)
            step.add_argument("--first", type=int, default=0, help="seed of the first shard")
            step.add_argument("--scenes", type=int, default=1000, help="pictures per shard")
        if name == "pose-export":
            step.add_argument("--target", type=Path, required=True)
        if name == "pose-test":
            step.add_argument("--count", type=int, default=300, help="pictures per test")


def _threads(options: argparse.Namespace) -> None:
    import cv2
    import torch

    logging.getLogger("accelerate").setLevel(logging.WARNING)
    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)


def _autoencoder(options: argparse.Namespace) -> int:
    from ..training import decoder
    from ..training.autoencoder import AutoencoderTraining, train_autoencoder

    _threads(options)
    options.folder.mkdir(parents=True, exist_ok=True)
    config, train = {
        "autoencoder": (AutoencoderTraining(), train_autoencoder),
        "decoder": (decoder.DECODER, decoder.refine_decoder),
        "polish": (decoder.POLISH, decoder.polish_decoder),
    }[options.step]
    train(replace(config, **_steps(options)), options.folder)
    return 0


def _results(options: argparse.Namespace) -> int:
    from ..training.autoencoder import trained_autoencoder
    from ..training.results import write_results

    _threads(options)
    autoencoder = trained_autoencoder(options.folder)
    write_results(options.folder, autoencoder, shards=options.shards)
    return 0


def _steps(options: argparse.Namespace) -> dict[str, Any]:
    return {} if options.steps is None else {"steps": options.steps}


def _data(options: argparse.Namespace) -> int:
    from ..training.autoencoder import trained_autoencoder
    from ..training.data import write_shards

    _threads(options)
    write_shards(
        options.folder / "data",
        trained_autoencoder(options.folder),
        first=options.first,
        shards=options.shards,
        clips=options.clips,
        frames=options.frames,
        consecutive=options.consecutive,
        size=options.size,
    )
    return 0


def _stage(options: argparse.Namespace) -> int:
    from ..training.config import read_changes
    from ..training.loop import Trainer
    from ..training.recipes import get_recipe
    from ..training.stages import Choices, source_of, surroundings_of

    _threads(options)
    recipe = get_recipe(options.recipe, 1 if options.step == "stage1" else 2)
    changes = read_changes(options.config) if options.config else {}
    config = replace(recipe, **(changes | _steps(options)))
    choices = Choices(**{entry.name: getattr(options, entry.name) for entry in fields(Choices)})
    source = source_of(choices, config)
    Trainer(config, options.folder, around=surroundings_of(choices, config)).run(source)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ..training.export import export

    sizes = export(options.folder, options.target)
    for name, size in sizes.items():
        log.info("%-28s %6.2f MB", name, size / 1e6)
    log.info("%-28s %6.2f MB", "together", sum(sizes.values()) / 1e6)
    return 0


def _pose_data(options: argparse.Namespace) -> int:
    from ..training.pose_pair.scenes import write_scenes

    _threads(options)
    for seed in range(options.first, options.first + options.shards):
        path = options.folder / f"scenes-{seed:05d}"
        if not path.exists():
            write_scenes(path, seed=seed, count=options.scenes)
            log.info("wrote %s", path.name)
    return 0


def _pose_network(options: argparse.Namespace) -> int:
    from ..training.pose_pair import loop
    from ..training.pose_pair.scenes import read_scenes

    _threads(options)
    scenes = read_scenes(options.folder)
    if options.step == "detector":
        loop.train_detector(loop.DETECTOR, options.folder, scenes)
    else:
        loop.train_estimator(loop.ESTIMATOR, options.folder, scenes)
    return 0


def _pose_export(options: argparse.Namespace) -> int:
    from ..training.pose_pair.export import export_pair

    for name, size in export_pair(options.folder, options.target).items():
        log.info("%-28s %6.2f MB", name, size / 1e6)
    return 0


def _pose_test(options: argparse.Namespace) -> int:
    from ..training.pose_pair.held_out import held_out_scenes, score_pair

    _threads(options)
    for title, placed in (("one figure", False), ("any place and number", True)):
        scores = score_pair(options.folder, list(held_out_scenes(options.count, placed=placed)))
        for line in (title, *scores.lines()):
            log.info("%s", line)
    return 0
