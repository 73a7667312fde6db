"""Situations that must not break the page: old files, reloads, several tabs."""

import json
from pathlib import Path

import pytest

from bundled_runs import quick, shorter
from comfy_client import workflow

EARLIER = Path(__file__).resolve().parent / "earlier"  # as version 0.1.0 saved them
FRAMES = 4
# A clip of 24 frames in place of 72, still in several windows.
SHORTER = """
() => {
  const values = { LoadExample: ["motion", "motion.json"], ContextWindows: ["length", 14] };
  for (const node of window.app.graph._nodes) {
    const [name, value] = values[node.type.replace("AnimateAnyone_", "")] ?? [];
    for (const widget of node.widgets ?? []) {
      if (widget.name === name) {
        widget.value = value;
      }
    }
  }
}
"""
NOT_OFFERED = """
() => window.app.graph._nodes.flatMap((node) => (node.widgets ?? [])
  .filter(({ options, value }) => Array.isArray(options?.values) && !options.values.includes(value))
  .map(({ name, value }) => [node.type, name, value]))
"""
SET_STEPS = """
(steps) => {
  for (const node of window.app.graph._nodes) {
    const widget = node.widgets?.find((w) => w.name === "steps");
    if (widget) {
      widget.value = steps;
    }
  }
}
"""
RELOADED_STEPS = 4  # the page is reloaded at the first of them
QUEUE_AND_NOTE_STEPS = """
(steps) => {
  const note = ({ detail }) => { if (detail.max === steps) window.stepsSeen = detail.value; };
  window.stepsSeen = 0;
  window.comfyAPI.api.api.addEventListener("progress", note);
  window.app.queuePrompt(0);
}
"""


@pytest.mark.parametrize("name", sorted(path.stem for path in EARLIER.glob("*.json")))
def test_a_workflow_of_an_earlier_version_opens_and_runs(shared_page, name):
    comfy = shared_page
    comfy.load(json.loads((EARLIER / f"{name}.json").read_text(encoding="utf-8")))
    assert comfy.kinds() == []
    assert comfy.evaluate(NOT_OFFERED) == [], "saved values that the nodes no longer have"
    comfy.evaluate(SET_STEPS, 1)
    comfy.evaluate(SHORTER)
    entry = comfy.queue()
    assert entry["status"]["status_str"] == "success", entry["status"]
    assert comfy.errors == []


def test_a_missing_model_file_leaves_the_rest_of_the_workflow_alone(shared_page):
    comfy = shared_page
    comfy.load("first_run")
    before = comfy.prompt()
    graph = comfy.evaluate("() => window.app.graph.serialize()")
    (loader,) = (n for n in graph["nodes"] if n["type"] == "AnimateAnyone_LoadModels")
    loader["widgets_values"][:2] = ["moore", "gone/denoising_unet.pth"]
    loader.pop("widgets_values_named", None)
    comfy.load(graph)
    prompt = comfy.prompt()
    key = str(loader["id"])
    assert prompt[key]["inputs"]["denoiser"] == "gone/denoising_unet.pth"
    assert {k: v["inputs"] for k, v in prompt.items() if k != key} == {
        k: v["inputs"] for k, v in before.items() if k != key
    }
    assert comfy.errors == []


def test_a_reload_in_the_middle_of_a_run(shared_page):
    comfy = shared_page
    comfy.load("first_run")
    comfy.evaluate(SET_STEPS, RELOADED_STEPS)
    before = comfy.newest()
    comfy.evaluate(QUEUE_AND_NOTE_STEPS, RELOADED_STEPS)
    comfy.wait("() => window.stepsSeen > 0")
    assert comfy.newest() == before, "it still runs"
    comfy.reload()
    comfy.load("retarget_only")
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    assert comfy.queue()["status"]["status_str"] == "success"
    assert comfy.errors == []


@pytest.mark.page("tabs")
def test_two_tabs_do_not_disturb_each_other(open_page):
    first, second = open_page(), open_page()
    short = shorter(quick(workflow("first_run")), FRAMES)
    first.evaluate("(p) => window.app.loadApiJson(p, 'short')", short)
    second.load("retarget_only")
    wanted = second.prompt()
    assert first.queue()["status"]["status_str"] == "success"
    assert second.prompt() == wanted
    assert second.queue()["status"]["status_str"] == "success"
    assert first.errors == second.errors == []
