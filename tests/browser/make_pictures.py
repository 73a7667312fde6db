"""Makes the pictures of README and help pages, web/docs/<NodeId>/node.webp; run when nodes change:

.venv/bin/python -m pytest tests/browser/make_pictures.py [-k WORKFLOW]

Each node is shown as a user meets it: in a bundled workflow that has run, cropped to the node.
Nodes that no workflow holds stand in small graphs of their own.
"""

import io

import pytest
from PIL import Image

from comfy_client import workflow
from comfy_hosts import REPOSITORY

DOCS = REPOSITORY / "web" / "docs"
README_PICTURE = REPOSITORY / "docs" / "page.webp"
MOTION = REPOSITORY / "workflows" / "inputs" / "motion.json"
PREFIX = "AnimateAnyone_"
SCALE = 1.4  # pixels of the picture to one of the canvas
MARGIN = 10  # pixels around a node
VIEWPORT = {"width": 1600, "height": 1800}  # high enough for the pose stage
LARGEST_BYTES = 60_000
COMPARED_STEPS = 8  # enough for a picture of the comparison
SETTLE_MS = 1500  # until widgets have fetched and drawn what they show

LOADED = ["LoadModels", "LoadExample", "DrawPose"]
# Workflow: whether it must run to show anything, and the nodes to take from it.
SHOWN = {
    "first_run": (True, [*LOADED, "EncodeReference", "EncodePose", "Animate", "DecodeToVideo"]),
    "several_references": (False, ["CombineReferences"]),
    "stock_ksampler": (False, ["Apply"]),
    "faster": (False, ["GuidanceInterval", "StepCache"]),
    "long_clip": (False, ["ContextWindows"]),
    "custom_sampling": (False, ["TrailingSigmas", "VideoNoise"]),
    "driving_video": (False, ["LoadExampleVideo", "LoadDWPose", "ExtractPose"]),
    "retarget_only": (True, ["RetargetPose", "SaveKeypoints"]),
    "fine_tune": (True, ["Train", "Evaluate", "DecodeFrames"]),
    "lora_controlnet": (False, ["LoadExampleControl"]),
    "continue": (False, ["Continue"]),
    "keep_background": (
        False,
        ["PoseMask", "CleanPlate", "ChangeBackground", "KeepBackground"],
    ),
}

PLACE = """
([kind, scale, margin]) => {
  const canvas = window.app.canvas;
  const node = window.app.graph._nodes.find((one) => one.type === kind);
  const title = LiteGraph.NODE_TITLE_HEIGHT;
  for (const [at, other] of window.app.graph._nodes.entries()) {
    if (other !== node) {
      other.pos = [node.pos[0] - 20000, node.pos[1] + 2000 * at];
    }
  }
  const least = node.computeSize();
  node.setSize([Math.max(node.size[0], least[0], 300), Math.max(node.size[1], least[1])]);
  const [x, y] = [120, 170]; // clear of the menus
  canvas.deselectAll?.();
  canvas.ds.scale = scale;
  canvas.ds.offset = [x / scale - node.pos[0], y / scale - node.pos[1] + title];
  canvas.setDirty(true, true);
  const width = node.size[0] * scale, height = (node.size[1] + title) * scale;
  // At the top no margin: the page writes the pack's name there.
  return { x: x - margin, y, width: width + 2 * margin, height: height + margin };
}
"""


def reading():
    """Return a graph that reads a clip of skeletons back."""
    return {
        "1": node("LoadExampleVideo", clip="motion.mp4"),
        "2": node("ReadPoseVideo", video=["1", 0]),
        "3": node("DrawPose", keypoints=["2", 0], width=0, height=0, hands=True, face=True),
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }


def keypoints(server):
    """Return a graph that loads keypoints from a file."""
    name = server.upload("motion.json", MOTION.read_bytes())["name"]
    inputs = {"file": name, "width": 0, "height": 0}
    return {
        "1": node("LoadExample", character="character.png", motion="motion.json"),
        "2": node("LoadKeypoints", **inputs | underneath(server)),
        "3": node("DrawPose", keypoints=["2", 0], width=0, height=0, hands=True, face=True),
        "4": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}},
    }


def underneath(server):
    """Return the inputs that give Load Keypoints a picture, if it takes one."""
    kind = f"{PREFIX}LoadKeypoints"
    optional = server.get(f"/object_info/{kind}")[kind]["input"].get("optional", {})
    return {"image": ["1", 0]} if "image" in optional else {}


def comparing():
    """Return the first run, with its result beside skeletons and character."""
    prompt = workflow("first_run")
    prompt["6"]["inputs"]["steps"] = COMPARED_STEPS
    ids = {one["class_type"].removeprefix(PREFIX): key for key, one in prompt.items()}
    decoder = prompt[ids["DecodeToVideo"]]["inputs"]
    frames = {"latent": decoder["latent"], "vae": decoder["vae"], "chunk": 8}
    parts = {"other": [ids["DrawPose"], 0], "reference": [ids["LoadExample"], 0]}
    return prompt | {
        "101": node("DecodeFrames", **frames),
        "102": node("Compare", result=["101", 0], fps=12.0, **parts),
    }


def node(kind, **inputs):
    """Return one of our nodes as a prompt holds it."""
    return {"class_type": f"{PREFIX}{kind}", "inputs": inputs}


@pytest.mark.parametrize("name", SHOWN)
def test_bundled(name, shared_page):
    runs, kinds = SHOWN[name]
    shared_page.load(name)
    if runs:
        run(shared_page)
    for kind in kinds:
        take(shared_page, kind)


@pytest.mark.parametrize("kind", ["ReadPoseVideo", "LoadKeypoints", "Compare"])
def test_alone(kind, shared_page, server):
    graphs = {
        "ReadPoseVideo": reading,
        "LoadKeypoints": lambda: keypoints(server),
        "Compare": comparing,
    }
    prompt = graphs[kind]()
    shared_page.reload()  # so that lists of files are new
    shared_page.evaluate("(prompt) => window.app.loadApiJson(prompt, 'help')", prompt)
    run(shared_page)
    take(shared_page, kind)


def test_readme(open_page):
    """Take the page as a whole, after a run: the picture of README.md."""
    comfy = open_page(size=(1800, 1000))
    comfy.load("driving_video")
    run(comfy)
    comfy.evaluate("() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    comfy.page.wait_for_timeout(2 * SETTLE_MS)
    with Image.open(io.BytesIO(comfy.page.screenshot())) as picture:
        picture.convert("RGB").save(README_PICTURE, "WEBP", quality=82, method=6)


def run(comfy):
    """Run the graph on the page."""
    assert comfy.queue()["status"]["status_str"] == "success"


def take(comfy, kind):
    """Write the picture of a node."""
    comfy.page.set_viewport_size(VIEWPORT)
    comfy.page.wait_for_timeout(SETTLE_MS)
    values = [f"{PREFIX}{kind}", SCALE, MARGIN]
    comfy.evaluate(PLACE, values)
    comfy.page.wait_for_timeout(SETTLE_MS)
    clip = comfy.evaluate(PLACE, values)  # again, since widgets may have asked for more room
    clip["height"] = min(clip["height"], comfy.page.viewport_size["height"] - clip["y"])
    comfy.page.wait_for_timeout(200)
    with Image.open(io.BytesIO(comfy.page.screenshot(clip=clip))) as picture:
        data = small(picture.convert("RGB"))
    path = DOCS / f"{PREFIX}{kind}" / "node.webp"
    path.write_bytes(data)


def small(picture):
    """Return a picture as WebP of few enough bytes."""
    for quality in (88, 78, 68, 58, 45):
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= LARGEST_BYTES:
            return buffer.getvalue()
    raise ValueError(f"{picture.size} needs more than {LARGEST_BYTES} bytes")
