"""The server's memory: after many prompts with other seeds and models, and in long clips.

Both are measured on the newest ComfyUI alone.
"""

import copy
import time
from pathlib import Path
from statistics import mean
from typing import Any

from ..files.material import write_server_bundle
from ..order import Order
from ..verdict import ACCEPTED, FAULT, Tally, Verdict
from .server import Served, node_of, put_inputs, servers, small_prompts, workflow
from .talk import outcome

PROMPTS, WARM_UP, FEW = 200, 40, 12
GROWS = 0.01  # share by which memory may grow after the warm-up
PATIENCE = 300.0  # seconds for a prompt
SHORT, LONG, WINDOW = 24, 240, 24  # frames
MORE = 1.2  # times the memory of the short clip, beside latents and hints
SIDE = 64  # pixels
MODELS = ("one.safetensors", "two.safetensors")


def queue(order: Order) -> list[Tally]:
    """Queue many prompts with other seeds and models; memory must stay where it is."""
    served = next(running := servers(order.folder, order.host))
    put_inputs(served.base)
    for number, name in enumerate(MODELS):
        write_server_bundle(served.base / "models/animate_anyone" / name, number)
    tally, used = Tally(f"prompts in a row, ComfyUI {served.version}"), []
    plain = small_prompts()["first_run"]
    node_of(plain, "DrawPose").update(width=SIDE, height=SIDE)
    for number in range(FEW if order.short else PROMPTS):
        prompt = copy.deepcopy(plain)
        node_of(prompt, "Animate")["seed"] = order.seed + number
        if number % 10:
            file = {"preset": "files (detect the kind)", "denoiser": MODELS[number % 2]}
            node_of(prompt, "LoadModels").update(file)
            node_of(prompt, "Animate").update(length=4, overlap=1)
        entry = outcome(served, served.client.queue(prompt), PATIENCE)
        whole = entry is not None and entry["status"]["status_str"] == "success"
        tally.add(Verdict(ACCEPTED if whole else FAULT, str(entry)[-600:]), number)
        used.append(bytes_of(served, "VmRSS"))
    settled = used[WARM_UP:] or used
    third = max(1, len(settled) // 3)
    first, last = mean(settled[:third]), mean(settled[-third:])
    tally.notes.append(
        f"memory {first / 1e6:.1f} MB after the warm-up, {last / 1e6:.1f} MB at the end "
        f"({last / first - 1:+.2%}); least {min(settled) / 1e6:.1f}, most {max(settled) / 1e6:.1f}"
    )
    if not order.short and last > (1 + GROWS) * first:
        tally.add(Verdict(FAULT, tally.notes[0]), "growth")
    running.close()
    return [tally]


def long_clip(order: Order) -> list[Tally]:
    """Compare the peak memory of a long clip with ControlNet, in shifting windows, with a short."""
    served = next(running := servers(order.folder, order.host))
    tally = Tally(f"long clips with ControlNet, ComfyUI {served.version}")
    run(served, _controlled(SHORT, order.seed, steps=1))  # loads everything
    peaks = {}
    for frames in (SHORT, 2 * SHORT if order.short else LONG):
        before = bytes_of(served, "VmRSS")
        forget_peak(served)
        run(served, _controlled(frames, order.seed + frames, steps=2))
        peaks[frames] = bytes_of(served, "VmHWM") - before
    (small, needed), (many, found) = sorted(peaks.items())
    # Latents and noise, 16 channels; pictures of poses and hints, each as IMAGE and as the hint.
    own = (many - small) * 4 * (3 * 16 * (SIDE // 8) ** 2 + 4 * 3 * SIDE**2)
    tally.notes.append(
        f"a run needs {needed / 1e6:.1f} MB for {small} frames, {found / 1e6:.1f} MB for {many}, "
        f"of which {own / 1e6:.1f} MB are latents and pictures of the further frames"
    )
    whole = found <= MORE * (needed + own)
    tally.add(Verdict(ACCEPTED if whole else FAULT, tally.notes[0]), many)
    running.close()
    return [tally]


def _controlled(frames: int, seed: int, steps: int) -> dict[str, Any]:
    """Return a prompt that samples so many frames in windows, with a ControlNet of the poses."""
    prompt = workflow("lora_controlnet")
    prompt = {key: prompt[key] for key in ("1", "3", "8", "9", "10", "14", "15", "16")}
    prompt["2"] = {"class_type": "AnimateAnyone_DrawPose", "inputs": {}}
    prompt["2"]["inputs"] = {"keypoints": ["3", 1], "width": SIDE, "height": SIDE, "hands": True}
    prompt["2"]["inputs"] |= {"face": True, "body": True, "feet": False}
    repeat = {"image": ["2", 0], "amount": -(-frames // 24)}
    prompt["4"] = {"class_type": "RepeatImageBatch", "inputs": repeat}
    cut = {"image": ["4", 0], "batch_index": 0, "length": frames}
    prompt["5"] = {"class_type": "ImageFromBatch", "inputs": cut}
    for key in ("8", "9"):
        for name in ("image", "pose_image"):
            if name in prompt[key]["inputs"] and not (key == "8" and name == "image"):
                prompt[key]["inputs"][name] = ["5", 0]
    options = {"length": WINDOW, "overlap": 4, "fusing": "pyramid", "loop": False, "shift": True}
    prompt["6"] = {
        "class_type": "AnimateAnyone_ContextWindows",
        "inputs": {"model": ["1", 0], **options, "shuffle_noise": False},
    }
    prompt["10"]["inputs"]["model"] = ["6", 0]
    prompt["15"]["inputs"]["image"] = ["5", 0]
    prompt["16"]["inputs"].update(steps=steps, seed=seed)
    prompt["17"] = {"class_type": "SaveLatent", "inputs": {"samples": ["16", 0]}}
    prompt["17"]["inputs"]["filename_prefix"] = f"long{seed}"
    return prompt


def run(served: Served, prompt: dict[str, Any]) -> None:
    """Run a prompt to its end; raise if it fails."""
    entry = outcome(served, served.client.queue(prompt), 4 * PATIENCE)
    if entry is None or entry["status"]["status_str"] != "success":
        raise AssertionError(str(entry)[-1000:])
    time.sleep(0.5)


def bytes_of(served: Served, field: str) -> int:
    """Return a figure of the server's memory: VmRSS now, VmHWM at most since `forget_peak`."""
    text = Path(f"/proc/{served.process}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if field in line)


def forget_peak(served: Served) -> None:
    """Let the system measure the peak of the server's memory anew."""
    Path(f"/proc/{served.process}/clear_refs").write_text("5")
