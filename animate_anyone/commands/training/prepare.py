"""The command `prepare`: make a data set for training and evaluation from a folder of clips."""

import argparse
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...places import check_folder
from ...types import DEFAULT_FPS
from ..engines import add_engine_arguments, engine_of, with_whole_paths
from ..following import add_pose_pair, add_pose_runs, progress_bar
from ..options import (
    add_device,
    add_encoders,
    add_old_name,
    add_shard,
    add_threads,
    machine_from,
    parse_fps,
    parse_size,
    sentence,
)

if TYPE_CHECKING:
    from ...dataset.splits import Split
    from ...dataset.tools import ToolMaker, Tools

logger = logging.getLogger(__name__)


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Add `prepare`."""
    text = "make a data set for training and evaluation from a folder of clips"
    parser = subparsers.add_parser("prepare", help=text, description=sentence(text))
    parser.set_defaults(run=run)
    add = parser.add_argument
    text = "folder with videos and folders of pictures"
    add("--clips", type=Path, required=True, metavar="DIR", help=text)
    text = "folder of the data set to write; an interrupted command resumes"
    add("--out", type=Path, required=True, metavar="DIR", help=text)
    text = "take size, fit and split of a known data set"
    add("--recipe", choices=("ubc", "tiktok"), help=text)
    add(
        "--split",
        type=Path,
        nargs="+",
        metavar="FILE",
        help='a JSON file with lists "train" and "test", or one text file for each (default: '
        "the recipe's, or folders with these names in --clips)",
    )
    text = "size of all frames in pixels (default: the recipe's, or 768x768)"
    add("--size", type=parse_size, metavar="WxH", help=text)
    text = "how frames of another shape are fitted; pad: edges are continued, crop: edges are cut "
    text += "off (default: the recipe's, or pad)"
    add("--fit", choices=("pad", "crop"), help=text)
    text = "shortest run of usable frames that is kept (default: 24)"
    add("--min-frames", type=int, default=24, help=text)
    text = "format of the stored frames; png is lossless (default: png)"
    pictures = add("--pictures", choices=("png", "jpg"), default="png", help=text)
    add_old_name(parser, "--frames", pictures)
    text = "frames per second of folders of pictures (default: 30)"
    add("--fps", type=parse_fps, default=DEFAULT_FPS, help=text)
    _add_pose_arguments(parser)
    _add_cache_arguments(parser)
    group = parser.add_argument_group("to share the work")
    add_shard(group, "clips")
    add_engine_arguments(group, "clips")
    add_threads(group)


def _add_pose_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("poses")
    add = group.add_argument
    text = "folder of existing keypoints: JSON files, or a data set (default: extract them)"
    add("--poses", type=Path, metavar="DIR", help=text)
    add_pose_pair(group)
    add_pose_runs(group)


def _add_cache_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("caches of the frozen encoders' results")
    add = group.add_argument
    text = "what to store: latents, tokens, or both (default: nothing)"
    add("--cache", default="", metavar="latents,tokens", help=text)
    text = "weight set with the encoders (default: aa-mini)"
    add("--models", default="aa-mini", help=text)
    add_encoders(group, "that of --models")
    add_device(group)


def run(options: argparse.Namespace) -> int:
    """Prepare the data set and print a report; return 1 if it has no clips, else 0."""
    from ...dataset.prepare import prepare, prepare_shard
    from ...dataset.report import REPORT, shortened
    from ...dataset.settings import PrepareConfig
    from ...dataset.splits import recipe
    from ...types import Size

    check_folder(options.out)
    known = recipe(options.recipe) if options.recipe else None
    maker = _maker(options)
    engine = engine_of(options, options.threads)
    config = PrepareConfig(
        size=options.size or (known.size if known else Size(768, 768)),
        fit=options.fit or (known.fit if known else "pad"),
        min_frames=options.min_frames,
        pictures=options.pictures,
        fps=float(options.fps),
        poses=maker.poses_name(),
        cached=maker.cache_names(),
    )
    split = _split(options) or (known.split if known else None)
    what = (options.clips, options.out, config, maker)
    if options.ray is not None and maker.caches:
        what = (*what[:3], ToolsThere(maker, options.device))
    with progress_bar("preparing", "clip") as progress:
        more = {"split": split, "engine": engine, "progress": progress}
        more["keypoints"] = maker.stored
        if options.shard.whole:
            ended = prepare(*what, **more)
        else:
            ended = prepare_shard(*what, options.shard, **more)
    if ended is None:
        logger.info(
            "%s: part %s is done; the part that ends last writes the manifest",
            *(options.out, options.shard),
        )
        return 0
    manifest, _ = ended
    with (options.out / REPORT).open(encoding="utf-8") as lines:
        sys.stdout.writelines(shortened(lines))
    logger.info("%s: %d clips; see %s there", options.out, len(manifest.clips), REPORT)
    return 0 if manifest.clips else 1


@dataclass(frozen=True)
class ToolsThere:
    """Makes the tools of a worker on another machine, which may have another device."""

    maker: "ToolMaker"
    device: str  # as the option names it

    def __call__(self) -> "Tools":
        """Load the networks to the device of this machine."""
        machine = argparse.Namespace(device=self.device, dtype="fp32")
        return replace(self.maker, device=str(machine_from(machine)[0]))()


def _split(options: argparse.Namespace) -> "Split | None":
    """Return the named split; without one and without a recipe, the split given by folders."""
    from ...dataset.find import find_clips
    from ...dataset.splits import read_split, split_by_folder
    from ...names.texts import Texts

    if options.split:
        return read_split(options.split)
    if options.recipe:
        return None
    return split_by_folder(Texts(found.name for found in find_clips(options.clips)))


def _maker(options: argparse.Namespace) -> "ToolMaker":
    from ...dataset.tools import ToolMaker

    if options.poses and (options.detector or options.estimator):
        raise InputError(
            "--poses was given with --detector or --estimator; poses are either read from files or "
            "extracted now. Leave one out."
        )
    if options.poses and not options.poses.is_dir():
        raise InputError(f"--poses got {options.poses}; there is no such folder. Check the path.")
    options.dtype = "fp32"  # cached values are computed only once, so with full precision
    options = with_whole_paths(options)
    caches = tuple(cache.strip() for cache in options.cache.split(",") if cache.strip())
    return ToolMaker(
        detector=options.detector,
        estimator=options.estimator,
        provider=options.provider,
        engine_cache=options.engine_cache,
        channel_order=options.channel_order,
        detect_every=options.detect_every,
        stored=options.poses,
        models=options.models,
        vae=options.vae,
        image_encoder=options.image_encoder,
        caches=caches,
        device=str(machine_from(options)[0]) if caches else "cpu",
    )
