"""Accessibility of our panels: names, roles, contrast, keyboard."""

import pytest

NODES = (
    "LoadModels",
    "LoadDWPose",
    "RetargetPose",
    "LoadKeypoints",
    "ContextWindows",
    "Animate",
    "Compare",
)
BUILD = """
(kinds) => {
  window.app.graph.clear();
  let x = 0;
  for (const kind of kinds) {
    const node = LiteGraph.createNode(`AnimateAnyone_${kind}`);
    window.app.graph.add(node);
    node.pos = [x, 0];
    const [w, h] = node.computeSize();
    node.setSize([Math.max(w, 380), h]);
    x += node.size[0] + 40;
  }
  window.app.canvas.ds.scale = 1;
}
"""
SHOW = """
(index) => {
  const node = window.app.graph._nodes[index];
  const { ds } = window.app.canvas;
  ds.offset = [120 - node.pos[0], 120 - node.pos[1]];
  window.app.canvas.setDirty(true, true);
}
"""
PANELS = "() => document.querySelectorAll('.aa-panel').length"


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_axe_finds_nothing_in_our_panels(open_page, palette):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    comfy = open_page(settings={"Comfy.ColorPalette": palette}, size=(1400, 1300))
    comfy.evaluate(BUILD, list(NODES))
    for index, kind in enumerate(NODES):
        comfy.evaluate(SHOW, index)
        comfy.page.wait_for_timeout(600)
        assert comfy.evaluate(PANELS), kind
        comfy.picture(f"panel_{kind}_{palette}")
        rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa"]}}
        found = axe.run(comfy.page, context=".aa-panel", options=rules)
        assert found.violations_count == 0, f"{kind}: {found.generate_report()}"
    assert comfy.errors == []


def test_every_control_is_reached_by_the_tab_key(open_page):
    comfy = open_page(size=(1400, 1300))
    comfy.evaluate(BUILD, list(NODES))
    for index, kind in enumerate(NODES):
        comfy.evaluate(SHOW, index)
        comfy.page.wait_for_timeout(400)
        unreachable = comfy.evaluate(
            "() => [...document.querySelectorAll('.aa-panel :is(button, input, select, summary)')]"
            ".filter((e) => e.tabIndex < 0 && !e.disabled).map((e) => e.outerHTML)"
        )
        assert unreachable == [], kind
        pointer_only = comfy.evaluate(
            "() => [...document.querySelectorAll('.aa-panel [onclick]')]"
            ".filter((e) => !e.matches('button, input, summary')).map((e) => e.outerHTML)"
        )
        assert pointer_only == [], kind
