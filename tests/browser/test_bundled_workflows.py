"""Every bundled workflow opens in the page, equals its API file, runs, and shows its result."""

import pytest

from comfy_client import WORKFLOWS as TWINS
from comfy_client import workflow

NAMES = sorted(path.stem for path in TWINS.glob("*.json"))
CLICKS = 5
QUICK = """
() => {
  for (const node of window.app.graph._nodes) {
    for (const widget of node.widgets ?? []) {
      if (widget.name === "steps") {
        widget.value = 2;
      }
    }
  }
}
"""
SHOWN = """
() => [...document.querySelectorAll("video, img")]
  .map((e) => e.currentSrc || e.src)
  .concat(window.app.graph._nodes.flatMap((n) => (n.imgs ?? []).map((i) => i.src)))
  .filter((address) => address.includes("/view?"))
"""
TEXTS = "() => window.app.graph._nodes.flatMap((n) => (n.widgets ?? []).map((w) => w.value))"


def inputs_of(prompt):
    return {key: (node["class_type"], node["inputs"]) for key, node in prompt.items()}


@pytest.mark.parametrize("name", NAMES)
def test_opens_and_is_its_twin(shared_page, name):
    comfy = shared_page
    comfy.load(name)
    assert comfy.kinds() == [], "nodes that the page does not know"
    assert inputs_of(comfy.prompt()) == inputs_of(workflow(name))
    assert comfy.errors == []
    assert comfy.alerts() == [], "the page complains of the file"
    comfy.picture(f"open_{name}")


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_shows_its_result(shared_page, name):
    comfy = shared_page
    comfy.load(name)
    comfy.evaluate(QUICK)
    entry = comfy.queue()
    assert entry["status"]["status_str"] == "success", entry["status"]
    files = [file for output in entry["outputs"].values() for file in output.get("images", ())]
    assert files
    comfy.fit()  # what lies outside of the view is not drawn, and its clip not fetched
    for file in files[:1]:
        comfy.wait(f"(name) => ({SHOWN})().some((a) => a.includes(name))", file["filename"])
    comfy.picture(f"ran_{name}")
    assert comfy.errors == []


def test_a_newcomer_needs_five_clicks_at_most(open_page):
    """From the empty page to a finished clip, using only what the page shows."""
    comfy = open_page(newcomer=True, fresh=True)
    clicks = 0

    def click(locator):
        nonlocal clicks
        locator.first.click()
        clicks += 1

    templates = comfy.page.locator("button.templates-tab-button")
    pack = comfy.page.get_by_text("animate_anyone", exact=True)
    try:  # the newer page opens the templates itself for a new user
        pack.first.wait_for(timeout=8000)
    except comfy.timeout_error:
        click(templates)
    click(pack)
    comfy.picture("templates")
    click(comfy.page.get_by_text("first_run", exact=True))
    comfy.wait("() => window.app.graph._nodes.some((n) => n.type === 'AnimateAnyone_Animate')")
    before = set(comfy.server.get("/history"))
    click(comfy.page.get_by_test_id("queue-button"))
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    comfy.wait("() => [...document.querySelectorAll('video')].some((v) => v.videoWidth === 128)")
    comfy.picture("five_clicks")
    assert clicks <= CLICKS
    assert comfy.errors == []
