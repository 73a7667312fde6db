"""Fine-tuning on a real server: the bundled workflow, and a run that is cancelled."""

import json
import threading
import time

import pytest

from bundled_runs import check_training, quick
from comfy_client import ServerError, events, message, node_of, workflow
from comfy_hosts import find_hosts

pytestmark = pytest.mark.server


def cut(prompt, frames):
    """Let a prompt train on so many frames of its clip."""
    part = next(node["inputs"] for node in prompt.values() if node["inputs"].get("length") == 12)
    part["length"] = frames
    return prompt


def test_the_workflow_shows_that_training_helps(server, base, comfy_host):
    # Further hosts show that its nodes work together, for which half of its clip is enough.
    frames = 6 if comfy_host in find_hosts()[1:] else 12
    prompt = cut(quick(workflow("fine_tune")), frames)
    check_training(server, base, server.run(prompt), frames)


def interrupt_after_a_step(server, run):
    """Wait for the first checkpoint of a run, then cancel the run."""
    for _ in range(1200):
        if any(path.suffix != ".partial" for path in run.glob("stage1/checkpoints/step-*")):
            break
        time.sleep(0.1)
    server.post("/interrupt")


def test_a_cancelled_run_resumes(server, base):
    prompt = {
        key: node
        for key, node in workflow("fine_tune").items()
        if not node["class_type"].endswith(("Evaluate", "PreviewImage"))
    }
    cut(prompt, 4)
    train = node_of(prompt, "_Train")
    train.update(steps=2000, save_every=1, save_as="cut", if_exists="go on")
    prompt_id = server.queue(prompt)
    run = base / "output/animate_anyone/training/cut"
    watcher = threading.Thread(target=interrupt_after_a_step, args=(server, run))
    watcher.start()
    entry = server.result(prompt_id)
    watcher.join()
    told = events(entry)
    assert "execution_interrupted" in told, message(entry)
    assert told["execution_interrupted"]["node_type"] == "AnimateAnyone_Train"
    train.update(steps=1)
    texts = [text for out in server.run(prompt).values() for text in out.get("text", ())]
    assert sum("taken earlier" in text for text in texts) == 1, texts


def test_a_name_with_a_folder_is_refused(server):
    prompt = workflow("fine_tune")
    node_of(prompt, "_Train").update(save_as="../cut")
    try:  # refused before the prompt runs, as a whole or for this node alone
        refused = server.post("/prompt", {"prompt": prompt})["node_errors"]
    except ServerError as error:
        refused = error.body
    told = json.dumps(refused)
    assert "save_as got '../cut'; it is the name of a file, without a folder" in told
