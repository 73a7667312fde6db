"""The command `evaluate`: measure a model under a fixed protocol; prints a table."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...places import check_place
from ..following import add_pose_pair, progress_bar
from ..options import (
    add_canvas,
    add_data,
    add_encoders,
    add_machine,
    add_steps_and_guidance,
    machine_from,
    sentence,
    steps_and_guidance,
)
from .checks import check_options, drop_unused
from .clip import run_on_clip
from .results import write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    from ...animate import Sampling
    from ...evaluation.compared import Compared
    from ...evaluation.measure import Measured
    from ...evaluation.metrics.metric import Instruments
    from ...evaluation.pairs import Pair
    from ...evaluation.protocol import Protocol
    from ...weights.load import Models

    PairsOf = Callable[[bool], Iterable[Pair]]  # whether skeletons are drawn dimmed


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add `evaluate`."""
    text = "measure a model under a fixed protocol"
    parser = subparsers.add_parser("evaluate", help=text, description=sentence(text))
    parser.set_defaults(run=run)
    add = parser.add_argument
    text = "mini, mini-kinds, ubc, tiktok, or a JSON file with your own protocol (default: mini)"
    add("--protocol", default="mini", help=text)
    text = "how many clips or characters to measure (default: all of the protocol)"
    add("--pairs", type=int, help=text)
    add("--first", type=int, default=0, help="number of the first clip or character (default: 0)")
    add("--frames", type=int, help="most frames of each clip (default: the protocol's)")
    add("--json", type=Path, metavar="FILE", help="write all figures to this file")
    add("--markdown", type=Path, metavar="FILE", help="write the table to this file too")
    _add_generated(parser)
    _add_finished(parser)
    _add_networks(parser)


def _add_generated(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("to generate the clips now")
    add = group.add_argument
    text = "a preset, bundle, folder of weights, or folder of a training run (default: aa-mini)"
    add("--models", default="aa-mini", help=text)
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
    text = "for LPIPS: torchvision's weights of the network that the protocol names"
    add("--lpips-backbone", type=Path, metavar="FILE", help=text)
    add("--fvd-network", type=Path, metavar="FILE", help="for FVD: I3D as a TorchScript file")


def run(options: argparse.Namespace) -> int:
    """Measure, print and write the results; return the exit code."""
    for path in filter(None, (options.json, options.markdown)):
        check_place(path)
    if options.result or options.poses:
        return run_on_clip(options)
    from ...evaluation.compared import not_whole
    from ...evaluation.instruments import absent, open_instruments
    from ...evaluation.protocol import load_protocol
    from ...evaluation.report import Report, unmeasured
    from ...evaluation.tables import as_markdown

    protocol = load_protocol(options.protocol)
    check_options(options, drawn=protocol.drawn)
    rule = f"protocol {protocol.name} does not measure"
    drop_unused(options, protocol.metrics, rule, "Add this to its metrics")
    tested, changed = _tested(options, protocol)
    instruments = open_instruments(
        tested,
        pose=_pose_reader(options, drawn=protocol.drawn),
        lpips_backbone=options.lpips_backbone,
        fvd_network=options.fvd_network,
    )
    measured = _measure_finished if options.results else _measure_generated
    rows, made, compared = measured(options, tested, instruments)
    found = len({name for measured in rows.values() for name in measured.clips})
    if found != protocol.clips:
        changed["clips"] = (protocol.clips, found)
    changed |= not_whole(compared)
    report = Report(
        protocol=protocol,
        rows=rows,
        changed=changed,
        made=made,
        absent=unmeasured(rows, protocol) | absent(instruments, protocol),
        instruments=_files(options, instruments),
        compared=compared,
    )
    write_results(options, as_markdown(report) + "\n", report.data())
    return 0


def _tested(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[Protocol, dict[str, tuple[Any, Any]]]":
    """Return the protocol with the changes of options and data set, and a record of these."""
    changed: dict[str, tuple[Any, Any]] = {}
    fit = protocol.fit
    if options.data:
        from ...dataset.manifest import ClipDataset

        fit = ClipDataset.open(options.data).manifest.fit
    if fit != protocol.fit:
        changed["fit"] = (protocol.fit, fit)
    if options.frames is not None and options.frames != protocol.frames:
        changed["frames"] = (protocol.frames, options.frames)
    if options.first:
        changed["first"] = (0, options.first)
    for name in ("steps", "cfg", "guidance_interval", "step_cache"):
        if getattr(options, name) is not None and not options.results:
            changed[name.replace("_", " ")] = ("the preset's", getattr(options, name))
    if options.without_motion:
        changed["temporal layers"] = ("the model's", "left out")
    clips = protocol.clips if options.pairs is None else options.pairs
    frames = protocol.frames if options.frames is None else options.frames
    return replace(protocol, clips=clips, frames=frames, fit=fit), changed


def _measure_finished(
    options: argparse.Namespace, protocol: "Protocol", instruments: "Instruments"
) -> "tuple[dict[str, Measured], dict[str, Any], dict[str, Compared]]":
    from ...evaluation.folders import compared_frames, match_folders, measure_folders

    pairs = match_folders(options.results, options.truth, protocol)
    chosen = pairs[options.first :][: options.pairs]
    if not chosen:
        raise InputError(f"--first got {options.first}; there are {len(pairs)} clips. Lower it.")
    with progress_bar("evaluate", "clip") as progress:
        count = len(chosen)
        rows = measure_folders(chosen, protocol, instruments, lambda done: progress(done, count))
    made = {
        "results": str(options.results),
        "truth": str(options.truth),
        "driving skeletons": "read from the true clips by the same networks",
    }
    return rows, made, compared_frames(chosen)


def _measure_generated(
    options: argparse.Namespace, protocol: "Protocol", instruments: "Instruments"
) -> "tuple[dict[str, Measured], dict[str, Any], dict[str, Compared]]":
    from ...evaluation.instruments import check_sets
    from ...evaluation.report import evaluate, sampling_data

    given = _prepared if options.data else _drawn
    lengths, pairs_of, compared = given(options, protocol)
    check_sets(instruments, lengths)
    device, dtype = machine_from(options)
    models = _models(options, device, dtype)
    sampling, pairs = _sampling(options, models), pairs_of(models.preset.dimmed_poses)
    count = len(lengths)
    with progress_bar("evaluate", "pair") as progress:
        rows = evaluate(
            *(models, sampling, pairs, instruments), progress=lambda done: progress(done, count)
        )
    made = {
        "models": str(options.models),
        "preset": models.preset.title,
        "sampling": sampling_data(sampling),
        "seeds": list(range(sampling.seed, sampling.seed + count)),
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        **{
            name.replace("_", " "): str(getattr(options, name))
            for name in ("data", "vae", "image_encoder")
            if getattr(options, name)
        },
    }
    return rows, made, compared


def _models(options: argparse.Namespace, device: "torch.device", dtype: "torch.dtype") -> "Models":
    """Return the networks of a weight set or a run, with the encoders that are named."""
    from ...evaluation.ablation import without_motion
    from ...training.trained import is_run, load_run
    from ...weights.encoders import load_autoencoder, load_image_encoder
    from ...weights.load import load_models
    from ...weights.read import read_weights

    if is_run(Path(options.models)):
        motion = not options.without_motion
        models = load_run(Path(options.models), motion=motion, dtype=dtype, device=device)
    else:
        with progress_bar("loading", "tensor") as progress:
            models = load_models(options.models, dtype=dtype, device=device, progress=progress)
        models = without_motion(models) if options.without_motion else models
    if options.vae:
        weights, scale = read_weights(options.vae), models.preset.latent_scale
        models.autoencoder = load_autoencoder(weights, scale, dtype, device)
    if options.image_encoder:
        weights = read_weights(options.image_encoder)
        models.image_encoder = load_image_encoder(weights, dtype, device)
    for option, network in (
        ("--vae", models.autoencoder),
        ("--image-encoder", models.image_encoder),
    ):
        if network is None:
            raise InputError(
                f"{option} was not given, and --models {options.models} has no such network. Name "
                "the file that it was trained with."
            )
    return models


def _drawn(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[list[tuple[str, int, float]], PairsOf, dict[str, Compared]]":
    """Return lengths and pairs of the drawn test."""
    from ...evaluation.held_out import MOTION_FPS, held_out_pair, whole_test_pair

    frames = protocol.frames or 1
    numbers = range(options.first, options.first + protocol.clips)
    lengths = [(f"character {number}", frames, MOTION_FPS) for number in numbers]
    pair = whole_test_pair if protocol.characters == "kinds" else held_out_pair
    every = (pair(number, frames, protocol.size) for number in numbers)
    return lengths, lambda _: every, {}  # all their points are certain, so none is dimmed


def _prepared(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[list[tuple[str, int, float]], PairsOf, dict[str, Compared]]":
    """Return lengths and pairs of a prepared data set's test clips, and which frames they are."""
    from ...dataset.manifest import ClipDataset
    from ...evaluation.prepared import compared_frames, entries_to_test, prepared_pairs

    dataset = ClipDataset.open(options.data)
    every = entries_to_test(dataset)
    entries = every[options.first :][: options.pairs]
    if not entries:
        raise InputError(f"--first got {options.first}; there are {len(every)} clips. Lower it.")
    compared = compared_frames(entries, protocol)
    lengths = [
        (entry.name, len(compared[entry.name].frames), entry.fps / protocol.stride)
        for entry in entries
    ]

    def pairs_of(dimmed: bool) -> "Iterable[Pair]":
        return prepared_pairs(dataset, entries, protocol, dimmed=dimmed)

    return lengths, pairs_of, compared


def _sampling(options: argparse.Namespace, models: "Models") -> "Sampling":
    from ...animate import sampling_of

    usual = sampling_of(models.preset)
    return replace(usual, **steps_and_guidance(options, usual))


def _pose_reader(options: argparse.Namespace, *, drawn: bool) -> Any:  # noqa: ANN401
    """Return the pose reader: of the named pair, aa-mini's for drawn characters, or None."""
    from ...evaluation.pose_reader import PoseReader
    from ...weights.pose_models import open_pose_pair

    named = (options.detector, options.estimator)
    return PoseReader(open_pose_pair(*named)) if drawn or any(named) else None


def _files(options: argparse.Namespace, instruments: "Instruments") -> dict[str, str]:
    files = {
        "poses": instruments.pose and instruments.pose.name,
        "LPIPS": options.lpips_backbone,
        "FVD": options.fvd_network,
    }
    return {name: str(file) for name, file in files.items() if file}
