"""From a driving video to retargeted keypoints on a real server, and errors on the way."""

import importlib.util
import json
import time

import pytest

from comfy_client import WORKFLOWS, events, message, node_of, workflow
from comfy_socket import interrupted

pytestmark = pytest.mark.server

INTERRUPT_SECONDS = 4  # enough for a busy machine; an idle one needs less than 1
TESTS = WORKFLOWS.parent.parent / "tests"


@pytest.fixture(scope="module")
def models(server, base):
    """Put tiny networks that find colours, and invalid files, into the model folder."""
    path = TESTS / "core/pose/fake_models.py"
    spec = importlib.util.spec_from_file_location("fake_models", path)
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    folder = base / "models/animate_anyone"
    fake.seeking_detector(folder / "detector.onnx")
    fake.colour_estimator(folder / "estimator.onnx")
    whole = (folder / "estimator.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "text.onnx").write_text("<html>not found</html>")
    server.get("/object_info")  # makes the server list the files again


def extraction(**networks):
    """Return a prompt that extracts the poses of the example clip and saves them."""
    networks = {"detector": "detector.onnx", "estimator": "estimator.onnx", **networks}
    prompt = workflow("retarget_only")
    load = node_of(prompt, "LoadDWPose")
    load.update(networks)
    keep = {
        key: node
        for key, node in prompt.items()
        if node["class_type"].endswith(("LoadDWPose", "LoadExampleVideo", "SaveKeypoints"))
    }
    key, extract = next(
        (key, node)
        for key, node in prompt.items()
        if node["class_type"].endswith("ExtractPose") and "video" in node["inputs"]
    )
    node_of(keep, "SaveKeypoints")["keypoints"] = [key, 0]
    return {**keep, key: extract}


def saved(outputs):
    """Return the file that Save Keypoints has written."""
    (shown,) = (file for output in outputs.values() for file in output.get("keypoints", ()))
    return shown


def report_of(outputs):
    """Return the text that a pose node shows."""
    return "\n".join(text for output in outputs.values() for text in output.get("text", ()))


def test_retarget_only_leaves_a_preview_and_keypoints(server):
    outputs = server.run(workflow("retarget_only"))
    previews = [file for output in outputs.values() for file in output.get("images", ())]
    assert len(previews) == 24
    assert len(server.file(saved(outputs))) == 24
    assert "mode limb" in report_of(outputs)


def test_saved_keypoints_can_be_loaded(server):
    shown = saved(server.run(workflow("retarget_only")))
    name = f"{shown['subfolder']}/{shown['filename']} [output]"
    save = {"keypoints": ["1", 0], "filename_prefix": "animate_anyone/again"}
    outputs = server.run(
        {
            "1": {"class_type": "AnimateAnyone_LoadKeypoints", "inputs": {"file": name}},
            "2": {"class_type": "AnimateAnyone_SaveKeypoints", "inputs": save},
        }
    )
    assert server.file(saved(outputs)) == server.file(shown)


def test_a_clip_without_a_person_gives_a_report(server, models):
    outputs = server.run(extraction())
    assert "No person was found in any frame" in report_of(outputs)
    frames = server.file(saved(outputs))
    assert len(frames) == 24
    assert all(frame["people"] == [] for frame in frames)


WRONG = {
    "swapped": (
        {"detector": "estimator.onnx", "estimator": "detector.onnx"},
        ("detector got estimator.onnx", "must turn pictures", "swap the two files"),
    ),
    "cut short": ({"estimator": "cut.onnx"}, ("cut.onnx", "not a complete ONNX file", "Download")),
    "no network": (
        {"detector": "text.onnx"},
        ("text.onnx", "not a complete ONNX file", "Download"),
    ),
    "not there": ({"detector": "yolox_l.onnx"}, ("detector got yolox_l.onnx", "Set download to")),
    "no such provider": ({"provider": "cuda"}, ("provider got 'cuda'", "Install", "choose auto")),
}


@pytest.mark.parametrize(("networks", "words"), WRONG.values(), ids=WRONG)
def test_wrong_networks_are_named_and_the_next_prompt_runs(server, models, networks, words):
    entry = server.result(server.queue(extraction(**networks)))
    assert entry["status"]["status_str"] == "error"
    assert all(word in message(entry) for word in words), message(entry)
    assert server.run(extraction())


def test_free_closes_the_networks_and_they_open_again(server, models, base):
    log = base / "server.log"
    server.run(extraction(channel_order="moore"))
    opened = log.read_text().count("estimator.onnx runs on cpu")
    server.post("/free", {"unload_models": True, "free_memory": True})
    for _ in range(30):  # the server frees between prompts; until then the run is a cached one
        server.run(extraction(channel_order="moore"))
        if log.read_text().count("estimator.onnx runs on cpu") > opened:
            break
        time.sleep(0.1)
    assert log.read_text().count("estimator.onnx runs on cpu") == opened + 1


def test_interrupt_stops_an_extraction_and_the_next_prompt_runs(server, models):
    prompt = extraction()
    picture = {"width": 64, "height": 64, "batch_size": 4000, "color": 0}
    prompt["50"] = {"class_type": "EmptyImage", "inputs": picture}
    many = {"image": ["50", 0], "amount": 5}
    prompt["51"] = {"class_type": "RepeatImageBatch", "inputs": many}
    extract = node_of(prompt, "ExtractPose")
    del extract["video"]
    extract.update(image=["51", 0], detect_every=1)
    interrupt = []

    def is_time(step):
        interrupt[:] = [time.monotonic()]
        return step["max"] == 20_000

    entry = interrupted(server, prompt, is_time)
    assert time.monotonic() - interrupt[0] < INTERRUPT_SECONDS
    told = events(entry)
    assert "execution_interrupted" in told, json.dumps(entry["status"])
    assert told["execution_interrupted"]["node_type"] == "AnimateAnyone_ExtractPose"
    assert server.run(extraction())
