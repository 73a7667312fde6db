"""The tests of `evaluate`: which clips they have, and how one of them is measured."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...names.texts import Texts
from ..following import no_progress_bar, progress_bar
from ..options import machine_from, steps_and_guidance

if TYPE_CHECKING:
    import torch

    from ...animate import Sampling
    from ...evaluation.compared import Compared
    from ...evaluation.kept.clips import KeepClip
    from ...evaluation.kept.row import ClipRow
    from ...evaluation.metrics.metric import Instruments
    from ...evaluation.pairs import Pair
    from ...evaluation.protocol import Protocol
    from ...weights.load import Models

    Lengths = list[tuple[str, int, float]]  # of every clip: name, frames, frames per second
    PairAt = Callable[[int, bool], Pair]  # by place; and whether skeletons are drawn dimmed


Measure = Callable[[Any, "KeepClip | None"], "ClipRow"]
"""Measures an item of a test, with what opens the writers of its generated clips."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """The clips of a test, and how one of them is measured."""

    names: Sequence[str]  # of all clips, in order
    first: int  # place of the first one in the whole test of the protocol
    item: Callable[[int], Any]  # what `measure` takes for a place; another process can read it
    measure: Measure
    made: dict[str, Any]  # how the clips are made, for the report
    networks: dict[str, Any]  # what makes the clips, as every worker must have it
    clips: dict[str, Any]  # what else the figures depend on
    compared: "dict[str, Compared]" = field(default_factory=dict)


def finished_test(
    options: argparse.Namespace, protocol: "Protocol", instruments: "Instruments"
) -> Test:
    """Return the test of finished clips."""
    from ...evaluation.folders import compared_frames, content_of_pair, lengths_of, match_folders
    from ...evaluation.instruments import check_sets

    every = match_folders(options.results, options.truth, protocol)
    pairs = every[options.first :][: options.pairs]
    if not pairs:
        raise InputError(f"--first got {options.first}; there are {len(every)} clips. Lower it.")
    check_sets(instruments, lengths_of(pairs, protocol))
    measure, networks = measure_of_finished(protocol, instruments)
    return Test(
        names=Texts(pair.name for pair in pairs),
        first=options.first,
        item=lambda place: (place, pairs[place - options.first]),
        measure=measure,
        made={
            "results": str(options.results),
            "truth": str(options.truth),
            "driving skeletons": "read from the true clips by the same networks",
        },
        networks=networks,
        clips={"clips": {pair.name: content_of_pair(pair) for pair in pairs}},
        compared=compared_frames(pairs),
    )


def measure_of_finished(
    protocol: "Protocol", instruments: "Instruments"
) -> tuple[Measure, dict[str, Any]]:
    """Return what measures a place and its pair of clips, and an empty record of networks."""
    from ...evaluation.folders import measure_finished

    def measure(item: Any, _: "KeepClip | None") -> "ClipRow":  # noqa: ANN401  (place and pair)
        place, pair = item
        return measure_finished(pair, protocol, instruments, place)

    return measure, {}


def generated_test(
    options: argparse.Namespace,
    protocol: "Protocol",
    instruments: "Instruments",
    *,
    described: bool = False,  # the networks do not run in this process, and stay on its CPU
) -> Test:
    """Return the test of clips that are generated now."""
    from ...evaluation.instruments import check_sets
    from ...evaluation.report import sampling_data

    lengths, _, compared, data = _clips(options, protocol)
    check_sets(instruments, lengths)
    generator = Generator(options, protocol, instruments, described=described)
    seed = generator.sampling.seed + options.first
    return Test(
        names=Texts(name for name, _, _ in lengths),
        first=options.first,
        item=lambda place: place,
        measure=generator.measure,
        made={
            "models": str(options.models),
            **({"LoRAs": options.lora} if options.lora else {}),
            "preset": generator.models.preset.title,
            "sampling": sampling_data(generator.sampling),
            "seeds": list(range(seed, seed + len(lengths))),
            "device": generator.device,
            "dtype": generator.dtype,
            **{
                name.replace("_", " "): str(getattr(options, name))
                for name in ("data", "vae", "image_encoder")
                if getattr(options, name)
            },
        },
        networks=generator.networks,
        clips=data(),
        compared=compared,
    )


class Generator:
    """Generates and measures the clips of a test, with networks that are loaded once."""

    def __init__(
        self,
        options: argparse.Namespace,
        protocol: "Protocol",
        instruments: "Instruments",
        *,
        described: bool = False,
    ) -> None:
        """Load the networks; see `generated_test`."""
        from ...evaluation.kept.identity import of_networks
        from ...evaluation.report import sampling_data

        device, dtype = machine_from(options)
        self.device, self.dtype = str(device), str(dtype).removeprefix("torch.")
        self.models = _models(options, "cpu" if described else device, dtype)
        self.sampling = _sampling(options, self.models)
        self._instruments = instruments
        self._pair_at = _clips(options, protocol)[1]
        parts = {name: part for name, part in vars(self.models).items() if name != "preset"}
        self.networks: dict[str, Any] = {
            "models": of_networks(self.models.preset, parts),
            "sampling": {**sampling_data(self.sampling), "seed": self.sampling.seed},
            "device": device.type,
            "dtype": self.dtype,
        }

    def measure(self, place: int, keep: "KeepClip | None") -> "ClipRow":
        """Return the row of a place of the test."""
        from ...evaluation.report import measure_pair

        pair = self._pair_at(place, self.models.preset.dimmed_poses)
        more: dict[str, Any] = {"place": place, "keep": keep}
        return measure_pair(self.models, pair, self.sampling, self._instruments, **more)


def _models(
    options: argparse.Namespace, device: "torch.device | str", dtype: "torch.dtype"
) -> "Models":
    """Return the networks of a weight set or a run, with the encoders that are named."""
    from ...evaluation.ablation import without_motion
    from ...training.trained import is_run, load_run
    from ...weights.encoders import load_autoencoder, load_image_encoder
    from ...weights.load import load_models
    from ...weights.lora import add_lora, parse_lora
    from ...weights.read import read_weights

    loras = [parse_lora(text) for text in options.lora]
    if is_run(Path(options.models)):
        motion = not options.without_motion
        models = load_run(Path(options.models), motion=motion, dtype=dtype, device=device)
    else:
        show = no_progress_bar if options.quiet else progress_bar
        with show("loading", "tensor") as progress:
            models = load_models(options.models, dtype=dtype, device=device, progress=progress)
        models = without_motion(models) if options.without_motion else models
    for path, strength in loras:
        add_lora(models.denoiser, path, strength)
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


def _clips(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[Lengths, PairAt, dict[str, Compared], Callable[[], dict[str, Any]]]":
    """Return lengths and pairs, the compared frames, and what records the clips' content."""
    return _prepared(options, protocol) if options.data else _drawn(options, protocol)


def _drawn(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[Lengths, PairAt, dict[str, Compared], Callable[[], dict[str, Any]]]":
    """Return lengths and pairs of the drawn test."""
    from ...evaluation.held_out import (
        MOTION_FPS,
        held_out_pair,
        whole_test_name,
        whole_test_pair,
    )

    frames = protocol.frames or 1
    numbers = range(options.first, options.first + protocol.clips)
    lengths = [(f"character {number}", frames, MOTION_FPS) for number in numbers]
    if protocol.characters == "kinds":
        lengths = [(whole_test_name(number), frames, MOTION_FPS) for number in numbers]
    pair = whole_test_pair if protocol.characters == "kinds" else held_out_pair

    def pair_at(place: int, _: bool) -> "Pair":  # all points are certain, so none is dimmed
        return pair(place, frames, protocol.size)

    return lengths, pair_at, {}, dict


def _prepared(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[Lengths, PairAt, dict[str, Compared], Callable[[], dict[str, Any]]]":
    """Return lengths and pairs of a prepared data set's test clips, and which frames they are."""
    from ...dataset.content import content_of
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

    def pair_at(place: int, dimmed: bool) -> "Pair":
        entry = entries[place - options.first]
        return next(prepared_pairs(dataset, (entry,), protocol, dimmed=dimmed))

    return lengths, pair_at, compared, lambda: {"data": content_of(dataset)}


def _sampling(options: argparse.Namespace, models: "Models") -> "Sampling":
    from ...animate import sampling_of

    usual = sampling_of(models.preset)
    return replace(usual, **steps_and_guidance(options, usual))
