"""A user's error is answered with input, value, rule and way out; the server keeps running."""

import json
import pickle
import struct

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from comfy_client import ServerError, message, node_of, workflow

pytestmark = pytest.mark.server


class Trap:
    """Runs code when it is unpickled, unless unpickling is safe."""

    def __reduce__(self):
        return exec, ("import os; os.environ['TRAPPED'] = '1'",)


@pytest.fixture(scope="module")
def prompt(server, base):
    """Return a function that makes a quick prompt: two frames, one step."""
    motion = json.loads(
        (base / "custom_nodes/animate_anyone/workflows/inputs/motion.json").read_text()
    )
    (base / "input/two.json").write_text(json.dumps(motion[:2]))
    (base / "input/damaged.json").write_text('[{"people": [')
    (base / "input/nobody.json").write_text("[]")
    for name, size in (("dot.png", (1, 1)), ("huge.png", (4800, 3600))):
        Image.new("RGB", size, (200, 30, 30)).save(base / "input" / name)
    Image.new("RGBA", (50, 80), (10, 20, 30, 0)).save(base / "input/clear.png")

    def make():
        result = workflow("first_run")
        result["20"] = {
            "class_type": "AnimateAnyone_LoadKeypoints",
            "inputs": {"file": "two.json"},
        }
        node_of(result, "DrawPose")["keypoints"] = ["20", 0]
        node_of(result, "Animate").update(steps=1)
        return result

    return make


@pytest.fixture(scope="module")
def weight_files(base, server):
    """Put files that cannot be used into the model folder."""
    folder = base / "models/animate_anyone"
    save_file({"lora_unet_x.lora_up.weight": torch.zeros(2, 2)}, folder / "lora.safetensors")
    save_file(
        {
            "encoder.layers.0.weight": torch.zeros(2, 2),
            "decoder.layers.0.weight": torch.zeros(2, 2),
        },
        folder / "vae.safetensors",
    )
    whole = (folder / "vae.safetensors").read_bytes()
    (folder / "truncated.safetensors").write_bytes(whole[:-8])
    (folder / "corrupt.safetensors").write_bytes(struct.pack("<Q", 20) + b"{not json at all....")
    (folder / "empty.safetensors").write_bytes(b"")
    with (folder / "trap.pth").open("wb") as file:
        pickle.dump({"conv_in.weight": Trap()}, file)


def refusal(server, prompt):
    """Return the error text of a prompt, from its validation or from its run."""
    try:
        answer = server.post("/prompt", {"prompt": prompt})
    except ServerError as error:
        return json.dumps(error.body)
    if answer["node_errors"]:  # Load Keypoints is an output too, and may run alone
        return json.dumps(answer["node_errors"])
    entry = server.result(answer["prompt_id"])
    assert entry["status"]["status_str"] == "error", "the prompt ran"
    return message(entry)


WIDGETS = {
    "steps 0": ("Animate", {"steps": 0}, ("steps", "0", "1")),
    "cfg below 1": ("Animate", {"cfg": 0.5}, ("cfg", "0.5", "1.0")),
    "unknown sampler": ("Animate", {"sampler": "eulr"}, ("sampler", "eulr")),
    "unknown preset": ("LoadModels", {"preset": "more"}, ("preset", "more", "moore")),
    "preset without files": ("LoadModels", {"preset": "moore"}, ("denoiser", "aa-mini", "choose")),
    "overlap as long as a window": (
        "Animate",
        {"length": 8, "overlap": 8},
        ("overlap got 8", "less than", "Choose 4"),
    ),
    "window beyond the motion table": ("Animate", {"length": 40}, ("40", "32", "Choose 32")),
    "keypoints cut short": ("LoadKeypoints", {"file": "damaged.json"}, ("damaged.json",)),
    "no frames": ("LoadKeypoints", {"file": "nobody.json"}, ("keypoints",)),
    "missing file": ("LoadKeypoints", {"file": "away.json"}, ("file", "away.json")),
    "file outside the input folder": ("LoadKeypoints", {"file": "../two.json"}, ("two.json",)),
    "chunk 0": ("DecodeToVideo", {"chunk": 0}, ("chunk", "0", "1")),
    "fps 0": ("DecodeToVideo", {"fps": 0.0}, ("fps", "0", "1.0")),
    "output outside the folder": ("DecodeToVideo", {"filename_prefix": "../../x"}, ("output",)),
    "negative size": ("DrawPose", {"width": -8}, ("width", "-8", "0")),
}


@pytest.mark.parametrize(("kind", "values", "words"), WIDGETS.values(), ids=WIDGETS)
def test_widget_values(server, prompt, kind, values, words):
    bad = prompt()
    node_of(bad, kind).update(values)
    text = refusal(server, bad)
    assert all(word in text for word in words), text


FILES = {
    "a LoRA": ("lora.safetensors", ("lora.safetensors", "a LoRA")),
    "a VAE": ("vae.safetensors", ("vae.safetensors", "lack a denoising UNet")),
    "truncated": ("truncated.safetensors", ("truncated", "ownload it again")),
    "corrupt": ("corrupt.safetensors", ("corrupt.safetensors", "header")),
    "empty": ("empty.safetensors", ("empty", "0 bytes")),
    "a pickle with code": ("trap.pth", ("trap.pth", "code", "safetensors")),
}


@pytest.mark.parametrize(("file", "words"), FILES.values(), ids=FILES)
def test_weight_files(server, prompt, weight_files, file, words):
    bad = prompt()
    node_of(bad, "LoadModels").update(preset="files (detect the kind)", denoiser=file)
    text = refusal(server, bad)
    assert all(word in text for word in words), text


def test_latent_that_does_not_fit_the_pose(server, prompt):
    bad = workflow("stock_ksampler")
    size = {"width": 64, "height": 64, "batch_size": 5}
    bad["20"] = {"class_type": "EmptyLatentImage", "inputs": size}
    node_of(bad, "KSampler").update(latent_image=["20", 0], steps=1)
    assert "latent got 5 frames, the pose has 24; they must agree" in refusal(server, bad)


def test_too_many_pictures_as_reference(server, prompt):
    bad = prompt()
    batch = {"image": ["2", 0], "amount": 9}
    bad["21"] = {"class_type": "RepeatImageBatch", "inputs": batch}
    node_of(bad, "EncodeReference")["image"] = ["21", 0]
    assert "image got 9 pictures; a character has one to 8 reference pictures" in refusal(
        server, bad
    )


@pytest.mark.parametrize("file", ["dot.png", "huge.png", "clear.png"])
def test_odd_pictures_are_fitted(server, prompt, file):
    odd = prompt()
    odd["21"] = {"class_type": "LoadImage", "inputs": {"image": file}}
    node_of(odd, "EncodeReference")["image"] = ["21", 0]
    assert server.run(odd)


def test_sizes_that_are_no_multiple_of_8_are_rounded(server, prompt):
    odd = prompt()
    node_of(odd, "DrawPose").update(width=99, height=123)
    assert server.run(odd)


def test_the_next_prompt_runs(server, prompt):
    assert server.run(prompt())
