"""The work that is disturbed: commands on tiny material, and what their results must be."""

import importlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from animate_anyone.__main__ import main
from animate_anyone.dataset.manifest import ClipDataset
from animate_anyone.drawn.clip import paint_clip, skeletons_of
from animate_anyone.media import VideoWriter, clip_info, frames_of
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.files.keypoints import read_keypoints, write_keypoints
from animate_anyone.types import Size
from animate_anyone.weights.load import load_models

from ..files.material import TOKEN, write_tiny_bundle

SIZE = Size(64, 64)
FRAMES, LONG = 8, 240  # frames of a clip; of the one that is drawn
STEPS = 8  # of a training


@dataclass(frozen=True)
class Job:
    """A command, its results, and how to see that a result is whole."""

    title: str  # while ...
    run: Callable[[Path, Path], int]  # (material, folder to write in) -> exit status
    whole: Callable[[Path], None]  # raises if anything under its final name in a folder is not


def import_all() -> None:
    """Import what the commands import on their way, which each fork would do again."""
    for name in ("accelerate", "torch._dynamo", "scipy.optimize"):
        importlib.import_module(name)


def make_material(folder: Path) -> Path:
    """Write what the commands read: a weight set, a picture, keypoints and clips."""
    folder.mkdir(parents=True)
    torch.set_num_threads(1)
    write_tiny_bundle(folder / "tiny.safetensors")
    for seed, name in enumerate(("a", "b", "c")):
        paintings = paint_clip(np.random.default_rng(seed), np.arange(FRAMES), SIZE)
        pictures = np.stack([each.picture for each in paintings])
        pose = skeletons_of(paintings, SIZE)
        with VideoWriter(_made(folder / "clips" / f"{name}.mp4"), SIZE, 12) as writer:
            writer.write(pictures)
        write_keypoints(_made(folder / "poses" / f"{name}.json"), pose)
    Image.fromarray(pictures[0]).save(folder / "reference.png")
    write_keypoints(folder / "motion.json", pose)
    frames = json.loads((folder / "motion.json").read_text(encoding="utf-8"))
    (folder / "long.json").write_text(json.dumps(frames * (LONG // FRAMES)), encoding="utf-8")
    np.savez(folder / "own.npz", frames=pictures, poses=draw_pose(pose, SIZE))
    return folder


def _made(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path


def _animate(material: Path, out: Path) -> int:
    files = [f"--reference={material / 'reference.png'}", f"--poses={material / 'motion.json'}"]
    network = [f"--models={material / 'tiny.safetensors'}", "--size=64x64", "--device=cpu"]
    windows = ["--steps=3", "--window=4", "--overlap=1", f"--sheet={out / 'sheet.png'}"]
    return main(["animate", *files, *network, *windows, f"--out={out / 'clip.mp4'}"])


def _draw(material: Path, out: Path) -> int:
    return main(["pose", "draw", str(material / "long.json"), f"--out={out / 'drawn.mp4'}"])


def _convert(material: Path, out: Path) -> int:
    target = out / "set.safetensors"
    return main(["convert", str(material / "tiny.safetensors"), f"--out={target}", "--dtype=fp32"])


def _prepare(material: Path, out: Path) -> int:
    folders = [f"--clips={material / 'clips'}", f"--poses={material / 'poses'}"]
    return main(["prepare", *folders, f"--out={out / 'set'}", "--min-frames=3", "--size=64x64"])


def _retarget(material: Path, out: Path) -> int:
    motion, picture = str(material / "motion.json"), str(material / "motion.json")
    files = [f"--out={out / 'fitted.json'}", f"--report={out / 'report.json'}"]
    return main(["pose", "retarget", motion, picture, *files])


class _Latents:
    """Encodes 8x8 pixels as their mean colour and brightness."""

    def encode(self, frames: Tensor) -> Tensor:  # (f, 3, H, W) -> (f, 4, h, w)
        small = functional.avg_pool2d(frames, 8) * 2 - 1
        return torch.cat([small, small.mean(1, keepdim=True)], 1)

    def decode(self, latents: Tensor) -> Tensor:
        return functional.interpolate(latents[:, :3] / 2 + 0.5, scale_factor=8)


class _Token:
    def encode(self, picture: Tensor) -> Tensor:  # (1, 3, H, W) -> (1, 1, d)
        return picture.mean().expand(1, 1, TOKEN)


def _train(material: Path, out: Path) -> int:
    from animate_anyone.errors import AnimateAnyoneError
    from animate_anyone.training.fine_tune import Start, claim, fine_tune, fine_tune_config
    from animate_anyone.training.loop.trainer import Surroundings
    from animate_anyone.training.sources.own_clip import OwnClip

    with np.load(material / "own.npz") as own:
        clip = OwnClip.encoded(own["frames"], own["poses"], _Latents(), _Token())
    try:
        start = Start.open(material / "tiny.safetensors")
        config = fine_tune_config(start.preset, 1, steps=STEPS, save_every=2, frames=2)
        folder, target = out / "run", out / "trained.safetensors"
        claim(folder, target, config, {}, again=False)
        fine_tune(start, config, clip, folder, target, Surroundings(cpu=True))
    except AnimateAnyoneError as error:
        os.write(2, f"train: {error}\n".encode())
        return 2
    return 0


def _whole(folder: Path) -> None:
    """Raise if a file under its final name is not whole."""
    lengths = {"clip.mp4": FRAMES, "drawn.mp4": LONG}
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith(".") or ".part" in str(path):
            continue
        if path.name in lengths:
            frames = sum(1 for _ in frames_of(path))
            if not frames == clip_info(path).frames == lengths[path.name]:
                raise AssertionError(f"{path.name} has {frames} frames")
        elif path.suffix == ".safetensors" and path.parent == folder:
            load_models(path)
        elif path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
        elif path.name == "manifest.json":
            data = ClipDataset.open(path.parent)
            for clip in data.clips:
                data.keypoints(clip)
                data.frames(clip, clip.spans[0].start, clip.spans[0].stop)
        elif path.name == "fitted.json":
            read_keypoints(path)
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))


JOBS = {
    "animate": Job("animating", _animate, _whole),
    "draw": Job("a video is being written", _draw, _whole),
    "convert": Job("converting", _convert, _whole),
    "prepare": Job("preparing", _prepare, _whole),
    "train": Job("training", _train, _whole),
    "retarget": Job("retargeting", _retarget, _whole),
}
KILLED = ("animate", "draw", "convert", "prepare", "train")
