"""Every bundled workflow opens in the page, says what its twin says, and runs."""

import json
from pathlib import Path

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))


def test_open(open_page):
    comfy = open_page()
    for name in NAMES:
        comfy.load(name)
        assert comfy.kinds() == []
        twin = json.loads((WORKFLOWS / "api" / f"{name}.json").read_text())
        prompt = comfy.prompt()
        got = {k: {"class_type": v["class_type"], "inputs": v["inputs"]} for k, v in prompt.items()}
        want = {k: {"class_type": v["class_type"], "inputs": v["inputs"]} for k, v in twin.items()}
        assert got == want, name
    comfy.load("first_run")
    comfy.picture("first_run")
    entry = comfy.queue()
    assert entry["status"]["status_str"] == "success"
    comfy.page.wait_for_timeout(1000)
    comfy.picture("first_run_done")
    assert comfy.errors == []
