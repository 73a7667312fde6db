"""The command `mini`: the steps that make aa-mini; each can be resumed."""

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..options import (
    add_out,
    add_run_steps,
    add_threads,
    log_sizes,
    parse_size,
    sentence,
    set_threads,
)

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `mini` and its steps, in the order in which they are run."""
    text = "make the weights of aa-mini: autoencoder, pose networks and others"
    parser = subparsers.add_parser("mini", help=text)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    _add(steps, "autoencoder", _autoencoder, "train the autoencoder")
    _add(steps, "decoder", _autoencoder, "train only the autoencoder's decoder further")
    data = _add(steps, "data", _data, "draw and encode training examples for both stages")
    data.add_argument("--shards", type=int, default=10, help="files of examples (default: 10)")
    data.add_argument("--first", type=int, default=0, help="seed of the first file (default: 0)")
    text = "characters per file (default: 100)"
    data.add_argument("--clips", type=int, default=100, help=text)
    text = "pictures per character (default: 7)"
    data.add_argument("--frames", type=int, default=7, help=text)
    text = "draw consecutive frames, which stage 2 needs"
    data.add_argument("--consecutive", action="store_true", help=text)
    text = "draw all kinds of characters, most of them with a back, in motions that turn"
    data.add_argument("--kinds", action="store_true", help=text)
    text = "size of the pictures in pixels (default: 128x128)"
    data.add_argument("--size", type=parse_size, default="128x128", metavar="WxH", help=text)
    results = _add(steps, "results", _results, "sample new characters with stage 1, for `polish`")
    text = "files with 60 characters each (default: 12)"
    results.add_argument("--shards", type=int, default=12, help=text)
    text = "all kinds of characters, also from behind, half of them with two references"
    results.add_argument("--kinds", action="store_true", help=text)
    _add(steps, "polish", _autoencoder, "train the decoder further, also on these results")
    _add_out(_add(steps, "export", _export, "write the weight files of a training run"))
    scenes = _add(steps, "pose-data", _pose_data, "draw training pictures for the pose networks")
    scenes.add_argument("--shards", type=int, default=6, help="files of pictures (default: 6)")
    scenes.add_argument("--first", type=int, default=0, help="seed of the first file (default: 0)")
    text = "pictures per file (default: 1000)"
    scenes.add_argument("--scenes", type=int, default=1000, help=text)
    detector = _add(steps, "detector", _pose_network, "train the person detector")
    estimator = _add(steps, "estimator", _pose_network, "train the keypoint estimator")
    for step in (detector, estimator):
        text = "folder with ONNX files to start from (default: random weights)"
        step.add_argument("--start", type=Path, metavar="FOLDER", help=text)
        add_run_steps(step)
    _add_out(_add(steps, "pose-export", _pose_export, "write the pose networks as ONNX files"))
    test = _add(steps, "pose-test", _pose_test, "measure the ONNX files on held-out characters")
    test.add_argument("--count", type=int, default=300, help="pictures per test (default: 300)")
    _add_out(_add(steps, "lora", _addition, "train a LoRA for ink drawings"))
    _add_out(_add(steps, "control", _addition, "train a ControlNet for edges"))
    for name in ("autoencoder", "decoder", "polish", "lora", "control"):
        add_run_steps(steps.choices[name])


def _add(
    steps: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    step = steps.add_parser(name, help=text, description=sentence(text))
    step.set_defaults(run=lambda options: _checked(run, options))
    onnx = name == "pose-test"
    where = "folder with the two ONNX files" if onnx else "folder of the training run"
    step.add_argument("--folder", type=Path, required=True, help=where)
    add_threads(step)
    return step


def _checked(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a step after checking the folders that it may write to."""
    from ...places import check_folder

    for name in ("folder", "out"):
        folder = getattr(options, name, None)
        if folder is not None and options.step != "pose-test":
            check_folder(folder, name=name)
    return run(options)


def _add_out(step: argparse.ArgumentParser) -> None:
    add_out(step, "FOLDER", "folder for aa-mini's files", "--target")


def _steps(options: argparse.Namespace) -> dict[str, Any]:
    return {} if options.steps is None else {"steps": options.steps}


def _autoencoder(options: argparse.Namespace) -> int:
    from ...mini import decoder
    from ...mini.autoencoder import AutoencoderTraining, train_autoencoder

    set_threads(options)
    config, train = {
        "autoencoder": (AutoencoderTraining(), train_autoencoder),
        "decoder": (decoder.DECODER, decoder.refine_decoder),
        "polish": (decoder.POLISH, decoder.polish_decoder),
    }[options.step]
    train(replace(config, **_steps(options)), options.folder)
    return 0


def _data(options: argparse.Namespace) -> int:
    from ...mini.autoencoder import trained_autoencoder
    from ...training.sources.shards import write_shards

    set_threads(options)
    write_shards(
        options.folder / "data",
        trained_autoencoder(options.folder),
        first=options.first,
        shards=options.shards,
        clips=options.clips,
        frames=options.frames,
        consecutive=options.consecutive,
        size=options.size,
        cast="kinds" if options.kinds else "fronts",
    )
    return 0


def _results(options: argparse.Namespace) -> int:
    from ...mini.autoencoder import trained_autoencoder
    from ...mini.results import write_results

    set_threads(options)
    autoencoder = trained_autoencoder(options.folder)
    write_results(options.folder, autoencoder, shards=options.shards, kinds=options.kinds)
    return 0


def _export(options: argparse.Namespace) -> int:
    from ...mini.export import export_mini

    log_sizes(export_mini(options.folder, options.out))
    return 0


def _pose_data(options: argparse.Namespace) -> int:
    from ...mini.pose_pair.scenes import write_scenes
    from ...places import owned

    set_threads(options)
    for seed in range(options.first, options.first + options.shards):
        path = options.folder / f"scenes-{seed:05d}"
        if not path.exists():
            with owned(options.folder, name=f".{path.name}.lock"):
                write_scenes(path, seed=seed, count=options.scenes)
            log.info("wrote %s", path.name)
    return 0


def _pose_network(options: argparse.Namespace) -> int:
    from ...mini.pose_pair import training
    from ...mini.pose_pair.scenes import read_scenes
    from ...weights import pose_models

    set_threads(options)
    config, train, name = {
        "detector": (training.DETECTOR, training.train_detector, pose_models.DETECTOR),
        "estimator": (training.ESTIMATOR, training.train_estimator, pose_models.ESTIMATOR),
    }[options.step]
    config = replace(config, **_steps(options))
    start = None
    if options.start:
        start = options.start / name
        config = replace(config, learning_rate=training.STARTED_RATE)
    train(config, options.folder, read_scenes(options.folder), start)
    return 0


def _pose_export(options: argparse.Namespace) -> int:
    from ...mini.pose_pair.export import export_pair

    log_sizes(export_pair(options.folder, options.out))
    return 0


def _pose_test(options: argparse.Namespace) -> int:
    from ...mini.pose_pair.held_out import held_out_scenes, score_pair

    set_threads(options)
    for title, placed in (("one figure", False), ("any place and number", True)):
        scores = score_pair(options.folder, list(held_out_scenes(options.count, placed=placed)))
        for line in (title, *scores.lines()):
            log.info("%s", line)
    return 0


def _addition(options: argparse.Namespace) -> int:
    from ...mini.additions.control import EDGES, train_control
    from ...mini.additions.lora import INK, train_lora

    set_threads(options)
    config, train = (INK, train_lora) if options.step == "lora" else (EDGES, train_control)
    path = train(replace(config, **_steps(options)), options.folder, options.out)
    log_sizes({path.name: path.stat().st_size})
    return 0
