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
PANELS = 8  # Animate has two
SIZE = (3600, 1400)  # so large that all panels are in view
BUILD = """
(kinds) => {
  window.app.graph.clear();
  const { canvas } = window.app;
  canvas.ds.scale = 1;
  canvas.ds.offset = [120, 120];
  let x = 0;
  for (const kind of kinds) {
    const node = LiteGraph.createNode(`AnimateAnyone_${kind}`);
    window.app.graph.add(node);
    node.pos = [x, 0];
    const [w, h] = node.computeSize();
    node.setSize([Math.max(w, 380), h]);
    x += node.size[0] + 40;
  }
  canvas.setDirty(true, true);
}
"""
SHOWN = """
(count) => [...document.querySelectorAll(".aa-panel")].filter((panel) => {
  const { left, top, right, bottom, width } = panel.getBoundingClientRect();
  const inView = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  return width && inView && panel.innerText.trim();
}).length >= count
"""
GROUND = "() => getComputedStyle(document.querySelector('.aa-panel')).backgroundColor"
PALETTE = "(name) => window.app.extensionManager.setting.set('Comfy.ColorPalette', name)"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa"]}}
RULES["resultTypes"] = ["violations"]


@pytest.fixture
def panels(open_page):
    """Return a page that shows every kind of panel."""
    comfy = open_page(size=SIZE)
    comfy.evaluate(BUILD, list(NODES))
    comfy.wait(SHOWN, PANELS)
    comfy.page.wait_for_timeout(600)  # for what the panels fetch
    return comfy


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_axe_finds_nothing_in_our_panels(panels, palette):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    before = panels.evaluate(GROUND)
    try:
        panels.evaluate(PALETTE, palette)
        if palette != "dark":
            panels.wait(f"(before) => ({GROUND})() !== before", before)
        panels.picture(f"panels_{palette}")
        found = axe.run(panels.page, context=".aa-panel", options=RULES)
        assert found.violations_count == 0, found.generate_report()
    finally:
        panels.evaluate(PALETTE, "dark")
    assert panels.errors == []


def test_every_control_is_reached_by_the_tab_key(panels):
    unreachable = panels.evaluate(
        "() => [...document.querySelectorAll('.aa-panel :is(button, input, select, summary)')]"
        ".filter((e) => e.tabIndex < 0 && !e.disabled).map((e) => e.outerHTML)"
    )
    assert unreachable == []
    pointer_only = panels.evaluate(
        "() => [...document.querySelectorAll('.aa-panel [onclick]')]"
        ".filter((e) => !e.matches('button, input, summary')).map((e) => e.outerHTML)"
    )
    assert pointer_only == []
