"""Every bundled workflow makes its video on a real server."""

import json

import numpy as np
import pytest

from animate_anyone.media import VideoWriter
from animate_anyone.types import Size
from bundled_runs import FRAMES, SIZES, check_video, frames_in, is_complete, quick, shorter
from comfy_client import WORKFLOWS, events, node_of, workflow
from comfy_hosts import find_hosts
from comfy_socket import interrupted, watch

pytestmark = pytest.mark.server
FEW = 6  # frames
OF_VIDEOS = ("driving_video", "lora_controlnet")  # their poses are those of a video


def test_every_workflow_is_run():
    assert is_complete()


@pytest.mark.parametrize("name", FRAMES)
def test_workflow_returns_its_video(server, comfy_host, name):
    prompt, frames = run_of(server, comfy_host, name)
    check_video(server, server.run(prompt), frames, SIZES.get(name, (128, 128)))


def run_of(server, comfy_host, name):
    """Return the prompt that a workflow's test runs on a host, and the frames of its clip.

    The first host runs a workflow as it is but for the steps. Further ones show that all of it is
    there and works together, for which some of the frames are enough.
    """
    if comfy_host not in find_hosts()[1:]:
        return quick(workflow(name)), FRAMES[name]
    if name == "skeleton_clip":  # no node cuts its video
        return quick(workflow(name)), FRAMES[name]
    if name in OF_VIDEOS:
        return quick(shorter(workflow(name), FEW)), FEW
    prompt = two_windows(server) if name == "long_clip" else with_frames(server, FEW, name)
    return quick(prompt), FEW


def two_windows(server):
    """Return the workflow of a long clip with few frames, in two windows."""
    prompt = with_frames(server, FEW, "long_clip")
    node_of(prompt, "ContextWindows").update(length=4, overlap=2)
    return prompt


def with_frames(server, count, name="first_run"):
    """Return a bundled workflow with the first frames of its motion, over and over."""
    prompt = workflow(name)
    kind = "AnimateAnyone_LoadExample"
    example = next(node["inputs"] for node in prompt.values() if node["class_type"] == kind)
    motion = json.loads((WORKFLOWS.parent / "inputs" / example["motion"]).read_text())
    frames = [motion[number % len(motion)] for number in range(count)]
    file = server.upload(f"{count}_{example['motion']}", json.dumps(frames).encode())["name"]
    prompt["21"] = {"class_type": "AnimateAnyone_LoadKeypoints", "inputs": {"file": file}}
    for node in prompt.values():
        if "keypoints" in node["inputs"]:
            node["inputs"]["keypoints"] = ["21", 0]
    return prompt


def test_progress_previews_and_result_arrive_over_the_websocket(server):
    prompt = with_frames(server, 3)
    node_of(prompt, "Animate").update(seed=99, steps=3)
    seen, previews, _ = watch(server, prompt)
    kinds = {event["type"] for event in seen}
    assert {"execution_start", "executing", "progress", "executed"} <= kinds
    steps = [event["data"] for event in seen if event["type"] == "progress"]
    sampler = next(key for key, node in prompt.items() if node["class_type"].endswith("_Animate"))
    assert [e["value"] for e in steps if e["node"] == sampler and e["max"] == 3][-1] == 3
    assert previews, "a preview for each step"


def test_a_second_run_is_taken_from_the_cache(server):
    prompt = with_frames(server, 3)
    node_of(prompt, "Animate").update(steps=1)
    first = server.run(prompt)
    entry = server.result(server.queue(prompt))
    assert set(events(entry)["execution_cached"]["nodes"]) == set(prompt)
    assert shown(first)
    assert shown(entry["outputs"]) == shown(first)


def shown(outputs):
    """Return only the files: hosts differ in other outputs that they keep for a cached node."""
    return {key: output for key, output in outputs.items() if "images" in output}


def test_interrupt_stops_the_run_and_the_next_one_works(server):
    prompt = two_windows(server)
    sampler = node_of(prompt, "KSampler")
    sampler.update(steps=200)
    entry = interrupted(server, prompt, lambda step: step["max"] == 200)
    assert "execution_interrupted" in events(entry)
    sampler.update(steps=1)
    assert server.run(prompt)


def test_own_picture_and_keypoints_by_upload(server):
    picture = WORKFLOWS.parent / "inputs" / "character_checks.png"
    server.upload("someone.png", picture.read_bytes())
    prompt = with_frames(server, 3)
    node_of(prompt, "Animate").update(steps=1)
    prompt["20"] = {"class_type": "LoadImage", "inputs": {"image": "someone.png"}}
    node_of(prompt, "EncodeReference")["image"] = ["20", 0]
    (clip,) = (file for output in server.run(prompt).values() for file in output.get("images", ()))
    assert len(frames_in(server.file(clip))[0]) == 3


def test_a_driving_clip_gives_poses_speed_and_length(server, base):
    frames, rate = frames_in((WORKFLOWS.parent / "inputs" / "motion.mp4").read_bytes())
    with VideoWriter(base / "input/motion.mp4", Size(128, 128), rate) as writer:
        writer.write(np.stack(frames[:FEW]))
    prompt = workflow("first_run")
    node_of(prompt, "Animate").update(steps=1)
    prompt["20"] = {"class_type": "LoadVideo", "inputs": {"file": "motion.mp4"}}
    pose = node_of(prompt, "EncodePose")
    del pose["image"]
    pose.update(video=["20", 0], keep="pictures")
    node_of(prompt, "DecodeToVideo").update(driving=["20", 0], fps=50.0)
    (made,) = (file for output in server.run(prompt).values() for file in output.get("images", ()))
    frames, rate = frames_in(server.file(made))
    assert (len(frames), rate) == (FEW, 12)
