"""Every bundled workflow makes its video on a real server."""

import io
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import av
import pytest

from comfy_client import WORKFLOWS, events, node_of, workflow

pytestmark = pytest.mark.server

STEPS = 2  # fewer than in the workflows; these tests do not depend on the number
FRAMES = {
    "first_run": 24,
    "stock_ksampler": 24,
    "custom_sampling": 24,
    "long_clip": 72,
    "driving_video": 24,
    "skeleton_clip": 24,
    "lora_controlnet": 24,
}


def frames_in(video):
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, stream.average_rate


def test_every_workflow_is_run_here():
    others = {"retarget_only", "fine_tune"}  # in test_pose_nodes.py and test_training.py
    assert {path.stem for path in WORKFLOWS.glob("*.json")} == set(FRAMES) | others


@pytest.mark.parametrize("name", FRAMES)
def test_workflow_returns_its_video(server, name):
    prompt = workflow(name)
    for node in prompt.values():
        if "steps" in node["inputs"]:
            node["inputs"]["steps"] = STEPS
    outputs = server.run(prompt)
    files = [file for output in outputs.values() for file in output.get("images", ())]
    (clip,) = (file for file in files if file["type"] == "output")
    frames, rate = frames_in(server.file(clip))
    assert clip["filename"].endswith(".mp4")
    assert len(frames) == FRAMES[name]
    assert frames[0].shape == (128, 128, 3)
    assert rate == 12
    assert frames[0].std() > 5, "the picture is not empty"
    assert any((frame != frames[0]).mean() > 0.01 for frame in frames), "and it moves"


def test_progress_previews_and_result_arrive_over_the_websocket(server):
    prompt = workflow("first_run")
    node_of(prompt, "Animate").update(seed=99, steps=3)
    seen, previews = _watch(server, prompt)
    kinds = {event["type"] for event in seen}
    assert {"execution_start", "executing", "progress", "executed"} <= kinds
    steps = [event["data"] for event in seen if event["type"] == "progress"]
    sampler = next(key for key, node in prompt.items() if node["class_type"].endswith("_Animate"))
    assert [e["value"] for e in steps if e["node"] == sampler and e["max"] == 3][-1] == 3
    assert previews, "a preview for each step"


def test_a_second_run_is_taken_from_the_cache(server):
    prompt = workflow("first_run")
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
    prompt = workflow("long_clip")
    node_of(prompt, "KSampler").update(steps=200)
    prompt_id = server.queue(prompt)
    ended = threading.Event()

    def interrupt():  # again and again: on a busy machine the first may come before the run
        while not ended.wait(3):
            server.post("/interrupt")

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    try:
        entry = server.result(prompt_id)
    finally:
        ended.set()
        interrupting.join()
    assert "execution_interrupted" in events(entry)
    node_of(prompt, "KSampler").update(steps=1)
    assert server.run(prompt)


def test_own_picture_and_keypoints_by_upload(server):
    inputs = WORKFLOWS.parent / "inputs"
    server.upload("someone.png", (inputs / "character_checks.png").read_bytes())
    motion = json.loads((inputs / "motion.json").read_text())[:3]
    server.upload("three.json", json.dumps(motion).encode())
    prompt = workflow("first_run")
    node_of(prompt, "Animate").update(steps=1)
    prompt["20"] = {"class_type": "LoadImage", "inputs": {"image": "someone.png"}}
    keypoints = {"file": "three.json"}
    prompt["21"] = {"class_type": "AnimateAnyone_LoadKeypoints", "inputs": keypoints}
    node_of(prompt, "EncodeReference")["image"] = ["20", 0]
    node_of(prompt, "DrawPose")["keypoints"] = ["21", 0]
    (clip,) = (file for output in server.run(prompt).values() for file in output.get("images", ()))
    assert len(frames_in(server.file(clip))[0]) == 3


def test_a_driving_clip_gives_poses_speed_and_length(server, base):
    clip = WORKFLOWS.parent / "inputs" / "motion.mp4"
    (base / "input" / "motion.mp4").write_bytes(clip.read_bytes())
    prompt = workflow("first_run")
    node_of(prompt, "Animate").update(steps=1)
    prompt["20"] = {"class_type": "LoadVideo", "inputs": {"file": "motion.mp4"}}
    pose = node_of(prompt, "EncodePose")
    del pose["image"]
    pose.update(video=["20", 0], keep="pictures")
    node_of(prompt, "DecodeToVideo").update(driving=["20", 0], fps=50.0)
    (made,) = (file for output in server.run(prompt).values() for file in output.get("images", ()))
    frames, rate = frames_in(server.file(made))
    assert (len(frames), rate) == (24, 12)


def _watch(server, prompt):
    """Run a prompt beside an open websocket; return its events and previews."""
    import asyncio

    import aiohttp

    name = uuid.uuid4().hex

    async def watch():
        seen, previews = [], []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{server.address}/ws?clientId={name}") as socket,
        ):
            loop = asyncio.get_running_loop()
            prompt_id = await loop.run_in_executor(
                None, lambda: server.queue(prompt, client_id=name)
            )
            async for received in socket:
                if received.type == aiohttp.WSMsgType.BINARY:
                    previews.append(received.data)
                    continue
                event = json.loads(received.data)
                seen.append(event)
                ends = ("execution_success", "execution_error")
                if event["type"] in ends and event["data"]["prompt_id"] == prompt_id:
                    return seen, previews

    # In its own thread, because browser tests that ran before leave an event loop in this one.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, watch()).result()
