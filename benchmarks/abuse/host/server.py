"""Servers for the campaign: one for each ComfyUI that is found, with this pack in it."""

import contextlib
import json
import shutil
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests"))  # the tests' own server and client

from comfy_client import Client, ServerError, node_of, workflow  # noqa: E402
from comfy_hosts import find_hosts  # noqa: E402
from comfy_server import new_base, running  # noqa: E402

__all__ = ["Served", "ServerError", "node_of", "put_inputs", "servers", "small_prompts", "workflow"]
PREFIX = "AnimateAnyone_"
SHORTENED = {"motion.json": "two.json", "pair.json": "two_people.json"}  # bundled motions
FRAMES = 2  # of the prompts' clips
NAMES = (
    *("first_run", "custom_sampling", "fine_tune", "driving_video", "lora_controlnet"),
    *("retarget_only", "skeleton_clip", "continue", "faster", "keep_background"),
    *("several_references", "two_characters"),
)  # of the workflows from which prompts are made


@dataclass(frozen=True)
class Served:
    """A running server."""

    version: str
    client: Client
    base: Path  # its folder with models, input and output
    process: int  # its number

    def inputs_of(self, kind: str) -> dict[str, Any]:
        """Return what the server tells about a node."""
        return self.client.get(f"/object_info/{kind}")[kind]


def servers(
    folder: Path,
    version: str | None = None,  # of the only ComfyUI to use; None: all that are found
) -> Generator[Served, None, None]:
    """Yield a running server for each ComfyUI, one after the other."""
    hosts = find_hosts()
    if version is not None and version not in (known := [host.version for host in hosts]):
        raise SystemExit(f"--host got {version!r}; found are {', '.join(known) or 'none'}.")
    for host in hosts:
        if version not in (None, host.version):
            continue
        base = new_base(folder / host.version)
        with contextlib.ExitStack() as stack:
            client, process = stack.enter_context(running(host, base))
            yield Served(host.version, client, base, process)
        shutil.rmtree(base, ignore_errors=True)


def put_inputs(base: Path) -> None:
    """Put a motion of a few frames, a skeleton clip and odd files into the input folder."""
    inputs = ROOT / "workflows/inputs"
    for name, short in SHORTENED.items():
        motion = json.loads((inputs / name).read_text(encoding="utf-8"))
        (base / "input" / short).write_text(json.dumps(motion[:FRAMES]), encoding="utf-8")
    (base / "input/broken.json").write_text('[{"people": [', encoding="utf-8")


def small_prompts() -> dict[str, dict[str, Any]]:
    """Return prompts that run in about a second and hold every node of this pack."""
    found = {name: workflow(name) for name in NAMES}
    for prompt in found.values():
        _shorten(prompt)
    for name in ("first_run", "faster", "several_references", "two_characters"):
        file = SHORTENED["pair.json" if name == "two_characters" else "motion.json"]
        found[name]["90"] = _node("LoadKeypoints", file=file)
        for node in found[name].values():
            if "keypoints" in node["inputs"]:
                node["inputs"]["keypoints"] = ["90", 0]
    _few_frames_of_video(found["keep_background"])
    found["long"] = {**_shorten(workflow("long_clip"))}
    found["read"] = {
        "1": {"class_type": f"{PREFIX}LoadExampleVideo", "inputs": {"clip": "motion.mp4"}},
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": _batch(["2", 0]),
        "4": {"class_type": "ImageScale", "inputs": _scale(["3", 0])},
        "5": _node("ReadPoseVideo", image=["4", 0]),
        "6": _node("SaveKeypoints", keypoints=["5", 0], filename_prefix="read"),
    }
    return found


def _few_frames_of_video(prompt: dict[str, Any]) -> None:
    """Let every node that takes the video's frames take few."""
    (number,) = (k for k, node in prompt.items() if node["class_type"] == "GetVideoComponents")
    for node in prompt.values():
        inputs = node["inputs"]
        if node["class_type"] == f"{PREFIX}ExtractPose" and inputs.pop("video", None):
            inputs["image"] = [number, 0]
        inputs.update({k: ["90", 0] for k, value in inputs.items() if value == [number, 0]})
    prompt["90"] = _batch([number, 0])


def _node(kind: str, **inputs: object) -> dict[str, Any]:
    return {"class_type": PREFIX + kind, "inputs": inputs}


def _batch(image: list[object]) -> dict[str, Any]:
    inputs = {"image": image, "batch_index": 0, "length": FRAMES}
    return {"class_type": "ImageFromBatch", "inputs": inputs}


def _scale(image: list[object]) -> dict[str, object]:
    size = {"width": 256, "height": 256, "upscale_method": "bilinear", "crop": "disabled"}
    return {"image": image, **size}


def _shorten(prompt: dict[str, Any]) -> dict[str, Any]:
    """Let a bundled workflow take few steps and frames."""
    for node in prompt.values():
        inputs = node["inputs"]
        if "steps" in inputs:
            inputs["steps"] = 1
        if node["class_type"] == "ImageFromBatch" and inputs.get("length", 0) > FRAMES:
            inputs["length"] = FRAMES + 1
    return prompt
