"""The command `train`: aa-mini from nothing, step by step, each step resumable."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `train` and its steps."""
    parser = subparsers.add_parser("train", help="train aa-mini on drawn characters")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, run, text in (
        ("autoencoder", _autoencoder, "train the autoencoder"),
        ("decoder", _decoder, "go on with the autoencoder's decoder alone"),
        ("data", _data, "paint and encode examples"),
        ("stage1", _stage, "train everything but the temporal layers on single frames"),
        ("stage2", _stage, "train the temporal layers on clips"),
        ("export", _export, "write the weight files"),
    ):
        step = steps.add_parser(name, help=text)
        step.set_defaults(run=run)
        step.add_argument("--folder", type=Path, required=True, help="where the run lives")
        step.add_argument("--threads", type=int, default=None, help="of torch; default: its own")
        if name in ("autoencoder", "decoder", "stage1", "stage2"):
            step.add_argument("--steps", type=int, help="length of the run; default: the recipe's")
        if name in ("stage1", "stage2"):
            step.add_argument("--config", type=Path, help="a JSON file with any of the settings")
        if name == "data":
            step.add_argument("--shards", type=int, default=10)
            step.add_argument("--first", type=int, default=0, help="seed of the first shard")
            step.add_argument("--clips", type=int, default=100, help="characters per shard")
            step.add_argument("--frames", type=int, default=7, help="pictures per character")
            step.add_argument("--consecutive", action="store_true", help="running clips")
            step.add_argument("--size", default="128x128", help="width x height in pixels")
        if name == "export":
            step.add_argument("--target", type=Path, required=True)
    _add_pose_steps(steps)


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

    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)


def _autoencoder(options: argparse.Namespace) -> int:
    from ..training.autoencoder import AutoencoderTraining, train_autoencoder

    _threads(options)
    options.folder.mkdir(parents=True, exist_ok=True)
    config = AutoencoderTraining(**_steps(options))
    train_autoencoder(config, options.folder)
    return 0


def _decoder(options: argparse.Namespace) -> int:
    from ..training.autoencoder import AutoencoderTraining, refine_decoder

    _threads(options)
    config = AutoencoderTraining(latent_noise=0.1, **_steps(options))
    refine_decoder(config, options.folder)
    return 0


def _steps(options: argparse.Namespace) -> dict[str, Any]:
    return {"steps": options.steps} if options.steps else {}


def _data(options: argparse.Namespace) -> int:
    from ..training.autoencoder import trained_autoencoder
    from ..training.data import write_shard
    from ..types import Size

    _threads(options)
    autoencoder = trained_autoencoder(options.folder)
    width, height = (int(side) for side in options.size.split("x"))
    kind = "clips" if options.consecutive else "frames"
    for seed in range(options.first, options.first + options.shards):
        path = options.folder / "data" / f"{kind}-{width}x{height}-{seed:05d}"
        if path.exists():
            continue
        write_shard(
            path,
            autoencoder,
            seed=seed,
            clips=options.clips,
            frames=options.frames,
            consecutive=options.consecutive,
            size=Size(width, height),
        )
        log.info("wrote %s", path.name)
    return 0


def _stage(options: argparse.Namespace) -> int:
    from ..training.config import TrainingConfig
    from ..training.data import Shards
    from ..training.loop import Trainer
    from ..training.recipes import RECIPES

    _threads(options)
    stage = 1 if options.step == "stage1" else 2
    changes: dict[str, Any] = json.loads(options.config.read_text()) if options.config else {}
    config = TrainingConfig(**(RECIPES[stage] | changes | _steps(options)))
    data = Shards(options.folder / "data", consecutive=stage == 2)
    Trainer(config, options.folder).run(data)
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
