"""What a run of each bundled workflow must give, and whether it runs in the page or over HTTP.

One run on each host is enough: the page sends what the API file holds (test_bundled_workflows.py
compares them), so a workflow that the page runs is not run over HTTP as well.
"""

import importlib.util
import io
import shutil

import av

from comfy_client import WORKFLOWS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
STEPS = 1  # fewer than in the workflows; these tests do not depend on the number
CACHED_STEPS = 4  # so that a step cache leaves out some, and a guidance interval has some
TRAINING_STEPS = 10  # fewer than in the workflow, but enough for a visible effect
FRAMES = {
    "first_run": 24,
    "several_references": 24,
    "two_characters": 24,
    "stock_ksampler": 24,
    "custom_sampling": 24,
    "faster": 24,
    "long_clip": 72,
    "driving_video": 24,
    "skeleton_clip": 24,
    "lora_controlnet": 24,
}
SIZES = {"two_characters": (128, 256)}  # rows and columns; others: 128x128
OTHERS = ("fine_tune", "retarget_only", "continue", "keep_background")  # they give no video
NAMES = sorted([*FRAMES, *OTHERS])
# What the page runs on further hosts: a clip that is compared and poses that are retargeted, which
# are the results that our panels show.
ON_EVERY_PAGE = ("driving_video", "retarget_only")


def find_browser():
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def page_can_run():
    """Return whether tests can drive a page here."""
    return bool(find_browser() and importlib.util.find_spec("playwright"))


def steps_of(prompt):
    """Return how many sampling steps the tests of a prompt need."""
    cached = any(node["class_type"] == "AnimateAnyone_StepCache" for node in prompt.values())
    return CACHED_STEPS if cached else STEPS


def quick(prompt):
    """Return a prompt with only as many steps as its tests need."""
    steps = steps_of(prompt)
    for node in prompt.values():
        if "steps" in node["inputs"]:
            training = node["class_type"] == "AnimateAnyone_Train"
            node["inputs"]["steps"] = TRAINING_STEPS if training else steps
    return prompt


def shorter(prompt, frames):
    """Return a prompt with only the first frames of what is drawn from poses or read of a video."""
    cut = {}
    for key, node in prompt.items():
        if node["class_type"] in ("AnimateAnyone_DrawPose", "GetVideoComponents"):
            first = {"batch_index": 0, "length": frames, "image": [key, 0]}
            cut[f"{key}00"] = {"class_type": "ImageFromBatch", "inputs": first}
    for node in prompt.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list) and value[1] == 0 and f"{value[0]}00" in cut:
                node["inputs"][name] = [f"{value[0]}00", 0]
    return prompt | cut


def frames_in(video):
    """Return the frames of a video file and its rate."""
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate


def check(name, server, base, outputs):
    """Assert that a workflow's outputs are what it promises."""
    if name in FRAMES:
        check_video(server, outputs, FRAMES[name], SIZES.get(name, (128, 128)))
    elif name == "fine_tune":
        check_training(server, base, outputs)
    else:
        pictures = [file for output in outputs.values() for file in output.get("images", ())]
        assert len(pictures) == 24


def check_video(server, outputs, count, size=(128, 128)):
    """Assert that the outputs hold one clip of so many frames, which shows something that moves."""
    files = [file for output in outputs.values() for file in output.get("images", ())]
    (clip,) = (file for file in files if file["type"] == "output")
    frames, rate = frames_in(server.file(clip))
    assert clip["filename"].endswith(".mp4")
    assert len(frames) == count
    assert frames[0].shape == (*size, 3)
    assert rate == 12
    assert frames[0].std() > 5, "the picture is not empty"
    assert any((frame != frames[0]).mean() > 0.01 for frame in frames), "and it moves"


def check_training(server, base, outputs, frames=12):
    """Assert that the figures after training are better, and that the weights can be loaded."""
    before, after = (_figures(outputs, f"{when} training") for when in ("before", "after"))
    assert after["PSNR"] > before["PSNR"] + 0.2, (before, after)
    assert len([1 for out in outputs.values() if len(out.get("images", ())) == frames]) == 2
    assert (base / "models/animate_anyone/my_character.safetensors").is_file()
    options = server.get("/object_info/AnimateAnyone_LoadModels")["AnimateAnyone_LoadModels"]
    assert "my_character.safetensors" in str(options["input"]["required"]["denoiser"])


def _figures(outputs, title):
    """Return the cells of a table that an Evaluate node shows, by column."""
    (text,) = (
        text for out in outputs.values() for text in out.get("text", ()) if f"| {title} |" in text
    )
    head, _, row = ([cell.strip() for cell in line.split("|")] for line in text.splitlines())
    return {name: float(cell) for name, cell in zip(head, row, strict=True) if name}


def is_complete():
    """Return whether the names here are those of the files."""
    return sorted(path.stem for path in WORKFLOWS.glob("*.json")) == NAMES
