"""Damaged files of each kind, read to the end as the program reads them."""

import json
import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from animate_anyone.dataset.manifest import ClipDataset, ClipEntry, Manifest, Span
from animate_anyone.evaluation.protocol import load_protocol
from animate_anyone.media import clip_info, frames_of, read_picture
from animate_anyone.pose.corrections import read_corrections
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.files.keypoints import read_with_notes
from animate_anyone.training.config import TrainingConfig
from animate_anyone.types import Size
from animate_anyone.weights.load import Models, load_models
from animate_anyone.weights.pose_models import embedded_pose_models, open_pose_pair
from benchmarks.brought.clip_files import PLAIN, counted, moving, picture, quarters, video
from benchmarks.brought.keypoints import KEYPOINTS

from ..verdict import ACCEPTED, FAULT, Verdict, judged
from .material import small_config, tiny_preset, write_pickles, write_tiny_bundle
from .mutations import damaged, damaged_header, damaged_json
from .traps import TRAPS, write_trap

Attempt = Callable[[int, random.Random], Verdict]
MOST_FRAMES = 400  # of a damaged clip that are decoded
CLIPS = {
    "plain.mp4": PLAIN,
    "lossless.mkv": video("lossless.mkv", codec="ffv1", pix_fmt="bgr0"),
    "web.webm": video("web.webm", codec="libvpx-vp9", pix_fmt="yuv420p"),
    "quick.mov": video("quick.mov", codec="qtrle", pix_fmt="rgb24"),
    "old.avi": video("old.avi", codec="mpeg4", pix_fmt="yuv420p"),
    "dance.gif": moving("dance.gif", counted(6), 100),
    "dance.webp": moving("dance.webp", counted(6), 100),
    "dance.png": moving("dance.png", counted(6), 100),
}
PICTURES = ("a.png", "b.jpg", "c.webp", "d.bmp", "e.tiff", "f.gif", "g.avif", "h.ppm", "i.tga")


@dataclass(frozen=True)
class Kind:
    """One kind of file."""

    title: str
    share: int  # of the attempts of a full campaign
    start: Callable[[Path], Attempt]  # makes whole files in an empty folder


def _weights(folder: Path) -> Attempt:
    path, target = write_tiny_bundle(folder / "whole.safetensors"), folder / "set.safetensors"
    whole = path.read_bytes()

    def attempt(_: int, rng: random.Random) -> Verdict:
        change = damaged_header if rng.random() < 0.5 else damaged
        target.write_bytes(change(whole, rng))
        return judged(lambda: _check_finite(load_models(target)), ["set.safetensors"])

    return attempt


def _pickles(folder: Path) -> Attempt:
    bundle = write_tiny_bundle(folder / "whole.safetensors")
    files = write_pickles(folder, bundle)
    whole = {path: path.read_bytes() for path in files}
    mark, preset = folder / "executed", tiny_preset()

    def attempt(number: int, rng: random.Random) -> Verdict:
        path = rng.choice(files)
        trap = number % 8 == 0
        if trap:
            write_trap(path, TRAPS[number // 8 % len(TRAPS)], mark)
        else:
            path.write_bytes(damaged(whole[path], rng))
        verdict = judged(
            lambda: _check_finite(load_models(files, preset=preset)), [path.name, *whole_names]
        )
        path.write_bytes(whole[path])
        if mark.exists():
            mark.unlink()
            return Verdict(FAULT, "code in a pickle ran")
        if trap and verdict.kind == ACCEPTED:
            return Verdict(FAULT, "a pickle with code was read")
        return verdict

    whole_names = [path.name for path in files]
    return attempt


def _onnx(folder: Path) -> Attempt:
    detector, estimator = embedded_pose_models()
    whole = {"detector.onnx": detector.read_bytes(), "estimator.onnx": estimator.read_bytes()}
    picture = quarters(64, 96)

    def attempt(_: int, rng: random.Random) -> Verdict:
        name = rng.choice(tuple(whole))
        data = whole[name]
        if rng.random() < 0.6:  # the last part holds inputs, outputs and notes
            data = data[:-2000] + damaged(data[-2000:], rng)
        else:
            data = damaged(data, rng)
        (folder / name).write_bytes(data)

        def run() -> None:
            pair = {
                "detector": detector,
                "estimator": estimator,
                name.removesuffix(".onnx"): folder / name,
            }
            opened = open_pose_pair(pair["detector"], pair["estimator"], "cpu")
            if name == "detector.onnx":
                opened.detector.detect([picture])
            else:
                opened.estimator.estimate([picture], np.array([[4, 4, 60, 90]], np.float32))

        return judged(run, [name])

    return attempt


def _keypoints(folder: Path) -> Attempt:
    made = []
    for number, case in enumerate(case for case in KEYPOINTS if case.refusal is None):
        place = folder / f"made{number}"
        place.mkdir()
        path = case.make(place)
        if path.is_file() and path.stat().st_size < 1_000_000:
            made.append(path.read_bytes())
    target = folder / "keypoints.json"

    def attempt(_: int, rng: random.Random) -> Verdict:
        whole = rng.choice(made)
        target.write_bytes(_damaged_text(whole, rng))

        def run() -> None:
            clip = read_with_notes(target, Size(128, 160) if rng.random() < 0.3 else None).clip
            for points in (clip.body, clip.face):
                _require(np.isfinite(points.xy).all(), "a point is not finite")
            draw_pose(clip, Size(64, 64), frames=range(min(2, len(clip))))

        return judged(run, ["keypoints"])

    return attempt


def _damaged_text(whole: bytes, rng: random.Random) -> bytes:
    """Return damaged JSON: as bytes, or as valid JSON of other values."""
    if rng.random() < 0.3:
        return damaged(whole, rng)
    try:
        value = json.loads(whole.decode("utf-8-sig"))
    except ValueError:  # JSON Lines, and files that are cut short
        return damaged(whole, rng)
    return damaged_json(value, rng).encode("utf-8", "surrogatepass")


def _pictures(folder: Path) -> Attempt:
    whole = {}
    for name in PICTURES:
        try:
            whole[name] = picture(name, quarters())(folder).read_bytes()
        except (OSError, KeyError, ValueError):  # this Pillow cannot write the format
            continue
    names = tuple(whole)

    def attempt(_: int, rng: random.Random) -> Verdict:
        name = rng.choice(names)
        (folder / name).write_bytes(damaged(whole[name], rng))
        return judged(lambda: read_picture(folder / name, 512), [name])

    return attempt


def _clips(folder: Path) -> Attempt:
    whole = {}
    for name, make in CLIPS.items():
        try:
            whole[name] = make(folder).read_bytes()
        except (ValueError, OSError):  # this FFmpeg has no such encoder
            continue
    names = tuple(whole)

    def attempt(_: int, rng: random.Random) -> Verdict:
        name = rng.choice(names)
        (folder / name).write_bytes(damaged(whole[name], rng))

        def run() -> None:
            clip_info(folder / name)
            for number, frame in enumerate(frames_of(folder / name)):
                _require(frame.dtype == np.uint8 and frame.ndim == 3, "a frame is no picture")
                if number == MOST_FRAMES:
                    break

        return judged(run, [name])

    return attempt


def _records(folder: Path) -> Attempt:
    """Damage the records that runs, data sets, protocols and the page's stage are made of."""
    data_set = folder / "set"
    data_set.mkdir()
    _small_manifest().write(data_set)
    manifest = json.loads((data_set / "manifest.json").read_text(encoding="utf-8"))
    edit = {"person": 0, "part": "body", "joint": 4, "first": 3, "last": 9, "move": [12.5, -4]}
    protocol = load_protocol("mini").data()
    config, corrections = small_config(), {"version": 1, "canvas": [512, 768], "edits": [edit]}
    kinds: tuple[tuple[str, Any, Path | None, Callable[[Path], object]], ...] = (
        ("manifest", manifest, data_set / "manifest.json", _read_data_set),
        ("config", config, folder / "config.json", TrainingConfig.read),
        ("protocol", protocol, folder / "protocol.json", load_protocol),
        ("corrections", corrections, None, lambda p: None),
    )

    def attempt(_: int, rng: random.Random) -> Verdict:
        name, whole, path, read = rng.choice(kinds)
        data = _damaged_text(json.dumps(whole).encode(), rng)
        if path is None:
            text = data.decode("utf-8", "replace")
            return judged(lambda: read_corrections(text), [name, "edits"])
        path.write_bytes(data)
        return judged(lambda: read(path), [name, str(path.parent), *config, *protocol])

    return attempt


def _small_manifest() -> Manifest:
    spans = (Span(0, 5), Span(7, 30))
    clip = ClipEntry(name="a", file="a.mp4", split="train", fps=30.0, frames=40, spans=spans)
    return Manifest(
        size=Size(64, 64),
        fit="pad",
        source="clips",
        pictures="png",
        min_frames=3,
        poses="0123",
        cached={"latents": "4567"},
        clips=(clip,),
    )


def _read_data_set(path: Path) -> None:
    for clip in ClipDataset.open(path.parent).clips:
        _require(len(clip.usable) < 10_000_000, "a clip of absurd length")


KINDS = {
    "weights": Kind("weight files, safetensors", 8, _weights),
    "pickles": Kind("weight files, .pth, with and without code", 8, _pickles),
    "onnx": Kind("ONNX networks", 2, _onnx),
    "keypoints": Kind("keypoint files", 16, _keypoints),
    "pictures": Kind("pictures", 16, _pictures),
    "clips": Kind("clips", 8, _clips),
    "records": Kind("settings, manifests, protocols, corrections", 16, _records),
}


def _check_finite(models: Models) -> None:
    networks = (models.denoiser, models.reference_net, models.pose_guider)
    for network in networks:
        for value in network.parameters():
            _require(math.isfinite(float(value.double().sum())), "a weight is not finite")


def _require(condition: object, said: str) -> None:
    if not condition:
        raise AssertionError(said)


def rng_of(seed: int, kind: str, number: int) -> random.Random:
    """Return the random numbers of one attempt, so that it can be repeated alone."""
    return random.Random(f"{seed} {kind} {number}")


def quiet() -> None:
    """Send what libraries print about damaged files nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    torch.set_num_threads(1)


def every(kind: Kind, folder: Path, numbers: Sequence[int], seed: int) -> list[Verdict]:
    """Make some attempts in this process."""
    attempt = kind.start(folder)
    return [attempt(number, rng_of(seed, kind.title, number)) for number in numbers]
