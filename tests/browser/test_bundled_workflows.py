"""Every bundled workflow opens in the page, equals its API file, runs, and shows its result."""

import pytest

from bundled_runs import NAMES, TRAINING_STEPS, check, steps_of
from comfy_client import workflow

CLICKS = 5
QUICK = """
([steps, training]) => {
  for (const node of window.app.graph._nodes) {
    for (const widget of node.widgets ?? []) {
      if (widget.name === "steps") {
        widget.value = node.type === "AnimateAnyone_Train" ? training : steps;
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
def test_runs_and_shows_its_result(shared_page, server_base, name):
    comfy = shared_page
    comfy.load(name)
    comfy.evaluate(QUICK, [steps_of(workflow(name)), TRAINING_STEPS])
    entry = comfy.queue()
    assert entry["status"]["status_str"] == "success", entry["status"]
    check(name, comfy.server, server_base, entry["outputs"])
    files = [file for output in entry["outputs"].values() for file in output.get("images", ())]
    assert files
    comfy.fit()  # what lies outside of the view is not drawn, and its clip not fetched
    for file in files[:1]:
        comfy.wait(f"(name) => ({SHOWN})().some((a) => a.includes(name))", file["filename"])
    comfy.picture(f"ran_{name}")
    assert comfy.errors == []


@pytest.mark.page("newcomer")
def test_a_newcomer_needs_five_clicks_at_most(open_page, comfy_host, server_base):
    """From the empty page to a finished clip, using only what the page shows."""
    comfy = open_page(newcomer=True)
    clicks = 0

    def click(locator):
        nonlocal clicks
        locator.first.click()
        clicks += 1

    templates = comfy.page.locator("button.templates-tab-button")
    pack = comfy.page.get_by_text("animate_anyone", exact=True)
    if comfy_host.version.startswith("0.3."):
        click(templates)
    else:  # the newer page opens the templates itself for a new user
        pack.first.wait_for()
    click(pack)
    comfy.picture("templates")
    click(comfy.page.get_by_text("first_run", exact=True))
    comfy.wait("() => window.app.graph._nodes.some((n) => n.type === 'AnimateAnyone_Animate')")
    comfy.evaluate(QUICK, [steps_of(workflow("first_run")), TRAINING_STEPS])  # to wait for less
    before = comfy.newest()
    click(comfy.page.get_by_test_id("queue-button"))
    entry = comfy.ended(before)
    assert entry["status"]["status_str"] == "success"
    check("first_run", comfy.server, server_base, entry["outputs"])
    comfy.wait("() => [...document.querySelectorAll('video')].some((v) => v.videoWidth === 128)")
    comfy.picture("five_clicks")
    assert clicks <= CLICKS
    assert comfy.errors == []
