"""The cost of Animate's live preview: CPU time of a sheet, and its share of a sampling run.

    python -m benchmarks.preview [--json] [--steps 20] [--repeats 50] [--threads 1]

The clip of workflows/inputs is sampled like on the command line (aa-mini, DDIM, CPU). After every
step nodes/page/previews.py is called as Animate calls it; it decides when to make a sheet. ComfyUI
is not imported. Stand-ins do its part of the work: latents to colours by the linear map stored
beside the weights, and JPEG encoding (fitted to 512 pixels, quality 95), which a server does
outside the sampler's thread. Messages to the page are left out. Every frame of an estimate is the
reference picture.
"""

import argparse
import importlib.util
import io
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

import animate_anyone.media
from animate_anyone.animate import animate, sampling_of
from animate_anyone.diffusion.windows import plan_windows
from animate_anyone.media import fit_picture, frames_of, read_picture
from animate_anyone.types import Size
from animate_anyone.weights.load import Models, load_models
from animate_anyone.weights.sources import MINI_FOLDER

ROOT = Path(__file__).resolve().parent.parent
INPUTS = ROOT / "workflows" / "inputs"
SIDE = 512  # largest side of a sheet in pixels: ComfyUI's default
QUALITY = 95  # JPEG quality that ComfyUI uses
PACK = "pack_without_host"


def load_previews() -> ModuleType:
    """Return the module nodes/page/previews.py, with stand-ins for modules that need ComfyUI."""
    names = ("host", "messages", "comfyui", "page")
    host, messages, comfyui, page = (ModuleType(name) for name in names)
    vars(host).update(ModelPatcher=object, preview_side=lambda: SIDE, executing_node=lambda: None)
    vars(messages).update(send=lambda event, data: None)
    vars(comfyui).update(host=host)
    vars(page).update(messages=messages)
    found = {
        f"{PACK}.nodes.comfyui": comfyui,
        f"{PACK}.nodes.page": page,
        f"{PACK}.animate_anyone.media": animate_anyone.media,
    }
    spec = importlib.util.spec_from_file_location(
        f"{PACK}.nodes.page.previews", ROOT / "nodes" / "page" / "previews.py"
    )
    assert spec is not None
    assert spec.loader is not None
    previews = importlib.util.module_from_spec(spec)
    sys.modules.update(found)
    try:
        spec.loader.exec_module(previews)
    finally:
        for name in found:
            del sys.modules[name]
    return previews


def latent_pictures() -> Callable[[Tensor], Image.Image]:
    """Return a function that turns latents (1, c, h, w) into a picture by aa-mini's linear map."""
    colours = json.loads((MINI_FOLDER / "latent_rgb.json").read_text(encoding="utf-8"))
    factors, bias = torch.tensor(colours["factors"]), torch.tensor(colours["bias"])

    def picture(latents: Tensor) -> Image.Image:
        rgb = latents[0].movedim(0, -1) @ factors + bias
        return Image.fromarray(rgb.add(1).mul(127.5).clamp(0, 255).to(torch.uint8).numpy())

    return picture


class TimedPreview:
    """The preview of one run, with its CPU time in seconds."""

    def __init__(self, previews: ModuleType, frames: int, steps: int) -> None:
        self.sheets: list[Image.Image] = []
        self.call_s, self.jpeg_s = 0.0, 0.0  # CPU time in the sampler's thread, and of encoding
        shown = animate_anyone.media.spread(frames, previews.TILES)
        self._steps = steps
        self._preview = previews.ClipPreview(latent_pictures(), self._show, shown, steps)

    def after(self, step: int, estimate: Tensor) -> None:
        """Call the preview after a step and encode new sheets; the estimate is (f, c, h, w)."""
        known, start = len(self.sheets), time.process_time()
        self._preview(step, estimate, estimate, self._steps)
        self.call_s += time.process_time() - start
        start = time.process_time()
        for sheet in self.sheets[known:]:
            fitted = ImageOps.contain(sheet, (SIDE, SIDE), Image.Resampling.BILINEAR)
            fitted.save(io.BytesIO(), format="JPEG", quality=QUALITY)
        self.jpeg_s += time.process_time() - start

    def _show(self, done: int, sheet: Image.Image | None) -> None:
        if sheet is not None:
            self.sheets.append(sheet)


def measure_sheet(previews: ModuleType, estimate: Tensor, repeats: int) -> dict[str, float]:
    """Return median CPU milliseconds of one sheet."""
    taken = []
    for _ in range(repeats + 1):  # the first warms up
        preview = TimedPreview(previews, len(estimate), 1)
        preview.after(0, estimate)  # the last step, so that a sheet is due
        taken.append((1e3 * preview.call_s, 1e3 * preview.jpeg_s))
    call, jpeg = np.median(taken[1:], 0).tolist()
    return {"tiles_and_layout_ms": call, "jpeg_ms": jpeg, "sheet_ms": call + jpeg}


def measure_run(
    previews: ModuleType,
    models: Models,
    reference: Tensor,  # (1, 3, any H, any W), 0..1
    poses: np.ndarray,  # (f, H, W, 3) uint8
    estimate: Tensor,  # (f, c, h, w)
    steps: int,
) -> dict[str, float]:
    """Sample with the preview; return the number of sheets and CPU seconds of both."""
    sampling = replace(sampling_of(models.preset), steps=steps, sampler="ddim")
    windows = len(plan_windows(len(poses), sampling.windows))
    preview = TimedPreview(previews, len(poses), steps)

    def progress(done: int, total: int) -> None:
        step, rest = divmod(done, windows)
        if not rest:
            preview.after(step - 1, estimate)

    started, start = time.monotonic(), time.process_time()
    animate(models, reference, poses, sampling, progress=progress)
    spent, seconds = time.process_time() - start, time.monotonic() - started
    shown = preview.call_s + preview.jpeg_s
    return {
        "steps": steps,
        "sheets": len(preview.sheets),
        "seconds": seconds,
        "sampling_cpu_s": spent - shown,
        "preview_cpu_s": shown,
        "share_percent": 100 * shown / (spent - shown),
    }


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--steps", type=int, default=20, help="sampling steps")
    parser.add_argument(
        "--repeats", type=int, default=50, help="sheets that are measured without sampling"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    previews, models = load_previews(), load_models("aa-mini")
    poses = np.stack(list(frames_of(INPUTS / "motion.mp4")))
    reference = read_picture(INPUTS / "character.png")
    frames, height, width = poses.shape[:3]
    assert models.autoencoder is not None
    with torch.no_grad():
        latents = models.autoencoder.encode(fit_picture(reference, Size(width, height)))
    estimate = latents.repeat(frames, 1, 1, 1)
    report = {"frames": frames, "width": width, "height": height, "threads": options.threads}
    report |= measure_sheet(previews, estimate, options.repeats)
    report |= measure_run(previews, models, reference, poses, estimate, options.steps)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print("without ComfyUI: stand-ins for colours and JPEG; no messages to the page")
    for name, value in report.items():
        print(f"  {name:<20}{value:>12.6g}")


if __name__ == "__main__":
    main()
